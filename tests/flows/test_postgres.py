"""One tick of a feed whose store is PostgreSQL; all else that a tick does is in `test_import_feed`."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from blocks.connections import HeldLease
from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.local_postgres import LocalPostgres
from schemas.outcome import FileOutcome, LoadCounts
from tests.flows.conftest import Feed


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What the loads are told to call now and then."""
    told: list[Callable[[], None]] = []
    load = Ledger.load

    def watched(*args: Any, **how: Any) -> FileOutcome:
        told.append(how["progress"])
        return load(*args, **how)

    monkeypatch.setattr(Ledger, "load", watched)
    return told


@pytest.mark.rule("L1")
@pytest.mark.rule("R2")
@pytest.mark.rule("S10")
def test_a_whole_delivery_into_postgresql(
    feed: Feed,
    local_postgres: LocalPostgres,
    postgres_url: str,
    progress: list[Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    feed.configure(store=postgres_url)
    feed.drop(
        "20210228",
        a_csv_gz="id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n1,c@example.com,\r\n",
        b_csv_gz="id,score\r\n3,many\r\n",
    )

    report = feed.report()

    assert report.state == "Rejected"
    assert feed.text("processed/20210228/status.txt").startswith("ERROR\n")
    store = open_store(postgres_url)
    with store.read() as reader:
        assert reader.execute("SELECT id, email, score FROM users ORDER BY id") == [
            ("1", "c@example.com", 1.5),
            ("2", "b@example.com", None),
        ]
    [record] = Ledger(store).deliveries()
    assert record.finished_at
    assert record.counts == LoadCounts(created=2, repeated=1)
    assert len(feed.callbacks) == 1
    assert [(each.__func__, type(each.__self__)) for each in progress] == [(HeldLease.keep, HeldLease)]
    password = postgres_url.partition("@")[0].rpartition(":")[2]
    assert len(password) > 20
    assert password not in caplog.text + "".join(map(repr, feed.objects().values()))
    assert feed.report().state == "NothingToDo"


def test_into_a_file_the_lease_needs_no_care(feed: Feed, progress: list[Callable[[], None]]):
    feed.drop("20210228", a_csv_gz="id\r\n1\r\n")
    assert feed.report().state == "Imported"
    assert [getattr(each, "__self__", None) for each in progress] == [None]

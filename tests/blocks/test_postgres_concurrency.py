"""Several runs on one PostgreSQL at once, and runs and servers that come to a standstill or die."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from blocks.leases import hold
from blocks.ledger import Ledger
from blocks.postgres_store import PostgresStore
from blocks.stores import open_store
from deployments.local_postgres import LocalPostgres
from schemas.catalogue import Entity
from schemas.delivery import Delivery
from schemas.errors import LeaseLost, StoreBusy
from schemas.outcome import LoadCounts
from schemas.valid_file import ValidFile
from tests.blocks import test_ledger as steps
from tests.blocks.conftest import MakeFile, Rows, load, look, nothing, records

FEED = steps.FEED


@pytest.fixture
def store(postgres_url: str) -> PostgresStore:
    store = open_store(postgres_url)
    assert isinstance(store, PostgresStore)
    return store


@pytest.fixture
def ledger(store: PostgresStore) -> Ledger:
    ledger = Ledger(store)
    ledger.migrate()
    return ledger


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def in_turn(*calls: Callable[[], object]) -> Callable[[], None]:
    """A function that makes the next of these calls each time, and in the end none."""
    left = iter(calls)

    def call() -> None:
        next(left, nothing)()

    return call


@contextmanager
def beside(function: Callable[[], Any]) -> Iterator[Future[Any]]:
    """A call that goes on in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)


def waits(server: LocalPostgres) -> Callable[[], bool]:
    """Whether a connection waits for a lock."""
    return lambda: server.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == [(1,)]


# --- two loads at once ------------------------------------------------------------------------------------------------


@pytest.mark.rule("L3")
def test_two_feeds_load_the_same_ids_at_once(store: PostgresStore, make_file: MakeFile) -> None:
    ids = [f"{n:05}" for n in range(4000)]
    for created, name, score in ((4000, "x", 1.0), (0, "y", 2.0), (0, "z", 3.0)):
        upward = make_file([{"id": each, "name": name} for each in ids], batch_rows=4000)
        downward = make_file([{"id": each, "score": score} for each in reversed(ids)], batch_rows=4000)
        staged = threading.Barrier(2)

        def run(valid: ValidFile, staged: threading.Barrier = staged) -> LoadCounts:
            return load(store, valid, progress=in_turn(staged.wait))

        with ThreadPoolExecutor(2) as pool:
            counts = list(pool.map(run, (upward, downward)))
        assert sum(each.created for each in counts) == created
        assert sum(each.updated for each in counts) == 8000 - created
        assert look(store, "SELECT DISTINCT name, score FROM users") == [(name, score)]


@pytest.mark.rule("L3")
@pytest.mark.parametrize(
    ("theirs", "ours", "counts"),
    [
        pytest.param([{"id": "new"}], [{"id": "new"}], LoadCounts(unchanged=1), id="made-meanwhile"),
        pytest.param([{"id": "new"}], [{"id": "new", "name": "x"}], LoadCounts(updated=1), id="made-and-changed"),
        pytest.param(
            [{"id": "old", "name": "x"}], [{"id": "old", "name": "x"}], LoadCounts(unchanged=1), id="the-same"
        ),
        pytest.param(
            [{"id": "old", "name": "y"}], [{"id": "old", "name": "x"}], LoadCounts(updated=1), id="the-last-wins"
        ),
        pytest.param(
            [{"id": "old", "name": "y"}], [{"id": "old", "score": 2.0}], LoadCounts(updated=1), id="each-its-own"
        ),
    ],
)
def test_a_record_that_changes_meanwhile_is_counted_as_it_is_by_then(
    store: PostgresStore, make_file: MakeFile, theirs: Rows, ours: Rows, counts: LoadCounts
) -> None:
    load(store, make_file([{"id": "old", "name": "z", "score": 1.0}]))
    told: list[str] = []
    with store.transaction() as tx:
        tx.upsert(Entity.USER, make_file(theirs), clear_blanks=False, progress=nothing)
        with beside(lambda: load(store, make_file(ours), progress=lambda: told.append("…"))) as waiting:
            until(lambda: len(told) > 3)  # one batch only, so it waits for us, and tells so
            tx.execute("COMMIT")
            assert waiting.result() == counts
    merged = {"old": {"name": "z", "score": 1.0}, "new": {}}
    for row in (*theirs, *ours):
        merged[row["id"]] |= row
    for identifier, name, score in records(store):
        assert (name, score) == (merged[identifier].get("name"), merged[identifier].get("score"))


@pytest.mark.rule("L4")
@pytest.mark.parametrize("known", [True, False], ids=["column", "table"])
def test_two_loads_bring_the_same_new_column_at_once(store: PostgresStore, make_file: MakeFile, known: bool) -> None:
    if known:
        load(store, make_file([{"id": "0"}]))
    told: list[str] = []
    with store.transaction() as tx:
        tx.upsert(Entity.USER, make_file([{"id": "a", "name": "x"}]), clear_blanks=False, progress=nothing)
        valid = make_file([{"id": "b", "name": "y"}])
        with beside(lambda: load(store, valid, progress=lambda: told.append("…"))) as waiting:
            until(lambda: len(told) > 3)
            tx.execute("COMMIT")
            assert waiting.result() == LoadCounts(created=1)
    assert records(store, "id, name")[-2:] == [("a", "x"), ("b", "y")]


# --- the lease --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R2")
def test_a_load_that_ends_while_its_lease_passes_on_is_undone(
    local_postgres: LocalPostgres, store: PostgresStore, ledger: Ledger, make_file: MakeFile
) -> None:
    late = ledger.acquire(FEED, "run-1", 0)
    assert late
    delivery = ledger.claim(late, Entity.USER, steps.folder())
    assert delivery
    valid = make_file([{"id": "a"}])
    with store.transaction() as tx:
        tx.execute("UPDATE import_leases SET owner = 'run-2', fence = fence + 1")
        with beside(lambda: steps.load(ledger, late, delivery, valid)) as waiting:
            until(waits(local_postgres))
            tx.execute("COMMIT")
            with pytest.raises(LeaseLost):
                waiting.result()
    assert not store.has("users")
    assert ledger.file_outcomes(delivery) == {}


@pytest.mark.rule("R2")
def test_a_lease_does_not_pass_on_while_a_load_ends(
    local_postgres: LocalPostgres, store: PostgresStore, ledger: Ledger
) -> None:
    late = ledger.acquire(FEED, "run-1", 0)
    assert late
    with store.transaction() as tx:
        hold(tx, replace(late, seconds=60))
        with beside(lambda: ledger.acquire(FEED, "run-2", 60)) as waiting:
            until(waits(local_postgres))
            tx.execute("COMMIT")
            assert waiting.result() is None


@pytest.mark.rule("R2")
def test_a_load_that_learns_that_its_lease_is_lost_ends_at_once(
    local_postgres: LocalPostgres, store: PostgresStore, ledger: Ledger, make_file: MakeFile
) -> None:
    """Also where the server works, or waits, on a long statement; it does not go on with that."""
    load(store, make_file([{"id": "a", "name": "x"}]))
    told: list[str] = []

    def lost() -> None:
        told.append("…")
        if len(told) > 3:
            raise LeaseLost(FEED)

    with store.transaction() as tx:
        tx.upsert(Entity.USER, make_file([{"id": "a", "name": "y"}]), clear_blanks=False, progress=nothing)
        with pytest.raises(LeaseLost):
            load(store, make_file([{"id": "a", "name": "z"}]), progress=lost)
        until(lambda: not waits(local_postgres)())
    assert records(store, "id, name") == [("a", "y")]


# --- processes that stop ----------------------------------------------------------------------------------------------


def load_and_stop(url: str, lease: Any, delivery: Delivery, valid: ValidFile, where: str) -> None:
    """Runs in a process of its own, which stops itself on the way; ends with 7 where its lease is lost."""

    def stop(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    write = psycopg.Copy.write
    if where == "in-a-copy":
        psycopg.Copy.write = lambda copy, part: (write(copy, part), stop())[0]  # type: ignore[method-assign]
    try:
        steps.load(Ledger(open_store(url)), lease, delivery, valid, progress=stop if where == "between" else nothing)
    except LeaseLost:
        os._exit(7)


@pytest.mark.rule("R2")
@pytest.mark.parametrize("where", ["between", "in-a-copy"])
def test_a_process_that_stands_still_holds_up_nobody(
    postgres_url: str, store: PostgresStore, ledger: Ledger, make_file: MakeFile, where: str
) -> None:
    load(store, make_file([{"id": "a"}]))
    late = ledger.acquire(FEED, "run-1", 0)
    assert late
    delivery = ledger.claim(late, Entity.USER, steps.folder())
    assert delivery
    valid = make_file([{"id": each, "name": "x"} for each in "abc"])
    process = multiprocessing.get_context("spawn").Process(
        target=load_and_stop, args=(postgres_url, late, delivery, valid, where)
    )
    process.start()
    try:
        until(lambda: Path(f"/proc/{process.pid}/stat").read_text().split(") ")[1][0] == "T")
        heir = ledger.acquire(FEED, "run-2", 60)
        assert heir
        with store.transaction() as tx:  # a newer version of this program may change any table
            tx.execute(
                "LOCK TABLE import_leases, import_deliveries, import_files, users IN ACCESS EXCLUSIVE MODE NOWAIT"
            )
        outcome = steps.load(ledger, heir, delivery, valid)
        assert outcome.counts == LoadCounts(created=2, updated=1)
        while process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGCONT)
            process.join(0.1)
        assert process.exitcode == 7
    finally:
        process.kill()
        process.join()
    assert records(store, "id, name") == [("a", "x"), ("b", "x"), ("c", "x")]


# --- servers that die -------------------------------------------------------------------------------------------------


@pytest.mark.rule("R1")
@pytest.mark.rule("L2")
def test_a_server_that_dies_in_the_middle_of_a_load_has_loaded_nothing(make_file: MakeFile) -> None:
    with LocalPostgres() as server:
        store = open_store(server.url)
        ledger = Ledger(store)
        ledger.migrate()
        lease = ledger.acquire(FEED, "run-1", 60)
        assert lease
        delivery = ledger.claim(lease, Entity.USER, steps.folder())
        assert delivery
        valid = make_file([{"id": str(n), "name": "x" * 500} for n in range(9000)], batch_rows=1000)
        for stop in (server.terminate_connections, server.stop):
            with pytest.raises(StoreBusy) as caught:
                steps.load(ledger, lease, delivery, valid, progress=in_turn(nothing, nothing, stop))
            assert store.name in str(caught.value)
        with pytest.raises(StoreBusy, match="Connection refused"):
            ledger.file_outcomes(delivery)
        server.start()
        assert not store.has("users")
        assert ledger.file_outcomes(delivery) == {}
        assert steps.load(ledger, lease, delivery, valid).counts == LoadCounts(created=9000)
        server.stop()
        server.start()
        assert look(store, "SELECT count(*) FROM users") == [(9000,)], "what is committed survives"

"""What Prefect shows of a run, and what its event feed is told (rule R5)."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client

import tasks.prefect_run
import tasks.progress
import tasks.report
from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.s3_drop_zone import S3DropZone
from flows.import_feed import tick
from schemas.errors import DropZoneBusy
from tests.flows.conftest import Feed

# Prefect leaves its client's connections to the garbage collector.
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"), pytest.mark.rule("R5")]

GOOD = "id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n"
WRONG = "id,score\n1,high\n2,3\n3,low\n"


def page(feed: Feed, state: Any) -> str:
    """The feed's page that a run has written; empty where it wrote none."""
    return "".join(each.data for each in feed.artifacts(state) if each.key == "feed-users")


def name_of(state: Any) -> str:
    async def read() -> str:
        async with get_client() as client:
            return (await client.read_flow_run(state.state_details.flow_run_id)).name

    return asyncio.run(read())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, labels and payload of every event."""
    events: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def emit(name: str, resource: dict[str, str], payload: dict[str, Any]) -> None:
        events.append((name, resource, payload))

    monkeypatch.setattr(tasks.prefect_run, "emit_event", emit)
    return events


def test_a_delivery_has_a_page_a_table_and_an_event(feed: Feed, told) -> None:
    feed.drop("20210228", a_csv_gz=GOOD, b_csv_gz=WRONG)
    feed.drop("20210301", users_csv_gz=GOOD)
    state = feed.tick()
    assert (name_of(state), state.message) == (
        "users 2021-02-28 +1",
        "2 folders, 4 records; with errors: dt=20210228",
    )
    shown = feed.artifacts(state)
    assert [each.key for each in shown] == ["delivery-users", "files-users"] * 2 + ["feed-users"]
    rejected, table, feed_page = shown[0], shown[1], shown[-1]
    assert rejected.description == "✗ 2021-02-28 ERROR: 2 files, 2 records"
    assert "| b.csv.gz | score | Invalid number in Column 'score' | 2 | 2, 4 |" in rejected.data
    assert f"Archived in s3://{feed.bucket}/export/users/processed/20210228/: status.txt, " in rejected.data
    assert '"rows": 3, "faults": 2, "created": 0, "updated": 0, "unchanged": 0, "repeated": 0' in table.data
    assert "| 2021-03-01 | ✓ SUCCESS | 2 | 0 |" in feed_page.data
    (name, resource, payload), (second, *_) = told
    assert (name, second) == ("px.import.rejected", "px.import.imported")
    assert resource["prefect.resource.id"] == "px.feed.users"
    assert (payload["day"], payload["records"], payload["faults"][0]["rows"]) == ("2021-02-28", 2, 2)


def test_the_feeds_page_is_written_when_something_changes_and_only_then(feed: Feed, told) -> None:
    feed.drop("20210228", users_csv_gz=GOOD)
    assert "Nothing." in page(feed, feed.tick())
    assert page(feed, feed.tick()) == ""
    feed.drop("20210301", marker=False, users_csv_gz=GOOD)
    waits = feed.tick()
    assert (waits.name, name_of(waits)) == ("NothingToDo", str(feed.settings_file))
    assert "| dt=20210301 |" in page(feed, waits)
    assert "no \\_SUCCESS yet |" in page(feed, waits)
    assert "| 2021-02-28 | ✓ SUCCESS |" in page(feed, waits)
    assert feed.artifacts(feed.tick()) == []
    assert [name for name, *_ in told] == ["px.import.imported"], "a folder may take a while to be filled"


def later(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Let it be so many hours later for what is judged at the end of a tick."""
    now = Ledger.now
    monkeypatch.setattr(Ledger, "now", lambda self: now(self) + timedelta(hours=hours))


def test_a_folder_that_waits_too_long_is_told_once(feed: Feed, told, monkeypatch) -> None:
    feed.configure(waiting_hours=5)
    feed.drop("20210301", marker=False, users_csv_gz=GOOD)
    feed.drop("20210302")
    with monkeypatch.context() as patch:
        later(patch, 4.9)
        feed.tick()
    assert told == []
    later(monkeypatch, 5.1)
    feed.tick()
    feed.tick()
    assert [(name, resource["px.kind"], payload["day"], payload["hours"]) for name, resource, payload in told] == [
        ("px.import.waiting", "no-marker", "2021-03-01", 5),
        ("px.import.waiting", "no-data", "2021-03-02", 5),
    ]


def test_a_feed_that_is_late_is_told_once_a_day(feed: Feed, told, monkeypatch) -> None:
    feed.configure(expected_by="06:00")
    now = Ledger.now
    at = datetime(2031, 1, 7, 5, 59, tzinfo=UTC)
    monkeypatch.setattr(Ledger, "now", lambda self: at)
    feed.tick()
    assert told == []
    at += timedelta(minutes=15)
    assert "**Overdue**: 2031-01-07: no delivery since midnight, expected by 06:00 UTC" in page(feed, feed.tick())
    feed.tick()
    at += timedelta(days=1)
    feed.tick()
    assert [(name, payload["day"]) for name, _, payload in told] == [
        ("px.import.overdue", "2031-01-07"),
        ("px.import.overdue", "2031-01-08"),
    ]
    monkeypatch.setattr(Ledger, "now", now)
    feed.configure(expected_by="00:00")
    feed.drop("20210228", users_csv_gz=GOOD)
    assert "Overdue" not in page(feed, feed.tick())


def test_a_blocked_feed_is_told_once_and_its_page_says_why(feed: Feed, told, no_retries, monkeypatch) -> None:
    feed.drop("20210228", users_csv_gz=GOOD)
    feed.tick()
    told.clear()

    def busy(self, prefix: str) -> None:
        raise DropZoneBusy("list", "s3://test", "the test says so")

    with monkeypatch.context() as patch:
        patch.setattr(S3DropZone, "list", busy)
        shown = page(feed, feed.tick())
        feed.tick()
    assert "**The last run failed.** Could not list s3://test: the test says so" in shown
    assert "| 2021-02-28 | ✓ SUCCESS |" in shown
    assert [(name, resource["px.kind"], payload["why"][:24]) for name, resource, payload in told] == [
        ("px.import.blocked", "DropZoneBusy", "Could not list s3://test"),
    ]
    assert "failed" not in page(feed, feed.tick())


def test_a_long_load_shows_how_far_it_is(feed: Feed, monkeypatch) -> None:
    monkeypatch.setattr(tasks.progress, "FIRST_LOOK_SECONDS", 0.01)
    create, load, made = tasks.progress.acreate_progress_artifact, Ledger.load, threading.Event()
    first: list[float] = []

    async def created(percent: float, *args: Any) -> Any:
        first.append(percent)
        artifact = await create(percent, *args)
        made.set()
        return artifact

    def slow(self, lease, delivery, valid, **rest):
        assert sum(batch.num_rows for batch in valid.batches()) == valid.rows
        assert made.wait(60), "the bar comes while the load is under way"
        return load(self, lease, delivery, valid, **rest)

    monkeypatch.setattr(tasks.progress, "acreate_progress_artifact", created)
    monkeypatch.setattr(Ledger, "load", slow)
    feed.drop("20210228", users_csv_gz=GOOD)
    state = feed.tick()
    [bar] = [each for each in feed.artifacts(state) if each.key == "progress-users"]
    assert first[0] <= 95
    assert (bar.type, float(bar.data), bar.description) == ("progress", 100.0, "users.csv.gz: 2 of 2 rows loaded")


def test_a_short_load_shows_no_bar(feed: Feed) -> None:
    feed.drop("20210228", users_csv_gz=GOOD)
    assert "progress-users" not in {each.key for each in feed.artifacts(feed.tick())}


def test_where_prefect_shows_nothing_the_import_goes_on(feed: Feed, monkeypatch) -> None:
    def fails(*_args: Any, **_rest: Any) -> None:
        raise ConnectionError("no server")

    for module, name in [
        (tasks.prefect_run, "get_client"),
        (tasks.report, "acreate_markdown_artifact"),
        (tasks.report.Artifact, "aget"),
    ]:
        monkeypatch.setattr(module, name, fails)
    feed.drop("20210228", users_csv_gz=GOOD)
    state = feed.tick()
    assert state.name == "Imported"
    assert feed.artifacts(state) == []


def test_outside_a_run_nothing_is_shown(feed: Feed, told, monkeypatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(tasks.prefect_run, "get_client", asked.append)
    feed.drop("20210228", users_csv_gz=GOOD)
    report = asyncio.run(tick(ImportSettings.from_file(feed.settings_file), []))
    assert (report.state, asked, told) == ("Imported", [], [])

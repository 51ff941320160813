"""Pages and tables for Prefect: what they say, how they are bounded, and that names are only text in them."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.daily_hour import DailyHour
from schemas.delivery import Delivery, DeliveryFile, Stage
from schemas.delivery_page import MOST_LINES, delivery_page, files_table
from schemas.delivery_record import DeliveryRecord
from schemas.drop_zone import DropZone, ObjectKind, StoredObject, survey
from schemas.events import delivered, waiting
from schemas.feed_page import FeedPage
from schemas.issues import Code, Issue
from schemas.outcome import FileOutcome, LoadCounts
from schemas.report import DeliveryReport
from schemas.s3_console import ObjectLinks

pytestmark = pytest.mark.rule("R5")

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
ZONE = DropZone("my-bucket", "export/users")
LINKS = ObjectLinks(ZONE, "eu-west-1")


def loaded(name: str) -> FileOutcome:
    return FileOutcome(name, 10, "aa", 12_345, LoadCounts(10_000, 2_000, 300, 45), ())


def rejected(name: str, *issues: Issue) -> FileOutcome:
    return FileOutcome(name, 10, "aa", 7, None, issues or (Issue(Code.MISSING_HEADER, "Missing header"),))


def report(*files: FileOutcome) -> DeliveryReport:
    objects = [DeliveryFile(f.name, ObjectKind.INPUT, StoredObject(f"k/{f.name}", "e", 10, NOW)) for f in files]
    delivery = Delivery("8e2b", "users", "20260302", NOW, Stage.CLEARED, tuple(objects))
    return DeliveryReport(delivery, all(not f.issues for f in files), "message", files)


def test_a_page_counts_and_links() -> None:
    page = delivery_page(report(loaded("a b.csv.gz")), LINKS)
    assert page.startswith("# ✓ users 2026-03-02: SUCCESS\n")
    assert "**12,345 records**: 10,000 created, 2,000 updated, 300 unchanged, 45 repeated" in page
    at = "https://console.aws.amazon.com/s3/object/my-bucket?region=eu-west-1&prefix=export/users/processed/20260302"
    assert f"| [a b.csv.gz]({at}/a+b.csv.gz) | ✓ SUCCESS | 12,345 | 0 | 10,000 | 2,000 |" in page
    assert f"[status.txt]({at}/status.txt)" in page
    assert "errors.csv" not in page


def test_a_page_tells_faults_by_column() -> None:
    number = Issue(Code.INVALID_NUMBER, "Invalid number in Column 'score'", 1200, (5, 9, 14, 20, 31), "score")
    page = delivery_page(report(rejected("a.csv.gz", number)), LINKS)
    assert "| a.csv.gz | score | Invalid number in Column 'score' | 1,200 | 5, 9, 14, 20, 31, … |" in page
    assert "errors.csv" in page
    [row] = files_table(report(rejected("a.csv.gz", number)))
    assert (row["verdict"], row["faults"], row["created"]) == ("ERROR", 1200, 0)


def test_pages_stay_short() -> None:
    many = report(*(rejected(f"{n}.csv.gz") for n in range(MOST_LINES + 2)))
    page = delivery_page(many, LINKS)
    assert page.count("Missing header") == MOST_LINES
    assert "and 2 more faults: see errors.csv" in page
    assert "and 2 more files: see status.json" in page
    assert files_table(many)[-1] == {"file": "and 2 more files"}
    event = delivered(many, "user", ZONE).full_payload
    assert (len(event["faults"]), event["more_faults"]) == (20, MOST_LINES - 18)


def test_names_are_only_text() -> None:
    name = "<b>|](http://evil.example)`\n# x.csv.gz"
    page = delivery_page(report(rejected(name)), ObjectLinks(ZONE, "", "http://127.0.0.1:8333"))
    assert "<b>" not in page
    assert "](http" not in page
    assert not [line for line in page.splitlines() if line.startswith("# x")]


@pytest.mark.parametrize(
    ("region", "endpoint", "begins"),
    [
        ("", "", "https://console.aws.amazon.com/s3/buckets/my-bucket?prefix=current/"),
        ("cn-north-1", "", "https://console.amazonaws.cn/"),
        ("us-gov-west-1", "", "https://console.amazonaws-us-gov.com/"),
        ("us-east-1", "https://s3.us-east-1.amazonaws.com", "https://console.aws.amazon.com/"),
        ("us-east-1", "https://s3.amazonaws.com.example.com", ""),
        ("us-east-1", "http://127.0.0.1:8333", ""),
    ],
)
def test_only_awss_own_buckets_are_linked(region: str, endpoint: str, begins: str) -> None:
    link = ObjectLinks(DropZone("my-bucket", ""), region, endpoint).folder("current")
    assert link.startswith(f"[s3://my-bucket/current/]({begins}" if begins else "s3://my-bucket/current/")


def record(
    day: str, verdict: str = "SUCCESS", *, finished: bool = True, files: tuple[FileOutcome, ...] = ()
) -> DeliveryRecord:
    stage = Stage.CLEARED if finished else Stage.CLAIMED
    return DeliveryRecord("8e2bff01-x", "users", "user", day, stage, verdict, NOW, NOW if finished else None, "", files)


def folder(day: str, name: str, hours: float) -> StoredObject:
    return StoredObject(f"{ZONE.folder_prefix(day)}{name}", "e", 1, NOW - timedelta(hours=hours))


def test_a_feeds_page_in_a_line() -> None:
    seen = survey(ZONE, [folder("20260301", "a.csv.gz", 1)])
    fine = FeedPage("users", "user", LINKS, seen, (), (record("20260302"),))
    assert fine.summary == "1 folder waiting; last delivery 2026-03-02 SUCCESS"
    bad = FeedPage("users", "user", LINKS, None, (), None, overdue="late", trouble="S3 is down.")
    assert bad.summary == "in trouble; overdue"
    assert "The last run did not come to look." in bad.markdown
    assert "The ledger could not be read." in bad.markdown


def test_a_delivery_that_is_under_way_is_on_the_page() -> None:
    page = FeedPage("users", "user", LINKS, survey(ZONE, []), (), (record("20260302", "", finished=False),)).markdown
    assert "| 2026-03-02 | under way | 0 | 0 | claimed | `8e2bff01` |" in page


@pytest.mark.rule("D4")
@pytest.mark.parametrize(
    ("days", "sentences"),
    [
        pytest.param(["0302", "0301"], [], id="in order"),
        pytest.param(["0301", "0301"], [], id="the same again"),
        pytest.param(["0225", "0310", "0302"], ["2026-02-25 was imported after 2026-03-10"], id="the older one late"),
        pytest.param(["0310", "0225", "0310"], [], id="and the newer one again"),
        pytest.param(["0225", "-0310"], [], id="the newer one rejected"),
        pytest.param(["-0225", "0310"], [], id="the older one rejected"),
        pytest.param(["+0225", "0310"], [], id="the older one brought new records only"),
        pytest.param(
            ["0311", "0225", "0311", "0310"], ["2026-02-25 was imported after 2026-03-10"], id="one of two newer again"
        ),
    ],
)
def test_an_older_day_that_came_after_a_newer_one_is_told(days: list[str], sentences: list[str]) -> None:
    created = FileOutcome("a", 10, "aa", 9, LoadCounts(created=9), ())
    outcome = {"-": rejected("a"), "+": created}
    recent = [record(f"2026{day[-4:]}", files=(outcome.get(day[0], loaded("a")),)) for day in days]
    page = FeedPage("users", "user", LINKS, survey(ZONE, []), (), tuple(recent)).markdown
    told = [line for line in page.splitlines() if line.startswith("**Out of order**")]
    end = ": its values may have replaced newer ones, see px-import replay."
    assert told == [f"**Out of order**: {sentence}{end}" for sentence in sentences]


def test_a_folder_waits_since_its_last_change() -> None:
    seen = survey(ZONE, [folder("20260301", "a.csv.gz", 9), folder("20260301", "b.csv.gz", 2)])
    assert waiting("users", "user", seen, ZONE, NOW, 3) == []
    [news] = waiting("users", "user", seen, ZONE, NOW, 2)
    assert news.event.resource["px.kind"] == "no-marker"
    assert news.event.payload["since"] == "2026-03-05T10:00:00+00:00"


@pytest.mark.parametrize(
    ("hour", "now", "last", "day"),
    [
        ("06:00", "2026-03-05T05:59Z", None, ""),
        ("06:00", "2026-03-05T06:00Z", None, "2026-03-05"),
        ("06:00", "2026-03-05T06:00Z", "2026-03-04T23:59Z", "2026-03-05"),
        ("06:00", "2026-03-05T06:00Z", "2026-03-05T00:00Z", ""),
        ("00:30 Europe/Berlin", "2026-03-04T23:30Z", "2026-03-04T22:30Z", "2026-03-05"),
        ("00:30 Europe/Berlin", "2026-03-04T23:30Z", "2026-03-04T23:10Z", ""),
    ],
)
def test_a_day_without_delivery_is_missed_at_its_hour(hour: str, now: str, last: str | None, day: str) -> None:
    known = datetime.fromisoformat(last) if last else None
    assert DailyHour.parse(hour).missed(datetime.fromisoformat(now), known) == day


@pytest.mark.rule("S9")
@pytest.mark.parametrize("text", ["6:00", "24:00", "06:00 Nowhere/Land", "06:00 ../etc/passwd", "noon"])
def test_what_is_no_hour_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected_by "):
        DailyHour.parse(text)

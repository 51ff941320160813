"""What a run says in a line stays a line, however much lies in the bucket."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.drop_zone import DropZone, StoredObject, survey
from schemas.report import FeedReport

ZONE = DropZone("b", "root")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.rule("D2")
@pytest.mark.rule("D5")
def test_only_some_of_many_are_named() -> None:
    days = [f"{NOW + timedelta(days=n):%Y%m%d}" for n in range(1000)]
    objects = [StoredObject(f"{ZONE.folder_prefix(day)}a.csv.gz", "e", 1, NOW) for day in days]
    objects += [StoredObject(f"root/current/stranger-{n:03d}/x", "e", 1, NOW) for n in range(1000)]
    summary = FeedReport("users", (), survey(ZONE, objects)).summary
    assert summary.count("waiting: dt=") == 20
    assert "; waiting: 980 more folders; " in summary
    assert summary.endswith("'stranger-019/' and 980 more")


def test_some_are_all_named() -> None:
    objects = [StoredObject(f"root/current/stranger-{n}/x", "e", 1, NOW) for n in range(2)]
    summary = FeedReport("users", (), survey(ZONE, objects)).summary
    assert summary == "Nothing to import; left alone in current/: 'stranger-0/', 'stranger-1/'"

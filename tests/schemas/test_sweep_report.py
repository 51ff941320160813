"""What a sweep says stays readable, however many feeds it has."""

import pytest

from schemas.sweep_report import Fate, FeedOutcome, SweepReport


def report(**fates: Fate) -> SweepReport:
    return SweepReport(tuple(FeedOutcome(name, fate) for name, fate in fates.items()))


@pytest.mark.parametrize(
    ("fates", "state"),
    [
        ({}, "NothingToDo"),
        ({"a": Fate.IDLE, "b": Fate.SKIPPED, "c": Fate.LEFT}, "NothingToDo"),
        ({"a": Fate.IDLE, "b": Fate.IMPORTED}, "Imported"),
        ({"a": Fate.IMPORTED, "b": Fate.REJECTED}, "Rejected"),
    ],
)
def test_the_state(fates: dict[str, Fate], state: str) -> None:
    assert (report(**fates).state, report(**fates).in_trouble) == (state, False)


def test_trouble_is_told_from_the_rest() -> None:
    assert report(a=Fate.IMPORTED, b=Fate.TROUBLE).in_trouble


def test_the_message_names_twenty_and_counts_the_others() -> None:
    many = SweepReport(tuple(FeedOutcome(f"f{n:04}", Fate.TROUBLE, "x") for n in range(3000)))
    assert many.summary.startswith("3,000 feeds: 3,000 in trouble (f0000, f0001, ")
    assert many.summary.endswith("f0019 and 2,980 more)")
    assert len(many.table) == 1001
    assert many.table[-1]["what"] == "2,000 more feeds"

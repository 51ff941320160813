from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callback_schedule import MAX_ATTEMPTS, next_attempt, within_run

NOW = datetime(2021, 12, 25, 3, 0, tzinfo=UTC)
HOUR = 3600.0
pytestmark = pytest.mark.rule("N2")


def test_three_tries_in_the_run_then_eight_on_later_ticks_then_none() -> None:
    moments = [next_attempt(made, NOW) for made in range(12)]
    waits = [moment and (moment - NOW).total_seconds() for moment in moments]
    hours = [5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert waits == [0, 1, 4, *(wait * HOUR for wait in hours), None]
    assert [bool(moment and within_run(moment, NOW)) for moment in moments] == [True] * 3 + [False] * 9


@pytest.mark.parametrize(
    ("made", "asked", "waits"),
    [
        (1, 0, 1),
        (1, 7, 7),
        (1, 0.2, 1),
        (3, 60, 300),
        (3, 301, 301),
        (3, 23 * HOUR, 23 * HOUR),
        (3, 25 * HOUR, 24 * HOUR),
        (1, 1e300, 24 * HOUR),
        (1, float("inf"), 24 * HOUR),
        (10, 60, 24 * HOUR),
    ],
)
def test_retry_after_is_never_undercut_and_capped(made: int, asked: float, waits: float) -> None:
    assert next_attempt(made, NOW, asked) == NOW + timedelta(seconds=waits)


def test_a_receiver_that_asks_for_time_gets_it_outside_the_run() -> None:
    due = next_attempt(1, NOW, 60)
    assert due
    assert not within_run(due, NOW)


@pytest.mark.parametrize("made", range(13))
def test_gone_ends_it(made: int) -> None:
    assert next_attempt(made, NOW, 5, gone=True) is None


@given(st.integers(0, 50), st.none() | st.floats(allow_nan=False))
def test_it_always_ends_and_never_goes_back(made: int, asked: float | None) -> None:
    due = next_attempt(made, NOW, asked)
    assert (due is None) == (made >= MAX_ATTEMPTS)
    assert due is None or NOW <= due <= NOW + timedelta(hours=24)

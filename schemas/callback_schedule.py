"""When a callback that was not received is tried again (rule N2)."""

from datetime import datetime, timedelta

#: Wait after the first, second, … failed try: two short ones within the run, the others over later ticks.
WAITS = (
    timedelta(seconds=1),
    timedelta(seconds=4),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
LONGEST_WAIT_WITHIN_RUN = WAITS[1]
MAX_ATTEMPTS = len(WAITS) + 1
_LONGEST_RETRY_AFTER = timedelta(hours=24)


def next_attempt(
    attempts: int, now: datetime, retry_after_seconds: float | None = None, *, gone: bool = False
) -> datetime | None:
    """When to try next; None when the callback is given up.

    Args:
        attempts: tries made so far, the one that has just failed included.
        now: when the last of them failed.
        retry_after_seconds: what the receiver asked for; never undercut, but taken for 24 hours at most.
        gone: the receiver answered 410: it wants no callback any more.
    """
    if gone or attempts >= MAX_ATTEMPTS:
        return None
    wait = WAITS[attempts - 1] if attempts else timedelta()
    if retry_after_seconds is not None:
        # Capped as a number first: a receiver may ask for more seconds than a timedelta holds.
        seconds = min(max(retry_after_seconds, 0.0), _LONGEST_RETRY_AFTER.total_seconds())
        wait = max(wait, timedelta(seconds=seconds))
    return now + wait


def within_run(due: datetime, now: datetime) -> bool:
    """Whether a try is due so soon that the run waits for it; otherwise a later tick makes it."""
    return due - now <= LONGEST_WAIT_WITHIN_RUN

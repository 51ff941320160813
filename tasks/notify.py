"""Verb: tell the status endpoint what is in the outbox."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from blocks.connections import Connections, HeldLease
from schemas.callback_schedule import next_attempt, within_run
from schemas.delivery import Callback
from tasks.verb import verb


@verb("notify")
def notify(feed: Connections, held: HeldLease) -> tuple[str, ...]:
    """Send every callback that is due; what is not received stays in the outbox for later ticks (rules N1, N2).

    Returns:
        A sentence for each callback that was not received: that is no reason to fail an import.

    Raises:
        StoreBusy: the outbox cannot be read or written.
        LeaseLost: another run has taken over.
    """
    if not feed.settings.status_endpoint.url:
        return ()
    reasons = [_send(feed, held, callback) for callback in feed.ledger.due_callbacks(feed.settings.feed)]
    return tuple(reason for reason in reasons if reason)


def _send(feed: Connections, held: HeldLease, callback: Callback) -> str:
    """Try one callback as often as a run may; empty when it was received."""
    while True:
        held.keep()
        answer = feed.settings.status_endpoint.send(callback, now=datetime.now(UTC))
        now, callback = datetime.now(UTC), replace(callback, attempts=callback.attempts + 1)
        due = None
        if not answer.received:
            due = next_attempt(callback.attempts, now, answer.retry_after_seconds, gone=answer.gone)
        feed.ledger.record_answer(
            held.lease, callback.id, received=answer.received, next_attempt_at=due, answer=answer.reason
        )
        if answer.received:
            return ""
        if due is None or not within_run(due, now):
            return answer.reason
        time.sleep((due - now).total_seconds())

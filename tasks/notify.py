"""Verb: tell the status endpoint what is in the outbox."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from blocks.connections import Connections, HeldLease
from schemas.callback_schedule import next_attempt, within_run
from schemas.delivery import Callback
from schemas.errors import SettingsError
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


@verb("make due")
def make_due(feed: Connections, held: HeldLease, callback_id: str, *, even_if_received: bool) -> None:
    """Let a callback be sent now, its tries counted anew.

    Raises:
        SettingsError: there is no such callback, or it was received before.
        StoreBusy: the outbox cannot be written.
        LeaseLost: another run has taken over.
    """
    if not feed.settings.status_endpoint.url:
        raise SettingsError("status_endpoint.url", "no status endpoint is set; name the one that shall be told")
    if not feed.ledger.make_due(held.lease, callback_id, even_if_received=even_if_received):
        raise SettingsError("ID", f"callback {callback_id} was received before; add --again to send it all the same")


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

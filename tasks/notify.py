"""Verb: tell the status endpoint what is in the outbox."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from blocks.connections import Connections, HeldLease
from schemas.callback_schedule import next_attempt, within_run
from schemas.delivery import Callback
from schemas.errors import SettingsError
from tasks.verb import verb


@dataclass(frozen=True, slots=True)
class Told:
    """What came of the callbacks that were due.

    Attributes:
        unreceived: a sentence for each that was tried and not received; no reason to fail an import.
        unreachable: the endpoint gave no answer, or one that says that it cannot take any now, 429 or 5xx: nothing
            more was sent, and what is due waits for another tick.
    """

    unreceived: tuple[str, ...] = ()
    unreachable: bool = False


@verb("notify")
def notify(feed: Connections, held: HeldLease, first: str = "") -> Told:
    """Send every callback that is due; what is not received stays in the outbox for later ticks (rules N1, N2).

    Args:
        feed: the feed's doors.
        held: its lease.
        first: id of the callback that goes before those that have waited longer.

    Raises:
        StoreBusy: the outbox cannot be read or written.
        LeaseLost: another run has taken over.
    """
    told = Told()
    for callback in sorted(feed.ledger.due_callbacks(feed.settings.feed), key=lambda due: due.id != first):
        reason, unreachable = _send(feed, held, callback)
        told = Told((*told.unreceived, *filter(None, [reason])), unreachable)
        if unreachable:
            break
    return told


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


def _send(feed: Connections, held: HeldLease, callback: Callback) -> tuple[str, bool]:
    """Try one callback as often as a run may.

    Returns:
        Why it was not received, empty when it was; and whether others would fare no better now.
    """
    while True:
        held.keep()
        answer = feed.settings.status_endpoint.send(callback, now=datetime.now(UTC))
        callback, said = replace(callback, attempts=callback.attempts + 1), answer.reason
        if answer.received:
            feed.ledger.record_answer(held.lease, callback.id, received=True, next_attempt_at=None, answer=said)
            return "", False
        now = feed.ledger.now()  # what is due is decided by the database's clock; this machine's may be wrong
        due = next_attempt(callback.attempts, now, answer.retry_after_seconds, gone=answer.gone)
        feed.ledger.record_answer(held.lease, callback.id, received=False, next_attempt_at=due, answer=said)
        if due is None or not within_run(due, now):
            return said, answer.status_code is None or answer.status_code == 429 or answer.status_code >= 500
        time.sleep((due - now).total_seconds())

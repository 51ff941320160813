"""The outbox: what the status endpoint must still be told, whatever becomes of the run (rules N1 to N3)."""

import sys
import uuid
from dataclasses import dataclass
from datetime import datetime

from blocks.database import Parameters, Store, Transaction
from blocks.history import StepName, note
from blocks.leases import Lease, writing
from blocks.ledger_rows import milliseconds, moment
from schemas.delivery import Callback, Delivery

_WAITING = "received_at_ms IS NULL AND gave_up_at_ms IS NULL"
#: What a callback says of the archive is true from then on (rule N1).
_FINISHED = "EXISTS (SELECT 1 FROM import_deliveries WHERE id = delivery_id AND finished_at_ms IS NOT NULL)"


def put_callback(tx: Transaction, delivery: Delivery, body: bytes) -> None:
    """Lay in the delivery's one callback, due when it is finished; its id follows from the delivery's."""
    tx.execute(
        """
        INSERT INTO import_callbacks (id, delivery_id, feed, body, attempts, next_attempt_at_ms, last_answer)
        VALUES (:id, :delivery_id, :feed, :body, 0, :now, '')
        """,
        {
            "id": str(uuid.uuid5(uuid.UUID(delivery.id), "callback")),
            "delivery_id": delivery.id,
            "feed": delivery.feed,
            "body": body.decode(),
            "now": tx.now_ms(),
        },
    )


def pass_on_callbacks(tx: Transaction, former: str, feed: str) -> None:
    """Let a feed tell what another has not told."""
    sql = "UPDATE import_callbacks SET feed = :feed WHERE feed = :former AND received_at_ms IS NULL"
    tx.execute(sql, {"feed": feed, "former": former})


@dataclass(frozen=True, slots=True)
class CallbackRecord:
    """One callback as a person asks for it.

    Attributes:
        id: the same on every try.
        delivery_id: the delivery that it tells of.
        feed: name of the feed.
        day: YYYYMMDD of the delivery's folder.
        attempts: tries made so far.
        last_answer: what came of the last one; empty before the first.
        next_attempt_at: UTC; only of meaning while it waits.
        received_at: UTC; None if it was not.
        gave_up_at: UTC; None if it was received or still waits.
        finished_at: when the delivery was, UTC; None before that, and nothing is sent.
    """

    id: str
    delivery_id: str
    feed: str
    day: str
    attempts: int
    last_answer: str
    next_attempt_at: datetime
    received_at: datetime | None
    gave_up_at: datetime | None
    finished_at: datetime | None

    @property
    def state(self) -> str:
        """waiting, received or given up."""
        if self.received_at:
            return "received"
        return "given up" if self.gave_up_at else "waiting"


class Outbox:
    """Hands out callbacks that are due and takes in what was answered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due_callbacks(self, feed: str) -> list[Callback]:
        """Those to be sent now, the one that has waited longest first."""
        with self._store.read() as reader:
            sql = (
                "SELECT id, delivery_id, body, attempts FROM import_callbacks "  # noqa: S608 - a constant
                f"WHERE feed = :feed AND next_attempt_at_ms <= :now AND {_WAITING} AND {_FINISHED} "
                "ORDER BY next_attempt_at_ms, id"
            )
            rows = reader.execute(sql, {"feed": feed, "now": reader.now_ms()})
        return [Callback(id_, delivery_id, body.encode(), attempts) for id_, delivery_id, body, attempts in rows]

    def now(self) -> datetime:
        """By the database's clock, which says what is due."""
        with self._store.read() as reader:
            return moment(reader.now_ms())

    def record_answer(
        self, lease: Lease, callback_id: str, *, received: bool, next_attempt_at: datetime | None, answer: str
    ) -> None:
        """Count a try and note what came of it; a callback that is done stays as it is.

        Args:
            lease: the feed's.
            callback_id: which.
            received: whether the endpoint took it.
            next_attempt_at: where it did not: when to try again, None to give up.
            answer: for a person; no secret.

        Raises:
            LeaseLost: another run has taken over.
        """
        sql = (
            "UPDATE import_callbacks SET attempts = attempts + 1, last_answer = :answer, "  # noqa: S608 - a constant
            "received_at_ms = :received_at, gave_up_at_ms = :gave_up_at, "
            "next_attempt_at_ms = coalesce(:next_attempt_at, next_attempt_at_ms) "
            f"WHERE id = :id AND feed = :feed AND {_WAITING} RETURNING delivery_id"
        )
        again = None if received or next_attempt_at is None else milliseconds(next_attempt_at)
        with writing(self._store, lease) as tx:
            now = tx.now_ms()
            times = {
                "received_at": now if received else None,
                "gave_up_at": None if received or again is not None else now,
                "next_attempt_at": again,
            }
            for (delivery_id,) in tx.execute(sql, {"id": callback_id, "feed": lease.feed, "answer": answer, **times}):
                note(tx, lease, delivery_id, StepName.TOLD, "received" if received else answer)

    def make_due(self, lease: Lease, callback_id: str, *, even_if_received: bool) -> bool:
        """Let a callback be sent now, its tries counted anew; False where there is nothing to send.

        Raises:
            LeaseLost: another run has taken over.
        """
        sql = """
            UPDATE import_callbacks SET attempts = 0, next_attempt_at_ms = :now, received_at_ms = NULL,
                gave_up_at_ms = NULL
            WHERE id = :id AND feed = :feed AND (received_at_ms IS NULL OR :even_if_received = 1)
        """
        which: Parameters = {"id": callback_id, "feed": lease.feed, "even_if_received": int(even_if_received)}
        with writing(self._store, lease) as tx:
            return tx.change(sql, {**which, "now": tx.now_ms()}) > 0

    def callbacks(self, feed: str = "", limit: int = sys.maxsize) -> list[CallbackRecord]:
        """What was told or is still to be, the latest delivery first; of all feeds if none is named."""
        sql = """
            SELECT c.id, c.delivery_id, c.feed, d.day, c.attempts, c.last_answer,
                c.next_attempt_at_ms, c.received_at_ms, c.gave_up_at_ms, d.finished_at_ms
            FROM import_callbacks c JOIN import_deliveries d ON d.id = c.delivery_id
            WHERE c.feed = :feed OR :feed = '' ORDER BY d.claimed_at_ms DESC, c.id LIMIT :limit
        """
        with self._store.read() as reader:
            rows = reader.execute(sql, {"feed": feed, "limit": limit})
        return [CallbackRecord(*row[:6], *(None if at is None else moment(at) for at in row[6:])) for row in rows]

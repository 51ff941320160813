"""The outbox: what the status endpoint must still be told, whatever becomes of the run (rules N1 to N3)."""

import uuid
from datetime import datetime

from blocks.database import Store, Transaction
from blocks.leases import Lease, writing
from blocks.ledger_rows import milliseconds
from schemas.delivery import Callback, Delivery

_WAITING = "received_at_ms IS NULL AND gave_up_at_ms IS NULL"


def put_callback(tx: Transaction, delivery: Delivery, body: bytes) -> None:
    """Lay in the delivery's one callback, due at once; its id follows from the delivery's."""
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


class Outbox:
    """Hands out callbacks that are due and takes in what was answered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def due_callbacks(self, feed: str) -> list[Callback]:
        """Those to be sent now, the one that has waited longest first."""
        with self._store.read() as reader:
            sql = (
                "SELECT id, delivery_id, body, attempts FROM import_callbacks "  # noqa: S608 - a constant
                f"WHERE feed = :feed AND next_attempt_at_ms <= :now AND {_WAITING} ORDER BY next_attempt_at_ms, id"
            )
            rows = reader.execute(sql, {"feed": feed, "now": reader.now_ms()})
        return [Callback(id_, delivery_id, body.encode(), attempts) for id_, delivery_id, body, attempts in rows]

    def waiting_callbacks(self, feed: str) -> list[tuple[int, str]]:
        """Tries made and the last answer of each that was neither received nor given up, the next to be sent first."""
        sql = (
            "SELECT attempts, last_answer FROM import_callbacks "  # noqa: S608 - a constant
            f"WHERE feed = :feed AND {_WAITING} ORDER BY next_attempt_at_ms, id"
        )
        with self._store.read() as reader:
            return [(attempts, answer) for attempts, answer in reader.execute(sql, {"feed": feed})]

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
            f"WHERE id = :id AND feed = :feed AND {_WAITING}"
        )
        again = None if received or next_attempt_at is None else milliseconds(next_attempt_at)
        with writing(self._store, lease) as tx:
            now = tx.now_ms()
            times = {
                "received_at": now if received else None,
                "gave_up_at": None if received or again is not None else now,
                "next_attempt_at": again,
            }
            tx.execute(sql, {"id": callback_id, "feed": lease.feed, "answer": answer, **times})

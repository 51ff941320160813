"""What happened to a delivery, when and by which run: written together with each change, and never changed itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from blocks.database import Parameters, Store, Transaction
from blocks.leases import Lease
from blocks.ledger_rows import moment


class StepName(StrEnum):
    """What a run did."""

    CLAIMED = "claimed"
    RESUMED = "resumed"
    FAILED = "failed"
    ADOPTED = "adopted"
    REJECTED = "rejected"
    LOADED = "loaded"
    DECIDED = "decided"
    MOVED_ASIDE = "moved aside"
    NOT_MOVED = "not moved"
    NOT_ARCHIVED = "not archived"
    ARCHIVED = "archived"
    CLEARED = "cleared"
    FINISHED = "finished"
    ABANDONED = "abandoned"
    TOLD = "told"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a delivery.

    Attributes:
        at: UTC, by the database's clock.
        run: of which run: machine, process and a number of its own.
        fence: how many runs had had the feed by then.
        name: what it did.
        detail: to what, or with what result; may hold names of objects.
    """

    at: datetime
    run: str
    fence: int
    name: StepName
    detail: str


def note(tx: Transaction, lease: Lease, delivery_id: str, name: StepName, detail: str = "") -> None:
    """Add a step to a delivery's history, in the transaction that makes the change."""
    sql = """
        INSERT INTO import_steps (delivery_id, position, at_ms, owner, fence, name, detail)
        SELECT CAST(:id AS TEXT), count(*), CAST(:now AS BIGINT), CAST(:owner AS TEXT), CAST(:fence AS BIGINT),
            CAST(:name AS TEXT), CAST(:detail AS TEXT)
        FROM import_steps WHERE delivery_id = :id
    """
    step: Parameters = {"id": delivery_id, "name": name.value, "detail": detail}
    tx.execute(sql, {**step, "owner": lease.owner, "fence": lease.fence, "now": tx.now_ms()})


class History:
    """Tells what happened."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def steps(self, delivery_id: str) -> list[Step]:
        """All steps of a delivery, the first one first; also of a claim that was given up."""
        sql = """
            SELECT at_ms, owner, fence, name, detail FROM import_steps WHERE delivery_id = :id ORDER BY position
        """
        with self._store.read() as reader:
            rows = reader.execute(sql, {"id": delivery_id})
        return [Step(moment(at), owner, fence, StepName(name), detail) for at, owner, fence, name, detail in rows]

"""What the ledger of a store still has to do, for all feeds in one look: no lease is needed, and nobody waits."""

from collections.abc import Set
from dataclasses import dataclass

from blocks.database import Store

_SQL = """
    SELECT 'open', feed FROM import_deliveries WHERE finished_at_ms IS NULL
    UNION SELECT 'due', feed FROM import_callbacks
        WHERE next_attempt_at_ms <= :now AND received_at_ms IS NULL AND gave_up_at_ms IS NULL
    UNION SELECT 'held', feed FROM import_leases WHERE owner <> '' AND expires_at_ms > :now
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Names of feeds.

    Attributes:
        open: with a delivery that is claimed and not finished.
        due: with a callback to be sent now.
        held: that a run is importing.
    """

    open: Set[str] = frozenset()
    due: Set[str] = frozenset()
    held: Set[str] = frozenset()


def backlog_of(store: Store) -> Backlog:
    """The backlog of a store; empty where nothing was ever imported.

    Raises:
        StoreBusy, StoreConflict, AccessRefused: see `Store.read`.
    """
    if not store.has("import_callbacks"):
        return Backlog()
    with store.read() as reader:
        rows = reader.execute(_SQL, {"now": reader.now_ms()})
    return Backlog(**{kind: frozenset(feed for k, feed in rows if k == kind) for kind in ("open", "due", "held")})

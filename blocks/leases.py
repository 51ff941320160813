"""The right to import one feed: one run at a time, and a run that has lost it writes nothing (rule R2).

A lease runs out by the database's clock, the only one that all runs share. Its fence grows whenever it
passes to another; every write to the ledger asks for owner and fence in its own transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from blocks.database import Parameters, Reader, Store, Transaction
from schemas.errors import LeaseLost

_MINE = "feed = :feed AND owner = :owner AND fence = :fence"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to import one feed.

    Attributes:
        feed: its name.
        owner: the run that has it.
        fence: how many runs have had it so far.
        seconds: how long it lasts after each write.
    """

    feed: str
    owner: str
    fence: int
    seconds: float


def confirm(reader: Reader, lease: Lease) -> None:
    """See that the lease has not passed to another run; one that ran out is still good until then.

    Raises:
        LeaseLost: it has.
    """
    if not reader.execute(f"SELECT 1 FROM import_leases WHERE {_MINE}", _key(lease)):  # noqa: S608 - a constant
        raise LeaseLost(lease.feed)


def hold(tx: Transaction, lease: Lease) -> None:
    """Confirm and renew the lease; until the transaction ends nobody can take it over.

    Raises:
        LeaseLost: it has passed to another run.
    """
    expires = {"expires": tx.now_ms() + round(lease.seconds * 1000)}
    sql = f"UPDATE import_leases SET expires_at_ms = :expires WHERE {_MINE}"  # noqa: S608 - a constant
    if not tx.change(sql, {**_key(lease), **expires}):
        raise LeaseLost(lease.feed)


def fence_off(tx: Transaction, feed: str) -> bool:
    """Let no run go on that had the feed's lease; False while one has it."""
    sql = """
        UPDATE import_leases SET owner = '', fence = fence + 1, expires_at_ms = 0
        WHERE feed = :feed AND (owner = '' OR expires_at_ms <= :now)
    """
    return tx.change(sql, {"feed": feed, "now": tx.now_ms()}) > 0


@contextmanager
def writing(store: Store, lease: Lease) -> Iterator[Transaction]:
    """A transaction in which the lease is held."""
    with store.transaction() as tx:
        hold(tx, lease)
        yield tx


class Leases:
    """Takes, renews and gives back leases."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def acquire(self, feed: str, owner: str, seconds: float) -> Lease | None:
        """The feed's lease, or None while it is another's. The same owner gets a new one and loses the old."""
        with self._store.transaction() as tx:
            now = tx.now_ms()
            rows = tx.execute(
                """
                INSERT INTO import_leases (feed, owner, fence, expires_at_ms) VALUES (:feed, :owner, 1, :expires)
                ON CONFLICT (feed) DO UPDATE
                SET owner = :owner, fence = import_leases.fence + 1, expires_at_ms = :expires
                WHERE import_leases.owner IN (:owner, '') OR import_leases.expires_at_ms <= :now
                RETURNING fence
                """,
                {"feed": feed, "owner": owner, "now": now, "expires": now + round(seconds * 1000)},
            )
        return Lease(feed, owner, rows[0][0], seconds) if rows else None

    def is_held(self, feed: str) -> bool:
        """Whether a run is at work on the feed."""
        sql = "SELECT 1 FROM import_leases WHERE feed = :feed AND owner <> '' AND expires_at_ms > :now"
        with self._store.read() as reader:
            return bool(reader.execute(sql, {"feed": feed, "now": reader.now_ms()}))

    def renew(self, lease: Lease, seconds: float | None = None) -> None:
        """Let the lease run for so long from now; left out: for as long as it was taken.

        Raises:
            LeaseLost: it has passed to another run.
        """
        with self._store.transaction() as tx:
            hold(tx, lease if seconds is None else Lease(lease.feed, lease.owner, lease.fence, seconds))

    def release(self, lease: Lease) -> None:
        """Give the lease back; no fault where it has passed to another run already. The row keeps the fence."""
        with self._store.transaction() as tx:
            sql = f"UPDATE import_leases SET owner = '', expires_at_ms = 0 WHERE {_MINE}"  # noqa: S608 - a constant
            tx.change(sql, _key(lease))


def _key(lease: Lease) -> Parameters:
    return {"feed": lease.feed, "owner": lease.owner, "fence": lease.fence}

"""One place in S3, one feed: what is open there is finished before anything about it changes."""

from collections.abc import Sequence

from blocks.database import Transaction
from blocks.leases import fence_off
from blocks.outbox import pass_on_callbacks
from schemas.catalogue import Entity
from schemas.delivery import Delivery
from schemas.errors import SettingsError


def settle(tx: Transaction, feed: str, entity: Entity, place: str, open_deliveries: Sequence[Delivery]) -> None:
    """Note where a feed imports from, and see that nothing unfinished and no other feed stands against it.

    A feed takes over what others of its place have not told their endpoint.

    Args:
        tx: in which the feed's lease is held.
        feed: its name.
        entity: what it brings.
        place: its root, `s3://bucket/root`.
        open_deliveries: the feed's own.

    Raises:
        SettingsError: it does.
    """
    own = "SELECT place FROM import_feeds WHERE feed = :feed"
    earlier = next((found for (found,) in tx.execute(own, {"feed": feed})), "")
    folders = ", ".join(f"dt={delivery.day}" for delivery in open_deliveries)
    if folders and earlier not in {"", place}:
        cure = "set bucket and base_folder back, let one run finish it, then change them"
        raise SettingsError("base_folder", f"{folders} of {earlier} is not finished; {cure}")
    if folders:
        _see_that_it_brings(tx, feed, entity, folders)
    if earlier != place:
        tx.lock_schema()  # of two feeds that come at once the second one sees the first
        sql = """
            INSERT INTO import_feeds (feed, place) VALUES (:feed, :place)
            ON CONFLICT (feed) DO UPDATE SET place = :place
        """
        tx.execute(sql, {"feed": feed, "place": place})
    others = "SELECT feed FROM import_feeds WHERE place = :place AND feed <> :feed ORDER BY feed"
    for (other,) in tx.execute(others, {"feed": feed, "place": place}):
        _take_over(tx, feed, other, place, may_have_open=bool(folders))


def _see_that_it_brings(tx: Transaction, feed: str, entity: Entity, folders: str) -> None:
    """Its open deliveries, in these folders, were claimed for this entity."""
    sql = "SELECT entity FROM import_deliveries WHERE feed = :feed AND finished_at_ms IS NULL AND entity <> :entity"
    for (other,) in tx.execute(sql, {"feed": feed, "entity": entity.value}):
        cure = f"set entity back to {other}, let one run finish it, then change it"
        raise SettingsError("entity", f"{folders} is not finished; {cure}")


def _take_over(tx: Transaction, feed: str, other: str, place: str, *, may_have_open: bool) -> None:
    """See that another feed of this place is not at work, let none of its runs go on, and tell what it has not told."""
    sql = "SELECT 1 FROM import_deliveries WHERE feed = :feed AND finished_at_ms IS NULL"
    if not may_have_open and tx.execute(sql, {"feed": other}):
        cure = "let one run of that feed finish them, or choose another folder"
        raise SettingsError("base_folder", f"the feed {other!r} has unfinished deliveries in {place}; {cure}")
    if not fence_off(tx, other):
        cure = "remove one of the two, or choose another folder"
        raise SettingsError("base_folder", f"the feed {other!r} imports from {place} at this moment; {cure}")
    pass_on_callbacks(tx, other, feed)

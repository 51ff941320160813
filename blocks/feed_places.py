"""One place in S3, one feed: what is open there is finished before anything about it changes."""

from collections.abc import Sequence

from blocks.database import Parameters, Transaction
from schemas.catalogue import Entity
from schemas.delivery import Delivery
from schemas.errors import SettingsError


def settle(tx: Transaction, feed: str, entity: Entity, place: str, open_deliveries: Sequence[Delivery]) -> None:
    """Note where a feed imports from, and see that nothing unfinished and no other feed stands against it.

    A feed that comes to a place takes over what those that were there before it have not told their endpoint.

    Args:
        tx: in which the feed's lease is held.
        feed: its name.
        entity: what it brings.
        place: its root, `s3://bucket/root`.
        open_deliveries: the feed's own.

    Raises:
        SettingsError: it does.
    """
    sql = "SELECT feed, place FROM import_feeds WHERE feed = :feed OR place = :place ORDER BY feed"
    places: dict[str, str] = dict(tx.execute(sql, {"feed": feed, "place": place}))
    earlier = places.pop(feed, "")
    folders = ", ".join(f"dt={delivery.day}" for delivery in open_deliveries)
    if folders and earlier not in {"", place}:
        cure = "set bucket and base_folder back, let one run finish it, then change them"
        raise SettingsError("base_folder", f"{folders} of {earlier} is not finished; {cure}")
    if folders:
        _see_that_it_brings(tx, feed, entity, folders)
    for other in places:
        _see_that_it_rests(tx, other, place)
    if earlier == place:
        return
    sql = (
        "INSERT INTO import_feeds (feed, place) VALUES (:feed, :place) ON CONFLICT (feed) DO UPDATE SET place = :place"
    )
    tx.execute(sql, {"feed": feed, "place": place})
    for other in places:
        sql = "UPDATE import_callbacks SET feed = :feed WHERE feed = :other AND received_at_ms IS NULL"
        tx.execute(sql, {"feed": feed, "other": other})


def _see_that_it_brings(tx: Transaction, feed: str, entity: Entity, folders: str) -> None:
    """Its open deliveries, in these folders, were claimed for this entity."""
    sql = "SELECT entity FROM import_deliveries WHERE feed = :feed AND finished_at_ms IS NULL AND entity <> :entity"
    for (other,) in tx.execute(sql, {"feed": feed, "entity": entity.value}):
        cure = f"set entity back to {other}, let one run finish it, then change it"
        raise SettingsError("entity", f"{folders} is not finished; {cure}")


def _see_that_it_rests(tx: Transaction, other: str, place: str) -> None:
    """Another feed of this place has nothing open, and no run of it is at work."""
    which: Parameters = {"feed": other, "now": tx.now_ms()}
    if tx.execute("SELECT 1 FROM import_deliveries WHERE feed = :feed AND finished_at_ms IS NULL", which):
        cure = "let one run of that feed finish them, or choose another folder"
        raise SettingsError("base_folder", f"the feed {other!r} has unfinished deliveries in {place}; {cure}")
    if tx.execute("SELECT 1 FROM import_leases WHERE feed = :feed AND owner <> '' AND expires_at_ms > :now", which):
        cure = "remove one of the two, or choose another folder"
        raise SettingsError("base_folder", f"the feed {other!r} imports from {place} at this moment; {cure}")

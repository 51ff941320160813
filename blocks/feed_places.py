"""One place in S3, one feed: what is open there is finished before anything about it changes."""

from collections.abc import Sequence

from blocks.database import Transaction
from schemas.delivery import Delivery
from schemas.errors import SettingsError


def settle(tx: Transaction, feed: str, place: str, open_deliveries: Sequence[Delivery]) -> None:
    """Note where a feed imports from, and see that nothing unfinished stands against it.

    Args:
        tx: in which the feed's lease is held.
        feed: its name.
        place: its root, `s3://bucket/root`.
        open_deliveries: the feed's own.

    Raises:
        SettingsError: it does.
    """
    earlier = [name for (name,) in tx.execute("SELECT place FROM import_feeds WHERE feed = :feed", {"feed": feed})]
    if earlier == [place]:
        return
    if earlier and open_deliveries:
        folders = ", ".join(f"dt={delivery.day}" for delivery in open_deliveries)
        cure = "set bucket and base_folder back, let one run finish it, then change them"
        raise SettingsError("base_folder", f"{folders} of {earlier[0]} is not finished; {cure}")
    sql = """
        SELECT feed FROM import_feeds WHERE place = :place AND feed <> :feed AND feed IN
            (SELECT feed FROM import_deliveries WHERE finished_at_ms IS NULL) ORDER BY feed
    """
    for (other,) in tx.execute(sql, {"place": place, "feed": feed}):
        cure = "let one run of that feed finish them, or choose another folder"
        raise SettingsError("base_folder", f"the feed {other!r} has unfinished deliveries in {place}; {cure}")
    sql = (
        "INSERT INTO import_feeds (feed, place) VALUES (:feed, :place) ON CONFLICT (feed) DO UPDATE SET place = :place"
    )
    tx.execute(sql, {"feed": feed, "place": place})

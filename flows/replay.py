"""Lay an archived delivery out once more, because a person wants it imported again."""

from contextlib import closing

from blocks.import_settings import ImportSettings
from schemas.archived_delivery import ArchivedDelivery
from tasks.connect import connect, release_lease, take_lease
from tasks.replay import Archive, check_replay, find_archive, lay_out, missing


async def replay(settings: ImportSettings, name: str, *, even_if_newer: bool) -> Archive | None:
    """Copy an archived delivery's files back into `current/`, the marker last: the next tick imports them anew.

    Called again after it was stopped anywhere, it finds what it did and goes on. The archive stays as it is.

    Args:
        settings: of the feed.
        name: see `find_archive`.
        even_if_newer: also if deliveries of this date or a later one were imported since.

    Returns:
        What was laid out; None while a run imports the feed: nothing was done.

    Raises:
        SettingsError: it cannot be laid out, see `find_archive` and `check_replay`.
        ImporterError: the world failed.
    """
    with closing(await connect(settings)) as feed:
        held = await take_lease(feed)
        if held is None:
            return None
        try:
            archive = await find_archive(feed, name)
            await check_replay(feed, archive, even_if_newer=even_if_newer)
            await lay_out(feed, held, archive)
            return archive
        finally:
            await release_lease(held)


async def unknown_to_the_ledger(settings: ImportSettings) -> list[ArchivedDelivery]:
    """What must be replayed where the store was lost, in this order; see `tasks.replay.missing`.

    Raises:
        ImporterError: the world failed.
    """
    with closing(await connect(settings)) as feed:
        return await missing(feed)

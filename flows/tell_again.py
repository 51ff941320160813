"""Tell the status endpoint of a delivery once more, because a person wants it."""

from contextlib import closing

from blocks.import_settings import ImportSettings
from tasks.connect import connect, release_lease, take_lease
from tasks.notify import make_due, notify


async def tell_again(settings: ImportSettings, callback_id: str, *, even_if_received: bool) -> tuple[str, ...] | None:
    """Send a callback now, under its id and with its body, its tries counted anew (rules N2, N3).

    Others of the feed that are due are sent after it.

    Returns:
        A sentence for each that was not received; None while a run imports the feed: nothing was done.

    Raises:
        SettingsError: there is no such callback, or it was received before.
        StoreBusy: the outbox cannot be read or written.
    """
    with closing(await connect(settings)) as feed:
        held = await take_lease(feed)
        if held is None:
            return None
        try:
            await make_due(feed, held, callback_id, even_if_received=even_if_received)
            return (await notify(feed, held, callback_id)).unreceived
        finally:
            await release_lease(held)

"""Verbs of a sweep: read the saved feeds, and search them for work.

The search is no Prefect task: a feed with nothing to do leaves no trace there.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from blocks.backlog import Backlog, backlog_of
from blocks.deadline import awaited
from blocks.import_settings import ImportSettings
from blocks.s3_drop_zone import S3DropZone
from blocks.saved_feeds import SavedFeed, saved_feeds
from blocks.shared_clients import SharedClients, address_of
from blocks.stores import open_store
from schemas.drop_zone import Survey, survey
from schemas.errors import DropZoneSilent, ImporterError, StoreBusy
from schemas.report import TAKEN, FeedReport
from schemas.shards import Shard
from schemas.sweep_report import Fate, FeedOutcome
from tasks.report import show_feed
from tasks.verb import verb

_log = logging.getLogger("px_import.search")

_LOOKS_AT_ONCE = 32
_AT_ONE_ADDRESS = 8
_STORES_AT_ONCE = 8
_SHOWN_AT_ONCE = 8
#: For one page of a listing, all tries together, and for all pages of one feed.
_CALL_SECONDS, _LOOK_SECONDS = 30.0, 300.0
_STORE_SECONDS = 150.0


@verb("read saved feeds", "{shard}")
def read_saved_feeds(names: Sequence[str], prefix: str, shard: Shard) -> list[SavedFeed]:
    """The feeds of a shard as Prefect has them; all feeds of a subscription are in the same shard."""
    return list(saved_feeds(names, prefix, shard))


class Search:
    """Looks for work in many feeds, and keeps the trouble of one from the others (rule R3)."""

    def __init__(self, feeds: Iterable[SavedFeed]) -> None:
        """Nothing is asked yet."""
        usable = [feed.settings for feed in feeds if isinstance(feed.settings, ImportSettings)]
        self._zones, self._backlogs = _Zones(usable), _Backlogs()
        self._shown = asyncio.Semaphore(_SHOWN_AT_ONCE)

    async def idle(self, feed: SavedFeed) -> FeedOutcome | None:
        """What became of a feed that needs no run; None where one is needed.

        It is where a folder is ready, and where the ledger has a delivery open or a callback due.
        """
        try:
            settings = feed.usable
            backlog = await self._backlogs.of(settings)
            if settings.feed in backlog.held:
                return FeedOutcome(feed.name, Fate.SKIPPED, TAKEN)
            if settings.feed in backlog.open or (settings.feed in backlog.due and settings.status_endpoint.url):
                return None
            seen = await self._zones.look(settings)
        except ImporterError as exc:
            return FeedOutcome(feed.name, Fate.TROUBLE, str(exc))
        except Exception as exc:  # noqa: BLE001 - a mistake of ours about one feed must not stop the others
            _log.exception("The feed %s could not be searched for work.", feed.name)
            return FeedOutcome(feed.name, Fate.TROUBLE, f"An unexpected {type(exc).__name__}; see the log of this run.")
        finally:
            self._zones.done(feed)
        if seen.ready:
            return None
        report = FeedReport(settings.feed, seen=seen)
        if report.remarks or settings.expected_by:  # its page and the event feed tell of what waits or is overdue
            async with self._shown:
                await show_feed(settings, report)
        return FeedOutcome(feed.name, Fate.IDLE, "; ".join(report.remarks))


class _Zones:
    """The drop zones: how many are looked into at once, and when nobody waits for an address any longer.

    As many looks in a row as may be made at once at one address, all without any answer, and the others there are
    told so without a try: an address that hangs costs a sweep a minute, however many feeds it has.
    """

    def __init__(self, feeds: Sequence[ImportSettings]) -> None:
        self._clients = SharedClients(feeds)
        self._places = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._at = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(_AT_ONE_ADDRESS))
        self._silences = Counter[str]()

    async def look(self, settings: ImportSettings) -> Survey:
        """List one feed's `current/`.

        Raises:
            SettingsError, DropZoneBusy, AccessRefused, NotThere: it cannot be listed.
        """
        address, place = address_of(settings), settings.zone.url(settings.zone.current_prefix)
        async with self._at[address], self._places:
            if self._silences[address] >= _AT_ONE_ADDRESS:
                raise DropZoneSilent("list", place, f"{address} gave no answer to other feeds; check the network")
            try:
                seen = await awaited(_LOOK_SECONDS, self._looked, settings)
            except DropZoneSilent:
                self._silences[address] += 1
                raise
            except ImporterError:
                self._silences[address] = 0
                raise
            except TimeoutError as exc:
                self._silences[address] += 1
                raise DropZoneSilent("list", place, f"{exc}; check the network and endpoint_url") from None
            self._silences[address] = 0
            return seen

    def done(self, feed: SavedFeed) -> None:
        """Note that a feed will not be looked at any more."""
        if isinstance(feed.settings, ImportSettings):
            self._clients.done(feed.settings)

    def _looked(self, settings: ImportSettings) -> Survey:
        zone = settings.zone
        drop_zone = S3DropZone(self._clients.client(settings), zone, call_seconds=_CALL_SECONDS)
        return survey(zone, drop_zone.list(zone.current_prefix))


class _Backlogs:
    """What the stores' ledgers still have to do; each store is asked once, however many feeds it has."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_STORES_AT_ONCE)
        self._asked: dict[str, asyncio.Task[Backlog]] = {}

    async def of(self, settings: ImportSettings) -> Backlog:
        """The backlog of a feed's store.

        Raises:
            StoreBusy, StoreConflict, AccessRefused, SettingsError: it cannot be read.
        """
        url = settings.store_url.get_secret_value()
        if url not in self._asked:
            self._asked[url] = asyncio.create_task(self._ask(url))
        return await self._asked[url]

    async def _ask(self, url: str) -> Backlog:
        store = open_store(url)
        async with self._places:
            try:
                return await awaited(_STORE_SECONDS, backlog_of, store)
            except TimeoutError as exc:
                raise StoreBusy(store.name, str(exc)) from None

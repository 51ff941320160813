"""One sweep over many feeds: all are searched for work, and those that have some get a run of their own."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from blocks.import_settings import ImportSettings
from blocks.saved_feeds import SavedFeed
from flows.import_feed import import_feed
from schemas.catalogue import Entity
from schemas.errors import SettingsError
from schemas.report import FeedReport
from schemas.shards import Shard
from schemas.sweep_report import FATES, LEFT, Fate, FeedOutcome, SweepReport
from tasks.report import report_sweep
from tasks.search import Search, read_saved_feeds

#: No import is begun later in a sweep: the next one, a quarter of an hour after this one, does it.
_LAST_BEGIN_SECONDS = 840


@flow(name="import-feeds", flow_run_name="all-feeds {shard}", persist_result=False)
async def import_feeds(
    feeds: tuple[str, ...] = (),
    prefix: str = "",
    shard: str = "1/1",
    imports_at_once: Annotated[int, Field(ge=1, le=64)] = 4,
) -> State[SweepReport]:
    """Import what waits in the drop zones of all saved feeds; one feed's trouble is never another's (rule R3).

    Args:
        feeds: names of the feeds' documents; none: all that are saved.
        prefix: only feeds whose names begin so.
        shard: "3/8" is the third of eight runs that share the feeds.
        imports_at_once: how many feeds are imported side by side.
    """
    try:
        part = Shard.parse(shard)
    except SettingsError as exc:
        return Failed(message=str(exc), data=exc)
    result = SweepReport(await sweep(await read_saved_feeds(feeds, prefix, part), imports_at_once))
    await report_sweep(result, part)
    if result.in_trouble:
        return Failed(message=result.summary, data=result)
    return Completed(name=result.state, message=result.summary, data=result)


async def sweep(feeds: Sequence[SavedFeed], imports_at_once: int) -> tuple[FeedOutcome, ...]:
    """Search all feeds, and import where there is work; what is slow holds up its own subscription only."""
    search, places = Search(feeds), asyncio.Semaphore(imports_at_once)
    last_begin = asyncio.get_running_loop().time() + _LAST_BEGIN_SECONDS

    async def run(feed: SavedFeed) -> FeedOutcome:
        async with places:
            if asyncio.get_running_loop().time() > last_begin:
                return FeedOutcome(feed.name, Fate.LEFT, LEFT)
            return await _import(feed)

    subscriptions = defaultdict[str, list[SavedFeed]](list)
    for feed in feeds:
        subscriptions[feed.subscription].append(feed)
    swept = await asyncio.gather(*(_sweep_subscription(search, each, run) for each in subscriptions.values()))
    return tuple(outcome for outcomes in swept for outcome in outcomes)


async def _sweep_subscription(
    search: Search, feeds: Sequence[SavedFeed], run: Callable[[SavedFeed], Awaitable[FeedOutcome]]
) -> list[FeedOutcome]:
    """Accounts before users: who reads the store never sees a user whose account was there to be imported first."""
    found = await asyncio.gather(*(search.idle(feed) for feed in feeds))
    outcomes = [outcome for outcome in found if outcome]
    busy = [feed for feed, outcome in zip(feeds, found, strict=True) if outcome is None]
    for entity in (Entity.ACCOUNT, Entity.USER):
        outcomes += await asyncio.gather(*(run(feed) for feed in busy if feed.usable.entity is entity))
    return outcomes


async def _import(feed: SavedFeed) -> FeedOutcome:
    """A run of the feed's own, with a page of its own; its parameter names the document and holds no secret."""
    reference = {"$ref": {"block_document_slug": f"{ImportSettings.get_block_type_slug()}/{feed.name}"}}
    state = await import_feed(cast("Any", reference), return_state=True)
    result = await state.aresult(raise_on_failure=False)
    if isinstance(result, FeedReport):
        return FeedOutcome(feed.name, FATES[result.state], result.summary)
    return FeedOutcome(feed.name, Fate.TROUBLE, state.message or str(state.name))

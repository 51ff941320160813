"""One tick of one feed: what waits is claimed, validated, loaded, archived and reported, oldest first."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from blocks.connections import Connections, HeldLease
from blocks.import_settings import ImportSettings
from schemas.delivery import Delivery, DeliveryFile, Stage
from schemas.drop_zone import ObjectKind
from schemas.errors import ImporterError, LeaseLost, ObjectChanged, StoreBusy
from schemas.report import DeliveryReport, FeedReport
from schemas.validation import Rejection, missing, unsupported
from tasks.archive import archive, clear, move_aside
from tasks.claim import abandon, adopt, claim, finish, note_trouble
from tasks.connect import connect, read_settings, release_lease, take_lease, unfinished
from tasks.decide import decide
from tasks.discover import discover, look_again
from tasks.load_file import load_file, reject_file
from tasks.notify import Told, notify
from tasks.prefect_run import name_run
from tasks.progress import progress_shown
from tasks.read_file import read_file
from tasks.report import show_delivery, show_feed
from tasks.validate_file import validate_file

TakingUp = Callable[[Sequence[str]], Awaitable[None]]


@flow(name="import-feed", flow_run_name="{settings.feed}", persist_result=False)
async def import_feed(settings: ImportSettings) -> State[FeedReport]:
    """Import what waits in a feed's drop zone.

    Args:
        settings: the feed, a block document.
    """
    return await _told(_immediate(settings))


@flow(name="import-feed-file", flow_run_name="{settings_file}", persist_result=False)
async def import_feed_file(settings_file: str) -> State[FeedReport]:
    """Import what waits in a feed's drop zone.

    Args:
        settings_file: path of the feed's YAML file; its secrets never become parameters of the run.
    """
    return await _told(read_settings(Path(settings_file)))


async def _immediate(settings: ImportSettings) -> ImportSettings:
    return settings


async def _told(settings: Awaitable[ImportSettings]) -> State[FeedReport]:
    """The state of a tick's run, and the feed's page; trouble in the world fails it with its one sentence (rule R3)."""
    finished: list[DeliveryReport] = []
    given = None
    try:
        given = await settings
        result = await tick(given, finished, partial(name_run, given.feed))
    except ImporterError as exc:
        if given:
            await show_feed(given, FeedReport(given.feed, tuple(finished)), exc)
        return Failed(message=str(exc), data=exc)
    if result.deliveries or not result.skipped:  # the page of the run that holds the feed stays
        await show_feed(given, result)
    return Completed(name=result.state, message=result.summary, data=result)


async def _nobody(_days: Sequence[str]) -> None:
    pass


async def tick(settings: ImportSettings, finished: list[DeliveryReport], taking_up: TakingUp = _nobody) -> FeedReport:
    """Finish what is unfinished, then import what is ready (rules D1, R1, R2).

    Trouble in the world ends the tick: later folders wait, for the dates of one feed are imported in order.
    Faults in the data never do. Outside a flow run this needs no Prefect server, and nothing is tried twice.

    Args:
        settings: of the feed.
        finished: grows with each delivery, so that trouble later on does not hide it.
        taking_up: told at each delivery the days (YYYYMMDD) of all that were taken up so far.

    Raises:
        ImporterError: the world failed; the next tick goes on from there.
    """
    with closing(await connect(settings)) as feed:
        held = await take_lease(feed)
        if held is None:
            return FeedReport(settings.feed, skipped=True)
        try:
            return await _import_all(feed, held, finished, taking_up)
        except LeaseLost:
            return FeedReport(settings.feed, tuple(finished), skipped=True)
        finally:
            await release_lease(held)


async def _import_all(
    feed: Connections, held: HeldLease, finished: list[DeliveryReport], taking_up: TakingUp
) -> FeedReport:
    """Import everything, into `finished` delivery by delivery."""
    days, known = list[str](), list[str]()
    left, told = await unfinished(feed, held), [Told()]
    if left.callbacks_due:  # first: a delivery that keeps failing holds up no news of others
        await _tell(feed, held, told)
    for delivery, judged in left.deliveries:
        await taking_up(days := [*days, delivery.day])
        await _complete(feed, held, delivery, judged, finished)
        await _tell(feed, held, told)
    seen = await discover(feed)
    for number, listed in enumerate(seen.ready):
        folder = await look_again(feed, listed) if number else listed
        if folder is None:
            continue
        claimed = await claim(feed, held, folder)
        if claimed is None:
            known.append(folder.day)
            continue
        await taking_up(days := [*days, claimed.day])
        await _complete(feed, held, claimed, frozenset(), finished)
        await _tell(feed, held, told)
    unreceived = tuple(reason for each in told for reason in each.unreceived)
    return FeedReport(feed.settings.feed, tuple(finished), seen, tuple(known), unreceived)


async def _tell(feed: Connections, held: HeldLease, told: list[Told]) -> None:
    """Send what has become due; not where nobody answered before: each try would wait for nothing (rule N2)."""
    if feed.settings.status_endpoint.url and not told[-1].unreachable:
        told.append(await notify(feed, held))


async def _complete(
    feed: Connections, held: HeldLease, delivery: Delivery, judged: frozenset[str], finished: list[DeliveryReport]
) -> None:
    """Take a delivery to its end; its story tells what stops it.

    Args:
        feed: its doors.
        held: the feed's lease.
        delivery: as it stands.
        judged: names of its files that an earlier run has loaded or rejected.
        finished: grows by its report.
    """
    try:
        await _go_on(feed, held, delivery, judged, finished)
    except (LeaseLost, StoreBusy):
        raise  # the story cannot be written
    except ImporterError as exc:
        await note_trouble(feed, held, delivery, str(exc))
        raise


async def _go_on(
    feed: Connections, held: HeldLease, delivery: Delivery, judged: frozenset[str], finished: list[DeliveryReport]
) -> None:
    """Take a delivery from where it stands to its end, or give it up where its files are gone."""
    if delivery.stage is Stage.CLAIMED:
        imported = await _judge_all(feed, held, delivery, judged)
        if imported is None:
            await abandon(feed, held, delivery)
            return
        delivery = imported
    decision = await decide(feed, held, delivery)
    if decision.moves and delivery.stage in {Stage.CLAIMED, Stage.DECIDED}:
        await move_aside(feed, held, delivery, decision)
    if delivery.stage not in {Stage.ARCHIVED, Stage.CLEARED}:
        await archive(feed, held, delivery, decision)
    if delivery.stage is not Stage.CLEARED:
        await clear(feed, held, delivery)
    finished.append(await finish(feed, held, delivery, decision))
    await show_delivery(feed.settings, finished[-1])


async def _judge_all(feed: Connections, held: HeldLease, delivery: Delivery, judged: frozenset[str]) -> Delivery | None:
    """Validate and load every file, serially (rule D4); None where the first to be judged is gone."""
    for file in delivery.files:
        if file.name in judged or file.kind not in {ObjectKind.INPUT, ObjectKind.UNSUPPORTED}:
            continue
        if file.kind is ObjectKind.UNSUPPORTED:
            await reject_file(feed, held, delivery, file, "", unsupported(file.name))
        else:
            imported = await _import_file(feed, held, delivery, file)
            if imported is None and not judged:
                return None
            if imported is None:
                await reject_file(feed, held, delivery, file, "", missing(file.name))
            else:
                delivery = imported
        judged |= {file.name}
    return delivery


async def _import_file(feed: Connections, held: HeldLease, delivery: Delivery, file: DeliveryFile) -> Delivery | None:
    """Read, validate, and load or reject one file.

    Returns:
        The delivery with the version of the file that was imported; None where the file is gone.
    """
    try:
        spooled = await read_file(feed, held, delivery, file)
    except ObjectChanged:
        adopted = await adopt(feed, held, delivery, file)
        return await _import_file(feed, held, adopted, adopted.named(file.name)) if adopted else None
    verdict = await validate_file(feed, held, spooled)
    if isinstance(verdict, Rejection):
        await reject_file(feed, held, delivery, file, spooled.sha256, verdict)
    else:
        async with progress_shown(delivery.feed, file.name, verdict) as watched:
            await load_file(feed, held, delivery, spooled, watched)
    return delivery

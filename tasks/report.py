"""Verbs: show in Prefect what became of a delivery, how a feed stands, what a check came to."""

from dataclasses import dataclass
from datetime import UTC, datetime

from prefect import task
from prefect.artifacts import Artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate

from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.stores import open_store
from schemas import events
from schemas.daily_hour import DailyHour
from schemas.delivery_page import delivery_line, delivery_page, files_table
from schemas.delivery_record import DeliveryRecord
from schemas.diagnosis import Diagnosis
from schemas.errors import ImporterError
from schemas.events import News
from schemas.feed_page import SHOWN_DELIVERIES, FeedPage
from schemas.report import DeliveryReport, FeedReport
from schemas.s3_console import ObjectLinks
from schemas.shards import Shard
from schemas.sweep_report import SweepReport
from tasks.prefect_run import courtesy, emit, run_id
from tasks.verb import in_thread


@dataclass(frozen=True, slots=True)
class Past:
    """What the ledger remembers of a feed: its last deliveries, newest first, and what time it is by its clock."""

    now: datetime
    recent: tuple[DeliveryRecord, ...]


async def show_delivery(settings: ImportSettings, report: DeliveryReport) -> None:
    """Keep a finished delivery's page and the table of its files, and tell the event feed (rule R5)."""
    if run_id():
        await _delivery_artifacts(report, _links(settings))
        emit(events.delivered(report, settings.entity.value, settings.zone))


@task(name="report", task_run_name="report dt={report.delivery.day}", cache_policy=NO_CACHE, persist_result=False)
async def _delivery_artifacts(report: DeliveryReport, links: ObjectLinks) -> None:
    """One history a feed of either kind."""
    feed, line = report.delivery.feed, delivery_line(report)
    async with courtesy("A delivery's page"):
        await acreate_markdown_artifact(delivery_page(report, links), key=f"delivery-{feed}", description=line)
        await acreate_table_artifact(files_table(report), key=f"files-{feed}", description=line)


async def show_feed(settings: ImportSettings, report: FeedReport, trouble: ImporterError | None = None) -> None:
    """Bring the feed's page up to date, and tell the event feed what is news (rule R5).

    The page is only written where it has changed: an idle tick reads it and is done. With it, as its metadata, goes
    what was told, so that nothing is told again as long as it is the same news.

    Args:
        settings: of the feed.
        report: what the tick came to, as far as it came.
        trouble: what ended it, if something did.
    """
    if not run_id():
        return
    past = await in_thread(_past, settings)
    page = _page(settings, report, past, trouble)
    news = _news(settings, report, past, trouble)
    async with courtesy("The feed's page"):
        key = f"feed-{settings.feed}"
        last = await Artifact.aget(key)
        told = set(last.metadata_ or ()) if last else set()
        for each in news:
            if each.key not in told:
                emit(each.event)
        judged = {"blocked"} | ({"waiting"} if report.seen else set()) | ({"overdue"} if past else set())
        # What this tick could not judge stays told.
        kept = {known for known in told if known.partition(" ")[0] not in judged}
        telling = kept | {each.key for each in news}
        if last is None or last.data != page.markdown or told != telling:
            await _write(key, page, telling)


def _past(settings: ImportSettings) -> Past | None:
    """None where the store fails: that is not what the run is about."""
    ledger = Ledger(open_store(settings.store_url.get_secret_value()))
    try:
        return Past(ledger.now(), tuple(ledger.deliveries(settings.feed, SHOWN_DELIVERIES)))
    except ImporterError:
        return None


def _page(settings: ImportSettings, report: FeedReport, past: Past | None, trouble: ImporterError | None) -> FeedPage:
    missed = _overdue(settings, past)
    return FeedPage(
        feed=settings.feed,
        entity=settings.entity.value,
        links=_links(settings),
        seen=report.seen,
        known=report.known,
        recent=past.recent if past else None,
        overdue="; ".join(f"{each.event.payload['day']}: {each.event.payload['why']}" for each in missed),
        trouble=str(trouble or ""),
    )


def _news(settings: ImportSettings, report: FeedReport, past: Past | None, trouble: ImporterError | None) -> list[News]:
    feed, entity, now = settings.feed, settings.entity.value, past.now if past else datetime.now(UTC)
    news = _overdue(settings, past)
    if report.seen:
        news += events.waiting(feed, entity, report.seen, settings.zone, now, settings.waiting_hours)
    if trouble:
        news.append(events.blocked(feed, entity, trouble, now))
    return news


def _overdue(settings: ImportSettings, past: Past | None) -> list[News]:
    if not settings.expected_by or past is None:
        return []
    last = max((record.claimed_at for record in past.recent), default=None)
    hour = DailyHour.parse(settings.expected_by)
    return events.overdue(settings.feed, settings.entity.value, hour, past.now, last)


def _links(settings: ImportSettings) -> ObjectLinks:
    return ObjectLinks(settings.zone, settings.region, settings.endpoint_url)


async def _write(key: str, page: FeedPage, told: set[str]) -> None:
    artifact = ArtifactCreate(
        key=key,
        type="markdown",
        description=page.summary,
        data=page.markdown,
        metadata_=dict.fromkeys(sorted(told), "told"),
        flow_run_id=run_id(),
    )
    async with get_client() as client:
        await client.create_artifact(artifact)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report_diagnosis(diagnosis: Diagnosis) -> None:
    """Keep a check's page as a Markdown artifact, one history a feed."""
    await acreate_markdown_artifact(diagnosis.markdown, key=f"check-{diagnosis.feed}", description=diagnosis.tally)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report_sweep(result: SweepReport, shard: Shard) -> None:
    """Keep a sweep's table, one history a shard: a line for each feed with work, in trouble, or that waits."""
    key = "all-feeds" if shard.of == 1 else f"all-feeds-{shard.number}-of-{shard.of}"
    await acreate_table_artifact(result.table, key=key, description=result.summary)

"""Verbs: show in Prefect what a tick, or a check, came to."""

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from schemas.diagnosis import Diagnosis
from schemas.report import FeedReport
from schemas.shards import Shard
from schemas.sweep_report import SweepReport


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report(result: FeedReport) -> None:
    """Keep the run's page as a Markdown artifact, one history a feed (rule R5)."""
    await acreate_markdown_artifact(result.markdown, key=f"feed-{result.feed}", description=result.summary)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report_diagnosis(diagnosis: Diagnosis) -> None:
    """Keep a check's page as a Markdown artifact, one history a feed."""
    await acreate_markdown_artifact(diagnosis.markdown, key=f"check-{diagnosis.feed}", description=diagnosis.tally)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report_sweep(result: SweepReport, shard: Shard) -> None:
    """Keep a sweep's table, one history a shard: a line for each feed with work, in trouble, or that waits."""
    key = "all-feeds" if shard.of == 1 else f"all-feeds-{shard.number}-of-{shard.of}"
    await acreate_table_artifact(result.table, key=key, description=result.summary)

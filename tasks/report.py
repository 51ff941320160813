"""Verbs: show in Prefect what a tick, or a check, came to."""

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.diagnosis import Diagnosis
from schemas.report import FeedReport


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report(result: FeedReport) -> None:
    """Keep the run's page as a Markdown artifact, one history a feed (rule R5)."""
    await acreate_markdown_artifact(result.markdown, key=f"feed-{result.feed}", description=result.summary)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
async def report_diagnosis(diagnosis: Diagnosis) -> None:
    """Keep a check's page as a Markdown artifact, one history a feed."""
    await acreate_markdown_artifact(diagnosis.markdown, key=f"check-{diagnosis.feed}", description=diagnosis.tally)

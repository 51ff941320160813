"""A deployment for each saved feed, on the quarter hour: what `prefect.yaml` has for two, made for any number."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from blocks.import_settings import ImportSettings
from blocks.saved_feeds import saved_feeds
from flows.import_feed import import_feed
from schemas.errors import SettingsError

POOL = "px-import"
#: For the runs: `deployments/automations.yaml` takes those that are silent for longer than three beats for dead.
HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
_PAGE = 200


def every_quarter_hour(*, active: bool = True) -> Schedule:
    """The schedule, as in `prefect.yaml` (rule D1)."""
    anchor = datetime(2021, 1, 1, tzinfo=UTC)
    return Interval(timedelta(minutes=15), anchor_date=anchor, timezone="UTC", slug="every-15-minutes", active=active)


def deployment_of(settings: ImportSettings, *, active: bool) -> RunnerDeployment:
    """The deployment of a feed: as `prefect.yaml` has it, and with a reference to the document, never its content."""
    reference = {"$ref": {"block_document_slug": f"{ImportSettings.get_block_type_slug()}/{settings.feed}"}}
    return RunnerDeployment.from_flow(
        import_feed,
        name=settings.feed,
        description=f"Imports {settings.entity.value}s from their drop zone, every 15 minutes.",
        parameters={"settings": reference},
        schedules=[every_quarter_hour(active=active)],
        tags=["px-import", settings.feed],
        work_pool_name=POOL,
        job_variables={"stream_output": False, "env": HEARTBEAT},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def deploy_feeds(feeds: Iterable[ImportSettings]) -> None:
    """Make or renew a deployment for each feed; a schedule that was switched off stays off.

    Raises:
        SettingsError: the work pool is missing.
    """
    for settings in feeds:
        deployment = deployment_of(settings, active=_is_active(settings.feed))
        try:
            deployment.apply(_sync=True)  # type: ignore[call-arg]
        except DeploymentApplyError as exc:
            problem = f"the deployment of {settings.feed} was refused; is there a work pool {POOL}? If not: "
            raise SettingsError("--deploy", f"{problem}prefect work-pool create {POOL} --type process") from exc
        print(f"deployed {deployment.full_name}")


def _is_active(feed: str) -> bool:
    """Whether the schedules of a feed's deployment are on; those of one that is still to be made will be."""
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(f"{import_feed.name}/{feed}")
        except ObjectNotFound:
            return True
    return all(schedule.active for schedule in deployment.schedules)


def strays(feeds: Iterable[ImportSettings]) -> list[str]:
    """A sentence for each document and each deployment of a feed that is none of these; nothing is removed."""
    names = {settings.feed for settings in feeds}
    slug = ImportSettings.get_block_type_slug()
    told = [
        f"{slug}/{feed.name} has no settings file here and is imported by all-feeds; "
        f"to remove it: prefect block delete {slug}/{feed.name}"
        for feed in saved_feeds()
        if feed.name not in names
    ]
    for name in _deployed():
        if name not in names:
            full = f"{import_feed.name}/{name}"
            told.append(f"{full} has no settings file here; to remove it: prefect deployment delete {full}")
    return told


def _deployed() -> list[str]:
    """Names of the deployments of single feeds."""
    wanted, found = FlowFilter(name=FlowFilterName(any_=[import_feed.name])), list[str]()
    with get_client(sync_client=True) as client:
        while page := client.read_deployments(flow_filter=wanted, limit=_PAGE, offset=len(found)):
            found += [deployment.name for deployment in page]
    return sorted(found)

"""Check everything that an import of a feed needs, without importing or changing anything."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed, Failed

from blocks.bucket_examination import BucketExamination
from blocks.endpoint_examination import reach, send_test
from blocks.import_settings import ImportSettings
from blocks.store_examination import StoreExamination
from schemas.diagnosis import Diagnosis, Finding, Remark, State
from schemas.errors import SettingsError
from schemas.feed_findings import catalogue_remarks, date_remarks
from tasks.examine import examine
from tasks.report import report_diagnosis

Check = Callable[[], Iterable[Remark]]


@flow(name="check-connection", flow_run_name="{settings.feed}", persist_result=False)
async def check_connection(settings: ImportSettings, send_test: bool = False) -> RunState[Diagnosis]:
    """Check what an import of a feed needs; nothing is imported or changed.

    Args:
        settings: the feed, a block document.
        send_test: POST a test to the status endpoint.
    """
    findings = [finding async for finding in diagnose(settings, with_test=send_test)]
    source = f"{ImportSettings.get_block_type_slug()}/{settings.feed}"
    diagnosis = Diagnosis(source, settings.feed, tuple(findings))
    await report_diagnosis(diagnosis)
    if not diagnosis.healthy:
        return Failed(message=diagnosis.summary, data=diagnosis)
    return Completed(message=diagnosis.summary, data=diagnosis)


async def diagnose(
    settings: ImportSettings, *, with_test: bool = False, catalogue_fault: SettingsError | None = None
) -> AsyncIterator[Finding]:
    """Make every check, whatever came out of those before; a lease is not taken.

    Args:
        settings: of the feed.
        with_test: POST a test to the status endpoint instead of only connecting to it.
        catalogue_fault: why the feed's catalogue could not be read; the settings have PX's own then.
    """
    yield Finding("settings", State.OK, _about(settings))
    with closing(BucketExamination(settings)) as bucket:
        store = StoreExamination(settings)
        checks: list[tuple[str, Check]] = [
            ("catalogue", partial(_catalogue, settings, catalogue_fault)),
            ("date-format", partial(date_remarks, settings.date_format)),
            ("identity", bucket.identity),
            ("bucket", bucket.bucket),
            ("s3-clock", bucket.s3_clock),
            ("list", bucket.list),
            ("write", bucket.write),
            ("read", bucket.read),
            ("conditions", bucket.conditions),
            ("delete", bucket.delete),
            ("store", store.store),
            ("tables", store.tables),
            ("store-clock", store.store_clock),
            (
                "status-endpoint",
                partial(send_test, settings) if with_test else partial(reach, settings.status_endpoint),
            ),
            ("folders", bucket.folders),
            ("deliveries", store.deliveries),
            ("callbacks", store.callbacks),
        ]
        for name, check in checks:
            for finding in await examine(name, check):
                yield finding


def _about(settings: ImportSettings) -> str:
    zone = settings.zone
    return f"feed {settings.feed}, {settings.entity.value}s from {zone.url(zone.current_prefix)}"


def _catalogue(settings: ImportSettings, fault: SettingsError | None) -> Iterable[Remark]:
    if fault:
        raise fault
    return catalogue_remarks(settings.attribute_catalogue, settings.entity, is_default=not settings.catalogue.entries)

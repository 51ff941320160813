"""The run in which a verb is called: what else Prefect shows of it, and what its event feed is told.

All of it is a courtesy. Outside a flow run nothing happens, and where Prefect's server fails nothing else does.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event

from schemas.delivery_page import written_day
from schemas.events import Event

_log = logging.getLogger("px_import.prefect")
_PATIENCE_SECONDS = 30


def run_id() -> UUID | None:
    """Of the flow run; None outside of one."""
    context = FlowRunContext.get()
    return context.flow_run.id if context and context.flow_run else None


@asynccontextmanager
async def courtesy(what: str) -> AsyncIterator[None]:
    """Around what may fail without harm, and may not hold up an import for long: its lease runs on."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            yield
    except Exception as exc:  # noqa: BLE001 - whatever is wrong with Prefect's server, the import goes on
        _log.warning("%s could not be shown in Prefect (%s)", what, type(exc).__name__)


async def name_run(feed: str, days: Sequence[str]) -> None:
    """Name the run after what it imports: `users 2021-02-28 +2`.

    Args:
        feed: name of the feed.
        days: YYYYMMDD of the folders that it has taken up, in that order; at least one.
    """
    if run := run_id():
        name = f"{feed} {written_day(days[0])}" + (f" +{len(days) - 1}" if days[1:] else "")
        async with courtesy("The run's name"), get_client() as client:
            await client.update_flow_run(run, name=name)


def emit(event: Event) -> None:
    """Tell Prefect's event feed; sent by a thread of Prefect's own, which keeps its troubles to itself."""
    if run_id():
        emit_event(event.name, event.resource, payload=event.full_payload)

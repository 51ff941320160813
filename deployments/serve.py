"""`px-import serve`: one long-lived process that imports feeds every quarter of an hour; no worker, no work pool."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL
from prefect.types.entrypoint import EntrypointType

from blocks.import_settings import ImportSettings
from blocks.prefect_api import asking_prefect
from deployments.feed_deployments import HEARTBEAT, every_quarter_hour
from flows.import_feed import import_feed, import_feed_file
from schemas.errors import SettingsError


def serve(files: list[Path], feeds: list[str]) -> int:
    """Deploy the feeds and run their ticks, each in a process of its own, until this one is told to end (rule D1).

    Args:
        files: settings files; each tick reads its file anew, with the environment of this process.
        feeds: names of feeds saved in Prefect.

    Raises:
        SettingsError: a setting is wrong, or there is no Prefect server to deploy to.
    """
    if not files and not feeds:
        raise SettingsError("", "name a settings file, or a feed with --feed")
    if not PREFECT_API_URL.value():
        raise SettingsError("PREFECT_API_URL", "name the Prefect server that keeps the schedule")
    served = [_of_file(path) for path in files] + [_of_document(name) for name in feeds]
    for feed, times in Counter(deployment.name for deployment in served).items():
        if times > 1:
            raise SettingsError("feed", f"'{feed}' is named {times} times; serve it once")
    for name, value in HEARTBEAT.items():
        os.environ.setdefault(name, value)  # its runs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with `&` would ignore it
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(served))
    return 0


class _Runner(Runner):
    """Ends by SIGTERM as by Ctrl-C: in order, its runs with it. Prefect's own way leaves a traceback behind."""

    def handle_sigterm(self, *_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)


async def _run(served: list[RunnerDeployment]) -> None:
    # Prefect would pause the schedules at the end, and not take that back; the switch is the operator's.
    runner = _Runner(pause_on_shutdown=False)
    with asking_prefect():
        for deployment in served:
            await runner.aadd_deployment(deployment)
            print(f"serving {deployment.full_name}", flush=True)
    await runner.start()


def _of_file(path: Path) -> RunnerDeployment:
    feed = ImportSettings.from_file(path).feed
    return _deployment(import_feed_file, feed, {"settings_file": str(path.resolve())})


def _of_document(name: str) -> RunnerDeployment:
    feed = ImportSettings.from_document(name).feed
    return _deployment(import_feed, feed, {"settings": {"$ref": {"block_document_slug": f"px-import-settings/{name}"}}})


def _deployment(flow: Flow[..., Any], feed: str, parameters: dict[str, Any]) -> RunnerDeployment:
    """Of a flow in an installed module; a secret is in no parameter."""
    deployment = flow.to_deployment(
        feed,
        description=f"Imports {feed} from their drop zone, every 15 minutes.",
        schedule=every_quarter_hour(),
        parameters=parameters,
        tags=["px-import", feed],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(deployment, RunnerDeployment)  # noqa: S101 -- no coroutine: no event loop runs here
    return deployment

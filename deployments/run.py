"""`px-import run`: one tick of some feeds now, through the same flows that the deployments run."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from blocks.feed_settings import read_settings_file
from schemas.errors import ImporterError, SettingsError
from schemas.report import FeedReport

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def run(files: list[Path], feeds: list[str], *, verbose: bool) -> int:
    """Import what waits in each feed; one feed's trouble is never another's (rule R3).

    Returns:
        0 all ticks ended well, whatever the verdicts; 2 the world failed in one of them.

    Raises:
        SettingsError: a setting is wrong; nothing was started.
    """
    if not files and not feeds:
        raise SettingsError("", "name a settings file, or a feed with --feed")
    for path in files:
        read_settings_file(path)
    if not verbose:
        # Prefect prints tracebacks of its own; the sentence below is for the person at the terminal.
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    return max([_tick_of_file(path) for path in files] + [_tick_of_feed(name) for name in feeds])


def _tick_of_file(path: Path) -> int:
    from flows.import_feed import import_feed_file

    return _tell(str(path), lambda: import_feed_file(str(path), return_state=True))


def _tick_of_feed(name: str) -> int:
    from blocks.import_settings import ImportSettings
    from flows.import_feed import import_feed

    settings = ImportSettings.from_document(name)
    return _tell(name, lambda: import_feed(settings, return_state=True))


def _tell(source: str, tick: Callable[[], Awaitable["State[Any]"]]) -> int:
    """Run one tick and print a line for each delivery."""

    async def run_tick() -> "State[Any]":
        return await tick()

    state = asyncio.run(run_tick())
    if state.is_completed():
        _print(cast("FeedReport", state.data))
        return 0
    reason = state.data if isinstance(state.data, ImporterError) else state.message
    print(f"{source}: {reason}", file=sys.stderr)
    return 2


def _print(report: FeedReport) -> None:
    for delivery in report.deliveries:
        print(f"{report.feed} {delivery}")
    if not report.deliveries:
        print(f"{report.feed} {report.summary}")

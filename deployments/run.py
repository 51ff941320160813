"""`px-import run`: one tick of some feeds now, through the same flows that the deployments run."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from blocks.feed_settings import read_settings_file
from blocks.prefect_api import asking_prefect
from deployments.exit_codes import TROUBLE
from schemas.errors import SettingsError
from schemas.report import FeedReport

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from blocks.import_settings import ImportSettings


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
        keep_quiet()
    from blocks.import_settings import ImportSettings

    saved = [(name, ImportSettings.from_document(name)) for name in feeds]
    told = [_tell(str(path), tick_of_file(path)) for path in files]
    return max(told + [_tell(name, _tick_of(settings)) for name, settings in saved])


def keep_quiet() -> None:
    """Keep Prefect's log from the terminal; to be called before Prefect is imported.

    Prefect prints tracebacks of its own; our one sentence is for the person who sits there.
    """
    for variable in ("PREFECT_LOGGING_LEVEL", "PREFECT_SERVER_LOGGING_LEVEL"):
        os.environ.setdefault(variable, "CRITICAL")


def tick_of_file(path: Path) -> FeedReport | Exception:
    """One tick of the feed of a settings file; the exception where the world failed."""
    from flows.import_feed import import_feed_file

    return _result(lambda: import_feed_file(str(path), return_state=True))


def _tick_of(settings: "ImportSettings") -> FeedReport | Exception:
    from flows.import_feed import import_feed

    return _result(lambda: import_feed(settings, return_state=True))


def _result(tick: Callable[[], Awaitable["State[Any]"]]) -> FeedReport | Exception:
    async def result() -> FeedReport | Exception:
        state = await tick()
        return cast("FeedReport | Exception", await state.aresult(raise_on_failure=False))

    with asking_prefect():
        return asyncio.run(result())


def _tell(source: str, result: FeedReport | Exception) -> int:
    """Print a line for each delivery."""
    if isinstance(result, Exception):
        print(f"{source}: {result}", file=sys.stderr)
        return TROUBLE
    for delivery in result.deliveries:
        print(f"{result.feed} {delivery}")
    if result.skipped or not result.deliveries:
        print(f"{result.feed} {result.summary}")
    else:
        for remark in result.remarks:
            print(f"{result.feed} {remark}")
    return 0

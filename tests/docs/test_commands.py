"""The tutorial is typed as it stands, then every command of every other page is run; its servers serve both."""

import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.cli import _parser, main
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.docs.pages import PAGES, ROOT, blocks
from tests.docs.shell import Terminal, is_shown
from tests.e2e.processes import eventually, speaking_to
from tests.flows.conftest import Feed
from tests.receiver import unused_port

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(900),  # the first test has all the servers started
    # Prefect leaves its client's connections to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

TUTORIAL = "docs/tutorial.md"
#: Lines of the tutorial that are not typed as they come, and why.
NOT_TYPED = {
    "make install": "the tests run in what it makes",
    "rm -r tutorial": "typed when all has ended",
}
#: Lines that are not run, by how they begin, and why. Keep it short: a command that can be run should be.
NOT_RUN = {
    "make": "its target must exist; the tests run in what it makes, or it is what is run elsewhere",
    "git pull": "it changes the project",
    "aws s3": "Amazon's own program; the tutorial makes the same requests",
    "sqlite3 ": "SQLite's own program, which need not be installed",
    ".venv/bin/prefect work-pool create": "the tutorial's worker has made the pool; tests/e2e makes it by this command",
    ".venv/bin/prefect server start": "the tutorial's runs",
    ".venv/bin/prefect worker start": "the tutorial's runs",
    ".venv/bin/prefect --no-prompt deploy --all": "tests/e2e does it, the tutorial with one feed",
    ".venv/bin/px-import apply": "tests/e2e does it with several files, the tutorial with one",
    "docker build": "there is no Docker engine here",
    "cd /opt/px-import": "it sets up a machine, as the next seven do",
    ".venv/bin/pip install": "it sets up a machine",
    "PREFECT_API_URL=": "it is for a machine that is set up, as the next one is",
    "prefect block": "it takes a document away; tests/deployments does not",
    "runuser": "it takes an account of its own",
    "useradd": "it sets up a machine",
    "install -": "it sets up a machine",
    "cp deployments/systemd": "it sets up a machine",
    "systemctl": "it sets up a machine; tests/deployments has systemd judge the units",
    "mkdir -p feeds": "it only makes the folder of the next command",
    "for each in": "tests/flows plays it with the functions behind the commands",
    ".venv/bin/px-import serve": "it stays until it is stopped; tests/e2e does it",
    "px-import apply feeds/": "tests/flows does it with a folder",
    "px-import apply --automations --notify": "tests/e2e does it with a block of its own",
    "px-import chaos": "it takes hours; tests/chaos plays parts of it",
}
#: A command of ours, as far as a shell hands it over.
_OURS = r"(?<!create )px-import ([a-z][^|;&>]*)"
GOOD = "id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n"
DAY = "20210228"


@dataclass
class Tutorial:
    """What was typed, and for each shown piece of output what the commands before it really printed."""

    terminal: Terminal
    shown: list[tuple[str, str]] = field(default_factory=list)

    def every(self, kind: str) -> list[dict[str, Any]]:
        """All `flow_runs`, `deployments`, … that its Prefect server knows."""
        url = f"{self.terminal.environment['PREFECT_API_URL']}/{kind}/filter"
        return list(httpx.post(url, json={}, timeout=60).raise_for_status().json())


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    with Terminal(tmp_path_factory.mktemp("tutorial"), unused_port()) as terminal:
        played, printed = Tutorial(terminal), ""
        for block in blocks(TUTORIAL):
            if block.language == "text":
                played.shown.append((block.text, printed))
                printed = ""
            else:
                typed = [line for line in block.text.splitlines() if line not in NOT_TYPED]
                printed += terminal.type("\n".join(typed))
        yield played
    terminal.type("rm -r tutorial")


def test_the_tutorial_prints_what_it_shows(tutorial: Tutorial) -> None:
    assert tutorial.shown
    for shown, printed in tutorial.shown:
        missing = [line for line in shown.splitlines() if not is_shown(line, printed)]
        assert not missing, f"{TUTORIAL} shows what is not printed; this is:\n{printed}"


def test_the_good_file_is_imported_and_the_faulty_one_is_not(tutorial: Tutorial) -> None:
    with closing(sqlite3.connect(tutorial.terminal.folder / "tutorial/px.db")) as store:
        assert store.execute("SELECT id, score FROM users ORDER BY id").fetchall() == [("007", 12.5), ("008", None)]
        verdicts = "SELECT day, verdict FROM import_deliveries WHERE finished_at_ms > 0 ORDER BY day"
        # a scheduled run may have been quicker than the one that was typed
        eventually(lambda: store.execute(verdicts).fetchall() == [("20260302", "SUCCESS"), ("20260303", "ERROR")])


def test_prefect_shows_what_the_page_says_one_sees(tutorial: Tutorial) -> None:
    eventually(lambda: {"Imported", "Rejected", "Scheduled"} <= {r["state_name"] for r in tutorial.every("flow_runs")})
    [imported] = [run for run in tutorial.every("flow_runs") if run["state_name"] == "Imported"]
    assert imported["state"]["message"] == "1 folder, 2 records"
    assert "feed-users" in {each["key"] for each in tutorial.every("artifacts")}
    [deployment] = tutorial.every("deployments")
    assert deployment["schedules"][0]["active"]


@dataclass(frozen=True)
class Line:
    """A line of a page that is meant for a shell.

    Attributes:
        shown: what the page says that it prints; empty where it does not say.
    """

    page: str
    text: str
    shown: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def lines(page: str) -> Iterator[Line]:
    for block in blocks(page):
        if block.language != "sh":
            continue
        if block.text.startswith("$ "):
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                yield Line(page, command.strip(), shown.rstrip())
        elif re.search(r"<<|^done", block.text, re.MULTILINE):  # its lines belong together
            yield Line(page, block.text.strip(), "")
        else:
            for text in block.text.replace("\\\n", " ").splitlines():
                if command := re.sub(r"(^|\s+)#.*", "", text).strip():
                    yield Line(page, command, "")


TYPED = {line.text for line in lines(TUTORIAL)}
#: Each once, however its program is called.
LINES = list(
    {each.text.removeprefix(".venv/bin/"): each for page in PAGES if page != TUTORIAL for each in lines(page)}.values()
)


def is_harmless(text: str) -> bool:
    """Whether it starts nothing but our own program: no page may change the machine on which the tests run."""
    parts = re.split(r"\||&&|;|\n", text)
    return all(re.match(r"\s*(export [A-Z]|psql |(\.venv/bin/)?px-import )", part) for part in parts)


def is_wanted(line: Line) -> bool:
    return line.text not in TYPED and not line.text.startswith(tuple(NOT_RUN))


def is_run(line: Line) -> bool:
    return is_wanted(line) and is_harmless(line.text)


def test_every_command_is_run_or_excused() -> None:
    left = "\n".join(str(line) for line in LINES if is_wanted(line) and not is_run(line))
    assert not left, f"only px-import is run here; name each of these in NOT_RUN of this test, with the reason:\n{left}"


@pytest.mark.parametrize("line", [each for each in LINES if re.search(_OURS, each.text)], ids=str)
def test_px_import_knows_the_options(line: Line) -> None:
    for words in re.findall(_OURS, line.text):
        _parser().parse_args(shlex.split(words))


@pytest.mark.parametrize("line", [each for each in LINES if each.text.startswith("make")], ids=str)
def test_the_target_exists(line: Line) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(line.text.split()[1:]) <= set(targets)


def test_nothing_is_excused_that_is_not_there() -> None:
    said = "take this out of NOT_RUN, no page has it any more"
    assert not [each for each in NOT_RUN if not any(line.text.startswith(each) for line in LINES)], said


@dataclass(frozen=True)
class Stage:
    """The folder where the commands are typed, and how its files come to be."""

    tutorial: Tutorial
    s3: LocalS3
    receiver: Receiver

    @property
    def folder(self) -> Path:
        return self.tutorial.terminal.folder

    def set(self, bucket: str) -> dict[str, str]:
        """One delivery imported, its callback not received, and files to look at; the ids that examples stand for."""
        self.s3.create_bucket(bucket)
        for name, entity in (("accounts", "account"), ("users", "user")):
            feed = Feed(self.s3, bucket, self.folder, self.receiver, name)
            store = f"sqlite:///{self.folder}/{bucket}.db"
            nobody = {"url": f"http://127.0.0.1:{unused_port()}/", "allow_http": True}
            nobody["allowed_networks"] = ["127.0.0.0/8"]
            feed.configure(entity=entity, store=store, status_endpoint=nobody)
        feed.drop(DAY, users_csv_gz=GOOD)
        assert main(["run", str(feed.settings_file)]) == 0
        feed.configure(store=store)
        (self.folder / "export.sql").touch()
        for name, text in {"users.csv": GOOD, "accounts.csv": "productKey,id\r\nAP-XXXXXXXXXX-2,1\r\n"}.items():
            (self.folder / name).write_text(text)
        self.tutorial.terminal.type("gzip --force --keep users.csv; px-import catalogue default user > attributes.json")
        [delivery] = Ledger(open_store(store)).deliveries()
        [callback] = Ledger(open_store(store)).callbacks("users")
        return {"8e2bff": delivery.id[:6], "9f3a": callback.id[:8]}


@pytest.fixture(scope="module")
def stage(tutorial: Tutorial, local_s3: LocalS3) -> Iterator[Stage]:
    terminal = tutorial.terminal
    programs = terminal.folder / "programs"
    programs.mkdir()
    (programs / "psql").write_text("#!/bin/sh\ncat users.csv\n")  # stands in for a program that writes a file
    (programs / "psql").chmod(0o755)
    path = f"{terminal.folder}/.venv/bin:{programs}:{terminal.environment['PATH']}"
    terminal.environment |= {"PATH": path}
    with (
        Receiver() as receiver,
        pytest.MonkeyPatch.context() as patch,
        speaking_to(terminal.environment["PREFECT_API_URL"]),
    ):
        patch.chdir(terminal.folder)
        patch.setattr("tasks.notify.within_run", lambda *_: False)
        stage = Stage(tutorial, local_s3, receiver)
        stage.set("docs")
        yield stage


@pytest.mark.parametrize(("number", "line"), [*enumerate(each for each in LINES if is_run(each))], ids=str)
def test_a_command_does_what_its_page_says(stage: Stage, number: int, line: Line, capfd) -> None:
    text = line.text
    changes = re.search("replay|resend|show|run ", text)
    for example, real in (stage.set(f"docs-{number}") if changes else {}).items():
        text = text.replace(example, real)
    capfd.readouterr()
    plain = re.fullmatch(r"(?:\.venv/bin/)?px-import ([^|;&>$]*)", text)
    if plain:  # without another start of Python
        code, printed = main(shlex.split(plain[1])), "".join(capfd.readouterr())
    else:
        code, printed = 0, stage.tutorial.terminal.type(text)
    hint = f"mend the page or the command, or name it in NOT_RUN of this test with the reason:\n{text}\n{printed}"
    if line.shown:
        assert not [each for each in line.shown.splitlines() if not is_shown(each, printed)], hint
    else:
        assert code == 0, hint

"""Every command of every page is run, on embedded servers; those of the tutorial are typed in its own test."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.cli import _parser, main
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.docs.conftest import PAGE, Tutorial, is_shown
from tests.docs.pages import PAGES, ROOT, blocks
from tests.flows.conftest import Feed
from tests.receiver import unused_port

pytestmark = pytest.mark.e2e

#: Lines that are not run, by how they begin, and why. Keep it short: a command that can be run should be.
NOT_RUN = {
    "make": "its target must exist; the tests run in what it makes, or it is what is run elsewhere",
    "git pull": "it changes the project",
    "aws s3": "Amazon's own program; the tutorial makes the same requests",
    "sqlite3 ": "SQLite's own program, which need not be installed",
    ".venv/bin/pip install pip-audit": "it asks a service on the network",
    ".venv/bin/prefect work-pool create": "the tutorial's worker has made the pool; tests/e2e makes it by this command",
    ".venv/bin/prefect server start": "the tutorial's runs",
    ".venv/bin/prefect worker start": "the tutorial's runs",
    "px-import chaos": "it takes hours; tests/chaos plays parts of it",
}
#: A command of ours, as far as a shell hands it over.
_OURS = r"(?<!create )px-import ([a-z][^|;&>]*)"
#: Names in examples, and what stands for them here.
_OTHER_DAYS = "20210226 20210227 20210228"
GOOD = "id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n"
DAY = "20210228"


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
        else:
            for text in block.text.replace("\\\n", " ").splitlines():
                if command := re.sub(r"(^|\s+)#.*", "", text).strip():
                    yield Line(page, command, "")


TYPED = {line.text for line in lines(PAGE)}
LINES = list({each.text: each for page in PAGES if page != PAGE for each in lines(page)}.values())


def is_run(line: Line) -> bool:
    return line.text not in TYPED and not line.text.startswith(tuple(NOT_RUN))


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

    def set(self, number: int) -> dict[str, str]:
        """One delivery imported, its callback not received, and files to look at; the ids that examples stand for."""
        bucket = f"docs-{number}"
        self.s3.create_bucket(bucket)
        for name, entity in (("accounts", "account"), ("users", "user")):
            feed = Feed(self.s3, bucket, self.folder, self.receiver, name)
            store = f"sqlite:///{self.folder}/{bucket}.db"
            dead = {"url": f"http://127.0.0.1:{unused_port()}/", "allow_http": True, "allowed_networks": ["127.0.0.0/8"]}
            feed.configure(entity=entity, store=store, status_endpoint=dead)
        feed.drop(DAY, users_csv_gz=GOOD)
        assert main(["run", str(feed.settings_file)]) == 0
        feed.configure(store=store)
        (self.folder / "export.sql").touch()
        for name, text in {"users.csv": GOOD, "accounts.csv": "productKey,id\r\nAP-XXXXXXXXXX-2,1\r\n"}.items():
            (self.folder / name).write_text(text)
        self.tutorial.terminal.type("gzip --force --keep users.csv; px-import catalogue default user > attributes.json")
        [delivery] = Ledger(open_store(store)).deliveries()
        [callback] = Ledger(open_store(store)).callbacks("users")
        return {"8e2bff": delivery.id[:6], "9f3a": callback.id[:8], _OTHER_DAYS: DAY}


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
        temporary_settings({PREFECT_API_URL: terminal.environment["PREFECT_API_URL"]}),
    ):
        patch.chdir(terminal.folder)
        patch.setattr("tasks.notify.within_run", lambda *_: False)
        yield Stage(tutorial, local_s3, receiver)


@pytest.mark.parametrize(("number", "line"), [*enumerate(each for each in LINES if is_run(each))], ids=str)
def test_a_command_does_what_its_page_says(stage: Stage, number: int, line: Line, capfd) -> None:
    text = line.text
    changes = re.search("replay|resend|show|run ", text)
    for example, real in (stage.set(number) if changes or not number else {}).items():
        text = text.replace(example, real)
    capfd.readouterr()
    plain = re.fullmatch(r"(?:\.venv/bin/)?px-import ([^|;&>$]*)", text)
    if plain:  # without another start of Python
        code, printed = main(shlex.split(plain[1])), "".join(capfd.readouterr())
    else:
        code, printed = 0, stage.tutorial.terminal.type(text)
    hint = f"{line}\nis run like this by tests/docs/test_commands.py, and failed. Mend the page or the command. What cannot be"
    hint += f" run at all is named in NOT_RUN there, with the reason.\n{text}\n{printed}"
    if line.shown:
        assert not [each for each in line.shown.splitlines() if not is_shown(each, printed)], hint
    else:
        assert code == 0, hint

"""What each row costs, against the least that it could cost: a mistake that makes it tenfold shows here.

Both are measured in this process, in turn, in seconds of CPU; the bounds leave room for a busy machine.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.sqlite_store import SqliteStore
from schemas.catalogue import Catalogue, Entity
from schemas.settings import Destination, FileSettings
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate
from tests.bench import limits
from tests.bench.files import LAYOUTS, write

LAYOUT = LAYOUTS["12 columns"]
SETTINGS = FileSettings(destination=Destination(product="AP-X"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ratios") / "users.csv.gz"
    write(path, LAYOUT, 100_000)
    return path


def validated(file: Path) -> ValidFile | Rejection:
    with file.open("rb") as source:
        return validate(source, Catalogue.parse(LAYOUT.entries()), SETTINGS, spool=file.with_suffix(".arrow"))


def ratio(ours: Callable[[], object], least: Callable[[], object]) -> float:
    """Of the least seconds that each took."""
    pairs = [(_seconds(ours), _seconds(least)) for _ in range(3)]
    return min(pair[0] for pair in pairs) / min(pair[1] for pair in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def test_a_file_is_judged_in_some_times_what_reading_it_takes(file: Path) -> None:
    assert ratio(lambda: validated(file), lambda: limits.parse(file)) < 10


@pytest.mark.rule("F5")
def test_a_wrong_file_costs_about_as_much_as_a_right_one(file: Path) -> None:
    wrong = file.with_name("wrong.csv.gz")
    write(wrong, LAYOUT, 100_000, faulty=1.0)
    assert isinstance(validated(wrong), Rejection)
    assert ratio(lambda: validated(wrong), lambda: validated(file)) < 3


def test_a_load_takes_some_times_what_sqlite_alone_does(file: Path, tmp_path: Path) -> None:
    valid = validated(file)
    assert isinstance(valid, ValidFile)

    def load() -> None:
        path = tmp_path / "ours.db"
        path.unlink(missing_ok=True)
        with SqliteStore(path).transaction() as transaction:
            transaction.upsert(Entity.USER, valid, clear_blanks=False, progress=lambda: None)

    def bare() -> None:
        path = tmp_path / "bare.db"
        path.unlink(missing_ok=True)
        limits.sqlite(str(path), valid, limits.Stopwatch())

    assert ratio(load, bare) < 5

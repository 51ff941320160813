"""What is special to SQLite; what every store does is in `test_stores`."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.sqlite_store import SqliteStore
from blocks.stores import open_store
from schemas.catalogue import AttributeType
from schemas.errors import AccessRefused, ImporterError, SettingsError, StoreBusy, StoreConflict
from schemas.outcome import LoadCounts
from tests.blocks.conftest import MakeFile, load, look, records

STRING, NUMBER, *_ = AttributeType


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "px.db", patience_seconds=30)


# --- values and columns -----------------------------------------------------------------------------------------------


@pytest.mark.rule("V2")
def test_each_type_has_its_form(store: SqliteStore, make_file: MakeFile) -> None:
    moment = datetime(2021, 2, 28, 7, 5, 9, 120000, tzinfo=UTC)
    load(store, make_file([{"id": "1", "name": "007", "score": 1.0, "active": True, "since": moment}]))
    assert look(store, "SELECT * FROM users") == [("1", "007", 1.0, 1, "2021-02-28T07:05:09.120Z")]
    kinds = "typeof(id), typeof(name), typeof(score), typeof(active), typeof(since)"
    assert look(store, f"SELECT {kinds} FROM users") == [("text", "text", "real", "integer", "text")]
    assert look(store, "SELECT id FROM users WHERE since < '2022'") == [("1",)], "a year alone compares as text"


@pytest.mark.rule("V7")
def test_an_id_may_be_as_long_as_it_likes(store: SqliteStore, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "x" * 1_000_000}]))
    assert records(store, "length(id)") == [(1_000_000,)]


@pytest.mark.rule("L2")
def test_a_record_that_has_these_values_is_not_written_again(store: SqliteStore, make_file: MakeFile) -> None:
    valid = make_file([{"id": "a", "name": "x"}, {"id": "b", "name": "y"}])
    load(store, valid)
    with store.transaction() as tx:
        tx.execute("CREATE TRIGGER no_update BEFORE UPDATE ON users BEGIN SELECT raise(ABORT, 'written again'); END")
    assert load(store, valid).unchanged == 2


@pytest.mark.rule("L4")
@pytest.mark.parametrize("known", [[], ["Score"]], ids=["both-new", "one-is-there"])
def test_names_that_sqlite_cannot_tell_apart_are_refused(
    store: SqliteStore, make_file: MakeFile, known: list[str]
) -> None:
    def bring(*names: str) -> None:
        types = {"id": STRING, **dict.fromkeys(names, NUMBER)}
        load(store, make_file([dict.fromkeys(names) | {"id": "a"}], types=types))

    bring(*known)
    with pytest.raises(StoreConflict, match=r"users\.score: .*'Score'"):
        bring("Score", "score")
    with pytest.raises(StoreConflict, match=r"users\.ID: .*'id'"):
        bring("ID")
    bring("Größe", "GrÖße")


@pytest.mark.rule("L4")
def test_more_columns_than_sqlite_holds_are_refused(store: SqliteStore, make_file: MakeFile) -> None:
    types = {"id": STRING, **{f"a{n}": STRING for n in range(2000)}}
    with pytest.raises(StoreConflict, match="2000 columns at most"):
        load(store, make_file([dict.fromkeys(types)], types=types))


@pytest.mark.rule("L4")
def test_attributes_may_not_take_every_name_of_the_row_number(store: SqliteStore, make_file: MakeFile) -> None:
    types = {"id": STRING, "rowid": NUMBER, "OID": NUMBER, "_RowId_": NUMBER}
    with pytest.raises(StoreConflict, match="disable one of the three"):
        load(store, make_file([{"id": "a", "rowid": 1.0, "OID": 2.0, "_RowId_": 3.0}], types=types))


@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_a_thousand_columns_and_more_are_no_problem(
    store: SqliteStore, make_file: MakeFile, clear_blanks: bool
) -> None:
    types = {"id": STRING, **{f"a{n}": NUMBER for n in range(1500)}}
    rows = [{"id": "a", **{f"a{n}": float(n) for n in range(1500)}}]
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == LoadCounts(created=1)
    rows[0]["a1499"] = 0.0
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == LoadCounts(updated=1)


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_new_file_that_another_run_is_just_opening_is_waited_for(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, other.execute, ["ROLLBACK"]).start()
        with store.transaction() as tx:
            assert tx.execute("PRAGMA journal_mode") == [("wal",)]


def test_what_is_committed_is_synced(store: SqliteStore) -> None:
    with store.transaction() as tx:
        assert tx.execute("PRAGMA synchronous") == [(2,)]
        assert tx.execute("PRAGMA journal_mode") == [("wal",)]
        assert tx.execute("PRAGMA foreign_keys") == [(1,)]


# --- faults -----------------------------------------------------------------------------------------------------------


def locked(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.execute("SELECT 1")
        with SqliteStore(store.path, patience_seconds=0.05).transaction():
            pass


def locked_while_new(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with SqliteStore(store.path, patience_seconds=0.05).transaction():
            pass


def full(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.execute("PRAGMA max_page_count = 5")
        tx.execute("CREATE TABLE big AS SELECT hex(zeroblob(1000000)) AS x")


def not_a_database(store: SqliteStore) -> None:
    store.path.write_bytes(b"id,name\r\n" * 1000)
    with store.read() as reader:
        reader.now_ms()


def damaged(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.execute("CREATE TABLE t AS SELECT hex(zeroblob(100000)) AS x")
    content = bytearray(store.path.read_bytes())
    content[100:8192] = b"\xff" * 8092
    store.path.write_bytes(content)
    with store.read() as reader:
        reader.execute("SELECT * FROM t")


def constrained(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.execute("CREATE TABLE t (x)")
        sql = "CREATE TRIGGER no BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'nobody wants it'); END"
        tx.execute(sql)
    with store.transaction() as tx:
        tx.execute("INSERT INTO t VALUES (1)")


def no_folder(store: SqliteStore) -> None:
    with SqliteStore(store.path.parent / "missing" / "px.db").transaction():
        pass


def a_folder(store: SqliteStore) -> None:
    with SqliteStore(store.path.parent).read():
        pass


def writing_refused(store: SqliteStore) -> None:
    store.path.touch()
    with store.read() as reader:
        reader.execute("CREATE TABLE t (x)")


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (locked, StoreBusy, "locked"),
        (locked_while_new, StoreBusy, "locked"),
        (full, StoreBusy, "full"),
        (constrained, StoreConflict, "refuses a record: nobody wants it.*look for columns, constraints and triggers"),
        (not_a_database, StoreConflict, "not a database.*put back a backup"),
        (damaged, StoreConflict, "malformed.*put back a backup"),
        (no_folder, SettingsError, "store: the folder .*missing does not exist; create it"),
        (a_folder, StoreBusy, "unable to open"),
        (writing_refused, AccessRefused, "readonly.*let the importer's account write"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.rule("R3")
def test_a_fault_of_sqlite_becomes_a_sentence_with_its_cure(
    store: SqliteStore, fault: Callable[[SqliteStore], None], kind: type[ImporterError], sentence: str
) -> None:
    with pytest.raises(kind, match=rf"(?s){sentence}"):
        fault(store)


def test_a_reader_makes_no_database(store: SqliteStore) -> None:
    with pytest.raises(SettingsError, match="does not exist; nothing was imported there yet"), store.read():
        pass
    assert not store.path.exists()


def test_a_mistake_of_ours_stays_what_it_is(store: SqliteStore) -> None:
    store.path.touch()
    with pytest.raises(sqlite3.OperationalError, match="syntax"), store.read() as reader:
        reader.execute("SELEKT")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/px-import/px.db", Path("/var/lib/px-import/px.db")),
        ("SQLite:////var/px?x#y %20.db", Path("/var/px?x#y %20.db")),
    ],
)
def test_a_url_names_a_file(url: str, path: Path) -> None:
    assert open_store(url).name == str(path)

import itertools
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.ledger import Ledger
from blocks.sqlite_store import SqliteStore
from blocks.stores import open_store
from schemas.catalogue import Attribute, AttributeType, Entity
from schemas.errors import AccessRefused, ImporterError, SettingsError, StoreBusy, StoreConflict
from schemas.outcome import LoadCounts
from schemas.valid_file import PRODUCT_KEY, ValidFile
from tests.blocks.conftest import TYPES, MakeFile, write_valid_file

Rows = Sequence[Mapping[str, Any]]
STRING, NUMBER, BOOLEAN, DATE_TIME = AttributeType


def nothing() -> None:
    pass


def load(
    store: SqliteStore,
    valid: ValidFile,
    *,
    entity: Entity = Entity.USER,
    clear_blanks: bool = False,
    progress: Callable[[], None] = nothing,
) -> LoadCounts:
    with store.transaction() as tx:
        tx.prepare(entity, valid.attributes)
        return tx.upsert(entity, valid, clear_blanks=clear_blanks, progress=progress)


def look(store: SqliteStore, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as reader:
        return reader.execute(sql)


def records(store: SqliteStore, columns: str = "id, name, score") -> list[tuple[Any, ...]]:
    return look(store, f"SELECT {columns} FROM users ORDER BY id")


def products(store: SqliteStore) -> list[tuple[Any, ...]]:
    return look(store, "SELECT user_id, product_key FROM user_products ORDER BY user_id, product_key")


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("L1")
@pytest.mark.rule("V2")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("007", id="leading-zeros"),
        pytest.param(" x ", id="blanks-around"),
        pytest.param("NA", id="reads-like-missing"),
        pytest.param("null", id="reads-like-null"),
        pytest.param("1e5", id="reads-like-a-number"),
        pytest.param("true", id="reads-like-a-boolean"),
        pytest.param("2021-12-25", id="reads-like-a-date"),
        pytest.param("Zoë 🦉 \u200b", id="beyond-ascii"),
        pytest.param('a\r\nb,"c"\'; DROP TABLE users; --', id="line-breaks-and-quotes"),
        pytest.param("x" * 1_000_000, id="a-million-letters"),
    ],
)
def test_a_string_arrives_letter_by_letter_also_as_an_id(store: SqliteStore, make_file: MakeFile, text: str) -> None:
    load(store, make_file([{"id": text, "name": text}]))
    assert records(store, "id, name, typeof(id), typeof(name)") == [(text, text, "text", "text")]
    assert products(store) == [(text, "AP-FIXED-2-1")]


@pytest.mark.rule("V4")
@pytest.mark.parametrize("number", [0.0, 1.5, -2.0, 2.0**53, 0.1 + 0.2, 5e-324, 1.7976931348623157e308])
def test_a_number_keeps_all_its_bits(store: SqliteStore, make_file: MakeFile, number: float) -> None:
    load(store, make_file([{"id": "a", "score": number}]))
    assert records(store, "score, typeof(score)") == [(number, "real")]


@pytest.mark.rule("V5")
def test_a_boolean_is_one_or_zero(store: SqliteStore, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a", "active": True}, {"id": "b", "active": False}, {"id": "c"}]))
    assert records(store, "active, typeof(active)") == [(1, "integer"), (0, "integer"), (None, "null")]


@pytest.mark.rule("V6")
def test_a_date_is_text_of_one_width_whose_order_is_the_order_in_time(store: SqliteStore, make_file: MakeFile) -> None:
    written = {
        datetime(1, 1, 1, tzinfo=UTC): "0001-01-01T00:00:00.000Z",
        datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC): "1969-12-31T23:59:59.999Z",
        datetime(2021, 2, 28, 7, 5, 9, 120000, tzinfo=UTC): "2021-02-28T07:05:09.120Z",
        datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC): "9999-12-31T23:59:59.999Z",
    }
    load(store, make_file([{"id": str(n), "since": moment} for n, moment in enumerate(written)]))
    assert look(store, "SELECT since, typeof(since) FROM users ORDER BY since") == [
        (t, "text") for t in written.values()
    ]
    assert look(store, "SELECT count(*) FROM users WHERE since < '2021'") == [(2,)], "a year alone compares as text"


# --- what a load changes, and how it counts ---------------------------------------------------------------------------


@pytest.mark.rule("L2")
@pytest.mark.rule("L3")
def test_a_second_load_creates_nothing_and_counts_what_changed(store: SqliteStore, make_file: MakeFile) -> None:
    rows = [{"id": str(n), "name": "x", "score": 1.0, "active": True} for n in range(7)]
    assert load(store, make_file(rows)) == LoadCounts(created=7)
    assert load(store, make_file(rows)) == LoadCounts(unchanged=7)
    changed = [{**row, "score": 2.0} if row["id"] == "3" else row for row in rows] + [{"id": "new"}]
    assert load(store, make_file(changed)) == LoadCounts(created=1, updated=1, unchanged=6)
    assert records(store, "id, score")[3:5] == [("3", 2.0), ("4", 1.0)]


@pytest.mark.rule("L2")
def test_a_record_that_has_these_values_is_not_written_again(store: SqliteStore, make_file: MakeFile) -> None:
    valid = make_file([{"id": "a", "name": "x"}, {"id": "b", "name": "y"}])
    load(store, valid)
    with store.transaction() as tx:
        tx.execute("CREATE TRIGGER no_update BEFORE UPDATE ON users BEGIN SELECT raise(ABORT, 'written again'); END")
    assert load(store, valid).unchanged == 2


@pytest.mark.rule("V1")
@pytest.mark.parametrize(
    ("clear_blanks", "name", "counts"),
    [
        pytest.param(False, "old", LoadCounts(updated=1, unchanged=1), id="leave"),
        pytest.param(True, None, LoadCounts(updated=2), id="clear"),
    ],
)
def test_a_blank_leaves_or_clears(
    store: SqliteStore, make_file: MakeFile, clear_blanks: bool, name: str | None, counts: LoadCounts
) -> None:
    load(store, make_file([{"id": "a", "name": "old", "score": 1.0}, {"id": "b", "name": "old"}]))
    blanks = make_file([{"id": "a", "name": None, "score": 2.0}, {"id": "b", "name": None}])
    assert load(store, blanks, clear_blanks=clear_blanks) == counts
    assert records(store) == [("a", name, 2.0), ("b", name, None)]
    assert load(store, blanks, clear_blanks=clear_blanks) == LoadCounts(unchanged=2)


@pytest.mark.rule("H5")
@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_a_column_that_is_absent_is_untouched(store: SqliteStore, make_file: MakeFile, clear_blanks: bool) -> None:
    load(store, make_file([{"id": "a", "name": "x", "score": 1.0}]))
    assert load(store, make_file([{"id": "a", "name": "y"}]), clear_blanks=clear_blanks) == LoadCounts(updated=1)
    assert load(store, make_file([{"id": "a"}]), clear_blanks=clear_blanks) == LoadCounts(unchanged=1)
    assert records(store) == [("a", "y", 1.0)]


@pytest.mark.rule("C8")
def test_a_file_without_rows_loads_nothing(store: SqliteStore, make_file: MakeFile) -> None:
    assert load(store, make_file([])) == LoadCounts()
    assert look(store, "SELECT * FROM users") == []


@pytest.mark.rule("V7")
def test_ids_that_differ_in_case_are_two_records(store: SqliteStore, make_file: MakeFile) -> None:
    assert load(store, make_file([{"id": "a"}, {"id": "A"}, {"id": "a "}])) == LoadCounts(created=3)


@pytest.mark.rule("S1")
def test_accounts_have_tables_of_their_own(store: SqliteStore, make_file: MakeFile) -> None:
    valid = make_file([{"id": "a", "name": "x"}])
    load(store, valid, entity=Entity.USER)
    assert load(store, valid, entity=Entity.ACCOUNT) == LoadCounts(created=1)
    assert look(store, "SELECT id, name FROM accounts") == [("a", "x")]
    assert look(store, "SELECT account_id, product_key FROM account_products") == [("a", "AP-FIXED-2-1")]


def test_progress_is_told_after_each_batch(store: SqliteStore, make_file: MakeFile) -> None:
    calls: list[str] = []
    load(store, make_file([{"id": str(n)} for n in range(5)], batch_rows=2), progress=lambda: calls.append("batch"))
    assert len(calls) == 3


# --- ids on several rows ----------------------------------------------------------------------------------------------

AGAIN = [
    {"id": "a", "name": "first", "score": 1.0},
    {"id": "b", "name": "alone", "score": 5.0},
    {"id": "a", "name": "last", "score": None},
    {"id": "c", "name": "x", "score": 1.0},
    {"id": "c", "name": "y", "score": 2.0},
    {"id": "c", "name": None, "score": None},
]


@pytest.mark.rule("V8")
@pytest.mark.rule("L3")
@pytest.mark.parametrize("batch_rows", [1, 2, 100], ids=["a-row-a-batch", "across-batches", "one-batch"])
@pytest.mark.parametrize(
    ("clear_blanks", "expected"),
    [
        pytest.param(False, [("a", "last", 1.0), ("b", "alone", 5.0), ("c", "y", 2.0)], id="leave"),
        pytest.param(True, [("a", "last", None), ("b", "alone", 5.0), ("c", None, None)], id="clear"),
    ],
)
def test_the_last_row_of_an_id_wins_attribute_by_attribute(
    store: SqliteStore, make_file: MakeFile, clear_blanks: bool, expected: Rows, batch_rows: int
) -> None:
    valid = make_file(AGAIN, batch_rows=batch_rows)
    assert load(store, valid, clear_blanks=clear_blanks) == LoadCounts(created=3, repeated=3)
    assert records(store) == expected
    assert load(store, valid, clear_blanks=clear_blanks) == LoadCounts(unchanged=3, repeated=3), "as one row each"


@pytest.mark.rule("V8")
def test_a_repeated_id_changes_a_record_that_exists_once(store: SqliteStore, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a", "name": "last", "score": 1.0}, {"id": "c", "name": "old", "score": 9.0}]))
    assert load(store, make_file(AGAIN)) == LoadCounts(created=1, updated=1, unchanged=1, repeated=3)
    assert records(store) == [("a", "last", 1.0), ("b", "alone", 5.0), ("c", "y", 2.0)]


@pytest.mark.rule("V8")
def test_two_files_with_repeated_ids_fit_in_one_transaction(store: SqliteStore, make_file: MakeFile) -> None:
    valid = make_file(AGAIN)
    with store.transaction() as tx:
        tx.prepare(Entity.USER, valid.attributes)
        counts = [tx.upsert(Entity.USER, valid, clear_blanks=False, progress=nothing) for _ in range(2)]
    assert counts == [LoadCounts(created=3, repeated=3), LoadCounts(unchanged=3, repeated=3)]


@pytest.mark.rule("K3")
def test_products_of_every_row_are_added_and_none_is_removed(store: SqliteStore, make_file: MakeFile) -> None:
    first = [
        {"id": "a", PRODUCT_KEY: "AP-X-2-1"},
        {"id": "a", PRODUCT_KEY: "AP-Y-2-1"},
        {"id": "b", PRODUCT_KEY: "AP-X-2-1"},
    ]
    assert load(store, make_file(first)) == LoadCounts(created=2, repeated=1)
    assert load(store, make_file([{"id": "a"}, {"id": "b"}], product="AP-X-2-1")) == LoadCounts(unchanged=2)
    assert load(store, make_file([{"id": "b"}], product="AP-Z-3-2")) == LoadCounts(unchanged=1)
    assert products(store) == [("a", "AP-X-2-1"), ("a", "AP-Y-2-1"), ("b", "AP-X-2-1"), ("b", "AP-Z-3-2")]


# --- against a model --------------------------------------------------------------------------------------------------

ROW = st.fixed_dictionaries(
    {"id": st.sampled_from("abcdef"), PRODUCT_KEY: st.sampled_from(["AP-X-2-1", "AP-Y-2-1"])},
    optional={
        "name": st.none() | st.sampled_from(["x", "007", ""]).map(lambda text: text or None),
        "score": st.none() | st.sampled_from([0.0, 1.0]),
        "active": st.none() | st.booleans(),
        "since": st.none() | st.sampled_from([datetime(2021, 1, day, tzinfo=UTC) for day in (1, 2)]),
    },
)


class Model:
    """The rules in a few lines of Python."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.products: set[tuple[str, str]] = set()

    def load(self, rows: Rows, names: Sequence[str], *, clear_blanks: bool) -> LoadCounts:
        merged: dict[str, dict[str, Any]] = {}
        for row in rows:
            into = merged.setdefault(row["id"], {})
            into.update({n: row.get(n) for n in names if row.get(n) is not None or clear_blanks or n not in into})
            self.products.add((row["id"], row[PRODUCT_KEY]))
        before = {key: dict(record) for key, record in self.records.items()}
        for key, new in merged.items():
            record = self.records.setdefault(key, {})
            record.update({n: v for n, v in new.items() if v is not None or clear_blanks})
        known = [key for key in merged if key in before]
        same = [key for key in known if _filled(before[key]) == _filled(self.records[key])]
        return LoadCounts(len(merged) - len(known), len(known) - len(same), len(same), len(rows) - len(merged))


def _filled(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


@pytest.mark.rule("L2")
@pytest.mark.rule("V8")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(ROW, min_size=1, max_size=12), st.booleans(), st.integers(1, 5)), max_size=4))
def test_any_files_leave_the_store_as_the_rules_say(files: list[tuple[Rows, bool, int]]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "px.db")
        with store.transaction() as tx:
            tx.prepare(Entity.USER, [Attribute(name, kind) for name, kind in TYPES.items()])
        for rows, clear_blanks, batch_rows in files:
            valid = write_valid_file(Path(folder), rows, batch_rows=batch_rows)
            names = [attribute.api_name for attribute in valid.attributes]
            expected = model.load(rows, names, clear_blanks=clear_blanks)
            assert load(store, valid, clear_blanks=clear_blanks) == expected
        found = look(store, "SELECT id, name, score, active, since FROM users")
        assert set(products(store)) == model.products
    written = {
        record[0]: _filled(dict(zip(("id", "name", "score", "active", "since"), record, strict=True)))
        for record in found
    }
    for record in model.records.values():
        if record.get("since"):
            record["since"] = record["since"].strftime("%Y-%m-%dT00:00:00.000Z")
    assert written == {key: _filled(record) for key, record in model.records.items()}


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("L4")
@pytest.mark.parametrize(
    "api_name",
    [
        *("order", "SELECT", "users", "excluded", "merged_rows", "value", "NULL", "rowid", "oid", "_rowid_"),
        *('a"b', "it's", "größe", "名前", "x y", "?1", ":name", "%s", "a.b", "x--"),
    ],
)
@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_any_api_name_is_a_column(store: SqliteStore, make_file: MakeFile, api_name: str, clear_blanks: bool) -> None:
    types = {"id": STRING, api_name: NUMBER}
    rows = [{"id": "a", api_name: 7.0}, {"id": "a", api_name: 9.0}, {"id": "b", api_name: 1.0}]
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == LoadCounts(created=2, repeated=1)
    rows[2] = {"id": "b", api_name: 2.0}
    counts = LoadCounts(updated=1, unchanged=1, repeated=1)
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == counts
    quoted = api_name.replace('"', '""')
    assert look(store, f'SELECT id, users."{quoted}" FROM users ORDER BY id') == [("a", 9.0), ("b", 2.0)]


@pytest.mark.rule("L4")
def test_a_new_attribute_gets_a_column_and_old_records_have_no_value_there(
    store: SqliteStore, make_file: MakeFile
) -> None:
    load(store, make_file([{"id": "a", "name": "x"}]))
    assert load(store, make_file([{"id": "b", "score": 1.0}])) == LoadCounts(created=1)
    assert records(store) == [("a", "x", None), ("b", None, 1.0)]


@pytest.mark.rule("L4")
@pytest.mark.parametrize(("before", "after"), [*itertools.permutations(AttributeType, 2)])
def test_a_changed_type_is_refused_and_nothing_is_loaded(
    store: SqliteStore, make_file: MakeFile, before: AttributeType, after: AttributeType
) -> None:
    load(store, make_file([{"id": "a", "x": None}], types={"id": STRING, "x": before}))
    other = make_file([{"id": "b", "new": "y", "x": None}], types={"id": STRING, "x": after, "new": STRING})
    with pytest.raises(
        StoreConflict, match=rf"users\.x: .*{after}.*Nothing was loaded; put the attribute's former type"
    ):
        load(store, other)
    assert records(store, "*") == [("a", None)], "no record and no column came"


@pytest.mark.rule("L4")
@pytest.mark.parametrize("known", [(), ("Score",)], ids=["both-new", "one-is-there"])
def test_names_that_sqlite_cannot_tell_apart_are_refused(store: SqliteStore, known: tuple[str, ...]) -> None:
    with store.transaction() as tx:
        tx.prepare(Entity.USER, [Attribute(name, NUMBER) for name in known])
    with pytest.raises(StoreConflict, match=r"users\.score: .*'Score'"), store.transaction() as tx:
        tx.prepare(Entity.USER, [Attribute("Score", NUMBER), Attribute("score", NUMBER)])
    with pytest.raises(StoreConflict, match=r"users\.ID: .*'id'"), store.transaction() as tx:
        tx.prepare(Entity.USER, [Attribute("ID", STRING)])
    with store.transaction() as tx:
        tx.prepare(Entity.USER, [Attribute("Größe", NUMBER), Attribute("GrÖße", NUMBER)])


@pytest.mark.rule("L4")
@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE users (name TEXT)",
        "CREATE VIEW users AS SELECT 'x' AS id",
    ],
)
def test_somebody_elses_table_is_left_alone(store: SqliteStore, make_file: MakeFile, made: str) -> None:
    with store.transaction() as tx:
        tx.execute(made)
    with pytest.raises(StoreConflict, match="rename that table or name another database"):
        load(store, make_file([{"id": "a"}]))


@pytest.mark.rule("L4")
def test_more_columns_than_sqlite_holds_are_refused(store: SqliteStore) -> None:
    with pytest.raises(StoreConflict, match="2000 columns at most"), store.transaction() as tx:
        tx.prepare(Entity.USER, [Attribute(f"a{n}", STRING) for n in range(2000)])


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


@pytest.mark.rule("L2")
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_leaves_the_block_by_an_exception_never_was(
    store: SqliteStore, make_file: MakeFile, fault: type[BaseException]
) -> None:
    load(store, make_file([{"id": "a"}]))

    def fail() -> None:
        raise fault

    with pytest.raises(fault):
        load(store, make_file([{"id": "b", "name": "x"}]), progress=fail)
    assert records(store, "*") == [("a",)], "no record and no column came"
    assert load(store, make_file([{"id": "b"}])) == LoadCounts(created=1), "and nothing is locked"


@pytest.mark.rule("R2")
def test_readers_neither_wait_for_a_writer_nor_see_half_of_it(store: SqliteStore, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a"}]))
    seen = []
    impatient = SqliteStore(store.path, patience_seconds=0)
    load(store, make_file([{"id": "b"}, {"id": "c"}]), progress=lambda: seen.append(records(impatient, "id")))
    assert seen == [[("a",)]]
    with store.read() as reader:
        before = reader.execute("SELECT count(*) FROM users")
        load(store, make_file([{"id": "d"}]))
        assert reader.execute("SELECT count(*) FROM users") == before == [(3,)]
    assert len(records(store, "id")) == 4


def test_each_thread_has_its_turn(store: SqliteStore, make_file: MakeFile) -> None:
    files = [make_file([{"id": f"{n}-{m}"} for m in range(50)]) for n in range(6)]
    counts: list[LoadCounts] = []
    threads = [threading.Thread(target=lambda valid=valid: counts.append(load(store, valid))) for valid in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [LoadCounts(created=50)] * 6


def test_a_new_file_that_another_run_is_just_opening_is_waited_for(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.3, other.execute, ["ROLLBACK"]).start()
        with store.transaction() as tx:
            assert tx.execute("PRAGMA journal_mode") == [("wal",)]


def test_the_clock_is_the_databases_in_milliseconds(store: SqliteStore) -> None:
    store.path.touch()
    with store.read() as reader:
        now = datetime.fromtimestamp(reader.now_ms() / 1000, UTC)
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


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


def test_a_database_without_a_ledger_is_said_to_be_one(store: SqliteStore) -> None:
    store.path.touch()
    with pytest.raises(SettingsError, match="holds no ledger; nothing was imported there yet"):
        Ledger(store).deliveries()


def test_a_mistake_of_ours_stays_what_it_is(store: SqliteStore) -> None:
    store.path.touch()
    with pytest.raises(sqlite3.OperationalError, match="syntax"), store.read() as reader:
        reader.execute("SELEKT")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/px/px.db", Path("/var/lib/px/px.db")),
        ("SQLite:////var/px?x#y %20.db", Path("/var/px?x#y %20.db")),
        ("sqlite:///px.db", Path.cwd() / "px.db"),
    ],
)
def test_a_url_names_a_file(url: str, path: Path) -> None:
    assert open_store(url).name == str(path)


@pytest.mark.rule("S9")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://px:s3cret@host/db", "store: postgresql:// is not supported yet; write sqlite:////"),
        ("postgresql+psycopg://px:s3cret@host/db", "not supported yet"),
        ("mysql://px:s3cret@host/db", "not the URL of a store; write sqlite:////"),
        ("s3cret", "not the URL of a store"),
        ("", "not the URL of a store"),
        ("sqlite://px.db", "the path of the file is missing"),
        ("sqlite:///", "the path of the file is missing"),
        ("sqlite:////var/lib/", "the path of the file is missing"),
        ("sqlite:///:memory:", "in memory would forget"),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url)
    assert sentence in str(caught.value)
    assert "s3cret" not in str(caught.value)

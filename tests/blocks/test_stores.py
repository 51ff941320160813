"""What every store must do, on each of them."""

import itertools
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.database import Store
from blocks.ledger import Ledger
from blocks.stores import open_store
from schemas.catalogue import AttributeType, Entity
from schemas.errors import SettingsError, StoreConflict
from schemas.outcome import LoadCounts
from schemas.valid_file import PRODUCT_KEY
from tests.blocks.conftest import TYPES, MakeFile, Rows, load, look, nothing, products, records, write_valid_file

STRING, NUMBER, BOOLEAN, DATE_TIME = AttributeType


def moment(value: Any) -> datetime | None:
    """A date as a store gives it out."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


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
def test_a_string_arrives_letter_by_letter_also_as_an_id(store: Store, make_file: MakeFile, text: str) -> None:
    identifier = text[:1000]
    load(store, make_file([{"id": identifier, "name": text}]))
    assert records(store, "id, name") == [(identifier, text)]
    assert products(store) == [(identifier, "AP-FIXED-2-1")]


@pytest.mark.rule("V4")
@pytest.mark.parametrize("number", [0.0, 1.5, -2.0, 2.0**53, 0.1 + 0.2, 5e-324, 1.7976931348623157e308])
def test_a_number_keeps_all_its_bits(store: Store, make_file: MakeFile, number: float) -> None:
    load(store, make_file([{"id": "a", "score": number}]))
    assert records(store, "score") == [(number,)]


@pytest.mark.rule("V5")
def test_a_boolean_is_true_or_false(store: Store, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a", "active": True}, {"id": "b", "active": False}, {"id": "c"}]))
    assert records(store, "active") == [(True,), (False,), (None,)]
    assert look(store, "SELECT id FROM users WHERE active") == [("a",)]


@pytest.mark.rule("V6")
def test_dates_keep_their_milliseconds_and_their_order(store: Store, make_file: MakeFile) -> None:
    written = [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2021, 2, 28, 7, 5, 9, 120000, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    ]
    load(store, make_file([{"id": str(n), "since": each} for n, each in enumerate(reversed(written))] + [{"id": "b"}]))
    assert [moment(each) for (each,) in look(store, "SELECT since FROM users WHERE id < 'a' ORDER BY since")] == written
    assert look(store, "SELECT count(*) FROM users WHERE since < '2021-01-01'") == [(2,)]
    assert records(store, "since")[-1:] == [(None,)]


# --- what a load changes, and how it counts ---------------------------------------------------------------------------


@pytest.mark.rule("L2")
@pytest.mark.rule("L3")
def test_a_second_load_creates_nothing_and_counts_what_changed(store: Store, make_file: MakeFile) -> None:
    rows = [{"id": str(n), "name": "x", "score": 1.0, "active": True} for n in range(7)]
    assert load(store, make_file(rows)) == LoadCounts(created=7)
    assert load(store, make_file(rows)) == LoadCounts(unchanged=7)
    changed = [{**row, "score": 2.0} if row["id"] == "3" else row for row in rows] + [{"id": "new"}]
    assert load(store, make_file(changed)) == LoadCounts(created=1, updated=1, unchanged=6)
    assert records(store, "id, score")[3:5] == [("3", 2.0), ("4", 1.0)]


@pytest.mark.rule("V1")
@pytest.mark.parametrize(
    ("clear_blanks", "name", "counts"),
    [
        pytest.param(False, "old", LoadCounts(updated=1, unchanged=1), id="leave"),
        pytest.param(True, None, LoadCounts(updated=2), id="clear"),
    ],
)
def test_a_blank_leaves_or_clears(
    store: Store, make_file: MakeFile, clear_blanks: bool, name: str | None, counts: LoadCounts
) -> None:
    load(store, make_file([{"id": "a", "name": "old", "score": 1.0}, {"id": "b", "name": "old"}]))
    blanks = make_file([{"id": "a", "name": None, "score": 2.0}, {"id": "b", "name": None}])
    assert load(store, blanks, clear_blanks=clear_blanks) == counts
    assert records(store) == [("a", name, 2.0), ("b", name, None)]
    assert load(store, blanks, clear_blanks=clear_blanks) == LoadCounts(unchanged=2)


@pytest.mark.rule("H5")
@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_a_column_that_is_absent_is_untouched(store: Store, make_file: MakeFile, clear_blanks: bool) -> None:
    load(store, make_file([{"id": "a", "name": "x", "score": 1.0}]))
    assert load(store, make_file([{"id": "a", "name": "y"}]), clear_blanks=clear_blanks) == LoadCounts(updated=1)
    assert load(store, make_file([{"id": "a"}]), clear_blanks=clear_blanks) == LoadCounts(unchanged=1)
    assert records(store) == [("a", "y", 1.0)]


@pytest.mark.rule("C8")
def test_a_file_without_rows_loads_nothing(store: Store, make_file: MakeFile) -> None:
    assert load(store, make_file([])) == LoadCounts()
    assert look(store, "SELECT * FROM users") == []


@pytest.mark.rule("V7")
def test_ids_that_differ_in_case_are_two_records(store: Store, make_file: MakeFile) -> None:
    assert load(store, make_file([{"id": "a"}, {"id": "A"}, {"id": "a "}])) == LoadCounts(created=3)


@pytest.mark.rule("S1")
def test_accounts_have_tables_of_their_own(store: Store, make_file: MakeFile) -> None:
    valid = make_file([{"id": "a", "name": "x"}])
    load(store, valid, entity=Entity.USER)
    assert load(store, valid, entity=Entity.ACCOUNT) == LoadCounts(created=1)
    assert look(store, "SELECT id, name FROM accounts") == [("a", "x")]
    assert look(store, "SELECT account_id, product_key FROM account_products") == [("a", "AP-FIXED-2-1")]


def test_progress_is_told_after_each_batch(store: Store, make_file: MakeFile) -> None:
    calls: list[str] = []
    load(store, make_file([{"id": str(n)} for n in range(5)], batch_rows=2), progress=lambda: calls.append("batch"))
    assert len(calls) >= 3


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
    store: Store, make_file: MakeFile, clear_blanks: bool, expected: Rows, batch_rows: int
) -> None:
    valid = make_file(AGAIN, batch_rows=batch_rows)
    assert load(store, valid, clear_blanks=clear_blanks) == LoadCounts(created=3, repeated=3)
    assert records(store) == expected
    assert load(store, valid, clear_blanks=clear_blanks) == LoadCounts(unchanged=3, repeated=3), "as one row each"


@pytest.mark.rule("V8")
def test_a_repeated_id_changes_a_record_that_exists_once(store: Store, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a", "name": "last", "score": 1.0}, {"id": "c", "name": "old", "score": 9.0}]))
    assert load(store, make_file(AGAIN)) == LoadCounts(created=1, updated=1, unchanged=1, repeated=3)
    assert records(store) == [("a", "last", 1.0), ("b", "alone", 5.0), ("c", "y", 2.0)]


@pytest.mark.rule("V8")
def test_two_files_with_repeated_ids_fit_in_one_transaction(store: Store, make_file: MakeFile) -> None:
    valid = make_file(AGAIN)
    with store.transaction() as tx:
        counts = [tx.upsert(Entity.USER, valid, clear_blanks=False, progress=nothing) for _ in range(2)]
    assert counts == [LoadCounts(created=3, repeated=3), LoadCounts(unchanged=3, repeated=3)]


@pytest.mark.rule("K3")
def test_products_of_every_row_are_added_and_none_is_removed(store: Store, make_file: MakeFile) -> None:
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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.lists(ROW, min_size=1, max_size=12), st.booleans(), st.integers(1, 5)), max_size=4))
def test_any_files_leave_the_store_as_the_rules_say(store: Store, files: list[tuple[Rows, bool, int]]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        load(store, write_valid_file(Path(folder), [dict.fromkeys(TYPES) | {"id": "x", PRODUCT_KEY: "AP-X-2-1"}]))
        with store.transaction() as tx:  # every column is there, and no record
            tx.execute("DELETE FROM users")
            tx.execute("DELETE FROM user_products")
        for rows, clear_blanks, batch_rows in files:
            valid = write_valid_file(Path(folder), rows, batch_rows=batch_rows)
            names = [attribute.api_name for attribute in valid.attributes]
            expected = model.load(rows, names, clear_blanks=clear_blanks)
            assert load(store, valid, clear_blanks=clear_blanks) == expected
    assert set(products(store)) == model.products
    written = {
        record[0]: _filled(dict(zip(TYPES, (*record[:-1], moment(record[-1])), strict=True)))
        for record in look(store, f"SELECT {', '.join(TYPES)} FROM users")
    }
    assert written == {key: _filled(record) for key, record in model.records.items()}


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("L4")
@pytest.mark.parametrize(
    "api_name",
    [
        *("order", "SELECT", "users", "excluded", "merged_rows", "value", "NULL", "rowid", "oid", "_rowid_"),
        *("c0", "c1", "n", "p", "s", "t", "last", "lasts", "written", "px_rows"),
        *('a"b', "it's", "größe", "名前", "x y", "?1", ":name", "%s", "a.b", "x--"),
    ],
)
@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_any_api_name_is_a_column(store: Store, make_file: MakeFile, api_name: str, clear_blanks: bool) -> None:
    types = {"id": STRING, api_name: NUMBER}
    rows = [{"id": "a", api_name: 7.0}, {"id": "a", api_name: 9.0}, {"id": "b", api_name: 1.0}]
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == LoadCounts(created=2, repeated=1)
    rows[2] = {"id": "b", api_name: 2.0}
    counts = LoadCounts(updated=1, unchanged=1, repeated=1)
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == counts
    quoted = api_name.replace('"', '""')
    assert look(store, f'SELECT id, users."{quoted}" FROM users ORDER BY id') == [("a", 9.0), ("b", 2.0)]


@pytest.mark.rule("L4")
def test_a_new_attribute_gets_a_column_and_old_records_have_no_value_there(store: Store, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a", "name": "x"}]))
    assert load(store, make_file([{"id": "b", "score": 1.0}])) == LoadCounts(created=1)
    assert records(store) == [("a", "x", None), ("b", None, 1.0)]


@pytest.mark.rule("L4")
@pytest.mark.parametrize(("before", "after"), [*itertools.permutations(AttributeType, 2)])
def test_a_changed_type_is_refused_and_nothing_is_loaded(
    store: Store, make_file: MakeFile, before: AttributeType, after: AttributeType
) -> None:
    load(store, make_file([{"id": "a", "x": None}], types={"id": STRING, "x": before}))
    other = make_file([{"id": "b", "new": "y", "x": None}], types={"id": STRING, "x": after, "new": STRING})
    with pytest.raises(
        StoreConflict, match=rf"users\.x: .*{after}.*Nothing was loaded; put the attribute's former type"
    ):
        load(store, other)
    assert records(store, "*") == [("a", None)], "no record and no column came"


@pytest.mark.rule("L4")
@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "CREATE TABLE users (name TEXT)",
        "CREATE VIEW users AS SELECT 'x' AS id",
    ],
)
def test_somebody_elses_table_is_left_alone(store: Store, make_file: MakeFile, made: str) -> None:
    with store.transaction() as tx:
        tx.lock_schema()
        tx.execute(made)
    with pytest.raises(StoreConflict, match="rename that table or name another"):
        load(store, make_file([{"id": "a"}]))


# --- transactions -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("L2")
@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_what_leaves_the_block_by_an_exception_never_was(
    store: Store, make_file: MakeFile, fault: type[BaseException]
) -> None:
    load(store, make_file([{"id": "a"}]))

    def fail() -> None:
        raise fault

    with pytest.raises(fault):
        load(store, make_file([{"id": "b", "name": "x"}]), progress=fail)
    assert records(store, "*") == [("a",)], "no record and no column came"
    assert load(store, make_file([{"id": "b"}])) == LoadCounts(created=1), "and nothing is locked"


@pytest.mark.rule("R2")
def test_readers_neither_wait_for_a_writer_nor_see_half_of_it(store: Store, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a"}]))
    seen = []
    load(store, make_file([{"id": "b"}, {"id": "c"}]), progress=lambda: seen.append(records(store, "id")))
    assert seen
    assert all(found == [("a",)] for found in seen)
    with store.read() as reader:
        before = reader.execute("SELECT count(*) FROM users")
        load(store, make_file([{"id": "d"}]))
        assert reader.execute("SELECT count(*) FROM users") == before == [(3,)]
    assert len(records(store, "id")) == 4


def test_each_thread_has_its_turn(store: Store, make_file: MakeFile) -> None:
    files = [make_file([{"id": f"{n}-{m}"} for m in range(50)]) for n in range(6)]
    counts: list[LoadCounts] = []
    threads = [threading.Thread(target=lambda valid=valid: counts.append(load(store, valid))) for valid in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [LoadCounts(created=50)] * 6


def test_the_clock_is_the_databases_in_milliseconds_and_goes_on_in_a_transaction(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.now_ms()
        time.sleep(0.01)
        assert tx.now_ms() > first
    assert abs(datetime.now(UTC) - datetime.fromtimestamp(first / 1000, UTC)) < timedelta(seconds=5)


# --- what is not there ------------------------------------------------------------------------------------------------


def test_a_store_knows_its_tables(store: Store, make_file: MakeFile) -> None:
    assert not store.has("users")
    load(store, make_file([]))
    assert store.has("users")
    assert not store.has("accounts")


def test_a_database_without_a_ledger_is_said_to_be_one(store: Store, make_file: MakeFile) -> None:
    load(store, make_file([{"id": "a"}]))
    with pytest.raises(SettingsError, match="holds no ledger of this version; the next run makes it"):
        Ledger(store).deliveries()


@pytest.mark.rule("S9")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg://px:s3cret@host/db", "not the URL of a store; write sqlite:////"),
        ("mysql://px:s3cret@host/db", "not the URL of a store; write sqlite:////"),
        ("s3cret", "not the URL of a store"),
        ("", "not the URL of a store"),
        ("sqlite://px.db", "the path of the file is missing"),
        ("sqlite:///", "the path of the file is missing"),
        ("sqlite:////var/lib/", "the path of the file is missing"),
        ("sqlite:///:memory:", "in memory would forget"),
        ("sqlite:///px/px.db", f"another file in each working folder; write sqlite:///{Path.cwd()}/px/px.db"),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url)
    assert sentence in str(caught.value)
    assert "s3cret" not in str(caught.value)

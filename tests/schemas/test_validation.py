"""From the bytes of a file to its verdict: all or nothing, every fault in one pass."""

import io
import os
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import csv_table
from schemas.catalogue import Entity, default_catalogue
from schemas.date_format import DateFormat
from schemas.issues import Code
from schemas.valid_file import ARROW_TYPES, PRODUCT_KEY, ValidFile
from schemas.validation import Rejection, missing, unsupported, validate
from tests.schemas.making import CATALOGUE, FEED, USER, feed, few, judged, judged_bytes, keyed, written, zipped

ISO = "yyyy-MM-dd'T'HH:mm:ssX"


# --- what is right arrives as it was meant ---

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
records = st.fixed_dictionaries(
    {
        "id": texts.filter(bool),
        "text": texts | st.sampled_from(["NA", "null", "NaN", "007", " x ", "\ufeff", '"', "a\r\nb", ","]),
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "flag": st.none() | st.booleans(),
        "moment": st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    }
)


def as_cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "TRUE" if value else "false"
    return "" if value is None else str(value)


def as_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.replace(microsecond=0)
    return None if value == "" else value


@pytest.mark.rule("G2")
@pytest.mark.rule("V1")
@pytest.mark.rule("V2")
@pytest.mark.rule("V3")
@pytest.mark.rule("H5")
@few
@given(
    st.lists(records, max_size=6),
    st.permutations(["id", "text", "number", "flag", "moment"]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 200),
)
def test_typed_values_survive_the_way_through_csv(
    rows: list[dict[str, object]], header: list[str], line_end: str, batch_bytes: int
) -> None:
    text = written([header, *([as_cell(row[name]) for name in header] for row in rows)], line_end)
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        verdict = judged(text, feed(date_format=ISO), CATALOGUE)
    assert verdict.rows == [{name: as_value(row[name]) for name in header} for row in rows]
    file = verdict.accepted
    assert [attribute.api_name for attribute in file.attributes] == header
    assert file.rows == len(rows)
    assert file.repeated == len(rows) - len({row["id"] for row in rows})
    if rows:
        assert verdict.types == {attribute.api_name: ARROW_TYPES[attribute.type] for attribute in file.attributes}


@pytest.mark.rule("C8")
def test_a_header_alone_is_a_success_of_no_records() -> None:
    for text in ("id,email\r\n", "id,email", "\ufeffid,email\n\n\n"):
        verdict = judged(text)
        assert (verdict.accepted.rows, verdict.accepted.repeated, verdict.rows) == (0, 0, [])


@pytest.mark.rule("S4")
@pytest.mark.rule("K1")
def test_the_product_comes_from_its_column_or_from_the_settings() -> None:
    verdict = judged("productKey,id\nAP-X-2,1\nAP-Y-3-4,2\n", keyed())
    assert verdict.accepted.product_key is None
    assert verdict.column(PRODUCT_KEY) == ["AP-X-2-1", "AP-Y-3-4"]
    assert [attribute.api_name for attribute in verdict.accepted.attributes] == ["id"]
    fixed = judged("id\n1\n", feed(destination={"product": "AP-X", "channel": 3, "environment": "qa"}))
    assert str(fixed.accepted.product_key) == "AP-X-3-3"
    assert fixed.rows == [{"id": "1"}]


@pytest.mark.rule("K2")
def test_an_attributes_column_may_hold_the_product_key() -> None:
    verdict = judged("id,email\n1,AP-X-2\n", feed(destination={"product_key_column": "email"}))
    assert verdict.rows == [{"id": "1", PRODUCT_KEY: "AP-X-2-1"}]


@pytest.mark.rule("V4")
@pytest.mark.rule("V6")
def test_what_a_check_has_parsed_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = 0

    def parse(date_format: DateFormat, text: pa.Array) -> tuple[pa.Array, pa.Array]:
        nonlocal parsed
        parsed += len(text)
        return original(date_format, text)

    original = DateFormat.parse
    monkeypatch.setattr(DateFormat, "parse", parse)
    assert judged("id,signUpDate\n1,20211225\n2,\n").accepted.rows == 2
    assert parsed == 2


@pytest.mark.rule("V8")
@pytest.mark.parametrize("batch_bytes", [1, 8, csv_table.BATCH_BYTES])
def test_repeated_ids_are_counted_over_the_whole_file(batch_bytes: int) -> None:
    ids = ["a", "b", "a", "c", "A", "a ", "b", "a"]
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        verdict = judged("id\n" + "".join(f"{each}\n" for each in ids))
    assert verdict.accepted.repeated == 3
    assert verdict.column("id") == ids
    assert verdict.accepted.ids.repeats(pa.array(["a", "b", "c", "A", "zz"])).tolist() == [True, True, *[False] * 3]


# --- order, numbers and places ---


@pytest.mark.rule("C4")
def test_a_quote_never_closed_takes_the_rest_of_the_file() -> None:
    verdict = judged('id,email\n1,a\n2,"b\n3,c\n')
    assert verdict.sentences == ["Quote that is never closed: 1 row (line 3)"]
    assert isinstance(verdict.outcome, Rejection)
    assert verdict.outcome.rows == 2


@pytest.mark.rule("F2")
@pytest.mark.rule("F3")
@pytest.mark.parametrize("batch_bytes", [1, 100, csv_table.BATCH_BYTES])
def test_faults_are_told_file_first_then_header_then_cells_by_column(batch_bytes: int) -> None:
    rows = ["score,zz9,surveys,signUpDate,id,numberOfVisits"]
    rows += ["x,,y,z,,1e999"] * 7 + ["1,,true,20211225,1,1", 'a"b,,,,2,', "1,2"] + ["y,,,,5,"] * 5
    stored = zipped("\r\n".join([*rows, ""]).encode()) + b"garbage"
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        verdict = judged_bytes(stored)
    assert verdict.sentences == [
        "Bytes after the end of the gzip data",
        "Wrong number of fields (expected 6): 1 row (line 11)",
        "Quote inside an unquoted field: 1 row (line 10)",
        "Unknown PX Column: 'zz9'",
        "Invalid number in Column 'score': 12 rows (lines 2, 3, 4, 5, 6, …)",
        "Invalid boolean in Column 'surveys': 7 rows (lines 2, 3, 4, 5, 6, …)",
        "Invalid date in Column 'signUpDate' (expected yyyyMMdd): 7 rows (lines 2, 3, 4, 5, 6, …)",
        "Missing value in Column 'id': 7 rows (lines 2, 3, 4, 5, 6, …)",
        "Number out of range in Column 'numberOfVisits': 7 rows (lines 2, 3, 4, 5, 6, …)",
    ]
    assert [where.line for where in verdict.places] == sorted(where.line for where in verdict.places)
    assert len(verdict.places) == 1 + 1 + 12 + 4 * 7 + 2
    first = [(where.line, where.row, where.column) for where in verdict.places[:4]]
    assert first == [(0, 0, ""), (1, 0, "zz9"), (2, 1, "score"), (2, 1, "surveys")]


@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (1, "1 row (line 2)"),
        (2, "2 rows (lines 2, 3)"),
        (5, "5 rows (lines 2, 3, 4, 5, 6)"),
        (6, "6 rows (lines 2, 3, 4, 5, 6, …)"),
        (1234, "1234 rows (lines 2, 3, 4, 5, 6, …)"),
    ],
)
def test_the_number_is_exact_and_the_first_five_lines_are_shown(rows: int, sentence: str) -> None:
    assert judged("id,score\n" + "1,x\n" * rows).sentences == [f"Invalid number in Column 'score': {sentence}"]


@pytest.mark.rule("F2")
def test_a_row_is_named_by_the_line_on_which_it_starts() -> None:
    verdict = judged('\r\nid,email,score\r\n\r\n1,"a\r\nb\r\nc",x\r\n\n2,"\n",y\r\n')
    assert verdict.sentences == ["Invalid number in Column 'score': 2 rows (lines 4, 8)"]
    assert [(where.line, where.row) for where in verdict.places] == [(4, 1), (8, 2)]


@pytest.mark.rule("F2")
def test_cells_are_checked_under_known_headers_though_the_header_has_faults() -> None:
    verdict = judged("score,score,zz9,,surveys\nx,1,2,3,maybe\n")
    assert verdict.sentences[-2:] == [
        "Invalid number in Column 'score': 1 row (line 2)",
        "Invalid boolean in Column 'surveys': 1 row (line 2)",
    ]
    assert [code.value for code in verdict.codes[:4]] == [
        "duplicate-column",
        "unknown-column",
        "empty-column-name",
        "missing-column",
    ]


@pytest.mark.rule("F4")
@pytest.mark.parametrize("batch_bytes", [1, 50, csv_table.BATCH_BYTES])
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_no_more_places_are_kept_than_allowed_and_the_totals_stay_exact(most: int, batch_bytes: int) -> None:
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        verdict = judged("id,score,surveys\n" + "1,x,y\n" * 50, feed(limits={"max_error_lines": most}))
    expected = [(line, line - 1, column) for line in range(2, 52) for column in ("score", "surveys")]
    assert [(where.line, where.row, where.column) for where in verdict.places] == expected[:most]
    assert [issue.count for issue in verdict.issues] == [50, 50]


@pytest.mark.rule("F4")
def test_a_fault_of_the_whole_file_is_a_place_though_the_places_are_full() -> None:
    stored = zipped(b"id,score\n" + b"1,x\n" * 50) + b"xx"
    verdict = judged_bytes(stored, feed(limits={"max_error_lines": 3}))
    assert [(where.line, where.code) for where in verdict.places] == [
        (0, Code.TRAILING_BYTES),
        (2, Code.INVALID_NUMBER),
        (3, Code.INVALID_NUMBER),
    ]


@pytest.mark.rule("C6")
@pytest.mark.rule("F2")
def test_faults_up_to_the_row_limit_are_told_with_it() -> None:
    for batch_bytes in (1, csv_table.BATCH_BYTES):
        with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
            verdict = judged("id,score\n1,x\n2,2\n3,x\n", feed(limits={"max_rows": 2}))
        assert verdict.sentences == ["Too many rows: more than 2", "Invalid number in Column 'score': 1 row (line 2)"]
        assert judged("id\n1\n2\n\n", feed(limits={"max_rows": 2})).accepted.rows == 2


@pytest.mark.rule("C6")
def test_one_row_more_than_350000_in_a_file_of_several_batches() -> None:
    row = b"1,jane.doe@example.com,Jane,Doe,San Francisco\n"
    text = b"id,email,firstName,lastName,city\n" + row * 350_000
    assert len(text) > 1.5 * csv_table.BATCH_BYTES
    assert judged_bytes(zipped(text)).accepted.rows == 350_000
    assert judged_bytes(zipped(text + row)).sentences == ["Too many rows: more than 350000"]


@pytest.mark.rule("C3")
@pytest.mark.rule("F2")
def test_a_truncated_file_is_read_as_far_as_it_goes() -> None:
    stored = zipped(b"id,score\n" + b"".join(b"%d,x\n" % i for i in range(30_000)))
    verdict = judged_bytes(stored[:-20])
    assert verdict.codes == [Code.TRUNCATED_GZIP, Code.INVALID_NUMBER]
    assert verdict.issues[1].count > 20_000


# --- around it ---


@pytest.mark.rule("R3")
def test_progress_is_told_after_each_batch_and_may_stop_the_reading(tmp_path: Path) -> None:
    told = 0

    def progress() -> None:
        nonlocal told
        told += 1
        if told == 2:
            raise KeyboardInterrupt

    source = io.BytesIO(zipped(b"id\n1\n2\n3\n"))
    small = patch.object(csv_table, "BATCH_BYTES", 1), patch("schemas.gzip_stream.CHUNK_BYTES", 2)
    with small[0], small[1], pytest.raises(KeyboardInterrupt):
        validate(source, USER, FEED, spool=tmp_path / "typed.arrow", progress=progress)
    assert told == 2


def test_a_check_on_a_desk_spools_nothing() -> None:
    verdict = validate(io.BytesIO(zipped(b"id\n1\n1\n")), USER, FEED, spool=Path(os.devnull))
    assert isinstance(verdict, ValidFile)
    assert (verdict.rows, verdict.repeated) == (2, 1)


@pytest.mark.rule("D3")
def test_what_is_no_input_file_is_refused_unread() -> None:
    rejection = unsupported("users.csv")
    assert [str(issue) for issue in rejection.issues] == ["Unsupported file: 'users.csv' (expected .csv.gz)"]
    assert [(where.line, where.row, where.column) for where in rejection.places] == [(0, 0, "")]
    assert [issue.code for issue in missing("users.csv.gz").issues] == [Code.MISSING_FILE]


@pytest.mark.rule("G1")
def test_every_default_attribute_is_accepted_with_a_value_of_its_type() -> None:
    values = {"STRING": "x", "NUMBER": "1", "BOOLEAN": "true", "DATE_TIME": "20211225"}
    for entity in Entity:
        catalogue = default_catalogue(entity)
        attributes = catalogue.attributes
        text = written([[a.api_name for a in attributes], [values[a.type] for a in attributes]])
        assert judged(text, feed(entity=entity), catalogue).accepted.rows == 1

"""From the bytes of a file to its verdict: all or nothing, every fault in one pass."""

import csv
import io
import os
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import cells, csv_table
from schemas.catalogue import Catalogue, Entity, default_catalogue
from schemas.issues import Code
from schemas.valid_file import ARROW_TYPES, PRODUCT_KEY, ValidFile
from schemas.validation import Rejection, missing, unsupported, validate
from tests.schemas.making import FEED, USER, few, feed, judged, judged_bytes, keyed, zipped

ISO = "yyyy-MM-dd'T'HH:mm:ssX"


def written(rows: list[list[str]], line_end: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end).writerows(rows)
    return text.getvalue()


# --- what is right arrives as it was meant ---

CATALOGUE = Catalogue.parse(
    [
        {"apiName": "text", "type": "STRING"},
        {"apiName": "number", "type": "NUMBER"},
        {"apiName": "flag", "type": "BOOLEAN"},
        {"apiName": "moment", "type": "DATE_TIME"},
    ]
)
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
    return {None: "", True: "TRUE", False: "false"}.get(value, str(value)) if not isinstance(value, float) else repr(value)  # type: ignore[call-overload,no-any-return]


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


@pytest.mark.rule("V8")
@pytest.mark.parametrize("batch_bytes", [1, 8, csv_table.BATCH_BYTES])
def test_repeated_ids_are_counted_over_the_whole_file(batch_bytes: int) -> None:
    ids = ["a", "b", "a", "c", "A", "a ", "b", "a"]
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        verdict = judged("id\n" + "".join(f"{each}\n" for each in ids))
    assert verdict.accepted.repeated == 3
    assert verdict.column("id") == ids
    assert verdict.accepted.ids.repeats(pa.array(["a", "b", "c", "A", "zz"])).tolist() == [True, True, *[False] * 3]


# --- one mutation, one fault ---

HEADER = ["id", "productKey", "text", "number", "flag", "moment"]
SOUND = [
    ["1", "AP-X-2", "a", "1.5", "true", "2021-06-25T13:55:42Z"],
    ["2", "AP-X-2-1", "line 1\r\nline 2", "", "FALSE", ""],
    ["3", "AP-Y-3", 'say "hi", you', "-3e2", "", "2021-06-25T13:55:42+02"],
    ["4", "AP-X-1-4", "", "9007199254740992", "false", "0001-01-01T00:00:00Z"],
    ["5", "AP-X-1", "ü\n", "0", "True", "9999-12-31T23:59:59Z"],
]
LINES = [2, 3, 5, 6, 7]


def quoted(cell: str) -> bytes:
    plain = not set(cell) & set('",\r\n')
    return (cell if plain else '"' + cell.replace('"', '""') + '"').encode()


def with_cell(column: str, cell: bytes) -> Callable[[list[bytes]], list[bytes]]:
    place = HEADER.index(column)
    return lambda fields: [*fields[:place], cell, *fields[place + 1 :]]


CELL_MUTATIONS = [
    ("id", b"", Code.MISSING_VALUE),
    ("id", b'""', Code.MISSING_VALUE),
    ("productKey", b"", Code.MISSING_VALUE),
    ("productKey", b"AP-X", Code.INVALID_PRODUCT_KEY),
    ("productKey", b"AP-Z-1", Code.UNKNOWN_PRODUCT_KEY),
    ("number", b"1_000", Code.INVALID_NUMBER),
    ("number", b'"1,000"', Code.INVALID_NUMBER),
    ("number", b"inf", Code.INVALID_NUMBER),
    ("number", b"1e999", Code.NUMBER_OUT_OF_RANGE),
    ("number", b"9007199254740993", Code.NUMBER_OUT_OF_RANGE),
    ("flag", b"yes", Code.INVALID_BOOLEAN),
    ("flag", b"1", Code.INVALID_BOOLEAN),
    ("moment", b"2021-02-30T00:00:00Z", Code.INVALID_DATE),
    ("moment", b"2021-06-25", Code.INVALID_DATE),
]
RECORD_MUTATIONS: list[tuple[Callable[[list[bytes]], list[bytes]], Code]] = [
    (lambda fields: fields[:-1], Code.WRONG_FIELD_COUNT),
    (lambda fields: [*fields, b""], Code.WRONG_FIELD_COUNT),
    (with_cell("text", b'a"b'), Code.QUOTE_IN_FIELD),
    (with_cell("text", b'"a"b'), Code.TEXT_AFTER_QUOTE),
    (with_cell("text", b"a\rb"), Code.BARE_CARRIAGE_RETURN),
    (with_cell("text", b"a\0b"), Code.NUL_CHARACTER),
    (with_cell("text", b"caf\xe9"), Code.INVALID_ENCODING),
    (with_cell("number", b"\xff"), Code.INVALID_ENCODING),
]
MUTATIONS = [(with_cell(column, cell), code, column) for column, cell, code in CELL_MUTATIONS] + [
    (mutate, code, "") for mutate, code in RECORD_MUTATIONS
]
STRICT = keyed(allowed_product_keys=["AP-X-1", "AP-X-1-4", "AP-X-2", "AP-Y-3"]).model_copy(update={"date_format": ISO})


def assembled(rows: list[list[bytes]], line_end: bytes = b"\r\n") -> bytes:
    return line_end.join(b",".join(fields) for fields in [[name.encode() for name in HEADER], *rows]) + line_end


def sound_rows() -> list[list[bytes]]:
    return [[quoted(cell) for cell in row] for row in SOUND]


def test_the_file_before_the_mutations_is_sound() -> None:
    assert judged(assembled(sound_rows()), STRICT, CATALOGUE).accepted.rows == 5


@pytest.mark.rule("F1")
@pytest.mark.rule("F2")
@pytest.mark.rule("C4")
@pytest.mark.rule("V4")
@pytest.mark.rule("V5")
@pytest.mark.rule("V6")
@pytest.mark.rule("V7")
@pytest.mark.rule("K2")
@pytest.mark.parametrize("batch_bytes", [1, csv_table.BATCH_BYTES], ids=["row by row", "one batch"])
@pytest.mark.parametrize(("mutate", "code", "column"), MUTATIONS)
def test_each_mutation_is_one_fault_on_its_line_and_no_other(
    mutate: Callable[[list[bytes]], list[bytes]], code: Code, column: str, batch_bytes: int
) -> None:
    for place, line in enumerate(LINES):
        rows = sound_rows()
        rows[place] = mutate(rows[place])
        with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
            verdict = judged(assembled(rows), STRICT, CATALOGUE)
        [issue], [where] = verdict.issues, verdict.places
        assert (issue.code, issue.column, issue.count, issue.lines) == (code, column, 1, (line,))
        assert (where.code, where.column, where.line, where.row) == (code, column, line, place + 1)
        assert str(issue) == f"{where.message}: 1 row (line {line})"
        assert isinstance(verdict.outcome, Rejection)
        assert verdict.outcome.rows == 5


@pytest.mark.rule("F2")
@few
@given(st.lists(st.tuples(st.sampled_from(MUTATIONS), st.integers(0, 4)), max_size=4, unique_by=lambda pair: pair[1]))
def test_mutations_of_several_rows_are_all_found_in_one_pass(
    changes: list[tuple[tuple[Callable[[list[bytes]], list[bytes]], Code, str], int]],
) -> None:
    rows = sound_rows()
    for (mutate, _, _), place in changes:
        rows[place] = mutate(rows[place])
    lines = list(accumulate((b",".join(fields).count(b"\n") + 1 for fields in rows), initial=2))
    verdict = judged(assembled(rows), STRICT, CATALOGUE)
    found = [(where.line, where.row, where.code, where.column) for where in verdict.places]
    assert found == sorted(
        ((lines[place], place + 1, code, column) for (_, code, column), place in changes), key=lambda each: each[0]
    )
    assert sum(issue.count for issue in verdict.issues) == len(changes)
    assert isinstance(verdict.outcome, Rejection if changes else ValidFile)


@pytest.mark.rule("C4")
def test_a_quote_never_closed_takes_the_rest_of_the_file() -> None:
    verdict = judged('id,email\n1,a\n2,"b\n3,c\n')
    assert verdict.sentences == ["Quote that is never closed: 1 row (line 3)"]
    assert isinstance(verdict.outcome, Rejection)
    assert verdict.outcome.rows == 2


# --- order, numbers and places ---


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
    assert [(p.line, p.row, p.column) for p in verdict.places[:4]] == [(0, 0, ""), (1, 0, "zz9"), (2, 1, "score"), (2, 1, "surveys")]


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


# --- nothing of a rejected file is loaded, and nothing of it is told ---


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("text", "after"),
    [
        pytest.param(b"id,score\n" + b"1,1\n" * 500 + b"1,x\n", b"", id="cell on the last row"),
        pytest.param(b"id,score\n" + b"1,1\n" * 500 + b"1\n", b"", id="record on the last row"),
        pytest.param(b"id,score\n" + b"1,1\n" * 500, b"x", id="bytes behind the last member"),
        pytest.param(b"id,score\n" + b"1,1\n" * 500 + b"\xff", b"", id="encoding"),
    ],
)
def test_a_file_rejected_late_leaves_no_valid_file(text: bytes, after: bytes) -> None:
    with patch.object(csv_table, "BATCH_BYTES", 100):
        verdict = judged_bytes(zipped(text) + after)
    assert isinstance(verdict.outcome, Rejection)
    assert len(verdict.issues) == 1


CANARY = "canary"


def poisoned(row: int, column: int) -> str:
    return f"{CANARY}{row}x{column}"


@pytest.mark.rule("F3")
@pytest.mark.rule("S10")
def test_no_cell_is_ever_repeated_in_a_fault() -> None:
    rows = [[poisoned(row, column) for column in range(len(HEADER))] for row in range(20)]
    text = written([HEADER, *rows]) + f'{CANARY},"{CANARY}"{CANARY}\n{CANARY}\r{CANARY}"\n{CANARY}\0\n'
    verdict = judged_bytes(zipped(text.encode() + CANARY.encode() + b'\xff\n"' + CANARY.encode()), STRICT, CATALOGUE)
    assert len(verdict.issues) == 10
    assert CANARY not in repr(verdict.outcome) + " ".join(verdict.sentences)


@pytest.mark.rule("S10")
@pytest.mark.parametrize("column", ["number", "flag", "moment", "productKey", "id"])
def test_no_cell_is_repeated_where_a_check_itself_breaks(column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, text: pa.Array) -> pa.Array:
        raise ValueError(f"cannot take {text[0]}")

    names = {"moment": ("DateCells", "_is_date"), "productKey": ("ProductKeyCells", "_is_key")}
    functions = {"number": "_is_number", "flag": "_is_boolean", "id": "is_present"}
    if column in names:
        owner, name = names[column]
        monkeypatch.setattr(getattr(cells, owner), name, broken)
    else:
        monkeypatch.setattr(cells, functions[column], lambda text: broken(None, text))
    row = ["1" if name == "id" and column != "id" else poisoned(0, i) for i, name in enumerate(HEADER)]
    with pytest.raises(RuntimeError) as caught:
        judged(written([HEADER, row]), STRICT, CATALOGUE)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


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
    with patch.object(csv_table, "BATCH_BYTES", 1), patch("schemas.gzip_stream.CHUNK_BYTES", 2):
        with pytest.raises(KeyboardInterrupt):
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

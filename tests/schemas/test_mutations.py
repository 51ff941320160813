"""A sound file, changed: each change is a fault in its place, nothing of the file is loaded, and no cell is told."""

import traceback
from collections.abc import Callable
from itertools import accumulate
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import cells, csv_table
from schemas.issues import Code
from schemas.valid_file import ValidFile
from schemas.validation import Rejection
from tests.schemas.making import CATALOGUE, few, judged, judged_bytes, keyed, written, zipped

ISO = "yyyy-MM-dd'T'HH:mm:ssX"

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

    names = {
        "number": ("NumberCells", "_is_number"),
        "moment": ("DateCells", "_is_date"),
        "productKey": ("ProductKeyCells", "_is_key"),
    }
    functions = {"flag": "_is_boolean", "id": "is_present"}
    if column in names:
        owner, name = names[column]
        monkeypatch.setattr(getattr(cells, owner), name, broken)
    else:
        monkeypatch.setattr(cells, functions[column], lambda text: broken(None, text))
    row = ["1" if name == "id" and column != "id" else poisoned(0, i) for i, name in enumerate(HEADER)]
    with pytest.raises(RuntimeError) as caught:
        judged(written([HEADER, row]), STRICT, CATALOGUE)
    assert CANARY not in "".join(traceback.format_exception(caught.value))

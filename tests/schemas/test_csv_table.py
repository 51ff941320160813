"""Text to columns: the same whatever the chunks and batches, and never beyond a limit."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import csv_table
from schemas.csv_table import CsvTable
from schemas.issues import Code, Unreadable
from schemas.settings import Limits
from tests.schemas import oracles
from tests.schemas.making import modest

BOM = oracles.BOM


def read(chunks: Iterable[bytes], *, batch_bytes: int = csv_table.BATCH_BYTES, **limits: int) -> oracles.Table:
    """A text as our reader sees it; a fault of its header is told as the oracle does."""
    table = CsvTable(chunks, Limits(**limits))
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        try:
            whole = oracles.Table(list(table.read_header()))
        except Unreadable as exc:
            return oracles.Table(None if exc.code is Code.MISSING_HEADER else {exc.code})
        for batch in table.batches():
            cells = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            whole.rows += [
                (int(line), int(row), list(cell))
                for line, row, cell in zip(batch.lines, batch.rows, cells, strict=True)
            ]
            whole.faults |= {
                (fault.code, int(line), int(row))
                for fault in batch.faults
                for line, row in zip(fault.lines, fault.rows, strict=True)
            }
            assert batch.total_rows == len(whole.rows) + len({row for _, _, row in whole.faults})
            assert all(column.type == pa.string() for column in batch.columns)
    return whole


def stopped(chunks: Iterable[bytes], **limits: int) -> Unreadable:
    """The fault that ends the reading."""

    def read_all() -> None:
        table = CsvTable(chunks, Limits(**limits))
        table.read_header()
        list(table.batches())

    with pytest.raises(Unreadable) as caught:
        read_all()
    return caught.value


def single(text: bytes) -> Iterator[bytes]:
    return (text[i : i + 1] for i in range(len(text)))


def grid(text: bytes | str, **limits: int) -> list[list[str]]:
    """The cells of a text without faults."""
    whole = read([text.encode() if isinstance(text, str) else text], **limits)
    assert not whole.faults
    return [cells for _, _, cells in whole.rows]


pieces = st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"a", b"\xc3\xa9", b"\xf0\x9f\x98\x80", BOM, b'"\r"'])
flaws = st.sampled_from([b"\r", b"\0", b"\xc3", b"\xff", b"\xef\xbb"])
texts = st.tuples(
    st.sampled_from([b"", BOM, b"\r\n"]),
    st.sampled_from([b"a,b\r\n", b"a\n", b'"a\r\nb",c\n', b""]),
    st.lists(pieces | pieces | flaws, max_size=30).map(b"".join),
).map(b"".join)


@pytest.mark.rule("C1")
@pytest.mark.rule("C2")
@pytest.mark.rule("C4")
@pytest.mark.rule("C5")
@modest
@given(texts, st.lists(st.integers(0, 100), max_size=4), st.integers(1, 40))
@example(BOM + b"a\r\n" + BOM + b"x\r\n" + BOM + b"y", [], 1)
@example(b'a\n""\n\n""', [], 1)
def test_the_columns_are_an_independent_readers_whatever_the_chunks(
    text: bytes, places: list[int], batch_bytes: int
) -> None:
    expected = oracles.table(text)
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    chunks = [text[start:end] for start, end in pairwise(borders)]
    for found in (read([text]), read(chunks, batch_bytes=batch_bytes), read(single(text), batch_bytes=batch_bytes)):
        if isinstance(expected.header, set):
            assert isinstance(found.header, set)
            assert found.header <= expected.header
        else:
            assert found == expected


@pytest.mark.rule("C2")
@pytest.mark.parametrize("batch_bytes", [1, 7, csv_table.BATCH_BYTES])
@pytest.mark.parametrize(
    "piece",
    [
        pytest.param('"', id="quote"),
        pytest.param('"x""y"', id="doubled quote"),
        pytest.param('"l1\r\nl2"', id="quoted CRLF"),
        pytest.param("é😀漢", id="characters of two to four bytes"),
        pytest.param("\ufeff", id="byte-order mark that is text"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_chunk_may_end_anywhere(piece: str, batch_bytes: int) -> None:
    piece = piece if piece != '"' else '""""'
    text = f"\ufeffid,name\r\n{piece},{piece}\r\n1,{piece}\r\n\r\n{piece},2".encode()
    expected = oracles.table(text)
    assert len(expected.rows) == 3
    for place in range(len(text) + 1):
        assert read([text[:place], text[place:]], batch_bytes=batch_bytes) == expected


@pytest.mark.rule("C2")
def test_only_the_first_byte_order_mark_of_the_text_is_dropped() -> None:
    mark = "\ufeff"
    assert read([f"{mark}{mark}id\n{mark}1\n".encode()]) == oracles.Table([f"{mark}id"], [(2, 1, [f"{mark}1"])])


@pytest.mark.rule("C2")
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_recognised_by_its_mark(encoding: str) -> None:
    text = "\ufeffid,name\r\n1,é\r\n".encode(encoding)
    for chunks in ([text], single(text)):
        stop = stopped(chunks)
        assert (stop.code, stop.line) == (Code.INVALID_ENCODING, 0)
        assert "UTF-16" in stop.message


@pytest.mark.rule("C2")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"\xff", id="never a byte of UTF-8"),
        pytest.param(b"caf\xe9", id="Windows-1252"),
        pytest.param(b"\xc0\x80", id="overlong"),
        pytest.param(b"\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xf4\x90\x80\x80", id="beyond Unicode"),
        pytest.param(b"\xc3", id="cut short"),
        pytest.param(b'"\n\xe9"', id="on the record's second line"),
    ],
)
def test_what_is_not_utf8_is_a_fault_of_its_record_alone(wrong: bytes) -> None:
    found = read(["id,é\n😀,1\n".encode() + wrong + b",2\n" + "3,é\n".encode()])
    assert found.faults == {(Code.INVALID_ENCODING, 3, 2)}
    assert [row for _, row, _ in found.rows] == [1, 3]


@pytest.mark.rule("C5")
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param("\n\r\nid\n1\n", [(4, 1)], id="before the header"),
        pytest.param("id\n\n\r\n1\n", [(4, 1)], id="behind the header"),
        pytest.param("id\n1\n\n\r\n2\n", [(2, 1), (5, 2)], id="between rows"),
        pytest.param("id\n1\n\n\n", [(2, 1)], id="at the end"),
        pytest.param('id\n""\n\n""\n', [(2, 1), (4, 2)], id="a quoted nothing is a row"),
        pytest.param("id\n1", [(2, 1)], id="no line end at the end"),
        pytest.param("id", [], id="header without line end"),
        pytest.param("id\n \n", [(2, 1)], id="a line of a blank is a row"),
    ],
)
def test_a_line_with_nothing_on_it_is_no_row(text: str, rows: list[tuple[int, int]]) -> None:
    for batch_bytes in (1, 1000):
        found = read([text.encode()], batch_bytes=batch_bytes)
        assert [(line, row) for line, row, _ in found.rows] == rows


@pytest.mark.rule("C8")
@pytest.mark.parametrize("text", [b"", BOM, b"\n", b"\r\n\r\n\n", BOM + b"\r\n"])
def test_without_a_line_that_says_something_the_header_is_missing(text: bytes) -> None:
    assert stopped([text]).code is Code.MISSING_HEADER
    assert stopped(single(text)).line == 0


@pytest.mark.rule("C4")
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b'i"d,x\n', Code.QUOTE_IN_FIELD),
        (b'"id"x,y\n', Code.TEXT_AFTER_QUOTE),
        (b'"id,x\n', Code.UNCLOSED_QUOTE),
        (b"id,x\ry\n", Code.BARE_CARRIAGE_RETURN),
        (b"id,\0\n", Code.NUL_CHARACTER),
        (b"id,\xff\n", Code.INVALID_ENCODING),
    ],
)
def test_a_header_that_cannot_be_read_ends_the_reading(header: bytes, code: Code) -> None:
    stop = stopped([b"\n" + header + b"1,2\n"])
    assert (stop.code, stop.line) == (code, 2)


@pytest.mark.rule("C6")
@pytest.mark.parametrize("batch_bytes", [1, 5, 1000])
def test_one_row_more_than_the_limit_ends_the_reading(batch_bytes: int) -> None:
    text = b"id\n\n1\n2\n\n3\n\n"
    assert len(read([text], batch_bytes=batch_bytes, max_rows=3).rows) == 3
    kept: list[str] = []
    with patch.object(csv_table, "BATCH_BYTES", batch_bytes):
        table = CsvTable(single(text + b"4\n5\n6"), Limits(max_rows=3))
        table.read_header()
        with pytest.raises(Unreadable) as caught:
            kept.extend(cell for batch in table.batches() for cell in batch.columns[0].to_pylist())
    assert (caught.value.code, caught.value.message) == (Code.TOO_MANY_ROWS, "Too many rows: more than 3")
    assert (kept, table.total_rows) == (["1", "2", "3"], 3)


@pytest.mark.rule("C6")
@pytest.mark.rule("C7")
def test_reading_stops_where_the_rows_are_too_many() -> None:
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        yield b"id\n"
        while True:
            asked += 1
            yield b"1\n" * 1000

    with patch.object(csv_table, "BATCH_BYTES", 4000):
        stopped(endless(), max_rows=5000)
    assert asked <= 8


@pytest.mark.rule("C6")
@pytest.mark.parametrize(("rows", "fits"), [(350_000, True), (350_001, False)])
def test_the_real_limit_of_rows(rows: int, fits: bool) -> None:
    text = b"id\n" + b"1\n" * rows
    table = CsvTable([text], Limits())
    table.read_header()
    if fits:
        assert sum(len(batch.rows) for batch in table.batches()) == rows
    else:
        assert stopped([text]).message == "Too many rows: more than 350000"


@pytest.mark.rule("C7")
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
def test_the_longest_record_is_measured_with_its_line_end(ending: bytes) -> None:
    record = b'"' + b"x" * 17 + b'"' + ending
    text = b"id\n1\n" + record
    for chunks in ([text], single(text)):
        assert len(read(chunks, max_record_bytes=len(record)).rows) == 2
    for chunks in ([text + b"\n3\n"], single(text), [text]):
        stop = stopped(chunks, max_record_bytes=len(record) - 1)
        assert (stop.code, stop.line) == (Code.RECORD_TOO_LONG, 3)


@pytest.mark.rule("C7")
@pytest.mark.parametrize("start", [b"id\n1\n", b"", b"id\n\n"])
def test_a_record_without_end_is_read_to_the_limit_and_no_further(start: bytes) -> None:
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        yield start + b'"'
        while True:
            asked += 1
            yield b"\n" * 100

    stop = stopped(endless(), max_record_bytes=1000)
    assert (stop.code, stop.line) == (Code.RECORD_TOO_LONG, start.count(b"\n") + 1)
    assert asked <= 11


@pytest.mark.rule("C7")
def test_rows_before_a_record_that_is_too_long_are_read() -> None:
    table = CsvTable([b"id\n1\n2\n" + b"x" * 50 + b"\n4\n"], Limits(max_record_bytes=10))
    table.read_header()
    batches = table.batches()
    assert next(batches).columns[0].to_pylist() == ["1", "2"]
    with pytest.raises(Unreadable, match="Record longer than 10 bytes"):
        next(batches)


@pytest.mark.rule("C7")
def test_the_most_columns() -> None:
    assert len(read([b"a" + b",a" * 4095 + b"\n"]).header or []) == 4096
    stop = stopped([b"a" + b",a" * 4096 + b"\n"])
    assert (stop.code, stop.message) == (Code.TOO_MANY_COLUMNS, "Too many columns: more than 4096")


@pytest.mark.rule("C1")
def test_a_record_may_be_longer_than_a_batch() -> None:
    long = "x,\r\n" * 3_000_000
    assert grid(f'id,note\r\n1,"{long}"\r\n2,short\r\n') == [["1", long], ["2", "short"]]


@pytest.mark.rule("V2")
def test_cells_arrive_byte_for_byte() -> None:
    cells = ["NA", "null", "NaN", "None", "#N/A", "007", " x ", "\t", "\ufeff", "😀", "'", "\\", "\u2028", "e\u0301"]
    assert grid("a,b\n" + "".join(f"{cell},x\n" for cell in cells)) == [[cell, "x"] for cell in cells]


@pytest.mark.rule("C4")
@pytest.mark.parametrize(
    ("record", "code"),
    [("1", Code.WRONG_FIELD_COUNT), ("1,2,", Code.WRONG_FIELD_COUNT), (",,", Code.WRONG_FIELD_COUNT), ("1,", None)],
)
def test_every_record_has_the_fields_of_the_header(record: str, code: Code | None) -> None:
    found = read([f"a,b\n0,0\n\n{record}\n3,3\n".encode()])
    assert found.faults == ({(code, 4, 2)} if code else set())
    assert [row for _, row, _ in found.rows] == ([1, 3] if code else [1, 2, 3])

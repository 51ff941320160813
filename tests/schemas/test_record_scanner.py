"""The structure of records: our scanner against a state machine, and against Python's csv module."""

import csv
import io
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.issues import Code
from schemas.record_scanner import RecordScanner
from tests.schemas import oracles
from tests.schemas.making import modest

pytestmark = [pytest.mark.rule("C1"), pytest.mark.rule("C4"), pytest.mark.rule("C5")]

Seen = tuple[int, int, int, bool, frozenset[Code]]

texts = st.lists(
    st.sampled_from([b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b"\0", b"\xc3\xa9"]), max_size=30
).map(b"".join)


def scanned(chunks: Sequence[bytes]) -> list[Seen]:
    """What the scanner tells of all records, the last chunk fed as the last."""
    scanner, seen = RecordScanner(), []
    for number, chunk in enumerate(chunks, 1):
        found = scanner.feed(chunk, last=number == len(chunks))
        for i in range(len(found.ends)):
            faults = frozenset(code for code, indexes in found.faults.items() if i in indexes)
            seen.append((int(found.ends[i]), int(found.lines[i]), int(found.fields[i]), bool(found.blank[i]), faults))
    return seen


def cut(text: bytes, places: Sequence[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


@modest
@given(texts, st.lists(st.integers(0, 100), max_size=4))
@example(b'"a\r\n', [])
@example(b'""","\n', [3])
def test_it_sees_what_a_reader_byte_by_byte_sees_however_the_text_is_cut(text: bytes, places: list[int]) -> None:
    expected = [record.seen for record in oracles.records(text)]
    assert scanned([text]) == expected
    assert scanned(cut(text, places)) == expected
    assert scanned([*(text[i : i + 1] for i in range(len(text))), b""]) == expected


@modest
@given(texts, st.lists(st.integers(0, 100), max_size=3))
def test_the_record_that_has_not_ended_is_measured(text: bytes, places: list[int]) -> None:
    scanner, fed = RecordScanner(), b""
    for chunk in cut(text, places):
        scanner.feed(chunk)
        fed += chunk
        ended = [record for record in oracles.records(fed + b"x") if record.end <= len(fed)]
        start = ended[-1].end if ended else 0
        assert scanner.record_start == start
        assert scanner.record_bytes == len(fed) - start
        assert scanner.record_line == oracles.records(fed + b"x")[-1].line


def pythons(text: str) -> list[list[str]] | None:
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None


@modest
@given(st.text('",\r\n a', max_size=25))
def test_python_csv_agrees_but_for_the_faults_that_it_does_not_see(text: str) -> None:
    ours = oracles.records(text.encode())
    faults = set().union(*(record.faults for record in ours))
    if Code.BARE_CARRIAGE_RETURN in faults:
        return  # it takes one for the end of a record
    theirs = pythons(text)
    refused = bool(faults & {Code.TEXT_AFTER_QUOTE, Code.UNCLOSED_QUOTE})
    assert (theirs is None) == refused
    if theirs is not None:
        assert theirs == [[cell.decode() for cell in record.cells] for record in ours if not record.blank]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        pytest.param(b'a"b', Code.QUOTE_IN_FIELD, id="quote in an unquoted field"),
        pytest.param(b'x, "a,b"', Code.QUOTE_IN_FIELD, id="blank before the opening quote"),
        pytest.param(b'a""b', Code.QUOTE_IN_FIELD, id="doubled quote in an unquoted field"),
        pytest.param(b'"ab"cd', Code.TEXT_AFTER_QUOTE, id="text after the closing quote"),
        pytest.param(b'"ab" ', Code.TEXT_AFTER_QUOTE, id="blank after the closing quote"),
        pytest.param(b'"a\\"b"', Code.TEXT_AFTER_QUOTE, id="backslash before a quote"),
        pytest.param(b"a\rb", Code.BARE_CARRIAGE_RETURN, id="CR alone in a field"),
        pytest.param(b"a\r\r", Code.BARE_CARRIAGE_RETURN, id="CR CR LF"),
        pytest.param(b"a\0b", Code.NUL_CHARACTER, id="NUL"),
        pytest.param(b'"a\0b"', Code.NUL_CHARACTER, id="NUL within quotes"),
    ],
)
def test_each_fault_belongs_to_its_record_alone(record: bytes, fault: Code) -> None:
    before, after, *others = scanned([b'"1\n2",x\n', record + b"\n", b"3,y\n", b""])[1:]
    assert (before[1], fault in before[4]) == (3, True)
    assert (after[1], after[4], others) == (4, frozenset(), [])


def test_sound_oddities_are_no_faults() -> None:
    text = b'"",""""\r\n"a\rb","l1\r\nl2\nl3"\n\x1a,\'\n#,;\t\n'
    assert [(record[1], record[4]) for record in scanned([text])] == [(line, frozenset()) for line in (1, 2, 5, 6)]


def test_a_quote_never_closed_swallows_the_rest_and_is_told_at_its_start() -> None:
    assert scanned([b'1,a\n2,"b\n3,c\n', b""])[1:] == [(13, 2, 2, False, frozenset({Code.UNCLOSED_QUOTE}))]

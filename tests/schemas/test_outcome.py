"""What people and programs are told of a delivery; the files in golden/ are the wording.

After a change of the wording: `UPDATE_GOLDEN=1 pytest tests/schemas/test_outcome.py`, and read the difference.
"""

import csv
import hashlib
import io
import json
import os
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from schemas.issues import Code, FaultPlace, Issue, parsing_errors
from schemas.outcome import DeliveryOutcome, FileOutcome, LoadCounts, errors_csv, message_of
from schemas.settings import FileSettings
from schemas.validation import Rejection, unsupported
from tests.schemas.making import (
    STARTED,
    Verdict,
    delivery,
    document,
    feed,
    judged,
    judged_bytes,
    keyed,
    loaded,
    rejected,
    zipped,
)

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str, content: bytes) -> None:
    """The content is the golden file's, byte for byte."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(content)
    assert content.decode() == path.read_bytes().decode()


def outcome_of(name: str, verdict: Verdict | Rejection, text: bytes = b"") -> FileOutcome:
    """A file as if it had been loaded: all of it created. Its size and hash are those of its text."""
    result = verdict.outcome if isinstance(verdict, Verdict) else verdict
    sha256 = hashlib.sha256(text).hexdigest() if text else ""
    if isinstance(result, Rejection):
        return FileOutcome(name, len(text), sha256, result.rows, None, result.issues)
    counts = LoadCounts(created=result.rows - result.repeated, repeated=result.repeated)
    return FileOutcome(name, len(text), sha256, result.rows, counts, ())


# --- the article's own examples ---


@pytest.mark.rule("P3")
def test_the_articles_example_of_a_success() -> None:
    text = b"id,email\r\n" + b"".join(b"u%d,u%d@example.com\r\n" % (i, i) for i in range(4155))
    [outcome] = delivery(outcome_of("users.csv.gz", judged(text))).files
    assert delivery(outcome).status_txt == b"SUCCESS\n4155 records were uploaded\n"


@pytest.mark.rule("P3")
@pytest.mark.rule("H2")
@pytest.mark.rule("H3")
def test_the_articles_example_of_an_error() -> None:
    outcome = delivery(outcome_of("users.csv.gz", judged("flantana_carteret\r\nx\r\n")))
    assert outcome.status_txt == (
        b"ERROR\nParsing Errors:[ Unknown PX Column: 'flantana_carteret', Missing required Column: 'id' ]\n"
    )


# --- a delivery with everything in it ---

CELLS = """id,productKey,score,surveys,signUpDate,numberOfVisits
1,AP-X-2,x,yes,2021-12-25,1e999
2,AP-X-2,y,no,20210230,9007199254740993
,,z,1,tomorrow,1
4,AP-X,NaN,0,2021122,2
5,AP-Y-1,"1,5",on,,3
6,AP-X-2-1,1_0,off,20211301,4
7,AP-X-2,1,true,20211225,5
"""
HEADER = 'Email,score,score,,"flantana\ncarteret"\n1,x,2,3,4\n'
RECORDS = (
    b'id,firstName\r\n1\r\n2,a,b\r\n3,a"b\r\n4,"a"b\r\n5,a\rb\r\n'
    b'6,a\0b\r\n7,caf\xe9\r\n8,"two\r\nlines"\r\n9\r\n10,"open'
)
ACCEPTED = "id,productKey,email\n1,AP-X-2,a@example.com\n2,AP-X-2-1,\n1,AP-X-2,b@example.com\n"


def everything() -> tuple[DeliveryOutcome, list[tuple[str, FaultPlace]]]:
    """A delivery of many files, as the importer makes it."""
    by = keyed(allowed_product_keys=["AP-X-2"])
    few_rows = by.model_copy(update={"limits": by.limits.model_copy(update={"max_rows": 2})})
    short = by.model_copy(update={"limits": by.limits.model_copy(update={"max_record_bytes": 100})})
    broken = bytearray(zipped(ACCEPTED.encode()))
    broken[-5] ^= 1
    stored: dict[str, tuple[bytes, FileSettings]] = {
        "01-users.csv.gz": (zipped(ACCEPTED.encode()), by),
        "02-cells.csv.gz": (zipped(CELLS.encode()), by),
        "03-header.csv.gz": (zipped(HEADER.encode()), by),
        "04-records.csv.gz": (zipped(RECORDS), feed()),
        "05-plain.csv.gz": (ACCEPTED.encode(), by),
        "06-cut.csv.gz": (zipped(ACCEPTED.encode())[:-9], by),
        "07-broken.csv.gz": (bytes(broken), by),
        "08-more.csv.gz": (zipped(ACCEPTED.encode()) + b"xx", by),
        "09-empty.csv.gz": (b"", by),
        "10-rows.csv.gz": (zipped(ACCEPTED.encode()), few_rows),
        "11-record.csv.gz": (zipped(ACCEPTED.encode() + b"9" * 200), short),
        "12-utf16.csv.gz": (zipped("\ufeffid\r\n1\r\n".encode("utf-16-le")), feed()),
        "13-header-only.csv.gz": (zipped(b"id,productKey\n"), by),
        "14 =odd\nname.csv.gz": (zipped(b"id\n1\n"), feed()),
    }
    files, places = [], []
    for name, (content, settings) in stored.items():
        verdict = judged_bytes(content, settings)
        files.append(outcome_of(name, verdict, name.encode()))
        places += [(name, place) for place in verdict.places]
    refused = unsupported("=users.csv")
    places += [("=users.csv", place) for place in refused.places]
    return delivery(*files, outcome_of("=users.csv", refused)), places


@pytest.mark.rule("P3")
@pytest.mark.rule("F3")
@pytest.mark.rule("D3")
def test_the_status_file_of_everything() -> None:
    golden("status.txt", everything()[0].status_txt)


@pytest.mark.rule("P4")
@pytest.mark.rule("P5")
def test_the_status_for_programs_of_everything() -> None:
    golden("status.json", everything()[0].status_json)


@pytest.mark.rule("F4")
def test_the_places_of_everything() -> None:
    golden("errors.csv", errors_csv(everything()[1], 10_000))


@pytest.mark.rule("N1")
def test_the_callback_of_everything() -> None:
    golden("callback.json", everything()[0].callback_body("export/users/processed/20211225"))


# --- status.txt ---


@pytest.mark.rule("P3")
@pytest.mark.rule("V8")
@pytest.mark.parametrize(
    ("files", "text"),
    [
        pytest.param([loaded(rows=0)], "SUCCESS\n0 records were uploaded\n", id="no rows"),
        pytest.param(
            [loaded("b.csv.gz"), loaded("a.csv.gz", 1)],
            "SUCCESS\nb.csv.gz: 3 records were uploaded\na.csv.gz: 1 records were uploaded\n",
            id="several files in import order",
        ),
        pytest.param(
            [loaded("a.csv.gz"), rejected("b.csv.gz")],
            "ERROR\na.csv.gz: 3 records were uploaded\nb.csv.gz: Parsing Errors:[ Not a gzip file ]\n",
            id="one file with a fault",
        ),
        pytest.param(
            [loaded(repeated=1)],
            "SUCCESS\n3 records were uploaded\n"
            "Note: 1 row repeats the id of an earlier row; the last value of each attribute was kept\n",
            id="note",
        ),
        pytest.param(
            [loaded("a\r\nb.csv.gz", repeated=2), loaded("c.csv.gz")],
            "SUCCESS\na\\r\\nb.csv.gz: 3 records were uploaded\nc.csv.gz: 3 records were uploaded\n"
            "a\\r\\nb.csv.gz: Note: 2 rows repeat the id of an earlier row; "
            "the last value of each attribute was kept\n",
            id="notes follow, and no name breaks a line",
        ),
    ],
)
def test_the_status_file(files: list[FileOutcome], text: str) -> None:
    outcome = delivery(*files)
    assert outcome.status_txt.decode() == text
    assert text == f"{outcome.verdict}\n{message_of(files)}\n"


@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    ("issue", "sentence"),
    [
        (Issue(Code.INVALID_NUMBER, "Bad", 1, (5,)), "Bad: 1 row (line 5)"),
        (Issue(Code.INVALID_NUMBER, "Bad", 12, (5, 9, 14, 20, 31)), "Bad: 12 rows (lines 5, 9, 14, 20, 31, …)"),
        (Issue(Code.INVALID_NUMBER, "Bad", 5, (5, 9, 14, 20, 31)), "Bad: 5 rows (lines 5, 9, 14, 20, 31)"),
        (Issue(Code.INVALID_NUMBER, "Bad", 7, (1, 2, 3, 4, 5, 6, 7)), "Bad: 7 rows (lines 1, 2, 3, 4, 5, …)"),
        (Issue(Code.NOT_GZIP, "Bad"), "Bad"),
    ],
)
def test_the_sentence_of_an_issue(issue: Issue, sentence: str) -> None:
    assert str(issue) == sentence
    assert parsing_errors([issue, issue]) == f"Parsing Errors:[ {sentence}, {sentence} ]"


@pytest.mark.rule("F3")
def test_the_codes_never_change() -> None:
    golden("codes.txt", "".join(f"{code.value}\n" for code in Code).encode())


# --- status.json ---


@pytest.mark.rule("P4")
def test_times_are_utc_with_milliseconds() -> None:
    east = replace(delivery(loaded()), started_at=STARTED.astimezone(timezone(timedelta(hours=5))))
    assert document(east)["started"] == "2021-12-25T03:00:00.123Z"


# --- the callback ---


@pytest.mark.rule("N1")
def test_the_callback_holds_three_fields_and_the_message_without_the_verdict() -> None:
    outcome = delivery(loaded("ü.csv.gz"), rejected())
    body = json.loads(outcome.callback_body("processed/20211225"))
    assert body == {"folder_path": "processed/20211225", "success": False, "message": outcome.message}
    assert list(body) == ["folder_path", "success", "message"]
    assert outcome.status_txt.decode() == f"ERROR\n{body['message']}\n"
    assert json.loads(delivery(loaded()).callback_body("x"))["success"] is True


# --- errors.csv ---


def place(line: int = 2, row: int = 1, column: str = "score", message: str = "Invalid number") -> FaultPlace:
    return FaultPlace(line, row, column, Code.INVALID_NUMBER, message)


def table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


@pytest.mark.rule("F4")
def test_the_places_as_a_table() -> None:
    content = errors_csv([("a.csv.gz", place()), ("b.csv.gz", place(0, 0, "", 'say "hi", you'))], 10)
    assert table(content) == [
        ["file", "line", "row", "column", "code", "message"],
        ["a.csv.gz", "2", "1", "score", "invalid-number", "Invalid number"],
        ["b.csv.gz", "", "", "", "invalid-number", 'say "hi", you'],
    ]


@pytest.mark.rule("F4")
@pytest.mark.parametrize(("most", "lines"), [(0, 1), (1, 2), (4, 5), (5, 6), (6, 6)])
def test_no_more_lines_than_allowed(most: int, lines: int) -> None:
    content = errors_csv((("a.csv.gz", place(line)) for line in range(2, 7)), most)
    assert len(table(content)) == lines


@pytest.mark.rule("F4")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\x1b", "\u202e"])
def test_no_name_is_a_formula_in_a_spreadsheet_or_works_on_a_screen(start: str) -> None:
    name = f"{start}HYPERLINK(1)"
    shown = f"'{name}" if start.isprintable() else name.encode("unicode_escape").decode()
    content = errors_csv([(name, place(column=name))], 10)
    assert table(content)[1] == [shown, "2", "1", shown, "invalid-number", "Invalid number"]

"""Faults in the data, and their only wording (rules C, H, V; F2 to F4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

SHOWN_LINES = 5
#: Most characters of a name in a sentence.
LONGEST_SHOWN = 100


class Code(Enum):
    """Kinds of faults. The value is the `code` of `errors.csv`; it never changes."""

    # the file as a whole
    UNSUPPORTED_FILE = "unsupported-file"
    MISSING_FILE = "missing-file"
    NOT_GZIP = "not-gzip"
    DAMAGED_GZIP = "damaged-gzip"
    TRUNCATED_GZIP = "truncated-gzip"
    TRAILING_BYTES = "trailing-bytes"
    TOO_LARGE = "too-large"
    TOO_MANY_ROWS = "too-many-rows"
    TOO_MANY_COLUMNS = "too-many-columns"
    RECORD_TOO_LONG = "record-too-long"
    MISSING_HEADER = "missing-header"
    # records
    WRONG_FIELD_COUNT = "wrong-field-count"
    QUOTE_IN_FIELD = "quote-in-field"
    TEXT_AFTER_QUOTE = "text-after-quote"
    UNCLOSED_QUOTE = "unclosed-quote"
    BARE_CARRIAGE_RETURN = "bare-carriage-return"
    INVALID_ENCODING = "invalid-encoding"
    NUL_CHARACTER = "nul-character"
    # the header
    UNKNOWN_COLUMN = "unknown-column"
    MISSING_COLUMN = "missing-column"
    DUPLICATE_COLUMN = "duplicate-column"
    EMPTY_COLUMN_NAME = "empty-column-name"
    # cells
    INVALID_NUMBER = "invalid-number"
    NUMBER_OUT_OF_RANGE = "number-out-of-range"
    INVALID_BOOLEAN = "invalid-boolean"
    INVALID_DATE = "invalid-date"
    MISSING_VALUE = "missing-value"
    INVALID_PRODUCT_KEY = "invalid-product-key"
    UNKNOWN_PRODUCT_KEY = "unknown-product-key"


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of a file; faults of records and cells are grouped by column and code (rule F2).

    Attributes:
        code: which kind.
        message: the wording without its place, `Invalid number in Column 'score'`.
        count: rows with this fault; 0 where it belongs to the file or the header, not to rows.
        lines: the first physical lines of those rows, five at most; the header is line 1.
        column: header of the column, cut where it is very long, empty where none is meant.
    """

    code: Code
    message: str
    count: int = 0
    lines: tuple[int, ...] = ()
    column: str = ""

    def __str__(self) -> str:
        """The sentence of the status file (rule F3)."""
        if not self.count:
            return self.message
        shown = ", ".join(str(line) for line in self.lines[:SHOWN_LINES])
        more = ", …" if self.count > len(self.lines[:SHOWN_LINES]) else ""
        rows, at = ("1 row", "line") if self.count == 1 else (f"{self.count} rows", "lines")
        return f"{self.message}: {rows} ({at} {shown}{more})"


@dataclass(frozen=True, slots=True)
class FaultPlace:
    """One line of `errors.csv` (rule F4).

    Attributes:
        line: physical line on which the record starts; 0 where the whole file is meant.
        row: data row, the first is 1; 0 where no data row is meant.
        column: header of the column, empty where none is meant.
        code: which kind.
        message: the wording without its place.
    """

    line: int
    row: int
    column: str
    code: Code
    message: str


def parsing_errors(issues: Sequence[Issue]) -> str:
    """The message of a rejected file (rule P3)."""
    return f"Parsing Errors:[ {', '.join(str(issue) for issue in issues)} ]"


class Unreadable(Exception):
    """A fault that ends the reading of a file; never leaves `schemas`, where it becomes an `Issue`."""

    def __init__(self, code: Code, message: str, line: int = 0) -> None:
        """Keep the parts; `line` is the physical line of the record where reading stopped, 0 for the whole file."""
        super().__init__(message)
        self.code, self.message, self.line = code, message, line

    @property
    def issue(self) -> Issue:
        """The fault as a value."""
        return Issue(self.code, self.message, int(self.line > 0), (self.line,) if self.line else ())


def shown(name: str) -> str:
    """A header or file name in quotes, on one line, cut where it is very long."""
    return f"'{one_line(cut(name))}'"


def cut(text: str, most: int = LONGEST_SHOWN) -> str:
    """A text from outside, cut where it has more characters than that."""
    return text if len(text) <= most else f"{text[:most]}…"


def one_line(name: str) -> str:
    """A name with everything that is no visible character written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)

"""What a plain, slow, byte-at-a-time reader makes of a CSV text: the other opinion in the scanner's tests."""

from dataclasses import dataclass, field
from enum import Enum, auto

from schemas.issues import Code

QUOTE, COMMA, LF, CR, NUL = b'",\n\r\0'
BOM = b"\xef\xbb\xbf"


class State(Enum):
    START = auto()  # of a field
    PLAIN = auto()  # in an unquoted field, or behind the end of a quoted one
    QUOTED = auto()
    CLOSED = auto()  # right behind a quote in a quoted field


@dataclass
class Record:
    line: int
    start: int
    end: int = 0
    cells: list[bytes] = field(default_factory=lambda: [b""])
    faults: set[Code] = field(default_factory=set)
    blank: bool = False

    @property
    def seen(self) -> tuple[int, int, int, bool, frozenset[Code]]:
        """What the scanner tells of a record."""
        return self.end, self.line, len(self.cells), self.blank, frozenset(self.faults)


def records(text: bytes) -> list[Record]:
    """Every record of a text, as a state machine reads it."""
    found: list[Record] = []
    line, state, record = 1, State.START, Record(1, 0)
    for place, byte in enumerate(text):
        following = text[place + 1] if place + 1 < len(text) else None
        state = _step(record, state, byte, following)
        line += byte == LF
        if byte == LF and state is State.START:
            record.end = place + 1
            record.blank = text[record.start : record.end] in (b"\n", b"\r\n")
            found.append(record)
            record = Record(line, place + 1)
    if record.start < len(text):
        record.end = len(text)
        if state is State.QUOTED:
            record.faults.add(Code.UNCLOSED_QUOTE)
        found.append(record)
    return found


def _step(record: Record, state: State, byte: int, following: int | None) -> State:
    """The state behind one byte; START behind a line feed means that the record has ended."""
    if byte == NUL:
        record.faults.add(Code.NUL_CHARACTER)
    if state is State.QUOTED and byte == QUOTE:
        return State.CLOSED
    if state is State.QUOTED or (state is State.CLOSED and byte == QUOTE):
        record.cells[-1] += bytes([byte])
        return State.QUOTED
    if state is State.CLOSED and byte not in (COMMA, LF, CR):
        record.faults.add(Code.TEXT_AFTER_QUOTE)
    if byte == COMMA:
        record.cells.append(b"")
        return State.START
    if byte == LF:
        return State.START
    if byte == QUOTE and state is State.START:
        return State.QUOTED
    if byte == CR and following == LF:
        return State.PLAIN
    if byte in (QUOTE, CR):
        record.faults.add({QUOTE: Code.QUOTE_IN_FIELD, CR: Code.BARE_CARRIAGE_RETURN}[byte])
    record.cells[-1] += bytes([byte])
    return State.PLAIN


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class Table:
    """A whole text: its header, the sound rows as (line, row, cells), the faulty ones as (code, line, row)."""

    header: list[str] | set[Code] | None
    rows: list[tuple[int, int, list[str]]] = field(default_factory=list)
    faults: set[tuple[Code, int, int]] = field(default_factory=set)


def table(text: bytes) -> Table:
    text = text.removeprefix(BOM)
    present = [record for record in records(text) if not record.blank]
    for record in present:
        if not _is_utf8(text[record.start : record.end]):
            record.faults.add(Code.INVALID_ENCODING)
    if not present:
        return Table(None)
    first, *others = present
    if first.faults:
        return Table(first.faults)
    whole = Table([cell.decode() for cell in first.cells])
    for number, record in enumerate(others, 1):
        ragged = not record.faults and len(record.cells) != len(first.cells)
        codes = {Code.WRONG_FIELD_COUNT} if ragged else record.faults
        whole.faults |= {(code, record.line, number) for code in codes}
        if not codes:
            whole.rows.append((record.line, number, [cell.decode() for cell in record.cells]))
    return whole

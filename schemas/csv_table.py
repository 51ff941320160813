"""Text of a CSV file to columns of text, with the line of every record (rules C1 to C8).

Two parsers read each block: `RecordScanner` judges its structure, Arrow's CSV reader makes the columns from the
records that are sound. They must agree on the number of rows.
"""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from schemas import encoding
from schemas.issues import Code, Unreadable
from schemas.record_scanner import Bools, Ints, Records, RecordScanner
from schemas.settings import Limits

BATCH_BYTES = 4 * 1024**2
FEW_RECORDS = 2**14  # up to four times the bytes where they hold fewer: each batch costs something, column by column
BATCH_RECORDS = 2**18  # fewer bytes where records are short or lines are blank: each costs more than its text

_MESSAGES = {
    Code.QUOTE_IN_FIELD: "Quote inside an unquoted field",
    Code.TEXT_AFTER_QUOTE: "Text after a closing quote",
    Code.UNCLOSED_QUOTE: "Quote that is never closed",
    Code.BARE_CARRIAGE_RETURN: "Carriage return without line feed outside quotes",
    Code.NUL_CHARACTER: "NUL character",
    Code.INVALID_ENCODING: "",  # depends on the first record of the file that is wrong, see `_wording`
}


@dataclass(frozen=True, slots=True)
class RecordFault:
    """A fault in the structure of some records of a batch; their cells are not looked at."""

    code: Code
    message: str
    lines: Ints
    rows: Ints


@dataclass(frozen=True, slots=True)
class Batch:
    """Some thousand data rows.

    Attributes:
        columns: a text array for each header, blank cells empty; without the rows in `faults`.
        lines: physical line on which each of those rows starts.
        rows: its number among all data rows, the first is 1.
        faults: the rows whose structure is wrong.
        total_rows: data rows so far, faulty ones included.
    """

    columns: tuple[pa.Array, ...]
    lines: Ints
    rows: Ints
    faults: tuple[RecordFault, ...]
    total_rows: int


class CsvTable:
    """Reads one CSV text from chunks: first the header, then batches of rows."""

    def __init__(self, chunks: Iterable[bytes], limits: Limits) -> None:
        self._limits = limits
        self._blocks = _blocks(_without_bom(chunks), limits)
        self._rest: tuple[_Block, ...] = ()
        self.header: tuple[str, ...] = ()
        self.header_line = 1
        self._not_utf8 = ""
        self.total_rows = 0

    def read_header(self) -> tuple[str, ...]:
        """Read up to the first line that is not blank (rule C5) and take it as the header.

        Raises:
            Unreadable: there is none (rule C8), it is malformed, or it has too many columns (rule C7).
        """
        for block in self._blocks:
            present = np.flatnonzero(~block.records.blank)
            if not len(present):
                continue
            first = int(present[0])
            self.header_line = int(block.records.lines[first])
            self._refuse_malformed(block, first)
            alone = np.arange(len(block.records.ends)) == first
            columns = _columns(block, alone, int(block.records.fields[first]))
            self.header = tuple(column[0].as_py() for column in columns)
            self._rest = (block.after(first),)
            return self.header
        raise Unreadable(Code.MISSING_HEADER, "Missing header")

    def _refuse_malformed(self, block: "_Block", record: int) -> None:
        """A header that cannot be read ends the reading."""
        if block.records.fields[record] > self._limits.max_columns:
            raise Unreadable(Code.TOO_MANY_COLUMNS, f"Too many columns: more than {self._limits.max_columns}")
        faults = [code for code, indexes in block.records.faults.items() if record in indexes]
        if faults:
            code = min(faults, key=list(_MESSAGES).index)
            raise Unreadable(code, self._wording(code, block, record), self.header_line)

    def batches(self) -> Iterator[Batch]:
        """Read the data rows, after `read_header`.

        Raises:
            Unreadable: the text goes beyond a limit, or its bytes cannot be had; the batches before that count.
        """
        for block in chain(self._rest, self._blocks):
            present = ~block.records.blank
            numbers = self.total_rows + np.cumsum(present)
            rows = int(numbers[-1]) if len(numbers) else self.total_rows
            self.total_rows = min(rows, self._limits.max_rows)
            yield self._batch(block, numbers, present & (numbers <= self._limits.max_rows))
            if rows > self._limits.max_rows:
                raise Unreadable(Code.TOO_MANY_ROWS, f"Too many rows: more than {self._limits.max_rows}")

    def _batch(self, block: "_Block", numbers: Ints, present: Bools) -> Batch:
        """The rows among a block's records, with the number of each."""
        sound = present.copy()
        faults = []
        for code, message, indexes in self._faults(block):
            faulty = indexes[present[indexes]]
            if len(faulty):
                faults.append(RecordFault(code, message, block.records.lines[faulty], numbers[faulty]))
                sound[faulty] = False
        columns = _columns(block, sound, len(self.header))
        return Batch(columns, block.records.lines[sound], numbers[sound], tuple(faults), self.total_rows)

    def _wording(self, code: Code, block: "_Block", first: int) -> str:
        """The wording of a fault that some records of a block have, `first` the first of them."""
        if code is not Code.INVALID_ENCODING:
            return _MESSAGES[code]
        self._not_utf8 = self._not_utf8 or encoding.wording(block.record(first))
        return self._not_utf8

    def _faults(self, block: "_Block") -> Iterator[tuple[Code, str, Ints]]:
        """Kind, wording and record indexes; a wrong field count only where nothing else is wrong."""
        malformed = np.zeros(len(block.records.ends), np.bool_)
        for code in _MESSAGES:
            if code in block.records.faults:
                indexes = block.records.faults[code]
                malformed[indexes] = True
                yield code, self._wording(code, block, int(indexes[0])), indexes
        ragged = ~malformed & ~block.records.blank & (block.records.fields != len(self.header))
        message = f"Wrong number of fields (expected {len(self.header)})"
        yield Code.WRONG_FIELD_COUNT, message, np.flatnonzero(ragged)


@dataclass(frozen=True, slots=True)
class _Block:
    """Bytes of whole records; the records' ends are offsets in `text`."""

    text: bytes
    records: Records

    def record(self, number: int) -> bytes:
        """The bytes of one record."""
        start = int(self.records.ends[number - 1]) if number else 0
        return self.text[start : int(self.records.ends[number])]

    def after(self, record: int) -> "_Block":
        """The records behind one."""
        start = int(self.records.ends[record])
        rest = _part(self.records, slice(record + 1, None))
        return _Block(self.text[start:], replace(rest, ends=rest.ends - start))


def _without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Drop one byte-order mark at the start (rule C2), however the chunks cut it."""
    start = b""
    stream = iter(chunks)
    for chunk in stream:
        start += chunk
        if len(start) >= len(codecs.BOM_UTF8):
            break
    if encoding.is_utf16(start):
        raise Unreadable(Code.INVALID_ENCODING, encoding.wording(start))
    yield start.removeprefix(codecs.BOM_UTF8)
    yield from stream


class _Gathered:
    """Scanned bytes on their way to becoming a block."""

    def __init__(self, max_record_bytes: int) -> None:
        self._max_record_bytes = max_record_bytes
        self._pieces: list[bytes] = []
        self._found: list[Records] = []
        self._start = 0
        self._last_end = 0
        self._size_bytes = self._records = 0

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a block."""
        wanted_bytes = BATCH_BYTES if self._records >= FEW_RECORDS else 4 * BATCH_BYTES
        return self._size_bytes >= wanted_bytes or self._records >= BATCH_RECORDS

    def add(self, chunk: bytes, records: Records, scanner: RecordScanner) -> None:
        """Take a chunk and its records, up to the first record that is too long (rule C7)."""
        self._pieces.append(chunk)
        self._size_bytes += len(chunk)
        self._records += len(records.ends)
        long = np.flatnonzero(np.diff(records.ends, prepend=self._last_end) > self._max_record_bytes)
        self._found.append(_part(records, slice(int(long[0]))) if len(long) else records)
        if len(long):
            raise self._too_long(int(records.lines[long[0]]))
        if scanner.record_bytes > self._max_record_bytes:
            raise self._too_long(scanner.record_line)
        if len(records.ends):
            self._last_end = int(records.ends[-1])

    def _too_long(self, line: int) -> Unreadable:
        return Unreadable(Code.RECORD_TOO_LONG, f"Record longer than {self._max_record_bytes} bytes", line)

    def take(self) -> Iterator[_Block]:
        """All whole records gathered so far as one block, if there are any."""
        if not any(len(records.ends) for records in self._found):
            return
        joined, text = _join(self._found, self._start), b"".join(self._pieces)
        end = int(joined.ends[-1])
        text, rest = text[:end], text[end:]
        self._pieces, self._found, self._start = [rest], [], self._start + end
        self._size_bytes, self._records = len(rest), 0
        wrong = encoding.not_utf8(text, joined.ends)
        if len(wrong):
            joined = replace(joined, faults={**joined.faults, Code.INVALID_ENCODING: wrong})
        yield _Block(text, joined)


def _blocks(chunks: Iterable[bytes], limits: Limits) -> Iterator[_Block]:
    """Scan the chunks and join them to blocks of whole records; what was whole before a fault is not lost."""
    scanner, gathered = RecordScanner(), _Gathered(limits.max_record_bytes)
    try:
        for chunk in chunks:
            gathered.add(chunk, scanner.feed(chunk), scanner)
            if gathered.is_full:
                yield from gathered.take()
        gathered.add(b"", scanner.feed(b"", last=True), scanner)
    except Unreadable:
        yield from gathered.take()
        raise
    yield from gathered.take()


def _part(records: Records, part: slice) -> Records:
    """The records of a slice with step 1, their faults renumbered."""
    first, behind, _ = part.indices(len(records.ends))
    faults = {
        code: kept - first
        for code, indexes in records.faults.items()
        if len(kept := indexes[(indexes >= first) & (indexes < behind)])
    }
    return Records(records.ends[part], records.lines[part], records.fields[part], records.blank[part], faults)


def _join(found: list[Records], start: int) -> Records:
    """Records of several chunks as one, their ends counted from `start`."""
    faults: dict[Code, list[Ints]] = {}
    before = 0
    for records in found:
        for code, indexes in records.faults.items():
            faults.setdefault(code, []).append(indexes + before)
        before += len(records.ends)
    return Records(
        np.concatenate([records.ends for records in found]) - start,
        np.concatenate([records.lines for records in found]),
        np.concatenate([records.fields for records in found]),
        np.concatenate([records.blank for records in found]),
        {code: np.concatenate(indexes) for code, indexes in faults.items()},
    )


def _columns(block: _Block, sound: Bools, width: int) -> tuple[pa.Array, ...]:
    """The sound records as text columns."""
    text = _only(block, sound)
    if not sound.any():
        return tuple(pa.array([], pa.string()) for _ in range(width))
    if text.startswith(codecs.BOM_UTF8):
        text = b"\n" + text  # Arrow would take it for a mark and drop it; here it is the first cell's text
    names = [str(position) for position in range(width)]
    table = arrow_csv.read_csv(
        pa.py_buffer(text),
        arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=len(text) + 1),
        arrow_csv.ParseOptions(newlines_in_values=True),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )
    if table.num_rows != np.count_nonzero(sound):
        raise RuntimeError(f"two parsers disagree: {table.num_rows} and {np.count_nonzero(sound)} records")
    return tuple(column.chunk(0) for column in table.columns)


def _only(block: _Block, sound: Bools) -> bytes:
    """The bytes of the sound records; blank ones may stay, Arrow skips them."""
    if (sound | block.records.blank).all():
        return block.text
    lengths = np.diff(block.records.ends, prepend=0)
    return np.frombuffer(block.text, np.uint8)[np.repeat(sound, lengths)].tobytes()

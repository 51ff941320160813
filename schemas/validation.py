"""One file, from its bytes to `ValidFile` or `Rejection`: the fork that every file takes (rules F1 to F5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from schemas.catalogue import ID, Catalogue
from schemas.csv_table import Batch, CsvTable
from schemas.fault_tally import FaultTally, Faulty
from schemas.frame_schema import BatchSchema, FrameSchema
from schemas.gzip_stream import decompressed
from schemas.issues import Code, FaultPlace, Issue, Unreadable, shown
from schemas.repeated_ids import IdHashes
from schemas.settings import FileSettings
from schemas.valid_file import ValidFile


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file with faults; nothing of it may be loaded (rule F1).

    Attributes:
        rows: data rows, as far as the file could be read.
        issues: all faults in the order of rule F3.
        places: where they are, in line order, as many as `limits.max_error_lines`.
    """

    rows: int
    issues: tuple[Issue, ...]
    places: tuple[FaultPlace, ...]


def unsupported(name: str) -> Rejection:
    """An object that is no input file (rule D3)."""
    return _unread(Issue(Code.UNSUPPORTED_FILE, f"Unsupported file: {shown(name)} (expected .csv.gz)"))


def missing(name: str) -> Rejection:
    """A file that was removed between the claim and its import."""
    return _unread(Issue(Code.MISSING_FILE, f"Missing file: {shown(name)} was removed before it was imported"))


def _unread(issue: Issue) -> Rejection:
    return Rejection(0, (issue,), (FaultPlace(0, 0, issue.column, issue.code, issue.message),))


def validate(
    source: BinaryIO,
    catalogue: Catalogue,
    settings: FileSettings,
    *,
    spool: Path,
    progress: Callable[[], None] = lambda: None,
) -> ValidFile | Rejection:
    """Read a file once, find all of its faults, and spool its typed columns.

    Args:
        source: the stored bytes.
        catalogue: of the feed's entity.
        settings: how the feed's files are read.
        spool: where the typed columns go; `os.devnull` where nothing will be loaded.
        progress: called after each batch.
    """
    limits = settings.limits
    table = CsvTable(decompressed(source, limits.max_decompressed_bytes), limits)
    faults = FaultTally(limits.max_error_lines)
    schema = FrameSchema(catalogue, settings)
    try:
        header = table.read_header()
    except Unreadable as exc:
        faults.add_issue(exc.issue, exc.line)
        return Rejection(0, faults.issues(()), faults.places())
    for issue in schema.header_issues(header):
        faults.add_issue(issue, table.header_line)
    reading = _Reading(table, schema, header, faults, spool)
    try:
        for batch in table.batches():
            reading.take(batch)
            progress()
    except Unreadable as exc:
        faults.add_issue(exc.issue, exc.line)
    finally:
        reading.close()
    if faults:
        return Rejection(table.total_rows, faults.issues(header), faults.places())
    return reading.valid_file(settings)


class _Reading:
    """The batches of one file on their way through the schema to the spool."""

    def __init__(
        self, table: CsvTable, schema: FrameSchema, header: Sequence[str], faults: FaultTally, spool: Path
    ) -> None:
        self._table, self._faults, self._spool = table, faults, spool
        self._positions = schema.known(header)
        self._schema: BatchSchema = schema.part(list(self._positions))
        self._attributes = schema.attributes(list(self._positions))
        self._ids = IdHashes()
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def take(self, batch: Batch) -> None:
        """Check one batch; spool it as long as the file has no fault."""
        found = [Faulty("", fault.code, fault.message, fault.lines, fault.rows) for fault in batch.faults]
        columns = {name: batch.columns[position] for name, position in self._positions.items()}
        if columns and len(batch.rows):
            for fault in self._schema.faults(columns):
                lines, rows = batch.lines[fault.wrong], batch.rows[fault.wrong]
                found.append(Faulty(fault.column, fault.code, fault.message, lines, rows))
        self._faults.add(found)
        if not self._faults and len(batch.rows):
            self._ids.add(columns[ID])
            self._write(self._schema.typed(columns))

    def _write(self, typed: pa.RecordBatch) -> None:
        if self._writer is None:
            self._spool.touch(mode=0o600)  # what is in it is nobody else's business
            self._writer = pa.ipc.new_stream(str(self._spool), typed.schema)
        self._writer.write_batch(typed)

    def close(self) -> None:
        """Complete the spool file, and give back the memory that Arrow keeps for further batches."""
        if self._writer is not None:
            self._writer.close()
        pa.default_memory_pool().release_unused()

    def valid_file(self, settings: FileSettings) -> ValidFile:
        """The accepted file."""
        return ValidFile(
            path=self._spool,
            attributes=self._attributes,
            product_key=settings.destination.fixed_product_key,
            rows=self._table.total_rows,
            repeated=self._ids.finish(),
            ids=self._ids,
        )

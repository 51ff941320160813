"""What became of a delivery: status.txt, status.json, errors.csv and the callback (rules P3 to P5, N1, F4)."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.issues import FaultPlace, Issue, one_line, parsing_errors

STATUS_VERSION = 1


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """Rows of one loaded file by what they did; their sum is the file's data rows (rule L3).

    Attributes:
        created: records that were new.
        updated: records of which at least one attribute changed.
        unchanged: records that were there with these values already.
        repeated: rows beyond the first of an id that stands on several rows (rule V8).
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0

    @property
    def total(self) -> int:
        """All rows accounted for."""
        return self.created + self.updated + self.unchanged + self.repeated


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file; with any issue nothing of it was loaded (rule F1).

    Attributes:
        name: name within the folder.
        size_bytes: as stored, compressed.
        sha256: hex digest of the stored bytes; empty where the file was never read.
        rows: data rows, as far as the file could be read.
        counts: what the load did; None where there was none.
        issues: the faults, in the order of rule F3.
    """

    name: str
    size_bytes: int
    sha256: str
    rows: int
    counts: LoadCounts | None
    issues: tuple[Issue, ...]

    @property
    def faults(self) -> int:
        """Rows with a fault, and faults of the file or its header; a row counts once for each of its faults."""
        return sum(max(issue.count, 1) for issue in self.issues)

    @property
    def message(self) -> str:
        """The file's line in the status file, without its name."""
        return parsing_errors(self.issues) if self.issues else f"{self.rows} records were uploaded"


def counts_of(files: Iterable[FileOutcome]) -> LoadCounts:
    """Of all loaded files together."""
    loaded = [file.counts for file in files if file.counts]
    return LoadCounts(
        sum(counts.created for counts in loaded),
        sum(counts.updated for counts in loaded),
        sum(counts.unchanged for counts in loaded),
        sum(counts.repeated for counts in loaded),
    )


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """All that the status files tell of one delivery; `files` in import order, times in UTC."""

    delivery_id: str
    feed: str
    entity: str
    folder: str
    started_at: datetime
    finished_at: datetime
    catalogue_hash: str
    files: tuple[FileOutcome, ...]

    @property
    def success(self) -> bool:
        """Whether no file has a fault."""
        return not any(file.issues for file in self.files)

    @property
    def verdict(self) -> str:
        """First line of the status file."""
        return verdict_of(self.success)

    @property
    def message(self) -> str:
        """`status.txt` without its first line; also the message of the callback (rules P3, N1)."""
        return message_of(self.files)

    @property
    def status_txt(self) -> bytes:
        """The status file (rule P3)."""
        return f"{self.verdict}\n{self.message}\n".encode()

    @property
    def status_json(self) -> bytes:
        """The same for programs, `version` 1; `schemas/status.schema.json` describes it (rule P4)."""
        document = {
            "version": STATUS_VERSION,
            "verdict": self.verdict,
            "delivery_id": self.delivery_id,
            "feed": self.feed,
            "entity": self.entity,
            "folder": self.folder,
            "started": _iso(self.started_at),
            "finished": _iso(self.finished_at),
            "catalogue_hash": self.catalogue_hash,
            "files": [file_json(file) for file in self.files],
        }
        return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()

    def callback_body(self, processed_folder: str) -> bytes:
        """Body of the POST to the status endpoint: exactly these three fields (rule N1)."""
        body = {"folder_path": processed_folder, "success": self.success, "message": self.message}
        return json.dumps(body, ensure_ascii=False).encode()


def verdict_of(success: bool) -> str:
    """The word of the status files (rule P3)."""
    return "SUCCESS" if success else "ERROR"


def message_of(files: Sequence[FileOutcome], *, named: bool = False) -> str:
    """One line for a single file, a line with its name for each of several, then the notes (rules P3, V8).

    Args:
        files: what became of them.
        named: a single file has its name, too.
    """
    prefixed = [("" if len(files) == 1 and not named else f"{one_line(file.name)}: ", file) for file in files]
    lines = [f"{prefix}{file.message}" for prefix, file in prefixed]
    for prefix, file in prefixed:
        if file.counts and file.counts.repeated:
            rows = "1 row repeats" if file.counts.repeated == 1 else f"{file.counts.repeated} rows repeat"
            lines.append(f"{prefix}Note: {rows} the id of an earlier row; the last value of each attribute was kept")
    return "\n".join(lines)


def file_json(file: FileOutcome) -> dict[str, Any]:
    """One file of `status.json`."""
    counts = file.counts or LoadCounts()
    return {
        "name": file.name,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "rows": file.rows,
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "repeated": counts.repeated,
        "faults": [
            {"code": issue.code.value, "column": issue.column, "rows": issue.count, "message": str(issue)}
            for issue in file.issues
        ],
    }


def errors_csv(places: Iterable[tuple[str, FaultPlace]], max_lines: int) -> bytes:
    """Places of the faults, a line each, for a person with a spreadsheet (rule F4); what cannot be seen is escaped.

    Args:
        places: file name and place, in file order and then in line order.
        max_lines: what lies beyond is left out; the totals stand in the status file.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(["file", "line", "row", "column", "code", "message"])
    for number, (name, place) in enumerate(places):
        if number == max_lines:
            break
        cells = [name, place.line or "", place.row or "", place.column, place.code.value, place.message]
        rows.writerow([_harmless(one_line(str(cell))) for cell in cells])
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from reading a name as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _iso(moment: datetime) -> str:
    """ISO 8601 in UTC, whole milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""What the ledger keeps, as rows and as values."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from blocks.database import Row
from schemas.delivery import DeliveryFile, Move
from schemas.drop_zone import ObjectKind, StoredObject
from schemas.issues import Code, FaultPlace, Issue
from schemas.outcome import FileOutcome, LoadCounts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a delivery, the same on every attempt to carry it out (rule P5).

    Attributes:
        verdict: SUCCESS or ERROR.
        status_txt: bytes of that file.
        status_json: bytes of that file.
        errors_csv: bytes of that file; None where no file has a fault.
        catalogue_hash: of the attribute catalogue that was used (rule G3).
        moves: what makes way in the archive first (rule P2).
    """

    verdict: str
    status_txt: bytes
    status_json: bytes
    errors_csv: bytes | None
    catalogue_hash: str
    moves: tuple[Move, ...]


def milliseconds(moment: datetime) -> int:
    """Since 1970; what is finer is cut off."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(milliseconds_: int) -> datetime:
    """In UTC."""
    return _EPOCH + milliseconds_ * _MILLISECOND


#: The columns of a claimed object in the order that `delivery_file` takes them.
FILE_COLUMNS = "name, kind, key, etag, size_bytes, modified_at_ms"
#: The columns of a judged file in the order that `file_outcome` takes them.
OUTCOME_COLUMNS = "name, read_bytes, sha256, rows, created, updated, unchanged, repeated, issues"
_COUNTS = ("created", "updated", "unchanged", "repeated")


def stored_row(stored: StoredObject) -> dict[str, str | int]:
    """The columns of one stored object."""
    return {
        "key": stored.key,
        "etag": stored.etag,
        "size_bytes": stored.size_bytes,
        "modified_at_ms": milliseconds(stored.modified_at),
    }


def stored_object(key: str, etag: str, size_bytes: int, modified_at_ms: int) -> StoredObject:
    """The stored object of these columns."""
    return StoredObject(key, etag, size_bytes, moment(modified_at_ms))


def delivery_file(row: Row) -> DeliveryFile:
    """The claimed object of a row of `FILE_COLUMNS`."""
    name, kind, *stored = row
    return DeliveryFile(name, ObjectKind(kind), stored_object(*stored))


def outcome_row(outcome: FileOutcome, places: Sequence[FaultPlace]) -> dict[str, str | int | None]:
    """The columns of one judged file."""
    counts = outcome.counts
    return {
        "outcome": "rejected" if counts is None else "loaded",
        "read_bytes": outcome.size_bytes,
        "sha256": outcome.sha256,
        "rows": outcome.rows,
        **(dict.fromkeys(_COUNTS) if counts is None else asdict(counts)),
        "issues": _json([{**asdict(issue), "code": issue.code.value} for issue in outcome.issues]),
        "fault_places": _json([{**asdict(place), "code": place.code.value} for place in places]),
    }


def file_outcome(row: Row) -> FileOutcome:
    """The judged file of a row of `OUTCOME_COLUMNS`."""
    name, size_bytes, sha256, rows, *counts, issues = row
    return FileOutcome(
        name,
        size_bytes,
        sha256,
        rows,
        None if counts[0] is None else LoadCounts(*counts),
        tuple(
            Issue(**{**issue, "code": Code(issue["code"]), "lines": tuple(issue["lines"])})
            for issue in json.loads(issues)
        ),
    )


def fault_places(text: str) -> list[FaultPlace]:
    """The places of a file's faults."""
    return [FaultPlace(**{**place, "code": Code(place["code"])}) for place in json.loads(text)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)

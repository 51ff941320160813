"""Verbs: bring a decided delivery to `processed/`, each step harmless when repeated (rules P1 to P5)."""

import hashlib
from contextlib import suppress

from blocks.connections import Connections, HeldLease
from blocks.history import StepName
from blocks.ledger import Decision
from blocks.spool import spooled_copies
from schemas.delivery import Delivery, DeliveryFile, Move, Stage
from schemas.drop_zone import ERRORS_CSV, MARKER, STATUS_JSON, STATUS_TEXT, ObjectKind, archived_names
from schemas.errors import ObjectChanged, PlaceTaken
from tasks.verb import verb

_ARCHIVED = {ObjectKind.INPUT, ObjectKind.BOOKKEEPING, ObjectKind.UNSUPPORTED}


@verb("move aside", "dt={delivery.day}")
def move_aside(feed: Connections, held: HeldLease, delivery: Delivery, decision: Decision) -> None:
    """Make room: move what an earlier delivery of the date left (rule P2).

    What somebody has replaced since the decision goes as it is now; what was removed is noted.

    Raises:
        PlaceTaken: something else stands where it was to go.
        DropZoneBusy, AccessRefused: worth another tick.
        LeaseLost: another run has taken over.
    """
    gone = [(StepName.NOT_MOVED, move.source.key) for move in decision.moves if not _make_way(feed, held, move)]
    feed.ledger.advance(held.lease, delivery, Stage.MOVED_ASIDE, gone)


def _make_way(feed: Connections, held: HeldLease, move: Move) -> bool:
    """Move one object; False where it is gone and was not moved before."""
    zone = feed.drop_zone
    held.keep()
    with suppress(ObjectChanged, PlaceTaken):
        zone.copy(move.source, move.target_key)
        if zone.delete(move.source):
            return True
    found = zone.find(move.source.key)
    held.ledger.renew(held.lease)  # not before: where another run has taken over, that may be what it has archived
    if found is None:
        return zone.head(move.target_key) is not None
    zone.copy(found, move.target_key)
    zone.delete(found)
    return True


@verb("archive", "dt={delivery.day}")
def archive(feed: Connections, held: HeldLease, delivery: Delivery, decision: Decision) -> None:
    """Copy the files, then write the status files; `status.txt` comes last (rule P5).

    What was replaced or removed after the claim, and lies on this machine no more, is noted as not archived.

    Raises:
        DropZoneBusy, AccessRefused: worth another tick.
        LeaseLost: another run has taken over.
    """
    zone, folder = feed.drop_zone, feed.settings.zone.processed_folder(delivery.day)
    names, lost = archived_names(file.name for file in delivery.files), list[tuple[StepName, str]]()
    for file in delivery.files:
        held.keep()
        if file.kind in _ARCHIVED and not _archive_file(feed, delivery, file, f"{folder}/{names[file.name]}"):
            lost.append((StepName.NOT_ARCHIVED, file.name))

    def put(name: str, content: bytes, content_type: str) -> None:
        held.keep()
        zone.put(f"{folder}/{name}", content, content_type=content_type)

    put(STATUS_JSON, decision.status_json, "application/json")
    if decision.errors_csv is not None:
        put(ERRORS_CSV, decision.errors_csv, "text/csv; charset=utf-8")
    _archive_marker(feed, delivery, f"{folder}/{MARKER}")
    put(STATUS_TEXT, decision.status_txt, "text/plain; charset=utf-8")
    feed.ledger.advance(held.lease, delivery, Stage.ARCHIVED, lost)


def _archive_file(feed: Connections, delivery: Delivery, file: DeliveryFile, target_key: str) -> bool:
    """Copy the claimed version; if it is there no more, put the bytes that were imported. False without those."""
    try:
        feed.drop_zone.copy(file.stored, target_key)
    except ObjectChanged:
        sha256 = feed.ledger.file_outcomes(delivery)[file.name].sha256 if file.kind is ObjectKind.INPUT else ""
        for path in spooled_copies(delivery.id, delivery.files.index(file)):
            with path.open("rb") as content:
                is_imported = hashlib.file_digest(content, "sha256").hexdigest() == sha256
            if is_imported:
                feed.drop_zone.put(target_key, path, content_type="application/gzip")
                return True
        return False
    return True


def _archive_marker(feed: Connections, delivery: Delivery, target_key: str) -> None:
    """Copy the claimed marker; if a newer one stands there, one without content takes its place."""
    try:
        feed.drop_zone.copy(delivery.marker.stored, target_key)
    except ObjectChanged:
        feed.drop_zone.put(target_key, b"", content_type="application/octet-stream")


@verb("clear", "dt={delivery.day}")
def clear(feed: Connections, held: HeldLease, delivery: Delivery) -> None:
    """Empty the folder: the marker first, and nothing that came or changed after the claim (rule D6).

    Raises:
        DropZoneBusy, AccessRefused: worth another tick.
        LeaseLost: another run has taken over.
    """
    for file in sorted(delivery.files, key=lambda file: file.kind is not ObjectKind.MARKER):
        held.keep()
        feed.drop_zone.delete(file.stored)
    feed.ledger.advance(held.lease, delivery, Stage.CLEARED)

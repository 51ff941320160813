"""Verbs: bring a decided delivery to `processed/`, each step harmless when repeated (rules P1 to P5)."""

import hashlib
import logging

from blocks.connections import Connections, HeldLease
from blocks.ledger import Decision
from blocks.spool import spooled_copies
from schemas.delivery import Delivery, DeliveryFile, Stage
from schemas.drop_zone import ERRORS_CSV, MARKER, STATUS_JSON, STATUS_TEXT, ObjectKind, archived_names
from schemas.errors import ObjectChanged
from tasks.verb import verb

_log = logging.getLogger("px_import.archive")

_ARCHIVED = {ObjectKind.INPUT, ObjectKind.BOOKKEEPING, ObjectKind.UNSUPPORTED}


@verb("move aside")
def move_aside(feed: Connections, held: HeldLease, decision: Decision) -> None:
    """Make room: move what an earlier delivery of the date left (rule P2).

    Raises:
        DropZoneBusy, AccessRefused: worth another tick.
        LeaseLost: another run has taken over.
    """
    for move in decision.moves:
        held.keep()
        feed.drop_zone.copy(move.source, move.target_key)
        feed.drop_zone.delete(move.source)


@verb("archive", "dt={delivery.day}")
def archive(feed: Connections, held: HeldLease, delivery: Delivery, decision: Decision) -> None:
    """Copy the files, then write the status files; `status.txt` comes last (rule P5).

    Raises:
        DropZoneBusy, AccessRefused: worth another tick.
        LeaseLost: another run has taken over.
    """
    zone, folder = feed.drop_zone, feed.settings.zone.processed_folder(delivery.day)
    names = archived_names(file.name for file in delivery.files)
    for file in delivery.files:
        held.keep()
        if file.kind in _ARCHIVED:
            _archive_file(feed, delivery, file, f"{folder}/{names[file.name]}")
    zone.put(f"{folder}/{STATUS_JSON}", decision.status_json, content_type="application/json")
    if decision.errors_csv is not None:
        zone.put(f"{folder}/{ERRORS_CSV}", decision.errors_csv, content_type="text/csv; charset=utf-8")
    _archive_marker(feed, delivery, f"{folder}/{MARKER}")
    zone.put(f"{folder}/{STATUS_TEXT}", decision.status_txt, content_type="text/plain; charset=utf-8")
    feed.ledger.advance(held.lease, delivery, Stage.ARCHIVED)


def _archive_file(feed: Connections, delivery: Delivery, file: DeliveryFile, target_key: str) -> None:
    """Copy the claimed version; if it was replaced meanwhile, put the bytes that were imported."""
    try:
        feed.drop_zone.copy(file.stored, target_key)
    except ObjectChanged:
        sha256 = feed.ledger.file_outcomes(delivery)[file.name].sha256 if file.kind is ObjectKind.INPUT else ""
        for path in spooled_copies(delivery.id, delivery.files.index(file)):
            with path.open("rb") as content:
                is_imported = hashlib.file_digest(content, "sha256").hexdigest() == sha256
            if is_imported:
                feed.drop_zone.put(target_key, path, content_type="application/gzip")
                return
        _log.warning("%s was replaced after it was imported and is not archived", file.stored.key)


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

"""Verbs: find an archived delivery, and lay its files out in `current/` once more."""

import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from blocks.connections import Connections, HeldLease
from blocks.history import StepName
from blocks.s3_drop_zone import S3DropZone
from schemas.archived_delivery import ArchivedDelivery
from schemas.drop_zone import MARKER, STATUS_JSON, StoredObject, is_day
from schemas.errors import PlaceTaken, SettingsError
from schemas.issues import shown
from tasks.verb import verb

_FOLDER = re.compile(r"[0-9]{8}(\.[1-9][0-9]*)?")
_NEW_SECOND = 1.1
_LARGEST_STATUS_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class Archive:
    """An archived delivery and what lies in its folder.

    Attributes:
        delivery: as its `status.json` has it.
        folder: key of the archive folder, without a slash at its end.
        objects: by their names when they were delivered, without the marker.
        archived_at: UTC, in whole seconds.
    """

    delivery: ArchivedDelivery
    folder: str
    objects: Mapping[str, StoredObject]
    archived_at: datetime


@verb("find archived delivery", "{name}")
def find_archive(feed: Connections, name: str) -> Archive:
    """Find a delivery in `processed/`, by its id or by its folder's name there.

    Args:
        feed: the feed's doors.
        name: the delivery's id or its beginning; that behind its date, `20210228/8e2bff`, spares reading the status
            files of all dates where this ledger does not know it; or `20210228`, or `20210228.2` for one that made way.

    Raises:
        SettingsError: there is none, or more than one; or its files are not complete.
        DropZoneBusy, AccessRefused: the archive cannot be read.
    """
    zone = feed.settings.zone
    if _is_folder(name):
        return _archive_in(feed, zone.key("processed", name))
    day, _, beginning = name.lower().rpartition("/")
    records = [feed.ledger.record(id_) for id_ in feed.ledger.ids(beginning)]
    known = [record for record in records if record and record.feed == feed.settings.feed]
    if len(known) > 1:
        raise SettingsError("ID", f"{len(known)} deliveries begin with {beginning!r}; write more of it")
    if known:
        day, beginning = known[0].day, known[0].id
    prefix = zone.processed_folder(day) if day else zone.processed_prefix
    found = {each.id: folder for folder, each in _deliveries_below(feed, prefix) if each.id.startswith(beginning)}
    if len(found) == 1:
        return _archive_in(feed, *found.values())
    if known:
        raise SettingsError("ID", f"{beginning} is not in {zone.url(prefix)} any more; deliver it anew")
    many = f"{len(found)} deliveries begin with {beginning!r}; write more of it"
    raise SettingsError("ID", many if found else _unknown(name))


def _is_folder(name: str) -> bool:
    """Whether it names a folder of a real date; an id may begin with eight digits, too."""
    return bool(_FOLDER.fullmatch(name)) and is_day(name[:8])


@verb("find what the ledger does not know")
def missing(feed: Connections) -> list[ArchivedDelivery]:
    """The archived deliveries that this ledger has neither imported nor laid out, in the order of their first import.

    Raises:
        StoreBusy: the ledger cannot be read.
        DropZoneBusy, AccessRefused: the archive cannot be read.
    """
    known = set(feed.ledger.ids(""))
    found = [each for _, each in _deliveries_below(feed, feed.settings.zone.processed_prefix)]
    return sorted((each for each in found if each.id not in known), key=lambda each: (each.finished, each.id))


def _unknown(name: str) -> str:
    cure = "px-import deliveries lists them, or name a folder of processed/"
    return f"no delivery of this feed begins with {name!r}; {cure}"


def _deliveries_below(feed: Connections, prefix: str) -> Iterator[tuple[str, ArchivedDelivery]]:
    """Folder and delivery of every archive folder below a prefix that has a delivery's status.json."""
    processed = feed.settings.zone.processed_prefix
    for stored in feed.drop_zone.list(prefix):
        folder, _, name = stored.key.rpartition("/")
        is_status = name == STATUS_JSON and stored.size_bytes <= _LARGEST_STATUS_BYTES
        if is_status and _FOLDER.fullmatch(folder.removeprefix(processed)):
            with suppress(ValueError):
                yield folder, ArchivedDelivery.parse(feed.drop_zone.read(stored))


def _archive_in(feed: Connections, folder: str) -> Archive:
    zone, place = feed.drop_zone, feed.settings.zone.url(f"{folder}/")
    found = {stored.key.removeprefix(f"{folder}/"): stored for stored in zone.list(f"{folder}/")}
    status = found.get(STATUS_JSON)
    if status is None or status.size_bytes > _LARGEST_STATUS_BYTES:
        raise SettingsError("ID", f"{place} holds no {STATUS_JSON} of a delivery; look for the right folder")
    try:
        delivery = ArchivedDelivery.parse(zone.read(status))
    except ValueError:
        raise SettingsError("ID", f"{STATUS_JSON} in {place} is no delivery's; look for the right folder") from None
    try:
        layout = delivery.layout(found.keys())
    except ValueError as error:
        missing = shown(str(error))
        raise SettingsError(
            "ID", f"{missing} is not in {place} any more; put it there again, or deliver anew"
        ) from None
    return Archive(delivery, folder, {name: found[archived] for name, archived in layout.items()}, status.modified_at)


@verb("check replay", "{archive.folder}")
def check_replay(feed: Connections, archive: Archive, *, even_if_newer: bool) -> None:
    """See that a delivery can be laid out again, and does not bring old values back unasked.

    Raises:
        SettingsError: it cannot; the sentence says why, and what to do.
        DropZoneBusy, AccessRefused: the bucket cannot be read.
    """
    settings, delivery = feed.settings, archive.delivery
    if unfinished := feed.ledger.open_deliveries(settings.feed):
        days = ", ".join(f"dt={each.day}" for each in unfinished)
        raise SettingsError("ID", f"{days} is not finished; let one run finish it first: px-import run")
    newer = [] if even_if_newer else _newer(feed, delivery)
    if newer:
        told = f"{', '.join(newer)} came later, and its values would be overwritten"
        raise SettingsError("ID", f"{told}; add --even-if-newer if that is meant, or replay the later ones afterwards")
    for file in delivery.files:
        stored = archive.objects.get(file.name)
        if stored and file.sha256 and feed.drop_zone.sha256(stored) != file.sha256:
            place = settings.zone.url(stored.key)
            raise SettingsError("ID", f"{place} is not what was imported; put the right file there, or deliver anew")
    place = settings.zone.url(settings.zone.folder_prefix(delivery.day))
    for name in _strangers(feed, archive):
        raise SettingsError("ID", f"{shown(name)} waits in {place}; let it be imported, or remove it, first")


def _strangers(feed: Connections, archive: Archive) -> Iterator[str]:
    """Names of what lies in the folder and is not of the archived delivery."""
    prefix = feed.settings.zone.folder_prefix(archive.delivery.day)
    for stored in feed.drop_zone.list(prefix):
        name = stored.key.removeprefix(prefix)
        same = archive.objects.get(name)
        if name and name != MARKER and (same is None or same.size_bytes != stored.size_bytes):
            yield name


def _newer(feed: Connections, delivery: ArchivedDelivery) -> list[str]:
    """Folders of this date or a later one, of which records were loaded after this delivery, under whatever name."""
    later = {
        record.day
        for name in {feed.settings.feed, *feed.ledger.feeds_at(feed.settings.zone.place)}
        for record in feed.ledger.deliveries(name, limit=sys.maxsize)
        if record.day >= delivery.day and record.claimed_at > delivery.started and record.counts.total
    }
    return [f"dt={day}" for day in sorted(later)]


@verb("lay out", "{archive.folder}")
def lay_out(feed: Connections, held: HeldLease, archive: Archive) -> None:
    """Copy the files back and put a new marker last; what an earlier, interrupted attempt copied is found there.

    Where something is delivered to the folder meanwhile, that stays alone there: what was copied now is taken back.

    Raises:
        SettingsError: something was delivered meanwhile.
        DropZoneBusy, AccessRefused: worth another try.
        LeaseLost: another run has taken over.
    """
    zone, prefix = feed.drop_zone, feed.settings.zone.folder_prefix(archive.delivery.day)
    copied, delivered = list[str](), ""
    for name, stored in archive.objects.items():
        held.keep()
        was_there = zone.head(f"{prefix}{name}") is not None
        try:
            zone.copy(stored, f"{prefix}{name}")
        except PlaceTaken:
            delivered = name
            break
        if not was_there:
            copied.append(name)
    delivered = delivered or next(_strangers(feed, archive), "")
    if delivered:
        _take_back(feed, held, archive, copied)
        cure = "let it be imported; to bring the older one over it, replay that with --even-if-newer"
        raise SettingsError("ID", f"{shown(delivered)} was delivered to {zone.zone.url(prefix)} meanwhile; {cure}")
    _put_marker(zone, f"{prefix}{MARKER}", archive.archived_at)
    feed.ledger.note_step(held.lease, archive.delivery.id, StepName.REPLAYED)


def _take_back(feed: Connections, held: HeldLease, archive: Archive, names: Iterable[str]) -> None:
    """Remove what was copied to the folder, but for what somebody has replaced since."""
    zone, prefix = feed.drop_zone, feed.settings.zone.folder_prefix(archive.delivery.day)
    for name in names:
        held.keep()
        found = zone.find(f"{prefix}{name}")
        if found and zone.sha256(found) == zone.sha256(archive.objects[name]):
            held.keep()  # where another run has taken over, it may have claimed this
            zone.delete(found)


def _put_marker(zone: S3DropZone, key: str, archived_at: datetime) -> None:
    """Put a marker whose time, in whole seconds, is not that of the first one: else it could not be told from it."""
    zone.put(key, b"", content_type="application/octet-stream")
    marker = zone.head(key)
    if marker and marker.modified_at <= archived_at:
        time.sleep(_NEW_SECOND)
        zone.delete(marker)
        zone.put(key, b"", content_type="application/octet-stream")

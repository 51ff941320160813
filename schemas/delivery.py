"""A delivery: one claim of one folder, and how far it has come."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.drop_zone import Folder, ObjectKind, StoredObject, kind_of

_NAMESPACE = uuid.UUID("0b6f2f0e-5a0b-5d39-9a53-2f6a0c1d7e11")


class Stage(StrEnum):
    """How far a delivery has come; it only ever moves on (rule R1)."""

    CLAIMED = "claimed"
    DECIDED = "decided"
    MOVED_ASIDE = "moved aside"
    ARCHIVED = "archived"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """One object of a delivery as it was when it was claimed (rule D6)."""

    name: str
    kind: ObjectKind
    stored: StoredObject


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claim of one folder.

    Attributes:
        id: UUIDv5 of feed, folder and the fingerprint of its objects, so that a claim made twice is one claim.
        feed: the feed's name.
        day: YYYYMMDD of the folder.
        claimed_at: UTC.
        stage: how far it has come.
        files: everything in the folder, in byte order of the keys.
    """

    id: str
    feed: str
    day: str
    claimed_at: datetime
    stage: Stage
    files: tuple[DeliveryFile, ...]

    @property
    def marker(self) -> DeliveryFile:
        """The `_SUCCESS` object that made the folder ready."""
        return next(file for file in self.files if file.kind is ObjectKind.MARKER)

    def named(self, name: str) -> DeliveryFile:
        """The file of a name."""
        return next(file for file in self.files if file.name == name)


@dataclass(frozen=True, slots=True)
class Move:
    """One archived object that makes room for a newer delivery of its date (rule P2)."""

    source: StoredObject
    target_key: str


@dataclass(frozen=True, slots=True)
class Callback:
    """One notification in the outbox (rules N1 to N3).

    Attributes:
        id: stable over all tries; sent as `webhook-id` and `Idempotency-Key`.
        delivery_id: the delivery that it tells of.
        body: the bytes to POST, the same on every try.
        attempts: tries made so far.
    """

    id: str
    delivery_id: str
    body: bytes
    attempts: int


def delivery_id(feed: str, folder: Folder) -> str:
    """Identity of a claim: the marker's time in whole seconds, and every object's name, ETag and size."""
    marker = folder.marker
    if marker is None:
        raise ValueError(f"{folder.prefix} holds no marker")
    lines = [feed, folder.day, marker.modified_at.isoformat()]
    lines += [f"{stored.key}\t{stored.etag}\t{stored.size_bytes}" for stored in folder.objects]
    return str(uuid.uuid5(_NAMESPACE, "\n".join(lines)))


def manifest(folder: Folder) -> tuple[DeliveryFile, ...]:
    """The folder's objects as the files of a delivery."""
    return tuple(
        DeliveryFile(name := folder.name_of(stored), kind_of(name, stored.size_bytes), stored)
        for stored in folder.objects
    )

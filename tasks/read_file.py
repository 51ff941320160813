"""Verb: bring one file of a delivery to this machine."""

from dataclasses import dataclass
from pathlib import Path

from blocks.connections import Connections, HeldLease
from blocks.spool import Spool
from schemas.delivery import Delivery, DeliveryFile
from tasks.verb import verb


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A stored file's bytes on this machine; `sha256` is a hex digest."""

    file: DeliveryFile
    path: Path
    typed_path: Path
    sha256: str


@verb("read file", "dt={delivery.day}/{file.name}")
def read_file(feed: Connections, held: HeldLease, delivery: Delivery, file: DeliveryFile) -> SpooledFile:
    """Download the claimed version of a file.

    Raises:
        ObjectChanged: it was replaced or removed after the claim.
        DropZoneBusy, AccessRefused: it cannot be read now.
        LeaseLost: another run has taken over.
    """
    spool, position = Spool.of(delivery.id, held.lease.fence), delivery.files.index(file)
    path = spool.stored(position)
    sha256 = feed.drop_zone.download(file.stored, path, held.keep)
    return SpooledFile(file, path, spool.typed(position), sha256)

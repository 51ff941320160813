"""Verbs: write to the ledger what became of one file, with its records if it has no fault."""

from blocks.connections import Connections, HeldLease
from blocks.spool import no_room
from schemas.delivery import Delivery, DeliveryFile
from schemas.outcome import FileOutcome
from schemas.settings import BlankCells
from schemas.valid_file import ValidFile
from schemas.validation import Rejection
from tasks.read_file import SpooledFile
from tasks.verb import verb


@verb("load file", "dt={delivery.day}/{spooled.file.name}")
def load_file(
    feed: Connections, held: HeldLease, delivery: Delivery, spooled: SpooledFile, valid: ValidFile
) -> FileOutcome:
    """Upsert the records and write the ledger's line in one transaction (rules L2, L3).

    Where others may write meanwhile the lease is kept alive; elsewhere nobody can take it over before the end.

    Raises:
        StoreBusy, CountsDisagree: nothing was loaded; worth another try.
        DropZoneBusy: the spool cannot be read; nothing was loaded.
        StoreConflict: the store's tables contradict the catalogue.
        LeaseLost: another run has taken over.
    """
    try:
        return feed.ledger.load(
            held.lease,
            delivery,
            valid,
            entity=feed.settings.entity,
            name=spooled.file.name,
            size_bytes=spooled.file.stored.size_bytes,
            sha256=spooled.sha256,
            clear_blanks=feed.settings.blank_cells is BlankCells.CLEAR,
            progress=held.keep if feed.ledger.shared else _nothing,
        )
    except OSError as exc:
        held.ledger.renew(held.lease)  # where another run has taken over, it has cleared up behind itself
        raise no_room("read below", str(spooled.typed_path.parent), exc) from None


def _nothing() -> None:
    pass


@verb("reject file", "dt={delivery.day}/{file.name}")
def reject_file(
    feed: Connections, held: HeldLease, delivery: Delivery, file: DeliveryFile, sha256: str, rejection: Rejection
) -> FileOutcome:
    """Write a file's faults to the ledger; nothing of it is loaded (rule F1).

    Raises:
        StoreBusy: worth another try.
        LeaseLost: another run has taken over.
    """
    outcome = FileOutcome(file.name, file.stored.size_bytes, sha256, rejection.rows, None, rejection.issues)
    feed.ledger.reject(held.lease, delivery, outcome, rejection.places)
    return outcome

"""Verbs: fix what a run imports, mend it where the bucket has moved on, and close it."""

from blocks.connections import Connections, HeldLease
from blocks.history import StepName
from blocks.ledger import Decision
from blocks.spool import remove_spools
from schemas.delivery import Delivery, DeliveryFile
from schemas.drop_zone import Folder, ObjectKind, kind_of
from schemas.errors import ImporterError, LeaseLost
from schemas.report import DeliveryReport
from tasks.verb import verb


@verb("claim", "dt={folder.day}")
def claim(feed: Connections, held: HeldLease, folder: Folder) -> Delivery | None:
    """Write the folder's objects to the ledger as a delivery (rule D6).

    Returns:
        The delivery; None if this very content under this very marker was imported before.

    Raises:
        AccessRefused: nothing could be archived later, so nothing is claimed.
        LeaseLost: another run has taken over.
    """
    feed.drop_zone.probe()
    return feed.ledger.claim(held.lease, feed.settings.entity, folder)


@verb("adopt", "dt={delivery.day}/{file.name}")
def adopt(feed: Connections, held: HeldLease, delivery: Delivery, file: DeliveryFile) -> Delivery | None:
    """Look again at a file that changed before it was loaded, and claim what is there now.

    A newer marker goes with it: left behind, it would make whatever comes next look ready. It stays where another
    new file stays, such as the new version of one that was loaded already: both are the next delivery.

    Returns:
        The delivery with the new version; None where the file is gone.

    Raises:
        DropZoneBusy, AccessRefused: it cannot be looked at now.
        LeaseLost: another run has taken over.
    """
    newer = feed.drop_zone.find(file.stored.key)
    if newer is None:
        return None
    marker = feed.drop_zone.find(delivery.marker.stored.key)
    if marker not in {None, delivery.marker.stored} and not _leaves_a_file(feed, delivery):
        feed.ledger.adopt(held.lease, delivery, delivery.marker.name, marker)
    return feed.ledger.adopt(held.lease, delivery, file.name, newer)


def _leaves_a_file(feed: Connections, delivery: Delivery) -> bool:
    """Whether a file lies in the folder now that stays there: not as it was claimed, and not to be read anew.

    One that was put again with the same content is imported as it was claimed, and stays.
    """
    prefix, claimed = (
        feed.settings.zone.folder_prefix(delivery.day),
        {file.name: file.stored for file in delivery.files},
    )
    judged = feed.ledger.file_outcomes(delivery)
    for stored in feed.drop_zone.list(prefix):
        name = stored.key.removeprefix(prefix)
        if kind_of(name, stored.size_bytes) is ObjectKind.INPUT and stored != claimed.get(name):
            is_read_anew = name in claimed and name not in judged and stored.etag != claimed[name].etag
            if not is_read_anew:
                return True
    return False


@verb("abandon", "dt={delivery.day}")
def abandon(feed: Connections, held: HeldLease, delivery: Delivery) -> None:
    """Give up a claim of which nothing was loaded: its files are gone.

    Raises:
        LeaseLost: another run has taken over.
    """
    if feed.ledger.abandon(held.lease, delivery):  # asked first: a successor may be reading
        remove_spools(delivery.id)


@verb("note trouble", "dt={delivery.day}")
def note_trouble(feed: Connections, held: HeldLease, delivery: Delivery, sentence: str) -> None:
    """Add to a delivery's story why it goes no further now; no news where that fails as well.

    Raises:
        LeaseLost: another run has taken over; what this one met may be that one's work.
    """
    try:
        feed.ledger.note_step(held.lease, delivery.id, StepName.FAILED, sentence)
    except LeaseLost:
        raise
    except ImporterError:
        return


@verb("finish", "dt={delivery.day}")
def finish(feed: Connections, held: HeldLease, delivery: Delivery, decision: Decision) -> DeliveryReport:
    """Close a delivery that is archived and cleared.

    Raises:
        StoreBusy: worth another try.
        LeaseLost: another run has taken over.
    """
    remove_spools(delivery.id)  # first: nobody looks for the files of a delivery that is finished
    feed.ledger.finish(held.lease, delivery)
    return DeliveryReport(
        delivery=delivery,
        success=decision.verdict == "SUCCESS",
        message=decision.status_txt.decode().partition("\n")[2].rstrip("\n"),
        files=tuple(feed.ledger.file_outcomes(delivery).values()),
        not_archived=tuple(
            step.detail for step in feed.ledger.steps(delivery.id) if step.name is StepName.NOT_ARCHIVED
        ),
    )

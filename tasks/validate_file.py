"""Verb: judge one file."""

from blocks.connections import Connections, HeldLease
from blocks.spool import no_room
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate
from tasks.read_file import SpooledFile
from tasks.verb import verb


@verb("validate file", "{spooled.file.name}")
def validate_file(feed: Connections, held: HeldLease, spooled: SpooledFile) -> ValidFile | Rejection:
    """Read a file once and find all of its faults (rules C, H, V, F).

    Raises:
        DropZoneBusy: the spool cannot be written; worth another try.
        LeaseLost: another run has taken over.
    """
    settings = feed.settings
    try:
        with spooled.path.open("rb") as source:
            catalogue = settings.attribute_catalogue
            return validate(source, catalogue, settings, spool=spooled.typed_path, progress=held.keep)
    except OSError as exc:
        held.ledger.renew(held.lease)  # where another run has taken over, that is the news
        raise no_room("write below", str(spooled.typed_path.parent), exc) from None

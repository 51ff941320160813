"""Verb: judge one file."""

from blocks.connections import Connections, HeldLease
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate
from tasks.read_file import SpooledFile
from tasks.verb import verb


@verb("validate file", "{spooled.file.name}")
def validate_file(feed: Connections, held: HeldLease, spooled: SpooledFile) -> ValidFile | Rejection:
    """Read a file once and find all of its faults (rules C, H, V, F).

    Raises:
        LeaseLost: another run has taken over.
    """
    settings = feed.settings
    with spooled.path.open("rb") as source:
        return validate(source, settings.attribute_catalogue, settings, spool=spooled.typed_path, progress=held.keep)

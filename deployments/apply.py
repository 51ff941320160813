"""`px-import apply`: settings files become Prefect block documents."""

from pathlib import Path

import httpx
from prefect.blocks.core import Block
from prefect_aws import AwsCredentials

from blocks.import_settings import AttributeCatalogue, ImportSettings
from schemas.date_format import DateFormat
from schemas.errors import SettingsError


def apply(files: list[Path]) -> int:
    """Register the block types and save each file as a document named after its feed; safe to repeat.

    Raises:
        SettingsError: a file is wrong, and no document was saved; or the Prefect server cannot be used.
    """
    every = [ImportSettings.from_file(path) for path in files]
    try:
        for kind in (AwsCredentials, AttributeCatalogue, ImportSettings):
            kind.register_type_and_schema()
        for settings in every:
            print(_save(settings))
            if note := DateFormat.compile(settings.date_format).note:
                print(f"note: {note}")
    except httpx.HTTPStatusError as exc:
        if exc.response.status_code not in {401, 403}:
            raise
        raise SettingsError("PREFECT_API_AUTH_STRING", "the Prefect server wants another user:password") from None
    except httpx.TransportError as exc:
        problem = f"the Prefect server cannot be reached ({type(exc).__name__}); start it or correct its address"
        raise SettingsError("PREFECT_API_URL", problem) from None
    return 0


def _save(settings: ImportSettings) -> str:
    """Save a feed's documents; a line that names them."""
    name = f"px-{settings.feed}"
    parts: list[Block] = [settings.authorization]
    if settings.catalogue.entries and not settings.catalogue._block_document_id:
        parts.append(settings.catalogue)  # the form shows, and keeps, only what is a document of its own
    for part in parts:
        part.save(name, overwrite=True)
    settings.save(settings.feed, overwrite=True)
    saved = " and ".join(f"{part.get_block_type_slug()}/{name}" for part in parts)
    return f"saved {settings.get_block_type_slug()}/{settings.feed} with {saved}"

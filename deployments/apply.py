"""`px-import apply`: settings files become Prefect block documents."""

from pathlib import Path

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials

from blocks.import_settings import AttributeCatalogue, ImportSettings


def apply(files: list[Path]) -> int:
    """Register the block types and save each file as a document named after its feed; safe to repeat.

    Raises:
        SettingsError: a file is wrong; no document was saved.
    """
    every = [ImportSettings.from_file(path) for path in files]
    for kind in (AwsCredentials, AttributeCatalogue, ImportSettings):
        kind.register_type_and_schema()
    for settings in every:
        name = f"px-{settings.feed}"
        parts: list[Block] = [settings.authorization]
        if settings.catalogue.entries and not settings.catalogue._block_document_id:
            parts.append(settings.catalogue)  # the form shows, and keeps, only what is a document of its own
        for part in parts:
            part.save(name, overwrite=True)
        settings.save(settings.feed, overwrite=True)
        saved = " and ".join(f"{part.get_block_type_slug()}/{name}" for part in parts)
        print(f"saved {ImportSettings.get_block_type_slug()}/{settings.feed} with {saved}")
    return 0

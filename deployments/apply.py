"""`px-import apply`: settings files become Prefect block documents."""

from pathlib import Path

from prefect.blocks.core import Block

from blocks.import_settings import ImportSettings
from blocks.prefect_api import asking_prefect
from deployments.feed_deployments import deploy_feeds, strays
from schemas.date_format import DateFormat
from schemas.errors import SettingsError


def apply(places: list[Path], *, deploy: bool = False) -> int:
    """Register the block types and save each file as a document named after its feed; safe to repeat.

    Args:
        places: settings files, and folders of them.
        deploy: make a deployment for each feed, too.

    Raises:
        SettingsError: a file is wrong, and no document was saved; or the Prefect server cannot be used.
    """
    every = _read(places)
    with asking_prefect():
        ImportSettings.register_type_and_schema()  # and the blocks that are chosen in it
        for settings in every:
            print(_save(settings))
            if note := DateFormat.compile(settings.date_format).note:
                print(f"note: {note}")
        if deploy:
            deploy_feeds(every)
        if any(place.is_dir() for place in places):
            for stray in strays(every):
                print(f"note: {stray}")
    return 0


def _read(places: list[Path]) -> list[ImportSettings]:
    """The settings of all files; each feed may have one.

    Raises:
        SettingsError: a file is wrong, a folder has none, or two are of one feed.
    """
    found: dict[str, Path] = {}
    every = []
    for path in settings_files(places):
        settings = ImportSettings.from_file(path)
        if settings.feed in found:
            raise SettingsError("feed", f"{found[settings.feed]} has the same name", source=str(path))
        found[settings.feed] = path
        every.append(settings)
    return every


def settings_files(places: list[Path]) -> list[Path]:
    """Each file, and of each folder all that end in .yaml, in the order of their names.

    Raises:
        SettingsError: a folder has none.
    """
    files = []
    for place in places:
        inside = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
        if not inside:
            raise SettingsError("", "no file in it ends in .yaml; name the folder of the settings", source=str(place))
        files += inside
    return files


def _save(settings: ImportSettings) -> str:
    """Save a feed's documents; a line that names them."""
    name = f"px-{settings.feed}"
    parts: list[Block] = [settings.authorization, settings.store]
    if settings.catalogue.entries and not settings.catalogue._block_document_id:
        parts.append(settings.catalogue)  # the form shows, and keeps, only what is a document of its own
    for part in parts:
        part.save(name, overwrite=True)
    settings.save(settings.feed, overwrite=True)
    saved = ", ".join(f"{part.get_block_type_slug()}/{name}" for part in parts)
    return f"saved {settings.get_block_type_slug()}/{settings.feed} with {saved}"

"""`px-import replay`: an archived delivery imported again, on purpose."""

import asyncio
import sys
from pathlib import Path

from blocks.import_settings import ImportSettings
from deployments.exit_codes import TROUBLE
from flows.replay import replay as lay_out_again
from flows.replay import unknown_to_the_ledger
from schemas.report import counted


def replay(name: str, path: Path, *, even_if_newer: bool) -> int:
    """Lay an archived delivery out in `current/` once more.

    Args:
        name: id of the delivery, its beginning, or the name of its folder in `processed/`.
        path: settings file of the feed.
        even_if_newer: see `flows.replay`.

    Returns:
        0 it was laid out, 2 a run holds the feed.

    Raises:
        SettingsError: it cannot be laid out.
        ImporterError: the world failed; the same command goes on from there.
    """
    settings = ImportSettings.from_file(path)
    archive = asyncio.run(lay_out_again(settings, name, even_if_newer=even_if_newer))
    if archive is None:
        print(
            f"px-import: a run is importing {settings.feed!r} right now; try again when it has ended", file=sys.stderr
        )
        return TROUBLE
    place = settings.zone.url(settings.zone.folder_prefix(archive.delivery.day))
    number = len(archive.objects)
    are, them = ("is", "it") if number == 1 else ("are", "them")
    print(f"{counted(number, 'file')} {are} laid out in {place}; the next run imports {them} as a new delivery.")
    return 0


def list_missing(path: Path) -> int:
    """Print date and id of each archived delivery that the ledger does not know, in the order to replay them.

    Args:
        path: settings file of the feed.

    Raises:
        ImporterError: settings, archive or store cannot be read.
    """
    for delivery in asyncio.run(unknown_to_the_ledger(ImportSettings.from_file(path))):
        print(f"{delivery.day}/{delivery.id}")
    return 0

"""Where a delivery's files lie on this machine while it is imported."""

import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import AccessRefused, DropZoneBusy

_PREFIX = "px-import-"
_NAME = re.compile(_PREFIX + r"([0-9a-f-]{36})-[0-9]+")
_OLD_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Spool:
    """A private folder for one run's work on one delivery; file names are positions, never names from the bucket.

    Two runs never share one: a run that was stopped and wakes up must not touch what its successor reads.
    """

    folder: Path

    @classmethod
    def of(cls, delivery_id: str, fence: int) -> "Spool":
        """The folder of a delivery for the run with this fence, made with mode 0700.

        Raises:
            AccessRefused: somebody else has made something of that name.
            DropZoneBusy: it cannot be made.
        """
        folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{delivery_id}-{fence}"
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            if not _is_private(folder):
                raise AccessRefused("use", str(folder), "it is no private folder of this user", "remove it") from None
        except OSError as error:
            raise no_room("make", str(folder), error) from None
        return cls(folder)

    def stored(self, position: int) -> Path:
        """The bytes as they lay in the bucket."""
        return self.folder / f"{position}.gz"

    def typed(self, position: int) -> Path:
        """The typed columns."""
        return self.folder / f"{position}.arrow"


def no_room(action: str, place: str, error: OSError) -> DropZoneBusy:
    """The importer's word for a file or folder of the spool that cannot be written or read."""
    said = os.strerror(error.errno) if error.errno else type(error).__name__
    return DropZoneBusy(action, place, f"{said}; make room there, or name another folder in TMPDIR")


def spooled_copies(delivery_id: str, position: int) -> Iterator[Path]:
    """What this run, or an earlier one on this machine, has downloaded of a file."""
    for folder in _folders(delivery_id):
        if (path := Spool(folder).stored(position)).exists():
            yield path


def remove_spools(delivery_id: str) -> None:
    """Delete what any run on this machine has kept of a delivery."""
    for folder in _folders(delivery_id):
        shutil.rmtree(folder, ignore_errors=True)


def old_spools() -> set[str]:
    """Ids of the deliveries of which runs that were killed have left something on this machine more than a week ago.

    They may be of any feed and any ledger that this machine works for. A run's own folder is never that old.
    """
    oldest, found = time.time() - _OLD_SECONDS, set[str]()
    for folder in _folders("*"):
        with suppress(FileNotFoundError):  # another run clears up as well
            if max(path.lstat().st_mtime for path in (folder, *folder.iterdir())) < oldest:
                found.add(_delivery_of(folder))
    return found


def _folders(delivery_id: str) -> list[Path]:
    found = Path(tempfile.gettempdir()).glob(f"{_PREFIX}{delivery_id}-*")
    return [folder for folder in found if _delivery_of(folder) and _is_private(folder)]


def _delivery_of(folder: Path) -> str:
    """Id of the delivery that a folder belongs to; empty where it is something else of a similar name."""
    found = _NAME.fullmatch(folder.name)
    return found[1] if found else ""


def _is_private(folder: Path) -> bool:
    """Whether it is a folder, no link, of this user, and closed to all others."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077

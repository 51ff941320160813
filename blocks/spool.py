"""Where a delivery's files lie on this machine while it is imported."""

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import AccessRefused


@dataclass(frozen=True, slots=True)
class Spool:
    """A private folder for one delivery; file names are positions, never names from the bucket."""

    folder: Path

    @classmethod
    def of(cls, delivery_id: str) -> "Spool":
        """The folder of a delivery: the same one for every run on this machine, made with mode 0700.

        Raises:
            AccessRefused: somebody else has made a folder, or a link, of that name.
        """
        folder = Path(tempfile.gettempdir()) / f"px-import-{delivery_id}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise AccessRefused("use", str(folder), "it is not this user's private folder", "remove it")
        return cls(folder)

    def stored(self, position: int) -> Path:
        """The bytes as they lay in the bucket."""
        return self.folder / f"{position}.gz"

    def typed(self, position: int) -> Path:
        """The typed columns."""
        return self.folder / f"{position}.arrow"

    def remove(self) -> None:
        """Delete it all."""
        shutil.rmtree(self.folder, ignore_errors=True)

"""The settings that decide how files are read; apart from the others, for `px-import check` must start fast."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from schemas.catalogue import Catalogue, catalogue_of
from schemas.errors import SettingsError
from schemas.settings import FileSettings

BLOCK_REFERENCE = "block:"


class ReadingSettings(FileSettings):
    """What of a settings file decides how files are read: all that it takes to check one."""

    catalogue: str = Field("", description="A JSON file relative to this one, or block:NAME; empty: PX's attributes.")

    @classmethod
    def of(cls, parts: Mapping[str, Any], source: str) -> Self:
        """The settings that such parts of a settings file make.

        Raises:
            SettingsError: the first of them that is wrong, by its field (rule S9).
        """
        try:
            return cls.model_validate(parts)
        except ValidationError as exc:
            from blocks.feed_settings import SettingsFile, settings_error

            raise settings_error(exc, SettingsFile, source) from None

    def catalogue_entries(self, folder: Path) -> list[dict[str, Any]]:
        """The entries of the catalogue file; none where PX's default attributes are meant.

        Raises:
            SettingsError: the file cannot be read or is no JSON.
        """
        if not self.catalogue:
            return []
        return read_catalogue_file(folder / self.catalogue)

    def file_catalogue(self, folder: Path) -> Catalogue:
        """The catalogue of the file, or PX's default attributes."""
        entries = self.catalogue_entries(folder)
        return catalogue_of(entries, self.entity, self.catalogue)


def read_catalogue_file(path: Path) -> list[dict[str, Any]]:
    """The entries of a catalogue file.

    Raises:
        SettingsError: the file cannot be read, is no JSON or no catalogue.
    """
    try:
        entries = json.loads(path.read_bytes())
    except OSError as exc:
        raise SettingsError("catalogue", f"{path} cannot be read ({exc.strerror})") from None
    except (ValueError, RecursionError) as exc:
        raise SettingsError("catalogue", f"{path} is not valid JSON ({exc})") from None
    Catalogue.parse(entries, source=str(path))
    return list(entries)

"""The CSV file with a line for each case: written as they come, so that what was interrupted can go on."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

from deployments.chaos.table import Line
from schemas.errors import SettingsError

_COLUMNS = [field.name for field in fields(Line)]


def kept_lines(path: Path) -> list[Line]:
    """The cases of an earlier run that ended as promised; none where there is no file.

    Raises:
        SettingsError: it is another kind of file.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = [Line(**{**row, "number": int(row["number"])}) for row in csv.DictReader(file)]  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, KeyError):
        raise SettingsError("--cases", f"{path} is no list of cases; name another file") from None
    return [line for line in lines if not line.broken]


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """All lines, sorted, in place of what the file held.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(map(astuple, sorted(lines)))
    except OSError as error:
        raise SettingsError("--cases", f"{path} cannot be written ({error.strerror})") from None


def add_line(path: Path, line: Line) -> None:
    """One more line at the end."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(astuple(line))

"""Tables for a person: whole in a pipe, and in a terminal as much of them as can be read there."""

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 100_000  # each row on one line
_GAP = 2
_SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: its heading.
        cells: from above, with Rich's markup.
        is_number: set to the right.
        folds_to: of so many characters or more where there is no room for the whole cells, which then take several
            lines; 0: always on one line.
        goes: left out where there is no room, the lowest number first; 0: never.
    """

    name: str
    cells: tuple[str, ...]
    is_number: bool = False
    folds_to: int = 0
    goes: int = 0

    @property
    def width(self) -> int:
        """Characters that it takes at least."""
        lines = [line for cell in (self.name, *self.cells) for line in cell.split("\n")]
        widest = max(Text.from_markup(line, emoji=False).cell_len for line in lines)
        return min(widest, self.folds_to) if self.folds_to else widest


def terminal(pipe_width: int = _PIPE_WIDTH, *, quiet: bool = False) -> Console:
    """A terminal as wide as it is, or a pipe, which gets every row on one line; NO_COLOR is respected.

    Args:
        pipe_width: characters on a line of the pipe.
        quiet: print nothing.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names from all over the world, terminals that are not
    width = None if sys.stdout.isatty() else pipe_width
    return Console(highlight=False, emoji=False, width=width, quiet=quiet)


def show(console: Console, wide: list[Column], narrow: list[Column]) -> None:
    """Print a table.

    Args:
        console: where to.
        wide: its columns.
        narrow: those for where the wide ones have no room on a line; what then must go is named below the table.
    """
    if _fit(console, [replace(column, folds_to=0) for column in wide]):
        console.print(_table(wide))
        return
    shown, gone = list(narrow), list[str]()
    for column in sorted((each for each in narrow if each.goes), key=lambda each: each.goes):
        if _fit(console, shown):
            break
        gone.append(column.name)
        shown.remove(column)
    console.print(_table(shown))
    if gone:
        names = ", ".join(reversed(gone))
        console.print(f"[dim]No room for {names}; see --json or a wider terminal.[/]")


def beginnings(ids: Iterable[str]) -> tuple[str, ...]:
    """Of each id as much as tells it from the others here, eight characters at least."""
    every = tuple(ids)
    length = _SHORT_ID
    while len({id_[:length] for id_ in every}) < len(set(every)):
        length += 1
    return tuple(id_[:length] for id_ in every)


def _fit(console: Console, columns: list[Column]) -> bool:
    return sum(column.width + _GAP for column in columns) - _GAP <= console.width


def _table(columns: list[Column]) -> Table:
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            no_wrap=not column.folds_to,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table

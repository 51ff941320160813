"""Counts the faults of one file: exact numbers, the first lines of each kind, the first places (rules F2 to F5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.issues import SHOWN_LINES, Code, FaultPlace, Issue
from schemas.record_scanner import Ints


@dataclass(frozen=True, slots=True)
class Faulty:
    """Rows of one batch that share a fault; lines and rows ascend."""

    column: str
    code: Code
    message: str
    lines: Ints
    rows: Ints


class FaultTally:
    """Collects the faults of a file while it is read; true as soon as there is one."""

    def __init__(self, max_places: int) -> None:
        self._max_places = max_places
        self._whole: list[Issue] = []
        self._header: list[Issue] = []
        self._grouped: dict[tuple[str, Code], Issue] = {}
        self._places: list[FaultPlace] = []

    def __bool__(self) -> bool:
        """Whether any fault was found."""
        return bool(self._whole or self._header or self._grouped)

    def add_issue(self, issue: Issue, line: int) -> None:
        """Take a fault of the file (line 0 or the record where reading stopped) or of its header."""
        (self._header if issue.code in _HEADER_CODES else self._whole).append(issue)
        self._places.append(FaultPlace(line, 0, issue.column, issue.code, issue.message))

    def add(self, found: Sequence[Faulty]) -> None:
        """Take the faults of the next batch."""
        for fault in found:
            key = (fault.column, fault.code)
            known = self._grouped.get(key, Issue(fault.code, fault.message, column=fault.column))
            lines = (*known.lines, *map(int, fault.lines[:SHOWN_LINES]))[:SHOWN_LINES]
            self._grouped[key] = Issue(fault.code, fault.message, known.count + len(fault.lines), lines, fault.column)
        room = self._max_places - len(self._places)
        if room > 0 and found:
            self._places += _first_places(found, room)

    def issues(self, columns: Sequence[str]) -> tuple[Issue, ...]:
        """All faults: of the file, of the header, then of cells in column order (rule F3)."""
        order = {name: position for position, name in enumerate(columns)}
        codes = list(Code)
        grouped = sorted(
            self._grouped.values(), key=lambda issue: (order.get(issue.column, -1), codes.index(issue.code))
        )
        records = [issue for issue in grouped if not issue.column]
        cells = [issue for issue in grouped if issue.column]
        return (*self._whole, *records, *self._header, *cells)

    def places(self) -> tuple[FaultPlace, ...]:
        """The first places in line order."""
        return tuple(sorted(self._places, key=lambda place: place.line)[: self._max_places])


_HEADER_CODES = {Code.UNKNOWN_COLUMN, Code.MISSING_COLUMN, Code.DUPLICATE_COLUMN, Code.EMPTY_COLUMN_NAME}


def _first_places(found: Sequence[Faulty], room: int) -> list[FaultPlace]:
    """The first places of a batch in line order; no more is made of it than is kept."""
    which = np.concatenate([np.full(min(len(fault.rows), room), number) for number, fault in enumerate(found)])
    lines = np.concatenate([fault.lines[:room] for fault in found])
    rows = np.concatenate([fault.rows[:room] for fault in found])
    first = np.lexsort((which, lines))[:room]
    return [
        FaultPlace(int(lines[i]), int(rows[i]), fault.column, fault.code, fault.message)
        for i in first
        for fault in [found[which[i]]]
    ]

"""Finds the records of an RFC 4180 text and the faults in its structure (rules C1, C4, C5).

All work is done on whole arrays of byte positions. What makes that possible: a run of quotes does one
of three things to the state "inside a quoted field", whatever came before it. An even run leaves it; an odd
run at the start of a field flips it; an odd run anywhere else ends outside. So the state after every run is
a running sum of flips since the last run that ended outside, and the reader recovers at faults
as a reader byte by byte would: a stray quote is text, text after a closing quote is unquoted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.issues import Code

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_QUOTE, _COMMA, _LF, _CR = b'",\n\r'
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Records:
    """The records that ended within the bytes fed last.

    Attributes:
        ends: offset in the whole text just behind each record, its line end included.
        lines: physical line on which each record starts; the first line is 1.
        fields: number of fields of each.
        blank: records with nothing but their line end.
        faults: indexes of the records with a fault in their structure, by kind.
    """

    ends: Ints
    lines: Ints
    fields: Ints
    blank: Bools
    faults: Mapping[Code, Ints]


class RecordScanner:
    """Scans a text fed in chunks of any size; where the chunks end never matters."""

    def __init__(self) -> None:
        self._held = b""  # quotes and CRs at the end of a chunk: the next byte decides what they are
        self._previous = _LF
        self._offset = 0
        self._inside = 0
        self._line = 1
        self._commas = 0
        self._pending: set[Code] = set()
        self.record_start = 0
        self.record_line = 1

    @property
    def record_bytes(self) -> int:
        """Bytes so far of the record that has not ended yet."""
        return self._offset + len(self._held) - self.record_start

    def feed(self, chunk: bytes, *, last: bool = False) -> Records:
        """Scan the next bytes; with `last` the text ends behind them."""
        text = self._held + chunk
        keep = len(text) if last else len(text.rstrip(b'"\r'))
        text, self._held = text[:keep], text[keep:]
        octets = np.frombuffer(text, np.uint8)
        starts, states, faults = self._quotes(octets)
        if b"\r" in text:
            faults[Code.BARE_CARRIAGE_RETURN] = _bare_carriage_returns(octets, starts, states)
        if b"\0" in text:
            faults[Code.NUL_CHARACTER] = np.flatnonzero(octets == 0)
        faults = {code: places for code, places in faults.items() if len(places)}
        records = self._records(octets, starts, states, faults, last=last)
        self._offset += len(text)
        self._inside = int(states[-1])
        if len(octets):
            self._previous = int(octets[-1])
        return records

    def _quotes(self, octets: Bytes) -> tuple[Ints, Ints, dict[Code, Ints]]:
        """Where each run of quotes starts, the state before the first and after each, and their faults."""
        quotes = np.flatnonzero(octets == _QUOTE)
        if not len(quotes):
            return _NONE, np.array([self._inside]), {}
        first = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
        starts, lengths = quotes[first], np.diff(first, append=len(quotes))
        before = octets[starts - 1]
        if starts[0] == 0:
            before[0] = self._previous
        behind = starts + lengths
        after = octets[np.minimum(behind, len(octets) - 1)]
        if behind[-1] == len(octets):
            after[-1] = _LF
        at_start = (before == _COMMA) | (before == _LF)
        odd = (lengths & 1).astype(np.bool_)
        flips = self._inside + np.cumsum(odd & at_start)
        base = np.maximum.accumulate(np.where(odd & ~at_start, flips, 0))
        states = np.concatenate(([self._inside], (flips - base) & 1))
        was_inside, is_inside = states[:-1] == 1, states[1:] == 1
        closes = ~is_inside & (was_inside | at_start)
        at_end = (after == _COMMA) | (after == _LF) | (after == _CR)
        faults = {
            Code.QUOTE_IN_FIELD: starts[~was_inside & ~at_start],
            Code.TEXT_AFTER_QUOTE: starts[closes & ~at_end],
        }
        return starts, states, faults

    def _records(
        self, octets: Bytes, starts: Ints, states: Ints, faults: Mapping[Code, Ints], *, last: bool
    ) -> Records:
        """Cut the text at the line ends outside quotes, and give each fault to its record."""
        ends = np.flatnonzero(octets == _LF) + 1
        commas = np.flatnonzero(octets == _COMMA)
        lines_after = np.arange(self._line + 1, self._line + len(ends) + 1)
        self._line += len(ends)
        if len(starts) or self._inside:
            outside = states == 0
            whole = outside[np.searchsorted(starts, ends)]
            ends, lines_after = ends[whole], lines_after[whole]
            runs = np.searchsorted(commas, starts)
            commas = commas[np.repeat(outside, np.diff(runs, prepend=0, append=len(commas)))]
        unended = last and len(octets) > (ends[-1] if len(ends) else self.record_start - self._offset)
        if unended:
            ends, lines_after = np.append(ends, len(octets)), np.append(lines_after, self._line)
            if states[-1]:
                faults = {**faults, Code.UNCLOSED_QUOTE: np.array([len(octets) - 1])}
        behind = np.searchsorted(commas, ends)
        fields = np.diff(behind, prepend=0) + 1
        if len(fields):
            fields[0] += self._commas
            self._commas = 0
        self._commas += len(commas) - (int(behind[-1]) if len(behind) else 0)
        return self._close(octets, ends, fields, lines_after, self._assign(faults, ends), unended=unended)

    def _assign(self, faults: Mapping[Code, Ints], ends: Ints) -> dict[Code, Ints]:
        """Turn places of faults into record indexes; those of the unfinished record are kept for later."""
        found: dict[Code, Ints] = {}
        earlier, self._pending = self._pending, set()
        if not len(ends):
            self._pending = earlier
        for code in {*faults, *earlier}:
            indexes = np.unique(np.searchsorted(ends, faults.get(code, _NONE), side="right"))
            if code in earlier and len(ends):
                indexes = np.union1d(indexes, [0])
            if len(indexes) and indexes[-1] == len(ends):
                self._pending.add(code)
                indexes = indexes[:-1]
            if len(indexes):
                found[code] = indexes
        return found

    def _close(
        self,
        octets: Bytes,
        ends: Ints,
        fields: Ints,
        lines_after: Ints,
        faults: Mapping[Code, Ints],
        *,
        unended: bool,
    ) -> Records:
        """Complete the records with where they start, and remember where the next one does."""
        if not len(ends):
            return Records(_NONE, _NONE, _NONE, np.empty(0, np.bool_), {})
        starts = np.concatenate(([self.record_start - self._offset], ends[:-1]))
        lines = np.concatenate(([self.record_line], lines_after[:-1]))
        length = ends - starts
        blank = length == 1
        two = np.flatnonzero((length == 2) & (starts >= 0))
        blank[two] = octets[starts[two]] == _CR
        if unended:
            blank[-1] = False
        self.record_start = self._offset + int(ends[-1])
        self.record_line = int(lines_after[-1])
        return Records(ends + self._offset, lines, fields, blank, faults)


def _bare_carriage_returns(octets: Bytes, starts: Ints, states: Ints) -> Ints:
    """Places of the CRs outside quotes that no LF follows."""
    places = np.flatnonzero(octets == _CR)
    following = octets[np.minimum(places + 1, len(octets) - 1)]
    places = places[following != _LF]  # a CR at the very end follows itself: bare as well
    bare: Ints = places[states[np.searchsorted(starts, places, side="right")] == 0]
    return bare

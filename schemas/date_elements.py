"""The elements of a date pattern, and how each reads a block of cells (rule V6).

No element loops over rows: a block keeps byte k of all its cells in one array, so that reading
an element is a handful of numpy operations, equally many whether the cells are right or wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Field(StrEnum):
    """What an element says about the instant."""

    ERA = "era"
    YEAR = "year"
    QUARTER = "quarter"
    MONTH = "month"
    DAY = "day"
    DAY_OF_YEAR = "day of the year"
    WEEKDAY = "day of the week"  # Monday is 0
    HALF = "half of the day"  # AM is 0
    HOUR = "hour"
    HOUR_OF_HALF = "hour of the half day"
    MINUTE = "minute"
    SECOND = "second"
    MILLISECOND = "fraction of a second"
    OFFSET = "zone"  # in seconds east of UTC


class Block:
    """Cells side by side, how far they are read, which are still valid, and the fields found so far."""

    __slots__ = ("_at", "_columns", "_extra", "fields", "valid")

    def __init__(self, text: Bytes, starts: Longs, lengths: Longs, width: int) -> None:
        """Take the first `width` bytes of each cell; what lies beyond a cell's end reads as 0."""
        self._columns = np.empty((width, len(starts)), np.uint8)
        for k in range(width):
            text.take(starts + k, mode="clip", out=self._columns[k])
            self._columns[k] *= lengths > k
        self._at = 0
        self._extra: Longs | None = None  # how much further than _at each cell is read, once they differ
        self.valid: Flags = np.ones(len(starts), np.bool_)
        self.fields: dict[Field, Numbers] = {}

    def byte(self, k: int) -> Bytes:
        """The byte of each cell that stands k behind the place reached."""
        place = self._at + k
        if self._extra is None:
            found: Bytes = self._columns[place]
            return found
        count = self._columns.shape[1]
        return self._columns.ravel().take((self._extra + place) * count + np.arange(count))

    def digit(self, k: int) -> Bytes:
        """The digit of each cell at that place; anything else is above 9."""
        return self.byte(k) - np.uint8(ord("0"))

    def starts_with(self, text: bytes) -> Flags:
        """Which cells go on with this text."""
        found = np.ones_like(self.valid)
        for k, char in enumerate(text):
            found &= self.byte(k) == char
        return found

    def advance(self, width: "int | Numbers") -> None:
        """Move on by as many bytes, in all cells alike or in each its own."""
        if isinstance(width, int):
            self._at += width
        else:
            self._extra = width.astype(np.int64) if self._extra is None else self._extra + width

    def ends_at(self, lengths: Longs) -> Flags:
        """Which cells are read exactly to their end."""
        found: Flags = lengths == (self._at if self._extra is None else self._at + self._extra)
        return found


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that stands in every cell as it is."""

    text: str

    @property
    def longest(self) -> int:
        """Most bytes of this element."""
        return len(self.text.encode())

    def read(self, block: Block) -> None:
        """Read this element in all cells."""
        block.valid &= block.starts_with(self.text.encode())
        block.advance(self.longest)

    def sample(self, _fields: Mapping[Field, int]) -> str:
        """This element of an instant."""
        return self.text


@dataclass(frozen=True, slots=True)
class Number:
    """A number in decimal digits.

    Attributes:
        field: what it says.
        lowest: least value as written.
        highest: greatest value as written.
        shortest: fewest digits.
        longest: most digits.
        base: added to what is written, 2000 for a year of two digits.
        cycle: the hour 24 or 12 stands for 0; 0 where nothing wraps.
        reserved: digits of the elements that follow without a gap; a number of no fixed width leaves them.
    """

    field: Field
    lowest: int
    highest: int
    shortest: int
    longest: int
    base: int = 0
    cycle: int = 0
    reserved: int = 0

    def read(self, block: Block) -> None:
        """Read this element in all cells."""
        digits = [block.digit(k) for k in range(self.longest)]
        width = self.shortest if self.shortest == self.longest else self._width(block)
        value = np.zeros(len(block.valid), np.int32)
        for k, digit in enumerate(digits):
            if k < self.shortest:
                block.valid &= digit <= 9
                value = value * 10 + digit
            else:
                value = np.where(k < width, value * 10 + digit, value)
        block.valid &= (value >= self.lowest) & (value <= self.highest)
        block.fields[self.field] = value % self.cycle if self.cycle else value + self.base
        block.advance(width)

    def _width(self, block: Block) -> Numbers:
        """How many digits each cell has for this element; too few show where the next element is read."""
        going = np.ones_like(block.valid)
        width = np.full(len(going), -self.reserved, np.int32)
        for k in range(self.longest + self.reserved):
            going &= block.digit(k) <= 9
            width += going
        return width.clip(self.shortest, self.longest)

    def sample(self, fields: Mapping[Field, int]) -> str:
        """This element of an instant."""
        return str(fields[self.field] - self.base).zfill(self.shortest)


@dataclass(frozen=True, slots=True)
class Fraction:
    """Decimal places of a second; those behind the third are checked and dropped."""

    longest: int
    field: Field = Field.MILLISECOND

    def read(self, block: Block) -> None:
        """Read this element in all cells."""
        value = np.zeros(len(block.valid), np.int32)
        for k in range(self.longest):
            digit = block.digit(k)
            block.valid &= digit <= 9
            if k < 3:
                value += digit * np.int32(10 ** (2 - k))
        block.fields[self.field] = value
        block.advance(self.longest)

    def sample(self, fields: Mapping[Field, int]) -> str:
        """This element of an instant."""
        return f"{fields[self.field]:03}000000"[: self.longest]


@dataclass(frozen=True, slots=True)
class Name:
    """One of a few words, each of which has a number."""

    field: Field
    words: tuple[tuple[str, int], ...]

    @property
    def longest(self) -> int:
        """Most bytes of this element."""
        return max(len(word) for word, _ in self.words)

    def read(self, block: Block) -> None:
        """Read this element in all cells; of two words that fit, the longer one counts."""
        value = np.zeros(len(block.valid), np.int32)
        width = np.zeros_like(value)
        for word, number in sorted(self.words, key=lambda pair: len(pair[0])):
            found = block.starts_with(word.encode())
            np.copyto(value, number, where=found)
            np.copyto(width, len(word), where=found)
        block.valid &= width > 0
        block.fields[self.field] = value
        same = {len(word) for word, _ in self.words} == {self.longest}
        block.advance(self.longest if same else width)

    def sample(self, fields: Mapping[Field, int]) -> str:
        """This element of an instant."""
        return next((word for word, number in self.words if number == fields[self.field]), self.words[0][0])


@dataclass(frozen=True, slots=True)
class Offset:
    """Distance from UTC in one of some forms, each known by its width: `Z`, `+hh`, `+hhmm`, `+hh:mm`."""

    widths: frozenset[int]
    field: Field = Field.OFFSET

    @property
    def longest(self) -> int:
        """Most bytes of this element."""
        return max(self.widths)

    def read(self, block: Block) -> None:
        """Read this element in all cells; Java's bound, 18 hours, is kept."""
        places = [block.byte(k) for k in range(self.longest)]
        width = np.zeros(len(block.valid), np.int32)
        seconds = np.zeros_like(width)
        for form in sorted(self.widths):
            found, value = _offset(places[:form])
            np.copyto(width, form, where=found)
            np.copyto(seconds, value, where=found)
        block.valid &= (width > 0) & (np.abs(seconds) <= 18 * 3600)
        block.fields[self.field] = seconds
        block.advance(width)

    def sample(self, fields: Mapping[Field, int]) -> str:
        """This element of an instant."""
        seconds = fields[self.field]
        if seconds == 0 and 1 in self.widths:
            return "Z"
        return {3: "{:+03}", 5: "{:+03}00", 6: "{:+03}:00"}[self.longest].format(seconds // 3600)


def _offset(places: list[Bytes]) -> tuple[Flags, Numbers]:
    """Which cells have an offset of just these bytes here, and its seconds."""
    if len(places) == 1:
        return places[0] == ord("Z"), np.zeros(len(places[0]), np.int32)
    sign, *rest = places
    found = (sign == ord("+")) | (sign == ord("-"))
    if len(places) == 6:
        found &= rest.pop(2) == ord(":")
    digits = [(place - np.uint8(ord("0"))).astype(np.int32) for place in rest]
    for digit in digits:
        found &= digit <= 9
    seconds = (digits[0] * 10 + digits[1]) * 3600
    if len(digits) == 4:
        found &= digits[2] <= 5
        seconds += (digits[2] * 10 + digits[3]) * 60
    return found, np.where(sign == ord("-"), -seconds, seconds)


Element = Literal | Number | Fraction | Name | Offset

#: Days from 1970 to the first of each month, from January of the year 1 on.
_FIRSTS = np.arange("0001-01", "10001-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
_EARLIEST, _LATEST = int(_FIRSTS[0]) * 86_400_000, int(_FIRSTS[9999 * 12]) * 86_400_000 - 1


def instants(block: Block) -> Longs:
    """Milliseconds since 1970 of each cell that is read; a cell whose fields do not agree is no longer valid."""
    fields = block.fields
    days = _days(block)
    if Field.QUARTER in fields:
        block.valid &= _within(days, (fields[Field.YEAR] - 1) * 12 + (fields[Field.QUARTER] - 1) * 3, 3)
    if Field.WEEKDAY in fields:
        block.valid &= (days + 3) % 7 == fields[Field.WEEKDAY]
    milliseconds = days * 86_400_000
    for what, worth in ((Field.MINUTE, 60_000), (Field.SECOND, 1_000), (Field.MILLISECOND, 1), (Field.OFFSET, -1_000)):
        if what in fields:
            milliseconds += fields[what] * np.int64(worth)
    milliseconds += _hours(block) * 3_600_000
    block.valid &= (milliseconds >= _EARLIEST) & (milliseconds <= _LATEST)
    return milliseconds


def _days(block: Block) -> Longs:
    """Days since 1970."""
    fields = block.fields
    month = (fields[Field.YEAR] - 1) * 12
    if Field.MONTH in fields:
        month += fields[Field.MONTH] - 1
    counted, months = (Field.DAY, 1) if Field.DAY in fields else (Field.DAY_OF_YEAR, 12)
    days: Longs = _FIRSTS.take(month, mode="clip") + fields[counted] - 1
    block.valid &= _within(days, month, months)
    return days


def _within(days: Longs, month: Numbers, count: int) -> Flags:
    """Whether each day lies in the so many months that begin with that one."""
    inside: Flags = (_FIRSTS.take(month, mode="clip") <= days) & (days < _FIRSTS.take(month + count, mode="clip"))
    return inside


def _hours(block: Block) -> "Longs | int":
    """The hour of the day, which may be written in two ways."""
    fields = block.fields
    if Field.HOUR_OF_HALF not in fields:
        if Field.HALF in fields:
            block.valid &= fields[Field.HOUR] // 12 == fields[Field.HALF]
        return fields[Field.HOUR].astype(np.int64) if Field.HOUR in fields else 0
    hour = fields[Field.HOUR_OF_HALF] + fields[Field.HALF].astype(np.int64) * 12
    if Field.HOUR in fields:
        block.valid &= fields[Field.HOUR] == hour
    return hour

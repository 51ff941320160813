"""Date formats: Java's patterns, read strictly and a column at a time (rules S5, V6).

A pattern means what `java.time.format.DateTimeFormatter` makes of it, in English and strictly,
with these exceptions, each on the safe side of what a person means:

* `X` takes `Z`, `+hh`, `+hhmm` and `+hh:mm`, however often it stands; no form has seconds.
* A number has as many digits as its letters, or, for a single letter, as its greatest value
  (`M` one or two, `y` one to four). There are no signs.
* `Y` is the calendar year. `D` and `DD` are the day of the month beside a month and no `d`.
* Instants lie in the years 1 to 9999, which every store can hold; so `BC` is never valid.
* What would read no sensible column is refused: a field named twice, two numbers without a fixed width
  side by side, `h` without `a`, optional sections, padding, localized forms.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from schemas.date_elements import (
    Block,
    Bytes,
    Element,
    Field,
    Flags,
    Fraction,
    Literal,
    Longs,
    Name,
    Number,
    Offset,
    instants,
)

#: Cells that are read at once: few enough for the processor's cache, many enough for numpy.
_BLOCK = 32_768
_LONGEST_PATTERN = 100

#: A field, those of which it needs one, and why.
_NEEDS: tuple[tuple[Field, set[Field], str], ...] = (
    (Field.MINUTE, {Field.MONTH, Field.DAY_OF_YEAR}, "is minutes and there is no month: write 'MM' for months"),
    (Field.MINUTE, {Field.HOUR, Field.HOUR_OF_HALF}, "is minutes and needs an hour: write 'HH', or 'MM' for months"),
    (Field.HOUR_OF_HALF, {Field.HALF}, "counts to 12 and needs 'a' for AM or PM; 'HH' counts to 23"),
    (Field.HALF, {Field.HOUR, Field.HOUR_OF_HALF}, "is AM or PM and needs an hour: write 'hh'"),
    (Field.SECOND, {Field.MINUTE}, "is seconds and needs minutes: write 'mm'"),
    (Field.MILLISECOND, {Field.SECOND}, "is a fraction of a second and needs seconds: write 'ss'"),
)


def _numbers(letter: str, what: Field, lowest: int, highest: int, most: int, cycle: int = 0) -> dict[str, Element]:
    """A number by the letters it is written with, one to `most` of them."""
    digits = len(str(highest))
    return {
        letter * count: Number(what, lowest, highest, count, max(count, digits), cycle=cycle)
        for count in range(1, most + 1)
    }


def _words(what: Field, names: str, first: int = 1, letters: int | None = None) -> Name:
    """Names in their order, each cut to so many letters."""
    return Name(what, tuple((name[:letters], number) for number, name in enumerate(names.split(","), first)))


_MONTHS = "January,February,March,April,May,June,July,August,September,October,November,December"
_WEEKDAYS = "Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"
_ZONES = Name(Field.OFFSET, (("UTC", 0), ("GMT", 0), ("UT", 0), ("Z", 0)))
_ELEMENTS: dict[str, Element] = {
    **_numbers("y", Field.YEAR, 1, 9999, most=4),
    **_numbers("u", Field.YEAR, 1, 9999, most=4),
    **dict.fromkeys(("yy", "uu"), Number(Field.YEAR, 0, 99, 2, 2, base=2000)),
    **_numbers("Q", Field.QUARTER, 1, 4, most=2),
    **_numbers("M", Field.MONTH, 1, 12, most=2),
    **_numbers("L", Field.MONTH, 1, 12, most=2),
    **_numbers("d", Field.DAY, 1, 31, most=2),
    **_numbers("D", Field.DAY_OF_YEAR, 1, 366, most=3),
    **_numbers("H", Field.HOUR, 0, 23, most=2),
    **_numbers("k", Field.HOUR, 1, 24, most=2, cycle=24),
    **_numbers("K", Field.HOUR_OF_HALF, 0, 11, most=2),
    **_numbers("h", Field.HOUR_OF_HALF, 1, 12, most=2, cycle=12),
    **_numbers("m", Field.MINUTE, 0, 59, most=2),
    **_numbers("s", Field.SECOND, 0, 59, most=2),
    **dict.fromkeys(("MMM", "LLL"), _words(Field.MONTH, _MONTHS, letters=3)),
    **dict.fromkeys(("MMMM", "LLLL"), _words(Field.MONTH, _MONTHS)),
    **dict.fromkeys(("E", "EE", "EEE"), _words(Field.WEEKDAY, _WEEKDAYS, 0, 3)),
    "EEEE": _words(Field.WEEKDAY, _WEEKDAYS, 0),
    "QQQ": _words(Field.QUARTER, "Q1,Q2,Q3,Q4"),
    "QQQQ": _words(Field.QUARTER, "1st quarter,2nd quarter,3rd quarter,4th quarter"),
    "a": _words(Field.HALF, "AM,PM", 0),
    **dict.fromkeys(("G", "GG", "GGG"), _words(Field.ERA, "AD")),
    "GGGG": _words(Field.ERA, "Anno Domini"),
    **dict.fromkeys(("z", "zz", "zzz"), _ZONES),
    **dict.fromkeys(("X", "XX", "XXX", "XXXX", "XXXXX"), Offset(frozenset({1, 3, 5, 6}))),
    "x": Offset(frozenset({3, 5})),
    **dict.fromkeys(("xx", "xxxx", "Z", "ZZ", "ZZZ"), Offset(frozenset({5}))),
    **dict.fromkeys(("xxx", "xxxxx"), Offset(frozenset({6}))),
    "ZZZZZ": Offset(frozenset({1, 6})),
    **{"S" * count: Fraction(count) for count in range(1, 10)},
}

#: Letters of one kind, quoted text, or other text as it stands.
_TOKEN = re.compile(r"(?P<letter>[A-Za-z])(?P=letter)*|'(?P<quoted>(?:[^']|'')*)'|[^A-Za-z']")
#: What two letters are read as that mean the year of a week and the day of a year.
_CALENDAR_LETTERS = {"Y": "calendar year", "D": "day of the month"}
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class DateFormat:
    """A compiled date pattern.

    Attributes:
        pattern: as it stands in the settings.
        note: a sentence for a person where the pattern is not read letter by letter as Java would, else empty.
    """

    pattern: str
    note: str
    _elements: tuple[Element, ...] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=64)
    def compile(cls, pattern: str) -> "DateFormat":
        """Read a pattern (rule V6).

        Raises:
            ValueError: it can name no day, or something in it has no meaning here; the first line says what and
                why, the next two show the pattern and a caret under the place.
        """
        meant = _with_calendar_letters(pattern)
        read_anew = {letter for letter, calendar in zip(pattern, meant, strict=True) if letter != calendar}
        meanings = " and ".join(_CALENDAR_LETTERS[letter] for letter in sorted(read_anew, reverse=True))
        note = f"{pattern!r} is read as {meant!r}: {meanings}." if meanings else ""
        try:
            parts = list(_parts(meant))
            _must_name_an_instant(_named(parts), end=len(meant))
            return cls(pattern, note, tuple(_reserving(parts)))
        except _Refused as refused:
            shown = _UNSEEN.sub("?", pattern)
            raise ValueError(f"{refused}\n    {shown}\n    {' ' * refused.at}^") from None

    def parse(self, cells: "pa.Array[Any] | pa.ChunkedArray[Any]") -> "tuple[pa.BooleanArray, pa.Array[Any]]":
        """Read a column of cells.

        Args:
            cells: strings without nulls; an empty one is blank.

        Returns:
            For each cell whether it is valid, as a blank one is, without nulls; and its instant as
            `timestamp[ms, UTC]`, null where the cell is blank or not valid.
        """
        cells = cells.cast(pa.large_string())
        if isinstance(cells, pa.ChunkedArray):
            cells = cells.combine_chunks()
        buffers: list[Any] = cells.buffers()
        count = len(cells)
        offsets = np.frombuffer(buffers[1] or b"", np.int64)[cells.offset :][: count + 1]
        content = np.frombuffer(buffers[2] or b"\0", np.uint8)
        valid, blank = np.empty(count, np.bool_), np.empty(count, np.bool_)
        times = np.empty(count, np.int64)
        for start in range(0, count, _BLOCK):
            rows = slice(start, start + _BLOCK)
            lengths = np.diff(offsets[start : start + _BLOCK + 1])
            blank[rows] = lengths == 0
            valid[rows], times[rows] = self._read(content, offsets[rows][: len(lengths)], lengths)
        stamps = pa.array(times.view("datetime64[ms]"), pa.timestamp("ms", tz="UTC"), mask=~valid)
        return pa.array(valid | blank), stamps

    def _read(self, text: Bytes, starts: Longs, lengths: Longs) -> tuple[Flags, Longs]:
        """Which cells of a block hold a date, and their milliseconds since 1970."""
        block = Block(text, starts, lengths, sum(element.longest for element in self._elements))
        for element in self._elements:
            element.read(block)
        block.valid &= block.ends_at(lengths)
        return block.valid, instants(block)

    def samples(self) -> tuple[str, str]:
        """Two instants as this format writes them."""
        one = datetime(2021, 12, 25, 13, 55, 42, 120_000, UTC)
        two = datetime(2024, 6, 5, 9, 7, 3, 45_000, timezone(timedelta(hours=1)))
        return self._sample(one), self._sample(two)

    def _sample(self, at: datetime) -> str:
        """One instant as this format writes it."""
        fields = {
            Field.ERA: 1,
            Field.YEAR: at.year,
            Field.QUARTER: (at.month + 2) // 3,
            Field.MONTH: at.month,
            Field.DAY: at.day,
            Field.DAY_OF_YEAR: at.timetuple().tm_yday,
            Field.WEEKDAY: at.weekday(),
            Field.HALF: at.hour // 12,
            Field.HOUR: at.hour,
            Field.HOUR_OF_HALF: at.hour % 12,
            Field.MINUTE: at.minute,
            Field.SECOND: at.second,
            Field.MILLISECOND: at.microsecond // 1000,
            Field.OFFSET: int((at.utcoffset() or timedelta()).total_seconds()),
        }
        return "".join(element.sample(fields) for element in self._elements)


class _Refused(Exception):
    """A pattern is refused."""

    def __init__(self, sentence: str, at: int) -> None:
        """Keep the place in the pattern."""
        super().__init__(sentence)
        self.at = at


class _Part(NamedTuple):
    """One element as it is written, and where."""

    text: str
    at: int
    element: Element


def _with_calendar_letters(pattern: str) -> str:
    """The pattern with `y` for `Y`, and with `d` for `D` where a month stands and no `d` does."""
    letters = {match["letter"] for match in _TOKEN.finditer(pattern)}
    day_of_month = letters & {"M", "L"} and "d" not in letters

    def calendar(match: re.Match[str]) -> str:
        if match["letter"] == "Y" or (match[0] in ("D", "DD") and day_of_month):
            return match[0].lower()
        return match[0]

    return _TOKEN.sub(calendar, pattern)


def _parts(pattern: str) -> Iterator[_Part]:
    """The elements of a pattern, in order."""
    if len(pattern) > _LONGEST_PATTERN:
        raise _Refused(f"a date format has at most {_LONGEST_PATTERN} characters", _LONGEST_PATTERN)
    if unseen := _UNSEEN.search(pattern):
        raise _Refused("a date format has no control characters", unseen.start())
    at = 0
    while at < len(pattern):
        match = _TOKEN.match(pattern, at)
        if not match:
            raise _Refused("this quote is never closed; a single quote as such is written ''", at)
        text = match[0]
        if text in "[]{}#":
            raise _Refused(f"{text!r} has no meaning here; text stands in quotes, like '{text}'", at)
        yield _Part(text, at, _element(match, at))
        at = match.end()


def _element(match: re.Match[str], at: int) -> Element:
    """What one token of a pattern means."""
    text, letter = match[0], match["letter"]
    if letter is None:
        return Literal((match["quoted"] or "'").replace("''", "'") if text[0] == "'" else text)
    if text in _ELEMENTS:
        return _ELEMENTS[text]
    if letter in "wWec":
        raise _Refused(f"{text!r} counts weeks or their days; write a date with year, month and day", at)
    forms = sorted((form for form in _ELEMENTS if form[0] == letter), key=len)
    if forms:
        raise _Refused(f"{text!r} is no form of {letter!r}; write {' or '.join(forms)}", at)
    raise _Refused(f"{letter!r} is no letter of a date; text stands in quotes, like '{text}'", at)


def _named(parts: list[_Part]) -> dict[Field, _Part]:
    """The part that names each field."""
    named: dict[Field, _Part] = {}
    for part in parts:
        if isinstance(part.element, Literal):
            continue
        what = part.element.field
        if what in named:
            hint = {Field.MONTH: "; minutes are 'mm'", Field.MINUTE: "; months are 'MM'"}.get(what, "")
            raise _Refused(f"{part.text!r} names the {what} a second time{hint}", part.at)
        named[what] = part
    return named


def _must_name_an_instant(named: dict[Field, _Part], end: int) -> None:
    """Refuse a pattern that lacks a field."""
    for what, others, sentence in _NEEDS:
        if what in named and not others & named.keys():
            raise _Refused(f"{named[what].text!r} {sentence}", named[what].at)
    if Field.DAY_OF_YEAR in named and (Field.MONTH in named or Field.DAY in named):
        part = named[Field.DAY_OF_YEAR]
        raise _Refused(f"{part.text!r} is the day of the year and needs no other: days of a month are 'dd'", part.at)
    day = [] if Field.DAY_OF_YEAR in named else [(Field.MONTH, "MM"), (Field.DAY, "dd")]
    for what, letters in [(Field.YEAR, "yyyy"), *day]:
        if what not in named:
            raise _Refused(f"there is no {what}: write {letters!r}", end)


def _reserving(parts: list[_Part]) -> Iterator[Element]:
    """The elements, each number without a fixed width told how many digits behind it are not its own."""
    for place, (text, at, element) in enumerate(parts):
        if not isinstance(element, Number | Offset) or _fixed_digits(element):
            yield element
            continue
        reserved = 0
        for follower in (part.element for part in parts[place + 1 :]):
            if isinstance(element, Number) and _fixed_digits(follower):
                reserved += follower.longest
            elif _may_begin_with_digit(follower):
                raise _Refused(f"nothing tells where {text!r} ends, as digits follow; put a character between", at)
            else:
                break
        yield replace(element, reserved=reserved) if isinstance(element, Number) else element


def _fixed_digits(element: Element) -> bool:
    """Whether an element is always the same number of digits."""
    return isinstance(element, Fraction) or (isinstance(element, Number) and element.shortest == element.longest)


def _may_begin_with_digit(element: Element) -> bool:
    """Whether what is written for an element may begin with a digit."""
    if isinstance(element, Literal):
        return element.text[0] in "0123456789"
    if isinstance(element, Name):
        return any(word[0] in "0123456789" for word, _ in element.words)
    return not isinstance(element, Offset)

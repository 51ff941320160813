"""Cells of one column, by type: which are wrong, and what the others are (rules V1 to V7, K2).

Each class judges a batch of text with its `checks`, which the Pandera schema runs, and then gives the batch as
typed values. Parsing is the same work for both, so what a check has parsed is kept for `typed`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.catalogue import Attribute, AttributeType
from schemas.date_format import DateFormat
from schemas.issues import Code
from schemas.product_key import ProductKey

#: Takes the text of a column, tells for each cell whether it is right.
Check = Callable[[pa.Array], pa.Array]
Bools = npt.NDArray[np.bool_]

_NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_INTEGER = r"^[+-]?[0-9]+(?:\.0*)?$"
#: From here on, 64 bits do not hold every integer.
_EXACT = 2.0**53
#: Integers of up to so many characters are compared as decimals of this type, which holds one digit more.
_DECIMAL = pa.decimal128(38)
_DECIMAL_CHARACTERS = 37


@dataclass(slots=True)
class Cells:
    """A column of text: everything is right (rules V2, V3)."""

    required: bool = False

    @property
    def checks(self) -> Mapping[Code, Check]:
        """The kinds of faults that a cell of this column can have."""
        return {Code.MISSING_VALUE: is_present} if self.required else {}

    def typed(self, text: pa.Array) -> pa.Array:
        """The values of a batch without faults; null where the cell is blank (rule V1)."""
        return text if self.required else blank_to_null(text)


@dataclass(slots=True)
class NumberCells(Cells):
    """Numbers: one notation, and only values that 64 bits hold (rule V4)."""

    _values: Any = field(default=None, init=False)

    @property
    def checks(self) -> Mapping[Code, Check]:
        """See `Cells`; the second goes on with what the first has read."""
        return {Code.INVALID_NUMBER: self._is_number, Code.NUMBER_OUT_OF_RANGE: self._is_in_range}

    def _is_number(self, text: pa.Array) -> pa.Array:
        self._values = _all_finite(text)
        if self._values is not None:
            return pa.array(np.ones(len(text), np.bool_))
        number = pc.match_substring_regex(text, _NUMBER)
        # Only numbers are cast: for each cell that it cannot read, Arrow would word an error.
        self._values = pc.if_else(number, text, pa.scalar(None, pa.string())).cast(pa.float64())
        return pc.or_(number, pc.invert(is_present(text)))

    def _is_in_range(self, text: pa.Array) -> pa.Array:
        right = np.array(pc.less(pc.abs(self._values), _EXACT).fill_null(True), np.bool_)
        doubtful = np.flatnonzero(~right)
        right[doubtful] = _is_held(text.take(doubtful), self._values.take(doubtful))
        return pa.array(right)

    def typed(self, text: pa.Array) -> pa.Array:
        """See `Cells`; 64-bit floats."""
        values, self._values = self._values, None
        return blank_to_null(text).cast(pa.float64()) if values is None else values


@dataclass(slots=True)
class BooleanCells(Cells):
    """`true` or `false` in any case (rule V5)."""

    @property
    def checks(self) -> Mapping[Code, Check]:
        """See `Cells`."""
        return {Code.INVALID_BOOLEAN: _is_boolean}

    def typed(self, text: pa.Array) -> pa.Array:
        """See `Cells`; booleans."""
        return pc.equal(pc.ascii_lower(blank_to_null(text)), "true")


@dataclass(slots=True)
class DateCells(Cells):
    """Dates in the feed's format (rule V6)."""

    date_format: DateFormat = field(kw_only=True)
    _parsed: pa.Array | None = field(default=None, init=False)

    @property
    def checks(self) -> Mapping[Code, Check]:
        """See `Cells`."""
        return {Code.INVALID_DATE: self._is_date}

    def _is_date(self, text: pa.Array) -> pa.Array:
        valid, self._parsed = self.date_format.parse(text)
        return valid

    def typed(self, text: pa.Array) -> pa.Array:
        """See `Cells`; UTC timestamps in milliseconds."""
        parsed, self._parsed = self._parsed, None
        return self.date_format.parse(text)[1] if parsed is None else parsed


@dataclass(slots=True)
class ProductKeyCells(Cells):
    """Product keys, written out in full; few different ones, so each is parsed once a batch (rules K1, K2)."""

    production: int = field(kw_only=True)
    allowed: frozenset[str] = field(kw_only=True)

    @property
    def checks(self) -> Mapping[Code, Check]:
        """See `Cells`."""
        checks = {Code.MISSING_VALUE: is_present, Code.INVALID_PRODUCT_KEY: self._is_key}
        return {**checks, Code.UNKNOWN_PRODUCT_KEY: self._is_known} if self.allowed else checks

    def _is_key(self, text: pa.Array) -> pa.Array:
        return self._each(text, lambda cell: cell == "" or self._full(cell) is not None, pa.bool_())

    def _is_known(self, text: pa.Array) -> pa.Array:
        known = {self._full(key) for key in self.allowed} | {None}
        return self._each(text, lambda cell: self._full(cell) in known, pa.bool_())

    def _full(self, cell: str) -> str | None:
        try:
            return str(ProductKey.parse(cell, self.production))
        except ValueError:
            return None

    def _each(self, text: pa.Array, judge: Callable[[str], object], to: pa.DataType) -> pa.Array:
        encoded = text.dictionary_encode()
        return pa.array([judge(cell) for cell in encoded.dictionary.to_pylist()], to).take(encoded.indices)

    def typed(self, text: pa.Array) -> pa.Array:
        """See `Cells`; the full form with its environment."""
        return self._each(text, self._full, pa.string())


def cells_of(attribute: Attribute, date_format: DateFormat, *, required: bool) -> Cells:
    """The cells of an attribute."""
    match attribute.type:
        case AttributeType.NUMBER:
            return NumberCells()
        case AttributeType.BOOLEAN:
            return BooleanCells()
        case AttributeType.DATE_TIME:
            return DateCells(date_format=date_format)
        case AttributeType.STRING:
            return Cells(required=required)


def is_present(text: pa.Array) -> pa.Array:
    """Whether each cell is not blank."""
    return pc.greater(pc.binary_length(text), 0)


def blank_to_null(text: pa.Array) -> pa.Array:
    """The same text with null for blank."""
    return pc.if_else(is_present(text), text, pa.scalar(None, pa.string()))


def _all_finite(text: pa.Array) -> pa.Array | None:
    """The numbers of a column without a fault; what Arrow reads beyond our notation are names of infinity and NaN."""
    try:
        values = blank_to_null(text).cast(pa.float64())
    except pa.ArrowInvalid:  # it ends at the first cell that it cannot read
        return None
    return values if pc.all(pc.is_finite(values), min_count=0).as_py() else None


def _is_held(numbers: pa.Array, values: pa.Array) -> Bools:
    """Whether large numbers are finite and, where they are integers, exactly what was written."""
    held = np.array(pc.is_finite(values), np.bool_)
    integers = np.flatnonzero(pc.and_(held, pc.match_substring_regex(numbers, _INTEGER)))
    held[integers] = _is_exact(numbers.take(integers), values.take(integers))
    return held


def _is_exact(integers: pa.Array, values: pa.Array) -> Bools:
    """Whether the floats are exactly the integers that they were read from."""
    short = np.array(pc.less_equal(pc.binary_length(integers), _DECIMAL_CHARACTERS), np.bool_)
    exact = short.copy()
    exact[short] = pc.equal(integers.filter(short).cast(_DECIMAL), values.filter(short).cast(_DECIMAL))
    long = zip(integers.filter(~short).to_pylist(), values.filter(~short).to_pylist(), strict=True)
    exact[~short] = [Decimal(integer) == value for integer, value in long]
    return exact


def _is_boolean(text: pa.Array) -> pa.Array:
    return pc.is_in(pc.ascii_lower(text), value_set=pa.array(["true", "false", ""]))

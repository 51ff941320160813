"""The Pandera schema of a feed, generated from its attribute catalogue (rule G2): it is the validator."""

import difflib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # pandera warns of its own module layout
    import pandera.pandas as pandera
    from pandera.config import ValidationDepth, config_context
    from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from schemas.catalogue import ID, Attribute, Catalogue
from schemas.cells import Cells, Check, ProductKeyCells, cells_of
from schemas.date_format import DateFormat
from schemas.issues import LONGEST_SHOWN, Code, Issue, cut, shown
from schemas.settings import FileSettings
from schemas.valid_file import PRODUCT_KEY

_TEXT = pd.ArrowDtype(pa.string())
#: Unknown columns for which a known one is looked for; whoever has more has another problem than a slip of the pen.
_SUGGESTED = 20
#: What names hardly are, and numbers, dates, booleans and e-mail addresses are.
_VALUE = re.compile(r"\s*[+-]?\.?[0-9]|\s*(true|false)\s*$|.*@", re.IGNORECASE | re.DOTALL)
#: Names in one cell that are looked at for another separator than the comma.
_SEPARATED = 4096
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

_WORDING = {
    Code.INVALID_NUMBER: "Invalid number in Column {}",
    Code.NUMBER_OUT_OF_RANGE: "Number out of range in Column {}",
    Code.INVALID_BOOLEAN: "Invalid boolean in Column {}",
    Code.INVALID_DATE: "Invalid date in Column {} (expected {date_format})",
    Code.MISSING_VALUE: "Missing value in Column {}",
    Code.INVALID_PRODUCT_KEY: "Invalid product key in Column {}",
    Code.UNKNOWN_PRODUCT_KEY: "Unknown product key in Column {}",
}


@dataclass(frozen=True, slots=True)
class CellFault:
    """Cells of one column of a batch that have the same fault; `wrong` is a mask over the batch's rows."""

    column: str
    code: Code
    message: str
    wrong: npt.NDArray[np.bool_]


class FrameSchema:
    """What a file of one feed must look like."""

    def __init__(self, catalogue: Catalogue, settings: FileSettings) -> None:
        self._settings = settings
        product_key_column = settings.destination.product_key_column
        self._attributes = {name: a for name, a in catalogue.by_name.items() if name != product_key_column}
        self._cells = _cells_by_header(catalogue, settings)
        self._schema = pandera.DataFrameSchema(
            {name: _column(cells) for name, cells in self._cells.items()}, strict=True, unique_column_names=True
        )
        for name in {ID, product_key_column} - {""}:
            self._schema = self._schema.update_column(name, required=True)

    def header_issues(self, header: Sequence[str]) -> list[Issue]:
        """Faults of the header in column order, then what is missing (rules H1 to H5, K2).

        A first line that is a record, for want of a header, is not quoted (rule F3).
        """
        if self._is_record(header):
            return [Issue(Code.MISSING_HEADER, "Missing header: the first line holds values, no names of columns")]
        found = [
            Issue(Code.EMPTY_COLUMN_NAME, f"Empty Column name at position {position}")
            for position, name in enumerate(header, 1)
            if not name
        ]
        frame = pd.DataFrame([], columns=[name for name in header if name], dtype=_TEXT)
        places = {name: place for place, name in reversed([*enumerate(header)])}
        absent = [name for name in self._cells if name not in places]
        for error in _errors(self._schema, frame):
            if error.reason_code is SchemaErrorReason.COLUMN_NOT_IN_SCHEMA:
                candidates = absent if len(found) < _SUGGESTED else ()  # each is compared with all of them
                found.append(_unknown(str(error.failure_cases), candidates))
            elif error.reason_code is SchemaErrorReason.COLUMN_NOT_IN_DATAFRAME:
                name = str(error.failure_cases)
                found.append(Issue(Code.MISSING_COLUMN, f"Missing required Column: {shown(name)}", column=name))
            elif error.reason_code is SchemaErrorReason.DUPLICATE_COLUMN_LABELS:
                found += [
                    Issue(Code.DUPLICATE_COLUMN, f"Duplicate Column: {shown(name)}", column=name)
                    for name in map(str, error.failure_cases)
                ]
        in_order = sorted(dict.fromkeys(found), key=lambda issue: _place(issue, places, len(header)))
        return [replace(issue, column=cut(issue.column)) for issue in in_order]

    def _is_record(self, header: Sequence[str]) -> bool:
        """Whether a first line is one, since it holds no name that is known or close to one, but what names are not."""
        if not self._cells.keys().isdisjoint(header) or not any(map(_VALUE.match, header)):
            return False
        return not any(_hint(name, list(self._cells)) for name in header[:_SUGGESTED])

    def known(self, header: Sequence[str]) -> dict[str, int]:
        """The header's names that the schema has, each with the position where it stands first."""
        return {name: header.index(name) for name in header if name in self._cells}

    def attributes(self, names: Sequence[str]) -> tuple[Attribute, ...]:
        """Those of the names that are attributes."""
        return tuple(self._attributes[name] for name in names if name in self._attributes)

    def part(self, names: Sequence[str]) -> "BatchSchema":
        """The schema of the batches of a file with these columns."""
        schema = self._schema.select_columns(list(names))
        return BatchSchema(schema, {name: self._cells[name] for name in names}, self._settings)


class BatchSchema:
    """Checks the batches of one file, and gives them typed."""

    def __init__(self, schema: "pandera.DataFrameSchema", cells: Mapping[str, Cells], settings: FileSettings) -> None:
        self._schema, self._cells = schema, cells
        self._date_format = settings.date_format
        self._product_key_column = settings.destination.product_key_column

    def faults(self, columns: Mapping[str, pa.Array]) -> list[CellFault]:
        """Run the schema over one batch of text columns; the faults in column order."""
        frame = pd.DataFrame({name: pd.Series(pd.arrays.ArrowExtensionArray(text)) for name, text in columns.items()})
        return [self._fault(error) for error in _errors(self._schema, frame)]

    def _fault(self, error: SchemaError) -> CellFault:
        if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK or error.check_output is None:
            # A check that breaks is our fault, never the file's; its text may hold cells, so it is left out.
            raise RuntimeError(f"a check of column {error.schema.name!r} failed: {error.reason_code}") from None
        name, code = str(error.schema.name), Code(error.check.name)
        message = _WORDING[code].format(shown(name), date_format=self._date_format)
        return CellFault(name, code, message, ~error.check_output.to_numpy(np.bool_))

    def typed(self, columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
        """One batch without faults as typed columns, laid out as `schemas.valid_file` says."""
        names = [PRODUCT_KEY if name == self._product_key_column else name for name in columns]
        return pa.RecordBatch.from_arrays(
            [_one(self._cells[name].typed(text)) for name, text in columns.items()], names=names
        )


def _cells_by_header(catalogue: Catalogue, settings: FileSettings) -> dict[str, Cells]:
    date_format = DateFormat.compile(settings.date_format)
    cells = {a.api_name: cells_of(a, date_format, required=a.api_name == ID) for a in catalogue.attributes}
    destination = settings.destination
    if destination.product_key_column:
        cells[destination.product_key_column] = ProductKeyCells(
            production=destination.production, allowed=frozenset(destination.allowed_product_keys)
        )
    return cells


def _column(cells: Cells) -> "pandera.Column":
    """A column of any type with our checks; each keeps one failure only, its mask tells them all."""
    checks = [
        pandera.Check(_SeriesCheck(check), name=code.value, ignore_na=False, n_failure_cases=1)
        for code, check in cells.checks.items()
    ]
    return pandera.Column(None, checks, nullable=True, required=False)


@dataclass(frozen=True)
class _SeriesCheck:
    """Lets Pandera run a check of Arrow text."""

    check: Check

    def __deepcopy__(self, memo: object) -> "_SeriesCheck":
        """Itself: Pandera copies its schemas, and a check belongs to cells that keep what it has parsed."""
        return self

    def __call__(self, series: "pd.Series[str]") -> "pd.Series[bool]":
        text = _one(pa.array(series, from_pandas=False)).cast(pa.string())
        return pd.Series(self.check(text).to_numpy(zero_copy_only=False).astype(np.bool_), index=series.index)


def _one(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _errors(schema: "pandera.DataFrameSchema", frame: pd.DataFrame) -> Iterator[SchemaError]:
    """What is wrong, whatever a PANDERA_VALIDATION_… variable of the machine turns off."""
    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(frame, lazy=True)
    except SchemaErrors as exc:
        yield from exc.schema_errors


def _unknown(name: str, absent: Sequence[str]) -> Issue:
    return Issue(Code.UNKNOWN_COLUMN, f"Unknown PX Column: {shown(name)}{_hint(name, absent)}", column=name)


def _hint(name: str, absent: Sequence[str]) -> str:
    for separator, word in _OTHER_SEPARATORS.items():
        if not set(absent).isdisjoint(name.split(separator, _SEPARATED)):
            return f" (columns are separated by commas, not by {word})"
    close = suggestion(name, absent)
    return f" (did you mean {shown(close)}?)" if close else ""


def _place(issue: Issue, places: Mapping[str, int], behind: int) -> int:
    """Place of a header fault for its order; a missing column stands last."""
    if issue.code is Code.EMPTY_COLUMN_NAME:
        return int(issue.message.rsplit(" ", 1)[1]) - 1
    return places.get(issue.column, behind)


def suggestion(name: str, known: Sequence[str]) -> str:
    """The known name that was surely meant, or nothing (rule H2)."""
    if len(name) > LONGEST_SHOWN:
        return ""  # no slip of the pen, and costly to compare
    plain = _plain(name)
    close = [candidate for candidate in known if _plain(candidate) == plain]
    if not close:
        close = difflib.get_close_matches(name, known, n=2, cutoff=0.85)
    return close[0] if len(close) == 1 else ""


def _plain(name: str) -> str:
    """Letters and digits only, in one case."""
    return re.sub(r"[\W_]+", "", name).casefold()

"""`px-import check`: what the importer would say of a file, without any server."""

import gzip
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from blocks.reading_settings import BLOCK_REFERENCE, ReadingSettings, read_catalogue_file
from deployments.exit_codes import TROUBLE
from schemas.catalogue import Catalogue
from schemas.csv_table import CsvTable
from schemas.date_format import DateFormat
from schemas.drop_zone import INPUT_SUFFIX
from schemas.errors import SettingsError
from schemas.gzip_stream import decompressed
from schemas.issues import FaultPlace, Unreadable, one_line
from schemas.outcome import FileOutcome, LoadCounts, errors_csv, file_json, message_of, verdict_of
from schemas.settings import DEFAULT_DATE_FORMAT
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, unsupported, validate

CHECK_VERSION = 1
STANDARD_INPUT = "-"
_INPUT_NAME = "standard input"
_GZIP = b"\x1f\x8b"
#: Stands in where no destination is given; a fixed product asks nothing of a file.
_ANY_PRODUCT = {"product": "AP-ANY"}
_OPTIONS = {"date_format": "--date-format", "destination": "--product-key-column"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says about how files are read; an option goes before the settings file's field."""

    settings_file: Path | None
    entity: str | None
    catalogue: Path | None
    date_format: str | None
    product_key_column: str | None

    def settings(self) -> ReadingSettings:
        """File and options together.

        Raises:
            SettingsError: one of them is wrong, or they do not say what the files hold.
        """
        options = {"entity": self.entity, "date_format": self.date_format}
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        column = {} if self.product_key_column is None else {"product_key_column": self.product_key_column}
        try:  # the options alone, so that a fault of theirs is not put down to the file
            alone = ReadingSettings.of({"destination": column or _ANY_PRODUCT, **given}, "")
        except SettingsError as exc:
            raise SettingsError(_OPTIONS.get(exc.field, exc.field), exc.problem) from None
        if self.settings_file is None:
            if self.entity is None:
                raise SettingsError("", "say what the files hold with --entity user, --entity account or --settings")
            return alone
        parts = _reading_parts(self.settings_file) | given
        if column:
            parts["destination"] = _with_column(parts.get("destination"), column)
        return ReadingSettings.of(parts, str(self.settings_file))

    def attribute_catalogue(self, settings: ReadingSettings) -> Catalogue:
        """The catalogue of the option, else that of the settings, else PX's default attributes.

        Raises:
            SettingsError: it cannot be read or is wrong.
        """
        if self.catalogue:
            return Catalogue.parse(read_catalogue_file(self.catalogue))
        if settings.catalogue.startswith(BLOCK_REFERENCE):
            from blocks.import_settings import load_catalogue  # asks Prefect's server; only then

            return load_catalogue(settings.catalogue, settings.entity)
        return settings.file_catalogue(self.settings_file.parent if self.settings_file else Path())

    def date_pattern(self) -> object:
        """The date format as it is written; whatever else is wrong with the settings is not asked for."""
        if self.date_format is not None:
            return self.date_format
        parts = _reading_parts(self.settings_file) if self.settings_file else {}
        return parts.get("date_format", DEFAULT_DATE_FORMAT)


def _reading_parts(settings_file: Path) -> dict[str, Any]:
    from blocks.feed_settings import reading_parts  # costs the start a tenth of a second; only where there is a file

    return reading_parts(settings_file)


def _with_column(destination: object, column: Mapping[str, str]) -> dict[str, Any]:
    """The settings' destination, with its allowed product keys, but a column in place of the fixed product."""
    kept = destination if isinstance(destination, dict) else {}
    return {**kept, "product": "", **column}


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out for one file.

    Attributes:
        outcome: as in the status files.
        places: of its faults.
        columns: in the header; 0 where there is none that can be read.
        note: why the importer would not take the file as it is stored; empty if it would.
        seconds: that it took.
    """

    outcome: FileOutcome
    places: tuple[FaultPlace, ...]
    columns: int
    note: str
    seconds: float


def check(files: list[str], given: Given, *, errors: Path | None, as_json: bool, summary: bool) -> int:
    """Validate files and print what `status.txt` would hold, that and nothing else, to standard output.

    A file that cannot be read hides no other. If one cannot and no other is rejected, neither SUCCESS nor JSON is
    printed, only the lines of the accepted ones.

    Args:
        files: paths; `-` is standard input.
        given: how they are read.
        errors: where the places of the faults go, as `errors.csv` has them.
        as_json: print JSON instead, as `schemas/check.schema.json` describes it.
        summary: add a line of figures for each file on standard error.

    Returns:
        0 all are accepted, 1 any is rejected, 2 any cannot be read.

    Raises:
        SettingsError: the settings cannot be read, or `errors` cannot be written.
    """
    _refuse_impossible(files, errors)
    settings = given.settings()
    catalogue = given.attribute_catalogue(settings)
    with tempfile.TemporaryDirectory(prefix="px-import-check-") as folder:
        results = [_checked(file, settings, catalogue, Path(folder)) for file in files]
    checked = [each for each in results if isinstance(each, Checked)]
    unread = [each for each in results if isinstance(each, SettingsError)]
    if errors:
        _write(errors, errors_csv(_named_places(checked), settings.limits.max_error_lines))
    accepted = not any(each.outcome.issues for each in checked)
    verdict = "" if accepted and unread else verdict_of(accepted)
    if as_json and verdict:
        print(json.dumps(_document(verdict, settings, catalogue, checked), ensure_ascii=False, indent=2))
    elif checked and not as_json:
        lines = message_of([each.outcome for each in checked], named=len(files) > 1)
        print("\n".join(filter(None, [verdict, lines])))
    for each in checked:
        _tell(each, summary=summary)
    for trouble in unread:
        print(f"px-import: {trouble}", file=sys.stderr)
    return TROUBLE if unread else int(not accepted)


def _refuse_impossible(files: list[str], errors: Path | None) -> None:
    if not files:
        raise SettingsError("", "name the files to check; - is standard input")
    if files.count(STANDARD_INPUT) > 1:
        raise SettingsError(STANDARD_INPUT, "standard input can be read only once")
    if errors and errors.exists() and any(Path(file).exists() and errors.samefile(file) for file in files):
        raise SettingsError("--errors", f"{errors} is one of the files to check; name another")


def _checked(file: str, settings: ReadingSettings, catalogue: Catalogue, folder: Path) -> Checked | SettingsError:
    """One file, from its bytes to what is said of it; or why it cannot be read."""
    started = time.monotonic()
    name, path = Path(file).name, Path(file)
    try:
        if file == STANDARD_INPUT:
            name, path = _INPUT_NAME, folder / "stdin"
            with path.open("wb") as target:
                shutil.copyfileobj(sys.stdin.buffer, target)
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        gzipped, note = _as_gzip(name, path, folder / "gzipped")
        verdict, columns = _verdict(gzipped, settings, catalogue) if gzipped else (unsupported(name), 0)
        size_bytes = path.stat().st_size
    except OSError as exc:
        return SettingsError(file, f"the file cannot be read ({exc.strerror or exc})")
    if isinstance(verdict, Rejection):
        places, counts, issues = verdict.places, None, verdict.issues
    else:
        places, counts, issues = (), LoadCounts(repeated=verdict.repeated), ()
    outcome = FileOutcome(name, size_bytes, sha256, verdict.rows, counts, issues)
    return Checked(outcome, places, columns, note, time.monotonic() - started)


def _verdict(path: Path, settings: ReadingSettings, catalogue: Catalogue) -> tuple[ValidFile | Rejection, int]:
    """What the validation says, and how many columns the header has; 0 where it cannot be read."""
    limits = settings.limits
    with path.open("rb") as source:
        verdict = validate(source, catalogue, settings, spool=Path(os.devnull))
        source.seek(0)
        try:
            header = CsvTable(decompressed(source, limits.max_decompressed_bytes), limits).read_header()
        except Unreadable:
            header = ()
    return verdict, len(header)


def _as_gzip(name: str, path: Path, spool: Path) -> tuple[Path | None, str]:
    """The file as the importer reads it, and why it would not take it as it is stored.

    Text that is not compressed yet is, here only, so that one reading judges every file; None where the name
    promises neither. What the importer takes by its name, it gets as it is.
    """
    if name.endswith(INPUT_SUFFIX):
        bookkeeping = name.startswith(("_", "."))
        return path, "the importer does not read names that begin with _ or .; rename it" if bookkeeping else ""
    if not name.endswith(".csv") and name != _INPUT_NAME:
        return None, ""
    with path.open("rb") as source:
        if source.read(len(_GZIP)) == _GZIP:
            named = name.endswith(".csv")
            return path, f"the importer takes {INPUT_SUFFIX} only; this is gzipped, so rename it" if named else ""
        source.seek(0)
        with gzip.open(spool, "wb", compresslevel=0) as target:
            shutil.copyfileobj(source, target)
    return spool, f"the importer takes {INPUT_SUFFIX} only; compress it with gzip"


def _named_places(checked: list[Checked]) -> list[tuple[str, FaultPlace]]:
    return [(each.outcome.name, place) for each in checked for place in each.places]


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as exc:
        raise SettingsError("--errors", f"{path} cannot be written ({exc.strerror})") from None


def _tell(checked: Checked, *, summary: bool) -> None:
    """What does not belong to the status file, on standard error."""
    file = checked.outcome
    if checked.note:
        print(f"{one_line(file.name)}: note: {checked.note}", file=sys.stderr)
    if summary:
        figures = f"{file.rows} rows, {checked.columns} columns, {file.size_bytes} bytes, {checked.seconds:.2f} seconds"
        print(f"{one_line(file.name)}: {figures}", file=sys.stderr)


def _document(verdict: str, settings: ReadingSettings, catalogue: Catalogue, checked: list[Checked]) -> dict[str, Any]:
    """The same for programs, `version` 1; `schemas/check.schema.json` describes it."""
    return {
        "version": CHECK_VERSION,
        "verdict": verdict,
        "entity": settings.entity.value,
        "date_format": settings.date_format,
        "catalogue_hash": catalogue.hash,
        "files": [_file_json(each) for each in checked],
    }


def _file_json(checked: Checked) -> dict[str, Any]:
    """A file as in status.json, without what only a load knows."""
    file = file_json(checked.outcome)
    names = ("name", "size_bytes", "sha256", "rows", "repeated", "faults")
    return {**{name: file[name] for name in names}, "columns": checked.columns, "note": checked.note}


def explain_date_format(given: Given, files: list[str]) -> int:
    """Print how the date format is read.

    Returns:
        0, or 2 where the pattern is refused: then the reason, the pattern and a caret under the place.

    Raises:
        SettingsError: the settings file cannot be read, or files were named, too.
    """
    if files:
        raise SettingsError("--explain-date-format", "this reads no file; leave out FILE")
    pattern = given.date_pattern()
    if not isinstance(pattern, str):
        raise SettingsError("date_format", f"write a pattern in quotes, like {DEFAULT_DATE_FORMAT!r}")
    try:
        date_format = DateFormat.compile(pattern)
    except ValueError as exc:
        print(f"px-import: date format: {exc}", file=sys.stderr)
        return TROUBLE
    print(f"Date format: {pattern}")
    if date_format.note:
        print(f"Note: {date_format.note}")
    samples = date_format.samples()
    _, instants = date_format.parse(pa.array(samples))
    for sample, instant in zip(samples, instants.cast(pa.timestamp("ms")).cast(pa.string()), strict=True):
        print(f"{sample} is read as {instant} UTC")
    return 0

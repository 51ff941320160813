"""What can be said of a feed from its settings and one listing, without asking anybody."""

from collections.abc import Iterator

from schemas.catalogue import Catalogue, Entity
from schemas.date_format import DateFormat
from schemas.diagnosis import Remark, State
from schemas.drop_zone import MARKER, Folder, NotReady, ObjectKind, Survey
from schemas.report import some_names

#: For the reasons that do not say themselves what to do.
_CURES = {
    NotReady.NO_MARKER: f"put {MARKER} when all files are there",
    NotReady.NO_DATA: "put the files, then the marker again",
}
_SHOWN_FOLDERS = 20
_SHOWN_NAMES = 5


def catalogue_remarks(catalogue: Catalogue, entity: Entity, *, is_default: bool) -> Iterator[Remark]:
    """How many attributes the files may hold."""
    whose = "PX's default attributes" if is_default else "a catalogue of its own"
    yield State.OK, f"{len(catalogue.attributes)} attributes of {entity.value}s, {whose}"


def date_remarks(pattern: str) -> Iterator[Remark]:
    """How a date is read, by an example."""
    import pyarrow as pa

    date_format = DateFormat.compile(pattern)
    sample = date_format.samples()[0]
    _, instants = date_format.parse(pa.array([sample]))
    [read] = instants.cast(pa.timestamp("ms")).cast(pa.string()).to_pylist()
    note = f"; {date_format.note.rstrip('.')}" if date_format.note else ""
    yield State.OK, f"{pattern}: {sample} is read as {read} UTC{note}"


def folder_remarks(survey: Survey) -> Iterator[Remark]:
    """Each folder that waits and whether it is ready, oldest date first (rules D1 to D5)."""
    folders = sorted([*survey.ready, *survey.waiting], key=lambda folder: folder.day)
    for folder in folders[:_SHOWN_FOLDERS]:
        yield _folder_remark(folder)
    if rest := folders[_SHOWN_FOLDERS:]:
        yield State.OK, f"and {len(rest)} more folders"
    if survey.strangers:
        names = some_names(survey.strangers, survey.more_strangers, _SHOWN_NAMES)
        problem = f"left alone, no folder of the form dt=YYYYMMDD of a real date: {names}"
        yield State.WARNING, f"{problem}; rename or remove"
    if not folders and not survey.strangers:
        yield State.OK, "no folder waits"


def _folder_remark(folder: Folder) -> Remark:
    if folder.not_ready:
        cure = f"; {_CURES[folder.not_ready]}" if folder.not_ready in _CURES else ""
        return State.WARNING, f"dt={folder.day} waits: {folder.why_not_ready}{cure}"
    files = folder.of_kind(ObjectKind.INPUT)
    counted = f"{len(files)} file{'s' * (len(files) != 1)}, {sum(file.size_bytes for file in files):,} bytes"
    if wrong := [folder.name_of(stored) for stored in folder.of_kind(ObjectKind.UNSUPPORTED)]:
        problem = f"no .csv.gz file, so the verdict will be ERROR: {some_names(wrong, most=_SHOWN_NAMES)}"
        return State.WARNING, f"dt={folder.day} is ready ({counted}), but holds what is {problem}"
    return State.OK, f"dt={folder.day} is ready ({counted})"

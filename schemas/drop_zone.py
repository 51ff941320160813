"""Keys of the drop zone and what they mean: the only place that knows its layout.

<root>/current/dt=20210228/_SUCCESS, users.csv.gz       waiting to be imported
<root>/processed/20210228/status.txt, _SUCCESS, …       the latest delivery of that date
<root>/processed/20210228.1/…                           an earlier delivery of that date (rule P2)
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from itertools import chain, count

from schemas.issues import cut, one_line, shown

MARKER = "_SUCCESS"
INPUT_SUFFIX = ".csv.gz"
STATUS_TEXT = "status.txt"
STATUS_JSON = "status.json"
ERRORS_CSV = "errors.csv"
_STATUS_FILES = (STATUS_TEXT, STATUS_JSON, ERRORS_CSV)
_FOLDER = re.compile(r"dt=([0-9]{8})")
#: A folder with more is left alone: a delivery is some files, and a listing must not fill the memory.
MOST_OBJECTS = 10_000
#: Names that are kept of what is no folder; the rest is counted.
MOST_STRANGERS = 20
#: Most bytes of a waiting key: S3 takes 1,024, and `processed/YYYYMMDD.999/` is 3 longer than `current/dt=YYYYMMDD/`.
LONGEST_KEY = 1_021
#: Most bytes of a waiting object: S3 copies none that is larger within the bucket, and so it could not be archived.
LARGEST_OBJECT = 5 * 1024**3
_SHOWN_OF_A_KEY = 300


@dataclass(frozen=True, slots=True, order=True)
class StoredObject:
    """One object of the bucket as a listing or a HEAD shows it.

    Attributes:
        key: the whole key in the bucket.
        etag: without quotes.
        size_bytes: length of the content.
        modified_at: UTC, cut to whole seconds: listings of some stores give milliseconds, HEAD never does.
    """

    key: str
    etag: str
    size_bytes: int
    modified_at: datetime


class ObjectKind(Enum):
    """What an object in a folder is there for (rule D3)."""

    MARKER = "marker"
    INPUT = "input"
    BOOKKEEPING = "bookkeeping"
    UNSUPPORTED = "unsupported"
    PLACEHOLDER = "placeholder"


class NotReady(Enum):
    """Why a folder waits (rules D1, D5). The value stands in events; it never changes."""

    TOO_MANY_OBJECTS = "too-many-objects"
    KEY_TOO_LONG = "key-too-long"
    OBJECT_TOO_LARGE = "object-too-large"
    NO_MARKER = "no-marker"
    NO_DATA = "no-data"


_WHY_NOT_READY = {
    NotReady.TOO_MANY_OBJECTS: f"more than {MOST_OBJECTS} objects; deliver fewer files",
    NotReady.NO_MARKER: f"no {MARKER} yet",
    NotReady.NO_DATA: f"{MARKER} is there, but no {INPUT_SUFFIX} file yet",
}


@dataclass(frozen=True, slots=True)
class DropZone:
    """Bucket and root prefix of one feed (rule S2).

    Attributes:
        bucket: name of the bucket.
        root: prefix below which `current/` and `processed/` lie; no slash at either end, may be empty.
    """

    bucket: str
    root: str

    @classmethod
    def parse(cls, bucket: str, base_folder: str) -> "DropZone":
        """Join the setting `bucket` ("ABC123/export") and the base folder; stray slashes do not matter."""
        name, *folders = [part for part in f"{bucket}/{base_folder}".split("/") if part]
        return cls(name, "/".join(folders))

    def key(self, *parts: str) -> str:
        """Key below the root."""
        return "/".join([self.root, *parts] if self.root else parts)

    @property
    def current_prefix(self) -> str:
        """Prefix of everything that waits, with its slash."""
        return self.key("current", "")

    @property
    def processed_prefix(self) -> str:
        """Prefix of everything that is archived, with its slash."""
        return self.key("processed", "")

    def folder_prefix(self, day: str) -> str:
        """Prefix of one waiting folder, with its slash; `day` is YYYYMMDD."""
        return self.key("current", f"dt={day}", "")

    def processed_folder(self, day: str, earlier: int = 0) -> str:
        """Path of the archive folder of a date, without a slash; `earlier` counts those moved aside (rule P2)."""
        return self.key("processed", f"{day}.{earlier}" if earlier else day)

    @property
    def place(self) -> str:
        """The whole root as it is, to tell two feeds' places apart."""
        return f"s3://{self.bucket}/{self.root}"

    def url(self, key: str = "") -> str:
        """The `s3://` place for sentences: on one line, cut where it is very long."""
        return one_line(f"s3://{self.bucket}/{cut(key, _SHOWN_OF_A_KEY)}")


@dataclass(frozen=True, slots=True)
class Folder:
    """One `dt=` folder under `current/` and all that lies in it.

    Attributes:
        day: YYYYMMDD, a real date.
        prefix: key prefix of the folder, with its slash.
        objects: everything below the prefix, in byte order of the keys.
    """

    day: str
    prefix: str
    objects: tuple[StoredObject, ...]

    def name_of(self, stored: StoredObject) -> str:
        """The object's name within the folder; holds slashes where it lies deeper."""
        return stored.key.removeprefix(self.prefix)

    def of_kind(self, kind: ObjectKind) -> tuple[StoredObject, ...]:
        """The folder's objects of one kind, in byte order of their keys (rule D4)."""
        return tuple(stored for stored in self.objects if kind_of(self.name_of(stored), stored.size_bytes) is kind)

    @property
    def marker(self) -> StoredObject | None:
        """The `_SUCCESS` object, if it is there."""
        return next(iter(self.of_kind(ObjectKind.MARKER)), None)

    @property
    def not_ready(self) -> NotReady | None:
        """Why the folder waits; None when it is ready (rules D1, D5)."""
        if len(self.objects) > MOST_OBJECTS:
            return NotReady.TOO_MANY_OBJECTS
        if self._overlong:
            return NotReady.KEY_TOO_LONG
        if self._oversize:
            return NotReady.OBJECT_TOO_LARGE
        if self.marker is None:
            return NotReady.NO_MARKER
        return None if self.of_kind(ObjectKind.INPUT) else NotReady.NO_DATA

    @property
    def why_not_ready(self) -> str:
        """Empty when the folder is ready, else the reason for a person."""
        if self.not_ready is NotReady.KEY_TOO_LONG and self._overlong:
            problem = f"the key of {shown(self.name_of(self._overlong))} has more than {LONGEST_KEY} bytes"
            return f"{problem}, too many for the archive; give it a shorter name"
        if self.not_ready is NotReady.OBJECT_TOO_LARGE and self._oversize:
            problem = f"{shown(self.name_of(self._oversize))} has more than {LARGEST_OBJECT:,} bytes"
            return f"{problem}, which S3 does not copy to the archive at once; split or remove it"
        return _WHY_NOT_READY[self.not_ready] if self.not_ready else ""

    @property
    def _overlong(self) -> StoredObject | None:
        """The first object whose key the archive cannot have."""
        return next((stored for stored in self.objects if len(stored.key.encode()) > LONGEST_KEY), None)

    @property
    def _oversize(self) -> StoredObject | None:
        """The first object that the archive cannot have."""
        return next((stored for stored in self.objects if stored.size_bytes > LARGEST_OBJECT), None)

    @property
    def changed_at(self) -> datetime:
        """When the latest of its objects came, by S3's clock."""
        return max(stored.modified_at for stored in self.objects)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one listing of `current/` shows.

    Attributes:
        ready: folders to import, oldest date first (rule D4).
        waiting: folders that are not ready, with `why_not_ready` (rule D5).
        strangers: names directly under `current/` that are no `dt=` folder of a real date (rule D2), the first of them.
        more_strangers: how many others there are.
    """

    ready: tuple[Folder, ...]
    waiting: tuple[Folder, ...]
    strangers: tuple[str, ...]
    more_strangers: int = 0


def kind_of(name: str, size_bytes: int) -> ObjectKind:
    """Tell an object's kind by its name within the folder (rule D3)."""
    if name == MARKER:
        return ObjectKind.MARKER
    if size_bytes == 0 and (name == "" or name.endswith("/")):
        return ObjectKind.PLACEHOLDER
    if name.startswith(("_", ".")):
        return ObjectKind.BOOKKEEPING
    if "/" not in name and name.endswith(INPUT_SUFFIX):
        return ObjectKind.INPUT
    return ObjectKind.UNSUPPORTED


def archived_names(names: Iterable[str]) -> dict[str, str]:
    """Each object's name in the archive folder; one that has the name of a status file makes way for it."""
    every = list(names)
    taken, archived = {*every, *_STATUS_FILES}, {name: name for name in every}
    for name in every:
        if name in _STATUS_FILES:
            candidates = (f"{name}.received{end}" for end in chain([""], (f".{n}" for n in count(2))))
            archived[name] = next(candidate for candidate in candidates if candidate not in taken)
            taken.add(archived[name])
    return archived


def survey(zone: DropZone, objects: Iterable[StoredObject]) -> Survey:
    """Group a flat listing of `current/` by folder (rules D1 to D5)."""
    found: dict[str, list[StoredObject]] = {}
    strangers, others, last = set[str](), 0, ""
    for stored in objects:
        name, slash, _ = stored.key.removeprefix(zone.current_prefix).partition("/")
        day = _day(name) if slash else None
        if day:
            kept = found.setdefault(day, [])
            if len(kept) <= MOST_OBJECTS:
                kept.append(stored)
        elif (name or slash) and name + slash != last:  # a listing has all that begins alike in a row
            last = name + slash
            if len(strangers) < MOST_STRANGERS:
                strangers.add(last)
            else:
                others += last not in strangers
    folders = [
        Folder(day, zone.folder_prefix(day), tuple(sorted(found[day], key=lambda o: o.key.encode())))
        for day in sorted(found)
    ]
    return Survey(
        ready=tuple(folder for folder in folders if not folder.why_not_ready),
        waiting=tuple(folder for folder in folders if _shows(folder) and folder.why_not_ready),
        strangers=tuple(sorted(strangers)),
        more_strangers=others,
    )


def _day(name: str) -> str | None:
    """YYYYMMDD of a folder named `dt=YYYYMMDD`, None for any other name or an unreal date."""
    match = _FOLDER.fullmatch(name)
    return match[1] if match and is_day(match[1]) else None


def is_day(digits: str) -> bool:
    """Whether these eight digits are YYYYMMDD of a real date."""
    try:
        date.fromisoformat(digits)
    except ValueError:
        return False
    return True


def _shows(folder: Folder) -> bool:
    """A folder that holds nothing but a console's placeholder is as good as absent."""
    return any(kind_of(folder.name_of(o), o.size_bytes) is not ObjectKind.PLACEHOLDER for o in folder.objects)

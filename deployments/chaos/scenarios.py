"""What a customer delivers in a scenario, and the states that may be there in the end, without asking the importer."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from schemas.catalogue import Entity

DAY = "20210228"
USERS, ACCOUNTS = "users", "accounts"
ENTITIES = MappingProxyType({USERS: Entity.USER, ACCOUNTS: Entity.ACCOUNT})

Record = Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class InputFile:
    """One gzipped CSV file; `fault` is what status.txt says of it, empty where it can be loaded."""

    text: str
    fault: str = ""

    @property
    def body(self) -> bytes:
        """As it is stored; the same bytes every time."""
        return gzip.compress(self.text.encode(), mtime=0)

    @property
    def rows(self) -> list[Record]:
        """Its records."""
        return [
            {name: float(cell) if cell.isdigit() else cell for name, cell in row.items()}
            for row in csv.DictReader(io.StringIO(self.text))
        ]

    @property
    def message(self) -> str:
        """Its line in status.txt."""
        return self.fault or f"{len(self.rows)} records were uploaded"


Files = Mapping[str, InputFile]


_NONE: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ending:
    """One state that may be there in the end: what was imported, oldest first, and what still lies in `current/`."""

    imported: tuple[Files, ...]
    waiting: Files = field(default_factory=dict)

    @property
    def records(self) -> dict[str, Record]:
        """The store's records by id: of two files the later one wins, attribute by attribute."""
        records: dict[str, Record] = {}
        for files in self.imported:
            for name in sorted(files):
                for row in [] if files[name].fault else files[name].rows:
                    identifier = str(row["id"])
                    records[identifier] = {**records.get(identifier, {}), **row}
        return records


Endings = Mapping[str, Sequence[Ending]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a customer does before the run that meets a fault.

    Attributes:
        name: for the table.
        about: for a person.
        earlier: per feed, deliveries of the same date that were imported before in peace.
        pending: per feed, what lies ready in `current/` now.
    """

    name: str
    about: str
    earlier: Mapping[str, tuple[Files, ...]]
    pending: Mapping[str, Files]

    @property
    def feeds(self) -> tuple[str, ...]:
        """In the order of their ticks."""
        return tuple(self.pending)

    @property
    def replaced(self) -> Files:
        """The first of the pending files of users with another content."""
        return {min(self.pending[USERS]): NEWER}

    def ending(self, feed: str, *then: Files, pending: Files | None = None, waiting: Files = _NONE) -> Ending:
        """What is there in the end.

        Args:
            feed: whose.
            then: deliveries that were imported after the pending one.
            pending: the pending one as it was imported; left out: as it lay there.
            waiting: what stays in `current/`.
        """
        return Ending((*self.earlier.get(feed, ()), pending or self.pending[feed], *then), waiting)

    def peaceful(self) -> Endings:
        """If nobody touches the bucket meanwhile."""
        return {feed: [self.ending(feed)] for feed in self.feeds}

    def added(self) -> Endings:
        """If a file is added: it belongs to the delivery if it came before the claim, else it waits for a marker."""
        taken = {**self.pending[USERS], **LATE}
        return {**self.peaceful(), USERS: [self.ending(USERS, waiting=LATE), self.ending(USERS, pending=taken)]}

    def exchanged(self) -> Endings:
        """If a file is replaced: its new content counts if it came before the load, else it waits for a marker."""
        taken = {**self.pending[USERS], **self.replaced}
        return {
            **self.peaceful(),
            USERS: [self.ending(USERS, waiting=self.replaced), self.ending(USERS, pending=taken)],
        }

    def delivered_anew(self) -> Endings:
        """If a file is replaced under a new marker: one delivery with the new content, or two."""
        taken = {**self.pending[USERS], **self.replaced}
        return {**self.peaceful(), USERS: [self.ending(USERS, self.replaced), self.ending(USERS, pending=taken)]}

    def marker_caught(self) -> Endings:
        """If that happens between the last look at the marker and its deletion: the new file stays, without its marker.

        S3 tells two empty objects apart by their time only, and deletes under no condition on that.
        """
        return {**self.peaceful(), USERS: [self.ending(USERS, waiting=self.replaced)]}


def status_text(files: Files) -> bytes:
    """The `status.txt` of a delivery (rule P3)."""
    verdict = "ERROR" if any(file.fault for file in files.values()) else "SUCCESS"
    lines = [f"{name}: {file.message}" if len(files) > 1 else file.message for name, file in sorted(files.items())]
    return "\n".join([verdict, *lines, ""]).encode()


_FIRST = InputFile("id,email,score\nu1,ann@example.com,1\nu2,bob@example.com,2\nu3,eve@example.com,3\n")
_SECOND = InputFile(
    "id,email,score\nu2,robert@example.com,2\nu3,eve@example.com,3\nu4,ida@example.com,4\nu9,leo@example.com,9\n"
)
_THIRD = InputFile("id,email,score\nu5,joe@example.com,5\nu1,anna@example.com,6\n")
_WRONG = InputFile(
    "id,email,score\nu6,kim@example.com,six\nu7,lea@example.com,7\n",
    "Parsing Errors:[ Invalid number in Column 'score': 1 row (line 2) ]",
)
_ACCOUNTS = InputFile("id,name\na1,Alpha\na2,Beta\n")

#: What the customer puts while a run is busy.
LATE = {"late.csv.gz": _THIRD}
NEWER = InputFile("id,email,score\nu1,ann@example.org,11\nu2,bob@example.org,12\nu8,max@example.com,8\n")

FIRST = Scenario("first delivery", "one file, never seen before", {}, {USERS: {"users.csv.gz": _FIRST}})
REPEATED = Scenario(
    "repeated date",
    "a second delivery of a date: changed, equal and new records; the first makes way in the archive",
    {USERS: ({"users.csv.gz": _FIRST},)},
    {USERS: {"users.csv.gz": _SECOND}},
)
REJECTED = Scenario("rejected file", "a file with a fault", {}, {USERS: {"users.csv.gz": _WRONG}})
THREE = Scenario(
    "three files",
    "three files, the second has a fault",
    {},
    {USERS: {"users-1.csv.gz": _FIRST, "users-2.csv.gz": _WRONG, "users-3.csv.gz": _THIRD}},
)
BOTH = Scenario(
    "both entities",
    "accounts and users in one run, one after the other",
    {},
    {ACCOUNTS: {"accounts.csv.gz": _ACCOUNTS}, USERS: {"users.csv.gz": _FIRST}},
)
SCENARIOS = (FIRST, REPEATED, REJECTED, THREE, BOTH)

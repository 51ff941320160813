"""What a customer delivers in a scenario, and the states that may be there in the end, without asking the importer."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from schemas.catalogue import Entity

DAY = "20210228"
PRODUCT = "AP-XXXXXXXXXX"
PRODUCT_KEY = f"{PRODUCT}-2-1"  # with channel and environment, as each record has it
USERS, ACCOUNTS = "users", "accounts"
ENTITIES = MappingProxyType({USERS: Entity.USER, ACCOUNTS: Entity.ACCOUNT})

Record = Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Blemish:
    """The one fault of a file, as its line in `errors.csv` has it; row and line are 0 where the whole file is meant."""

    line: int
    row: int
    column: str
    code: str
    message: str

    @property
    def sentence(self) -> str:
        """As `status.txt` tells it."""
        return f"{self.message}: 1 row (line {self.line})" if self.row else self.message


@dataclass(frozen=True, slots=True)
class InputFile:
    """One gzipped CSV file.

    Attributes:
        text: its content.
        blemish: why nothing of it is loaded; None where it can be.
        removed: whether it was gone before it was read.
        lost: whether it was removed from the archive.
    """

    text: str
    blemish: Blemish | None = None
    removed: bool = False
    lost: bool = False

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
    def loaded(self) -> list[Record]:
        """Those of its records that come into the store: all, or none."""
        return [] if self.blemish else self.rows

    @property
    def message(self) -> str:
        """Its line in status.txt."""
        if self.blemish:
            return f"Parsing Errors:[ {self.blemish.sentence} ]"
        return f"{len(self.rows)} records were uploaded"


Files = Mapping[str, InputFile]


_NONE: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ending:
    """One state that may be there in the end.

    Attributes:
        imported: deliveries, oldest first.
        waiting: files that still lie in `current/`.
        marked: whether the marker does.
    """

    imported: tuple[Files, ...]
    waiting: Files = field(default_factory=dict)
    marked: bool = False

    @property
    def records(self) -> dict[str, Record]:
        """The store's records by id: of two files the later one wins, attribute by attribute."""
        records: dict[str, Record] = {}
        for files in self.imported:
            for name in sorted(files):
                for row in files[name].loaded:
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
    def last(self) -> str:
        """Name of the last of the pending files of users."""
        return max(self.pending[USERS])

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
        """If the new marker goes with the old one: the new file stays, and waits for a marker.

        S3 tells two empty objects apart by their time in seconds only, and deletes under no condition on that.
        """
        return {**self.peaceful(), USERS: [self.ending(USERS, waiting=self.replaced)]}

    def file_removed(self) -> Endings:
        """If the last file is removed: it counts if it was read before; else it is missing, or was never there."""
        others = {name: file for name, file in self.pending[USERS].items() if name != self.last}
        if not others:
            return self._or_never(marked=True)
        taken = [others, {**others, self.last: _missing(self.last, self.pending[USERS][self.last])}]
        return {**self.peaceful(), USERS: [self.ending(USERS), *(self.ending(USERS, pending=each) for each in taken)]}

    def folder_removed(self) -> Endings:
        """If all is removed: what was read before counts, the rest is missing; with nothing read it was never there."""
        files = sorted(self.pending[USERS].items())
        taken = [
            {name: _missing(name, file) if position >= read else file for position, (name, file) in enumerate(files)}
            for read in range(1, len(files))
        ]
        never = self._or_never(marked=False)
        return {**never, USERS: [*never[USERS], *(self.ending(USERS, pending=each) for each in taken)]}

    def archive_robbed(self) -> Endings:
        """If a file of the earlier delivery is removed from the archive: it is lost, and nothing else."""
        robbed = tuple({name: replace(file, lost=True) for name, file in each.items()} for each in self.earlier[USERS])
        return {**self.peaceful(), USERS: [self.ending(USERS), Ending((*robbed, self.pending[USERS]))]}

    def _or_never(self, *, marked: bool) -> Endings:
        never = Ending(self.earlier.get(USERS, ()), marked=marked)
        return {**self.peaceful(), USERS: [self.ending(USERS), never]}


def _missing(name: str, file: InputFile) -> InputFile:
    sentence = f"Missing file: '{name}' was removed before it was imported"
    return replace(file, blemish=Blemish(0, 0, "", "missing-file", sentence), removed=True)


_FIRST = InputFile("id,email,score\nu1,ann@example.com,1\nu2,bob@example.com,2\nu3,eve@example.com,3\n")
_SECOND = InputFile(
    "id,email,score\nu2,robert@example.com,2\nu3,eve@example.com,3\nu4,ida@example.com,4\nu9,leo@example.com,9\n"
)
_THIRD = InputFile("id,email,score\nu5,joe@example.com,5\nu1,anna@example.com,6\n")
_WRONG = InputFile(
    "id,email,score\nu6,kim@example.com,six\nu7,lea@example.com,7\n",
    Blemish(2, 1, "score", "invalid-number", "Invalid number in Column 'score'"),
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

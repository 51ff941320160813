"""One call of the importer as a proxy holds it: complete, not yet sent on, and its answer not yet given."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol


class Door(StrEnum):
    """Where the importer calls; SQLite is no server, so there each statement counts, and each wait for the disk."""

    S3 = "S3"
    STORE = "store"
    CALLBACK = "callback"
    FILE = "SQLite"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        door: where.
        what: for a person: "PUT export/processed/20210228/status.txt", "INSERT INTO import_deliveries".
        body: of the HTTP request; empty elsewhere.
    """

    door: Door
    what: str
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the importer gets to see: these bytes, then perhaps a broken connection."""

    data: bytes = field(default=b"", repr=False)
    breaks: bool = False

    def cut(self) -> "Reply":
        """Half of it, then a broken connection."""
        return replace(self, data=self.data[: len(self.data) // 2], breaks=True)


RESET = Reply(breaks=True)
_SQL_CHARACTERS = 60


def shortened(sql: str) -> str:
    """The beginning of a statement, on one line."""
    return " ".join(sql.split())[:_SQL_CHARACTERS]


class Exchange(Protocol):
    """One call that waits at a door."""

    @property
    def call(self) -> Call:
        """What is asked."""

    def forward(self) -> Reply:
        """Send it on, at most once; the whole answer."""

    def refusal(self, status: int, code: str) -> Reply:
        """The answer of a service that does not want to, made up here."""


#: Decides what becomes of a call. Runs on the thread of its connection.
Interceptor = Callable[[Exchange], Reply]

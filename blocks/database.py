"""What the importer asks of a database: one transaction for a file's records and its line in the ledger (rule L2).

The ledger writes its SQL once, in what SQLite and PostgreSQL both understand: `:name` parameters,
`ON CONFLICT`, TEXT and BIGINT columns, times as milliseconds since 1970 in UTC. How records get
into their tables is each database's own affair, behind `upsert`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from schemas.catalogue import Entity
from schemas.errors import StoreConflict
from schemas.outcome import LoadCounts

if TYPE_CHECKING:
    from schemas.valid_file import ValidFile

Row = tuple[Any, ...]
Parameters = Mapping[str, str | int | None]


class Reader(Protocol):
    """A view of the database; that of `Store.read` is consistent: what is committed later does not show."""

    def execute(self, sql: str, parameters: Parameters = ...) -> list[Row]:
        """Run one statement with `:name` parameters; its rows."""

    def now_ms(self) -> int:
        """The database's own clock, the only one that all runs share: milliseconds since 1970, UTC."""


class Transaction(Reader, Protocol):
    """One transaction: all of it is kept or none. It may see what others commit meanwhile."""

    def change(self, sql: str, parameters: Parameters = ...) -> int:
        """Run one statement that writes; how many rows it wrote."""

    def lock_schema(self) -> None:
        """Be the only one that makes or changes tables until the transaction ends; where they lie is made if need be.

        Raises:
            AccessRefused: the place is missing and may not be made.
        """

    def upsert(
        self, entity: Entity, valid: "ValidFile", *, clear_blanks: bool, progress: Callable[[], None]
    ) -> LoadCounts:
        """Write the file's records and their products (rules L2, K3, V1, V8).

        Tables that are missing are made, and a column for each attribute that has none yet (rule L4).

        Args:
            entity: decides the tables.
            valid: the file.
            clear_blanks: whether a blank cell empties the attribute instead of leaving it as it is.
            progress: called after each batch of rows; what it raises ends the load.

        Raises:
            StoreConflict: a column is there with another type, or the store cannot have such a column.
            AccessRefused: a table is missing and may not be made.
        """


class Store(Protocol):
    """A database that takes records and keeps the ledger. Every call may come from another thread."""

    @property
    def name(self) -> str:
        """For sentences; holds no password."""

    @property
    def shared(self) -> bool:
        """Whether others may write while a transaction is open; else they wait for its end."""

    def has(self, table: str) -> bool:
        """Whether there is such a table. Raises like `transaction`, but not where there is no database yet."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Commit at the end of the block, roll back where an exception leaves it.

        Raises:
            StoreBusy: the database is locked, full or gone.
            StoreConflict: it is damaged or no database at all.
            AccessRefused: it may not be written to.
            SettingsError: there is no such place.
        """

    def read(self) -> AbstractContextManager[Reader]:
        """Look at what is committed, without waiting for whoever writes. Raises like `transaction`."""

    def rehearsal(self) -> AbstractContextManager[Transaction]:
        """A transaction that is always rolled back and makes no database, to see what may be done.

        Raises like `transaction`.
        """


def refused_record(store: str, reason: str) -> StoreConflict:
    """The importer's word for a constraint or trigger that none of its own tables has."""
    cure = "look for columns, constraints and triggers that were added to the tables by hand"
    return StoreConflict(store, f"the database refuses a record: {reason}", cure)

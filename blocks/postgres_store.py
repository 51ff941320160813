"""The store in a PostgreSQL database: for many feeds and workers, and for people with tools of their own."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, LiteralString

import psycopg

from blocks import postgres_load, postgres_tables
from blocks.database import Parameters, Row
from blocks.postgres_connection import Connection, Place
from blocks.postgres_errors import translated
from schemas.catalogue import Entity
from schemas.outcome import LoadCounts

if TYPE_CHECKING:
    from schemas.valid_file import ValidFile

#: One view of the database for all statements.
_READ = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
#: Each statement sees what is committed by then, and an UPDATE that waited for a row asks its WHERE again: that is
#: what the lease needs, and no transaction is thrown back because of another.
_WRITE = "ISOLATION LEVEL READ COMMITTED"


@dataclass(frozen=True, slots=True)
class PostgresTransaction:
    """One transaction, or one reader's view, on a connection of its own."""

    connection: Connection
    store: "PostgresStore"

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """See `Reader`."""
        cursor = self._run(sql, parameters)
        return cursor.fetchall() if cursor.description else []

    def change(self, sql: str, parameters: Parameters | None = None) -> int:
        """See `Transaction`."""
        return self._run(sql, parameters).rowcount

    def now_ms(self) -> int:
        """See `Reader`. Not `now()`, which is when the transaction began."""
        [(now,)] = self.execute("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
        return int(now)

    def lock_schema(self) -> None:
        """See `Transaction`."""
        postgres_tables.lock_schema(self.connection, self.store.place.schema)

    def upsert(
        self, entity: Entity, valid: "ValidFile", *, clear_blanks: bool, progress: Callable[[], None]
    ) -> LoadCounts:
        """See `Transaction`; `progress` is called also while the server works on a statement."""
        self.connection.allow(self.store.load_seconds, progress)
        schema = self.store.place.schema
        counts = postgres_load.load(
            self.connection, schema, entity, valid, clear_blanks=clear_blanks, progress=progress
        )
        self.connection.allow(2 * self.store.patience_seconds, lambda: None)
        return counts

    def _run(self, statement: str, parameters: Parameters | None) -> psycopg.Cursor[Row]:
        return self.connection.run(_named(statement) if parameters else statement, parameters or None)


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """A `Store` in one schema of a database.

    Each use has a connection of its own: nothing is held between two of them that a firewall, a pooler or a
    restart of the server could cut. It costs some milliseconds.

    Attributes:
        place: where it lies.
        patience_seconds: how long a call waits while another run holds what it needs.
        load_seconds: how long a single statement of a load may take.
    """

    place: Place
    patience_seconds: float = 60
    load_seconds: float = 1800

    @property
    def name(self) -> str:
        """See `Store`."""
        return self.place.name

    @property
    def shared(self) -> bool:
        """See `Store`."""
        return True

    def has(self, table: str) -> bool:
        """See `Store`."""
        with self._opened(_READ) as reader:
            return postgres_tables.is_there(reader.connection, table)

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """See `Store`."""
        with self._opened(_WRITE) as transaction:
            yield transaction
            transaction.connection.run("COMMIT")

    @contextmanager
    def read(self) -> Iterator[PostgresTransaction]:
        """See `Store`."""
        with self._opened(_READ) as reader:
            yield reader

    @contextmanager
    def rehearsal(self) -> Iterator[PostgresTransaction]:
        """See `Store`."""
        with self._opened(_WRITE) as transaction:
            yield transaction

    @contextmanager
    def _opened(self, mode: LiteralString) -> Iterator[PostgresTransaction]:
        """A transaction that is rolled back unless it is committed."""
        try:
            with Connection.opened(self.place) as connection:
                connection.begin(mode, self.place.schema, self.patience_seconds)
                yield PostgresTransaction(connection, self)
        except psycopg.Error as error:
            known = translated(error, self.name)
            if known is None:
                raise
            raise known from None  # the cause would show in a traceback, and its text may quote a row


@cache
def _named(statement: str) -> str:
    """A statement with `:name` parameters as psycopg wants it."""
    return re.sub(r":(\w+)", r"%(\1)s", statement.replace("%", "%%"))

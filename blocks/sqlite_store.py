"""The store in one SQLite file: no server, and people may read it while an import writes."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blocks import record_tables
from blocks.database import Parameters, Row, refused_record
from schemas.catalogue import Entity
from schemas.errors import AccessRefused, ImporterError, SettingsError, StoreBusy, StoreConflict
from schemas.outcome import LoadCounts

if TYPE_CHECKING:
    from schemas.valid_file import ValidFile

_PRAGMAS = (
    "synchronous = FULL",  # what is committed survives a power loss: the drop zone is emptied on the strength of it
    "foreign_keys = ON",
    "cache_size = -65536",  # KiB; the indexes of a large table fit, so that ids in random order cost no reads
    "journal_size_limit = 67108864",  # bytes; the log of a large load gives its space back
)
_BUSY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
}
_CURES = {
    sqlite3.SQLITE_BUSY: "another process is writing to it and does not come to an end",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "look at its disk",
    sqlite3.SQLITE_CANTOPEN: "see that it is a file, and that the importer's account may open it",
}
_REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_WRITABLE = "let the importer's account write to this file and to its folder"
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class SqliteTransaction:
    """One transaction, or one reader's view, on a connection of its own."""

    connection: sqlite3.Connection

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """See `Reader`."""
        return self.connection.execute(sql, parameters or {}).fetchall()

    def change(self, sql: str, parameters: Parameters | None = None) -> int:
        """See `Transaction`."""
        return self.connection.execute(sql, parameters or {}).rowcount

    def now_ms(self) -> int:
        """See `Reader`."""
        # 2440587.5 is 1970 as a Julian day; unixepoch('subsec') would need SQLite 3.42
        [(now,)] = self.execute("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
        return int(now)

    def lock_schema(self) -> None:
        """See `Transaction`; there is no other transaction that writes."""

    def upsert(
        self, entity: Entity, valid: "ValidFile", *, clear_blanks: bool, progress: Callable[[], None]
    ) -> LoadCounts:
        """See `Transaction`."""
        return record_tables.upsert(self.connection, entity, valid, clear_blanks=clear_blanks, progress=progress)


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A `Store` in one file, which is made at first use; its folder must be there.

    Attributes:
        path: of the file; SQLite keeps two more beside it, `-wal` and `-shm`.
        patience_seconds: how long a call waits while another process writes.
    """

    path: Path
    patience_seconds: float = 60

    @property
    def name(self) -> str:
        """See `Store`."""
        return str(self.path)

    @property
    def shared(self) -> bool:
        """See `Store`."""
        return False

    def has(self, table: str) -> bool:
        """See `Store`."""
        if not self.path.exists():
            return False
        with self.read() as reader:
            sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"
            return bool(reader.execute(sql, {"name": table}))

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """See `Store`. Locks out other writers from the start: one that began by reading could not be let in later."""
        with self._connection(self.path.as_uri()) as connection:
            self._keep_log_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteTransaction(connection)
            connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """See `Store`."""
        if not self.path.exists():  # a reader must not make an empty database
            raise SettingsError("store", f"{self.path} does not exist; nothing was imported there yet")
        with self._connection(self.path.as_uri()) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield SqliteTransaction(connection)

    @contextmanager
    def rehearsal(self) -> Iterator[SqliteTransaction]:
        """See `Store`. An empty database in memory stands in for a file that is not there yet."""
        there = self.path.exists()
        if not there and self.path.parent.is_dir() and not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise AccessRefused("make a file in", str(self.path.parent), "permission denied", _WRITABLE)
        if not there and not self.path.parent.is_dir():
            raise self._no_folder
        with self._connection(f"{self.path.as_uri()}?mode=rw" if there else ":memory:") as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteTransaction(connection)

    @property
    def _no_folder(self) -> SettingsError:
        return SettingsError("store", f"the folder {self.path.parent} does not exist; create it or name another")

    @contextmanager
    def _connection(self, place: str) -> Iterator[sqlite3.Connection]:
        """A new connection; closing it rolls back what was not committed."""
        patience = self.patience_seconds
        try:
            with closing(sqlite3.connect(place, timeout=patience, isolation_level=None, uri=True)) as connection:
                for pragma in _PRAGMAS:
                    connection.execute(f"PRAGMA {pragma}")
                yield connection
        except sqlite3.Error as error:
            translated = self._translated(error)
            if translated is None:
                raise
            raise translated from error

    def _keep_log_ahead(self, connection: sqlite3.Connection) -> None:
        """Let readers and the one writer not wait for each other; the file remembers it once it is set.

        The one lock for which SQLite itself does not wait: two runs that open a new file at once meet here.
        """
        deadline = time.monotonic() + self.patience_seconds
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _translated(self, error: sqlite3.Error) -> ImporterError | None:
        """The importer's word for an error of SQLite; None for one that only a mistake of ours can cause."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the upper bits say more exactly which
        if code == sqlite3.SQLITE_CANTOPEN and not self.path.parent.is_dir():
            return self._no_folder
        if "no such table: import_" in str(error):
            return SettingsError("store", f"{self.path} holds no ledger of this version; the next run makes it")
        if code in _BUSY:
            return StoreBusy(self.name, "; ".join(filter(None, [str(error), _CURES.get(code)])))
        if code in _REFUSED:
            return AccessRefused("write to", self.name, str(error), _WRITABLE)
        if code == sqlite3.SQLITE_CONSTRAINT:
            return refused_record(self.name, str(error))
        if code in _BROKEN:
            return StoreConflict(self.name, str(error), "put back a backup of this file or name another one")
        return None

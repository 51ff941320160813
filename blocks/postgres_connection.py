"""Connections to PostgreSQL: what a store's URL says, and how long anything may take."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, LiteralString, Self, TypeVar
from urllib.parse import unquote

import psycopg
from psycopg import sql
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from blocks.database import Parameters, Row
from schemas.errors import SettingsError

_T = TypeVar("_T")
#: What libpq is told where the URL says nothing else.
_DEFAULTS = {
    "application_name": "px-import",
    "connect_timeout": "10",  # seconds, for each address of the host
    # A machine that is gone without a word is noticed within a minute, also while it works on a statement.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds
}
LONGEST_NAME_BYTES = 63
_GRACE_SECONDS = 5.0
#: Where an administrator lets commits float in memory, a load could be lost after its files were moved.
_DURABLE = sql.SQL(
    "set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true)"
)
_WRITE = "write postgresql://user:password@host:5432/database?schema=px"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store lies.

    Attributes:
        name: host, database and schema, for sentences; no user, no password.
        schema: that holds all tables.
        parameters: for libpq; they hold the password.
    """

    name: str
    schema: str
    parameters: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """What a `postgresql://` URL names; every parameter but `schema` is libpq's own.

        Raises:
            SettingsError: it cannot be read. Nothing of it is repeated: any part may be the password, misread.
        """
        schema, given = read_url(url)
        host, port, database = (str(given.get(name, "")) for name in ("host", "port", "dbname"))
        parameters = {**_DEFAULTS, **given, "client_encoding": "UTF8"}  # in which rows are copied
        return cls(f"postgresql://{_addresses(host, port)}/{database}?schema={schema}", schema, parameters)


class Connection(psycopg.Connection[Row]):
    """A connection on which no call waits for ever, even if the server is there but stands still."""

    _silence_seconds = math.inf
    _meanwhile: Callable[[], None] = staticmethod(lambda: None)

    @classmethod
    @contextmanager
    def opened(cls, place: Place) -> Iterator[Self]:
        """A new connection; closing it rolls back what was not committed."""
        connection = cls.connect(**place.parameters, autocommit=True, prepare_threshold=None)
        try:
            yield connection
        finally:
            if connection.info.transaction_status is TransactionStatus.ACTIVE:  # its locks should not outlive us
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_GRACE_SECONDS)
            connection.close()

    def begin(self, mode: LiteralString, schema: str, patience_seconds: float) -> None:
        """Begin a transaction in which all tables are looked for in the schema.

        Its settings end with it and the session keeps none: a pooler that deals out transactions may stand between.

        Args:
            mode: as SQL has it behind BEGIN.
            schema: need not be there.
            patience_seconds: how long to wait for a lock; a statement may take twice as long.
        """
        self._silence_seconds = 2 * patience_seconds + _GRACE_SECONDS
        settings = {
            "search_path": quoted(schema),
            "timezone": "UTC",
            "lock_timeout": _milliseconds(patience_seconds),
            "statement_timeout": _milliseconds(2 * patience_seconds),
            # A client that was stopped keeps its locks for less than others wait for them.
            "idle_in_transaction_session_timeout": _milliseconds(patience_seconds / 2),
        }
        calls = [sql.SQL("set_config({}, {}, true)").format(*setting) for setting in settings.items()]
        self.execute(sql.SQL("BEGIN {}; SELECT {}").format(sql.SQL(mode), sql.SQL(", ").join([*calls, _DURABLE])))

    def allow(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        """Let each statement of this transaction from here on take so long.

        Args:
            seconds: then the server gives it up; we do so a little later, for it may be the server that hangs.
            meanwhile: called now and then while a call waits for the server; what it raises ends the call.
        """
        self._silence_seconds, self._meanwhile = seconds + _GRACE_SECONDS, meanwhile
        self.run(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")

    def run(self, statement: str, parameters: Parameters | None = None) -> psycopg.Cursor[Row]:
        """Run a statement with `%(name)s` parameters; without any it is taken letter by letter."""
        return self.execute(statement.encode(), parameters)

    def wait(self, gen: PQGen[_T], *args: Any, **options: Any) -> _T:  # noqa: ANN401 -- handed on as they come
        """See psycopg: every call waits for the server in here."""
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: PQGen[_T]) -> PQGen[_T]:
        """The same talk with the server; psycopg sends `Ready.NONE` where an interval has passed in silence."""
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self._silence_seconds:
                    raise psycopg.OperationalError(f"no answer for {self._silence_seconds:g} seconds")
                else:
                    self._meanwhile()
                wanted = gen.send(ready)
        except StopIteration as finished:
            value: _T = finished.value
            return value


def read_url(url: str) -> tuple[str, dict[str, Any]]:
    """The schema that a `postgresql://` URL names, and its other parameters in libpq's words.

    Raises:
        SettingsError: it cannot be read. Nothing of it is repeated: any part may be the password, misread.
    """
    where, _, query = url.partition("?")
    named = [part.partition("=") for part in query.split("&") if part]
    schema = ([unquote(value) for name, _, value in named if name == "schema"] or ["public"])[-1]
    others = "&".join("".join(part) for part in named if part[0] != "schema")
    try:
        given = conninfo_to_dict(f"{where}?{others}")
    except psycopg.ProgrammingError:
        raise SettingsError("store", f"not a URL that PostgreSQL can read; {_WRITE}") from None
    host, port, database = (str(given.get(name, "")) for name in ("host", "port", "dbname"))
    if "@" in host + database or port.strip("0123456789,"):
        problem = f"in user and password write %3A %2F %3F %23 %40 %25 for : / ? # @ %; {_WRITE}"
        raise SettingsError("store", problem)
    if not 0 < len(schema.encode()) <= LONGEST_NAME_BYTES or "\0" in schema:
        raise SettingsError("store", f"the schema's name must have 1 to {LONGEST_NAME_BYTES} bytes; {_WRITE}")
    return schema, given


def quoted(name: str) -> str:
    """A name that PostgreSQL reads as nothing else, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def _addresses(host: str, port: str) -> str:
    """Hosts and ports, which libpq keeps apart, as a URL has them."""
    hosts, ports = host.split(","), port.split(",")
    ports = ports if len(ports) == len(hosts) else ports * len(hosts)
    return ",".join(f"{one}:{its}" if its else one for one, its in zip(hosts, ports, strict=False))


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))

"""The stores that there are, by their URLs (rule L1)."""

from pathlib import Path

from blocks.database import Store
from blocks.sqlite_store import SqliteStore
from schemas.errors import SettingsError

_SQLITE = "write sqlite:////absolute/path/of/a/file.db"
_EITHER = f"{_SQLITE} or postgresql://user:password@host:5432/database?schema=px"


def open_store(url: str, patience_seconds: float = 60) -> Store:
    """The store that a URL names; nothing is opened yet.

    Args:
        url: `sqlite:////absolute/path` or `postgresql://user:password@host:port/database`, with `schema` and
            parameters of libpq behind `?`.
        patience_seconds: how long a call waits while another run holds what it needs.

    Raises:
        SettingsError: the URL names no store that there is. It is not repeated: it may hold a password.
    """
    scheme, separator, place = url.partition("://")
    scheme = scheme.lower()
    if separator and scheme in {"postgresql", "postgres"}:
        from blocks.postgres_connection import Place
        from blocks.postgres_store import PostgresStore

        return PostgresStore(Place.parse(f"postgresql://{place}"), patience_seconds)
    if not separator or scheme != "sqlite":
        raise SettingsError("store", f"not the URL of a store; {_EITHER}")
    path = place.removeprefix("/")
    if path == place or not path or path.endswith("/"):
        raise SettingsError("store", f"the path of the file is missing; {_SQLITE}")
    if path == ":memory:":
        raise SettingsError("store", f"a database in memory would forget what was imported; {_SQLITE}")
    if not path.startswith("/"):
        cure = f"write sqlite:///{Path(path).absolute()}"
        raise SettingsError("store", f"a relative path is another file in each working folder; {cure}")
    return SqliteStore(Path(path), patience_seconds)

"""The stores that there are, by their URLs (rule L1)."""

from pathlib import Path

from blocks.database import Store
from blocks.sqlite_store import SqliteStore
from schemas.errors import SettingsError

_WRITE_INSTEAD = "write sqlite:////absolute/path/of/a/file.db"


def open_store(url: str) -> Store:
    """The store that a URL names; nothing is opened yet.

    Args:
        url: `sqlite:////absolute/path`, or `sqlite:///path` relative to the working directory.

    Raises:
        SettingsError: the URL names no store that there is. It is not repeated: it may hold a password.
    """
    scheme, separator, place = url.partition("://")
    scheme = scheme.lower()
    if separator and scheme.partition("+")[0] in {"postgresql", "postgres"}:
        raise SettingsError("store", f"{scheme}:// is not supported yet; {_WRITE_INSTEAD}")
    if not separator or scheme != "sqlite":
        raise SettingsError("store", f"not the URL of a store; {_WRITE_INSTEAD}")
    path = place.removeprefix("/")
    if path == place or not path or path.endswith("/"):
        raise SettingsError("store", f"the path of the file is missing; {_WRITE_INSTEAD}")
    if path == ":memory:":
        raise SettingsError("store", f"a database in memory would forget what was imported; {_WRITE_INSTEAD}")
    return SqliteStore(Path(path).absolute())

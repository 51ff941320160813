"""What PostgreSQL says, in the importer's words; no sentence holds a password or a cell's value."""

import re

import psycopg

from blocks.database import refused_record
from schemas.errors import AccessRefused, ImporterError, SettingsError, StoreBusy, StoreConflict

#: Classes of SQLSTATE that may be gone at the next try: connection, rollback by a deadlock and the like, resources,
#: locks, an operator's hand, the operating system. And: idle for too long, and a server that is a read-only copy.
_BUSY = ("08", "40", "53", "55", "57", "58", "25P03", "25P04", "25006")
#: A value, constraint or trigger stands against a row.
_ROW_REFUSED = ("09", "22", "23", "27", "38", "39", "44", "P0")
_DAMAGED = ("XX",)
_TOO_LARGE = ("54",)
_NO_SUCH_TABLE = ("42P01",)
_NOT_GRANTED = ("42501", "3F000")
_NOT_IN_ENCODING = ("22P05",)

# A server that refuses a connection says so in words only.
_LOGIN = re.compile("authentication|password|pg_hba.conf|role .* (does not exist|is not permitted)")
_CERTIFICATE = re.compile("certificate|does not support SSL|sslmode")
_FULL = re.compile("No space left on device|Disk quota exceeded")
_DENIED = re.compile("permission denied")
_ANYTHING = re.compile(r"\S")
_NO_DATABASE = re.compile("database .* does not exist")


def translated(error: psycopg.Error, store: str) -> ImporterError | None:
    """The importer's word for an error; None for one that only a mistake of ours can cause.

    Args:
        error: only its first line is used: the detail behind it quotes rows.
        store: its name, without credentials.
    """
    code = error.sqlstate
    if code is None:
        return _without_code(error, store)
    said = f"{error.diag.message_primary} ({code})"
    if code.startswith(_BUSY):
        return _busy(store, said)
    if code.startswith(_NOT_GRANTED):
        return _not_granted(store, said)
    if code.startswith(_NO_SUCH_TABLE) and "import_" in said:
        return SettingsError("store", f"{store} holds no ledger of this version; the next run makes it")
    if code.startswith(_NOT_IN_ENCODING):
        problem = "the encoding of the database has no such characters as the file"
        return StoreConflict(store, problem, "make the database anew with ENCODING 'UTF8'")
    if code.startswith(_ROW_REFUSED):
        # in its class 22 PostgreSQL quotes the value
        reason = f"a value does not fit ({code})" if code.startswith("22") else said
        return refused_record(store, reason)
    if code.startswith(_TOO_LARGE):
        cure = "disable attributes in the catalogue, or take the record that is too large out of the file"
        return StoreConflict(store, f"PostgreSQL has no room for it: {said}", cure)
    if code.startswith(_DAMAGED):
        return StoreConflict(store, f"the database may be damaged: {said}", "look into the server's log")
    return None


def _without_code(error: psycopg.Error, store: str) -> ImporterError | None:
    """For what libpq itself says, or the server while a connection is made."""
    if isinstance(error, psycopg.DataError):  # psycopg sends no NUL
        return StoreConflict(store, "PostgreSQL holds no text with a NUL character", "take it out of the name or file")
    if not isinstance(error, psycopg.OperationalError):
        return None
    # where a host has several addresses, the last one's answer comes first
    last = str(error).partition("\nMultiple connection attempts")[0]
    lines = [" ".join(line.split()).rstrip("?.") for line in last.removeprefix("connection failed: ").splitlines()]
    if said := _first(lines, _LOGIN):
        cure = "check user and password in the store's URL, and that the server's pg_hba.conf lets this machine in"
        return AccessRefused("log in to", store, said, cure)
    if said := _first(lines, _DENIED):
        return _not_granted(store, said)
    if said := _first(lines, _CERTIFICATE):
        cure = "see sslmode and sslrootcert in docs/store.md"
        return SettingsError("store", f"no trusted connection to {store}: {said}; {cure}")
    if _first(lines, _NO_DATABASE):
        return SettingsError("store", f"{store}: there is no such database; create it or name another")
    return _busy(store, _first(lines, _FULL) or _first(lines, _ANYTHING))


def _first(lines: list[str], what: re.Pattern[str]) -> str:
    """The first line that says it; empty if none does. The lines after it are advice, or another try."""
    return next((line for line in lines if what.search(line)), "")


def _busy(store: str, said: str) -> StoreBusy:
    return StoreBusy(store, f"{said}; make room on its disk" if _FULL.search(said) else said)


def _not_granted(store: str, said: str) -> AccessRefused:
    cure = "let its owner grant the role in the store's URL what docs/store.md lists"
    return AccessRefused("use", store, said, cure)

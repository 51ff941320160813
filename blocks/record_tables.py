"""The tables of records in SQLite: `users`, `accounts` and the products of each (rules L1 to L4, K3).

    users, accounts                  id, and one column an attribute under its api name
    user_products, account_products  user_id or account_id, product_key

STRING is text, NUMBER a real, BOOLEAN 0 or 1, DATE_TIME text like `2021-12-25T00:00:00.000Z`, always as
wide and always UTC, so that the order of the text is the order in time. A blank is NULL.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from schemas.catalogue import ID, Attribute, AttributeType, Entity, folded
from schemas.errors import StoreConflict
from schemas.outcome import LoadCounts

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.valid_file import ValidFile

_TABLES = {Entity.USER: "users", Entity.ACCOUNT: "accounts"}
#: Declared types. SQLite keeps the words, so that a change of an attribute's type shows; the "TEXT" in the last one
#: is for SQLite itself, which would otherwise compare such a column with '2021' as a number.
_TYPES = {
    AttributeType.STRING: "TEXT",
    AttributeType.NUMBER: "REAL",
    AttributeType.BOOLEAN: "BOOLEAN",
    AttributeType.DATE_TIME: "DATETIME TEXT",
}
_MERGED = "merged_rows"  # a temporary table
_ROWS_AT_ONCE = 4096


def upsert(
    connection: sqlite3.Connection,
    entity: Entity,
    valid: "ValidFile",
    *,
    clear_blanks: bool,
    progress: Callable[[], None],
) -> LoadCounts:
    """Write the file's records and their products; see `Transaction.upsert`.

    An id that stands on several rows must count once and keep its last values (rule V8): such rows are first
    merged in file order in a table aside, by the same statement, and go on from there as one.
    """
    _prepare(connection, entity, valid.attributes)
    table, names = _TABLES[entity], [attribute.api_name for attribute in valid.attributes]
    row = f"VALUES ({', '.join('?' * len(names))})"
    into_table = _upsert_sql(table, names, row, clear_blanks=clear_blanks)
    into_merged = _upsert_sql(_MERGED, names, row, clear_blanks=clear_blanks)
    from_merged = f"SELECT {_listed(names)} FROM {_MERGED} WHERE true"  # noqa: S608 - every name is quoted by _name
    connection.execute(f"CREATE TEMP TABLE {_MERGED} ({', '.join(map(_declared, valid.attributes))})")
    last_rowid = _last_rowid(connection, table)
    records = written = aside = 0
    for batch in valid.batches():
        once, again = _split(batch, valid)
        written += _write(connection, into_table, _rows(once, names))
        aside += again.num_rows
        _write(connection, into_merged, _rows(again, names))
        records += once.num_rows
        for part in (once, again):
            _add_products(connection, entity, valid, part)
        progress()
    [(distinct,)] = connection.execute(f"SELECT count(*) FROM {_MERGED}")  # noqa: S608 - a constant
    written += _write(connection, _upsert_sql(table, names, from_merged, clear_blanks=clear_blanks), [()])
    connection.execute(f"DROP TABLE {_MERGED}")
    # Nothing is deleted here: as many records are new as the highest rowid has grown.
    created = _last_rowid(connection, table) - last_rowid
    return LoadCounts(
        created=created,
        updated=written - created,
        unchanged=records + distinct - written,
        repeated=aside - distinct,
    )


def _prepare(connection: sqlite3.Connection, entity: Entity, attributes: Sequence[Attribute]) -> None:
    """Make the entity's tables, and a column for each attribute that has none yet (rule L4).

    Raises:
        StoreConflict: a column has another type, or SQLite cannot have these columns together.
    """
    table, owner = _TABLES[entity], f"{entity.value}_id"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (id TEXT NOT NULL PRIMARY KEY)")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {entity.value}_products ({owner} TEXT NOT NULL, product_key TEXT NOT NULL, "
        f"PRIMARY KEY ({owner}, product_key)) WITHOUT ROWID"
    )
    columns = _columns(connection, table)
    missing = [attribute for attribute in attributes if attribute.api_name not in columns]
    _refuse_conflicts(table, columns, attributes)
    most = connection.getlimit(sqlite3.SQLITE_LIMIT_COLUMN)
    if len(columns) + len(missing) > most:
        raise StoreConflict(table, f"SQLite holds {most} columns at most", "disable attributes in the catalogue")
    for attribute in missing:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {_declared(attribute)}")


def _upsert_sql(table: str, names: Sequence[str], source: str, *, clear_blanks: bool) -> str:
    """Insert what is new, change what differs, and leave untouched, uncounted too, what has these values already.

    Rows are compared as a whole: a chain of ORs over a thousand columns is too deep for SQLite.

    Args:
        table: the target.
        names: its columns that the source brings; others stay as they are.
        source: VALUES or SELECT; a SELECT needs a WHERE, else its ON CONFLICT would read as the ON of a join.
        clear_blanks: whether NULL replaces a value (rule V1).
    """
    insert = f"INSERT INTO {table} ({_listed(names)}) {source} ON CONFLICT (id) DO "
    columns = [_name(name) for name in names if name != ID]
    if not columns:
        return insert + "NOTHING"
    new = [f"excluded.{c}" if clear_blanks else f"coalesce(excluded.{c}, {table}.{c})" for c in columns]
    changes = ", ".join(f"{column} = {value}" for column, value in zip(columns, new, strict=True))
    old = ", ".join(f"{table}.{column}" for column in columns)
    return f"{insert}UPDATE SET {changes} WHERE ({', '.join(new)}) IS NOT ({old})"


def _write(connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any]]) -> int:
    """Run the statement for every row; how many rows it inserted or changed."""
    before = connection.total_changes
    connection.executemany(sql, rows)
    return connection.total_changes - before


def _split(batch: "pa.RecordBatch", valid: "ValidFile") -> "tuple[pa.RecordBatch, pa.RecordBatch]":
    """The rows whose id stands on one row of the file, by id, and the others, in file order.

    In the order of the ids neighbours fall on the same pages of the index: a third faster than at random.
    """
    import pyarrow as pa

    repeats = valid.ids.repeats(batch.column(ID))
    return batch.filter(pa.array(~repeats)).sort_by(ID), batch.filter(pa.array(repeats))


def _rows(batch: "pa.RecordBatch", names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows as SQLite takes them, some at a time: as objects of Python they are ten times as large."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        part = batch.slice(start, _ROWS_AT_ONCE)
        yield from zip(*(_values(part.column(name)) for name in names), strict=True)


def _values(column: "pa.Array[Any]") -> list[Any]:
    """One column's cells as `_TYPES` has them; None where blank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(column.type):
        # Arrow writes text thirty times as fast without a zone; the instants are UTC either way.
        text = column.cast(pa.timestamp("ms")).cast(pa.string())
        column = pc.utf8_replace_slice(pc.utf8_replace_slice(text, 10, 11, "T"), 23, 23, "Z")
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: list[Any] = column.to_pylist()
    return values


def _add_products(connection: sqlite3.Connection, entity: Entity, valid: "ValidFile", batch: "pa.RecordBatch") -> None:
    """Add each row's product to its record's set (rule K3); one statement a product, its ids as one JSON text."""
    from schemas.valid_file import PRODUCT_KEY

    ids = _values(batch.column(ID))
    owners: dict[str, list[str]] = {}
    if valid.product_key is not None:
        owners[str(valid.product_key)] = ids
    else:
        for identifier, key in zip(ids, _values(batch.column(PRODUCT_KEY)), strict=True):
            owners.setdefault(key, []).append(identifier)
    sql = f"INSERT OR IGNORE INTO {entity.value}_products SELECT value, ? FROM json_each(?)"  # noqa: S608 - an enum
    connection.executemany(sql, ((key, json.dumps(having, ensure_ascii=False)) for key, having in owners.items()))


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Declared type of each column of the table.

    Raises:
        StoreConflict: it is somebody else's table.
    """
    rows = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,)).fetchall()
    if (ID, _TYPES[AttributeType.STRING], 1) not in rows:
        problem = f"a table of this name is there already, without {ID!r} as its text key"
        raise StoreConflict(table, problem, "rename that table or name another database")
    return {name: declared for name, declared, _ in rows}


def _refuse_conflicts(table: str, columns: dict[str, str], attributes: Sequence[Attribute]) -> None:
    """Raise StoreConflict for a changed type, or for names that are one to SQLite."""
    taken = {folded(name): name for name in columns}
    for attribute in attributes:
        name, declared = attribute.api_name, _TYPES[attribute.type]
        if (other := taken.setdefault(folded(name), name)) != name:
            problem = f"SQLite cannot tell it from the column {other!r}: only upper and lower case differ"
            raise StoreConflict(f"{table}.{name}", problem, "disable one of the two in the attribute catalogue")
        if columns.get(name, declared) != declared:
            problem = f"the column is {columns[name]} but the attribute catalogue says {attribute.type}"
            cure = "put the attribute's former type back, or rename the column in the store"
            raise StoreConflict(f"{table}.{name}", problem, cure)


def _last_rowid(connection: sqlite3.Connection, table: str) -> int:
    """The highest rowid, 0 in an empty table; an attribute may have taken one of the rowid's three names.

    Raises:
        StoreConflict: attributes have taken all three.
    """
    taken = {folded(name) for name in _columns(connection, table)}
    free = next((name for name in ("rowid", "oid", "_rowid_") if folded(name) not in taken), None)
    if free is None:
        problem = "attributes are named rowid, oid and _rowid_, all that SQLite calls its own row number"
        raise StoreConflict(table, problem, "disable one of the three in the attribute catalogue")
    [(last,)] = connection.execute(f"SELECT coalesce(max({free}), 0) FROM {table}")  # noqa: S608 - constants
    return int(last)


def _declared(attribute: Attribute) -> str:
    """Name and type of a column; `id` is the key."""
    key = " NOT NULL PRIMARY KEY" if attribute.api_name == ID else ""
    return f"{_name(attribute.api_name)} {_TYPES[attribute.type]}{key}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_name(name) for name in names)


def _name(name: str) -> str:
    """A column's name that SQLite reads as nothing else, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'

"""One file's way into PostgreSQL: a temporary table first, then a few statements in the server (rules L2, V1, V8, K3).

Until all rows are in the temporary table, nothing is locked that another run may need, however slow this
process is, or stopped. The statements then take the records in the order of their ids, and users before
products, so that two loads of the same ids wait for each other but never in a ring.

    px_rows  c0           id
             c1, c2, …    the file's other columns
             p            the product key, where a column of the file holds it
             n            number of a row whose id stands on several rows, NULL for all others
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blocks import postgres_copy
from blocks.postgres_connection import Connection, quoted
from blocks.postgres_tables import KEY, TABLES, TYPES, prepare
from schemas.catalogue import ID, Attribute, Entity
from schemas.outcome import LoadCounts

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.valid_file import ValidFile

_ROWS = "pg_temp.px_rows"
_ROWS_AT_ONCE = 8192  # in the form that is sent, which is made in memory


def load(
    connection: Connection,
    schema: str,
    entity: Entity,
    valid: "ValidFile",
    *,
    clear_blanks: bool,
    progress: Callable[[], None],
) -> LoadCounts:
    """Write the file's records and their products; see `Transaction.upsert`."""
    others = [attribute for attribute in valid.attributes if attribute.api_name != ID]
    rows, aside = _stage(connection, valid, others, progress)
    distinct = _merge(connection, len(others), clear_blanks=clear_blanks) if aside else 0
    prepare(connection, schema, entity, others)
    created, written = _write_records(connection, TABLES[entity], others, clear_blanks=clear_blanks)
    _add_products(connection, entity, valid)
    connection.run(f"DROP TABLE {_ROWS}")
    return LoadCounts(
        created=created,
        updated=written - created,
        unchanged=rows - aside + distinct - written,
        repeated=aside - distinct,
    )


def _stage(
    connection: Connection, valid: "ValidFile", others: Sequence[Attribute], progress: Callable[[], None]
) -> tuple[int, int]:
    """Copy the file into the temporary table; how many rows came there, and how many of them have a number."""
    import pyarrow as pa

    from schemas.valid_file import PRODUCT_KEY

    columns = {ID: f"c0 {KEY}"} | {a.api_name: f"c{at} {TYPES[a.type]}" for at, a in enumerate(others, 1)}
    if valid.product_key is None:
        columns[PRODUCT_KEY] = f"p {KEY}"
    connection.run(f"CREATE TEMPORARY TABLE px_rows (n bigint, {', '.join(columns.values())})")
    rows = aside = 0
    for batch in valid.batches():
        repeats = valid.ids.repeats(batch.column(ID))
        numbers = pa.array(np.arange(rows, rows + batch.num_rows), mask=~repeats)
        # One statement a batch: between two of them the server notices a client that has come to a standstill.
        rows += _copy(connection, [numbers, *(batch.column(name) for name in columns)])
        aside += int(repeats.sum())
        progress()
    # Else the planner would expect next to no row without a number, and look for each record by itself.
    connection.run(f"ANALYZE {_ROWS} (n, c0)")
    return rows, aside


def _copy(connection: Connection, columns: "Sequence[pa.Array[Any]]") -> int:
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {_ROWS} FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.write(postgres_copy.HEADER)
            for start in range(0, len(columns[0]), _ROWS_AT_ONCE):
                copy.write(postgres_copy.rows([column.slice(start, _ROWS_AT_ONCE) for column in columns]))
            copy.write(postgres_copy.TRAILER)
        return cursor.rowcount


def _merge(connection: Connection, others: int, *, clear_blanks: bool) -> int:
    """Add one row with the last values of each id that stands on several rows (rule V8); how many there are.

    The last value of a column is that of the last row, or of the last that is not blank where blanks leave.
    """
    columns = [f"c{at}" for at in range(1, others + 1)]
    counted = "n IS NOT NULL" if clear_blanks else "{} IS NOT NULL"
    # in one array, for a join of two wide tables can have more columns than PostgreSQL allows
    lasts = ", ".join(f"coalesce(max(n) FILTER (WHERE {counted.format(column)}), -1)" for column in columns)
    values = "".join(f", (array_agg({c}) FILTER (WHERE n = lasts[{at}]))[1]" for at, c in enumerate(columns, 1))
    return connection.run(
        f"WITH last AS (SELECT c0, ARRAY[{lasts}]::bigint[] AS lasts "  # noqa: S608 - all ours
        f"FROM {_ROWS} WHERE n IS NOT NULL GROUP BY c0) "
        f"INSERT INTO {_ROWS} ({', '.join(['c0', *columns])}) "
        f"SELECT c0{values} FROM {_ROWS} JOIN last USING (c0) WHERE n IS NOT NULL GROUP BY c0"
    ).rowcount


def _write_records(
    connection: Connection, table: str, others: Sequence[Attribute], *, clear_blanks: bool
) -> tuple[int, int]:
    """Insert what is new, change what differs, and leave untouched, unlocked too, what has these values already.

    What differs is asked first of all records at once, then again behind ON CONFLICT, of the record as it stands by
    then: another load may have changed or made it since.

    Returns:
        How many records are new, and how many were written, the new ones included. New is a row without `xmax`:
        ON CONFLICT locks a record before it updates it, and the new version carries on the lock.
    """
    columns = [quoted(attribute.api_name) for attribute in others]
    staged = [f"c{at}" for at in range(1, len(others) + 1)]
    same, on_conflict = "true", "DO NOTHING"
    if columns:
        old = f"ROW({', '.join(f't.{column}' for column in columns)})"
        new = [_new(f"s.{name}", f"t.{column}", clear_blanks) for name, column in zip(staged, columns, strict=True)]
        same = f"ROW({', '.join(new)}) IS NOT DISTINCT FROM {old}"
        new = [_new(f"excluded.{column}", f"t.{column}", clear_blanks) for column in columns]
        changes = ", ".join(f"{column} = {value}" for column, value in zip(columns, new, strict=True))
        on_conflict = f"DO UPDATE SET {changes} WHERE ROW({', '.join(new)}) IS DISTINCT FROM {old}"
    [(created, written)] = connection.run(
        f"WITH written AS (INSERT INTO {table} AS t ({', '.join(['id', *columns])}) "  # noqa: S608 - quoted or ours
        f"SELECT {', '.join(['c0', *staged])} FROM {_ROWS} AS s "
        f"WHERE n IS NULL AND NOT EXISTS (SELECT FROM {table} AS t WHERE t.id = s.c0 AND {same}) ORDER BY c0 "
        f"ON CONFLICT (id) {on_conflict} RETURNING t.xmax = 0 AS created) "
        "SELECT count(*) FILTER (WHERE created), count(*) FROM written"
    )
    return created, written


def _new(brought: str, present: str, clear_blanks: bool) -> str:
    """A column's new value: a blank leaves the present one, or clears it (rule V1)."""
    return brought if clear_blanks else f"coalesce({brought}, {present})"


def _add_products(connection: Connection, entity: Entity, valid: "ValidFile") -> None:
    """Add each row's product to its record's set (rule K3)."""
    table, owner = f"{entity.value}_products", f"{entity.value}_id"
    if valid.product_key is None:  # numbered rows have brought theirs, the one they were merged to has none
        source = f"SELECT DISTINCT c0, p FROM {_ROWS} WHERE p IS NOT NULL"  # noqa: S608 - all ours
    else:
        source = f"SELECT c0, '{valid.product_key}' AS p FROM {_ROWS} WHERE n IS NULL"  # noqa: S608 - its form is known
    connection.run(
        f"INSERT INTO {table} ({owner}, product_key) SELECT c0, p FROM ({source}) AS s "  # noqa: S608 - every name is quoted or ours
        f"WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE t.{owner} = s.c0 AND t.product_key = s.p) "
        "ORDER BY c0, p ON CONFLICT DO NOTHING"
    )

"""The tables of records in PostgreSQL: `users`, `accounts` and the products of each (rules L1, L4, K3).

    users, accounts                  id, and one column an attribute under its api name
    user_products, account_products  user_id or account_id, product_key

STRING is text, NUMBER double precision, BOOLEAN boolean, DATE_TIME timestamp with time zone. A blank is NULL.
Ids and product keys are compared byte for byte (rule V7).
"""

from collections.abc import Sequence

from psycopg import errors

from blocks.postgres_connection import Connection, quoted
from schemas.catalogue import ID, Attribute, AttributeType, Entity
from schemas.errors import AccessRefused, StoreConflict

TABLES = {Entity.USER: "users", Entity.ACCOUNT: "accounts"}
#: In the words in which PostgreSQL shows them.
TYPES = {
    AttributeType.STRING: "text",
    AttributeType.NUMBER: "double precision",
    AttributeType.BOOLEAN: "boolean",
    AttributeType.DATE_TIME: "timestamp with time zone",
}
#: Of ids and product keys.
KEY = 'text COLLATE "C"'
#: Whoever makes or changes tables in this database holds this lock: of two runs that say CREATE … IF NOT EXISTS
#: at once, one may fail.
_LOCK = int.from_bytes(b"pximport", "big")


def lock_schema(connection: Connection, schema: str) -> None:
    """See `Transaction.lock_schema`; makes the schema where it is missing.

    Raises:
        AccessRefused: the role may not make it.
    """
    connection.run(f"SELECT pg_advisory_xact_lock({_LOCK})")
    [(there,)] = connection.run("SELECT to_regnamespace(%(name)s) IS NOT NULL", {"name": quoted(schema)})
    if not there:
        _change(connection, f"CREATE SCHEMA {quoted(schema)}")


def prepare(connection: Connection, schema: str, entity: Entity, others: Sequence[Attribute]) -> None:
    """Make the entity's tables, and a column for each attribute beside `id` that has none yet (rule L4).

    Where nothing is missing this only looks, and locks nothing.

    Raises:
        StoreConflict: a column has another type, or the table is somebody else's.
        AccessRefused: the role may not make or change tables.
    """
    if _missing(connection, entity, others):
        lock_schema(connection, schema)
        for statement in _missing(connection, entity, others):  # another run may just have made it
            _change(connection, statement)


def _missing(connection: Connection, entity: Entity, others: Sequence[Attribute]) -> list[str]:
    """The statements that make what is missing."""
    table, products, owner = TABLES[entity], f"{entity.value}_products", f"{entity.value}_id"
    statements, columns = [], dict[str, str]()
    if is_there(connection, table):
        columns = _columns(connection, table)
    else:
        statements.append(f"CREATE TABLE {table} (id {KEY} PRIMARY KEY)")
    if not is_there(connection, products):
        keys = f"{owner} {KEY}, product_key {KEY}, PRIMARY KEY ({owner}, product_key)"
        statements.append(f"CREATE TABLE {products} ({keys})")
    _refuse_conflicts(table, columns, others)
    new = [f"ADD COLUMN {quoted(a.api_name)} {TYPES[a.type]}" for a in others if a.api_name not in columns]
    if new:
        statements.append(f"ALTER TABLE {table} {', '.join(new)}")
    return statements


def is_there(connection: Connection, table: str) -> bool:
    """Whether the schema has a table of this name."""
    [(there,)] = connection.run("SELECT to_regclass(%(table)s) IS NOT NULL", {"table": table})
    return bool(there)


def _columns(connection: Connection, table: str) -> dict[str, str]:
    """Type of each column of the table.

    Raises:
        StoreConflict: it is somebody else's table.
    """
    rows = connection.run(
        """
        SELECT attname, format_type(atttypid, atttypmod), collname = 'C' AND EXISTS (
            SELECT FROM pg_index WHERE indrelid = attrelid AND indkey::text = attnum::text
                AND indisunique AND indimmediate AND indpred IS NULL
        )
        FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
        """,
        {"table": table},
    ).fetchall()
    if (ID, TYPES[AttributeType.STRING], True) not in rows:
        problem = f"a table of this name is there already, without {ID!r} as its key of type {KEY}"
        raise StoreConflict(table, problem, "rename that table or name another schema")
    return {name: declared for name, declared, _ in rows}


def _refuse_conflicts(table: str, columns: dict[str, str], attributes: Sequence[Attribute]) -> None:
    """Raise StoreConflict for a changed type."""
    for attribute in attributes:
        name, declared = attribute.api_name, TYPES[attribute.type]
        if columns.get(name, declared) != declared:
            problem = f"the column is {columns[name]} but the attribute catalogue says {attribute.type}"
            cure = "put the attribute's former type back, or rename the column in the store"
            raise StoreConflict(f"{table}.{name}", problem, cure)


def _change(connection: Connection, statement: str) -> None:
    """Make or change a table.

    Raises:
        AccessRefused: the role may not; the cure is the statement.
    """
    try:
        connection.run(statement)
    except (errors.InsufficientPrivilege, errors.InvalidSchemaName) as error:
        cure = "let the owner run it, or give the role the rights that docs/store.md names"
        raise AccessRefused("run", statement, str(error.diag.message_primary), cure) from None

"""The Prefect blocks of the stores: what a store's URL says, as forms to fill in (rule L1)."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from prefect.blocks.core import Block
from psycopg.pq import Conninfo
from pydantic import Field, SecretStr, StringConstraints, field_validator

from blocks.forms import NOT_CHOSEN, Form, refuse_not_chosen, refuse_stars
from blocks.postgres_connection import LONGEST_NAME_BYTES, read_url
from blocks.sqlite_store import SqliteStore
from blocks.stores import open_store

#: How libpq calls what has a field of its own.
_KEYWORDS = {
    "host": "host",
    "port": "port",
    "database": "dbname",
    "user": "user",
    "password": "password",
    "ssl_mode": "sslmode",
    "ssl_root_cert": "sslrootcert",
    "ssl_key_password": "sslpassword",
}


class SqliteFile(Block, Form):
    """Records and ledger in one SQLite file: one machine, no server.

    Example:
        ```python
        from blocks.store_blocks import SqliteFile

        store = SqliteFile.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "PX SQLite Store"
    _block_type_slug = "px-sqlite-store"

    path: Annotated[str, StringConstraints(pattern=r"^/.*[^/]$")] = Field(
        title="File",
        description="Absolute path on the worker's machine, like /var/lib/px-import/px.db; its folder must be there.",
    )

    @property
    def url(self) -> SecretStr:
        """For `open_store`."""
        return SecretStr(f"sqlite:///{self.path}")


class PostgresDatabase(Block, Form):
    """Records and ledger in a schema of a PostgreSQL database: several machines, many feeds.

    Example:
        ```python
        from blocks.store_blocks import PostgresDatabase

        store = PostgresDatabase.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "PX PostgreSQL Store"
    _block_type_slug = "px-postgresql-store"

    host: Annotated[str, StringConstraints(pattern=r"^[^@\s]*$")] = Field(
        "", title="Host", description="Name or address; several with commas. Empty: a socket of the worker's machine."
    )
    port: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,5}(,[0-9]{1,5})*)?$")] = Field(
        "",
        title="Port",
        coerce_numbers_to_str=True,
        description="A number; several with commas where the hosts differ in it. Empty: 5432.",
    )
    database: Annotated[str, StringConstraints(pattern=r"^[^@]*$")] = Field(
        "", title="Database", description="Name of the database. Empty: like the user."
    )
    schema_name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME_BYTES)] = Field(
        "public", title="Schema", description="It holds all tables, and is made where it is missing if the user may."
    )
    user: str = Field("", title="User", description="The role to sign in as. Empty: like the worker's account.")
    password: SecretStr = Field(
        SecretStr(""), title="Password", description="Of the user. Empty: PGPASSWORD or a passfile on the worker."
    )
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer",
        title="SSL mode",
        description="Over a network choose verify-full: encrypted, and the server proves who it is.",
    )
    ssl_root_cert: str = Field(
        "",
        title="SSL root certificate",
        description="PEM file on the worker with who signs for the server; or system for the machine's own.",
    )
    ssl_key_password: SecretStr = Field(
        SecretStr(""),
        title="SSL key password",
        description="Of the client's key, if sslkey is one of the parameters.",
    )
    parameters: dict[str, str] = Field(
        default_factory=dict,
        title="More parameters",
        description='Others that libpq knows, like {"target_session_attrs": "read-write"}; no secrets.',
    )

    @field_validator("schema_name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if len(name.encode()) > LONGEST_NAME_BYTES or "\0" in name:
            raise ValueError(f"the schema's name must have 1 to {LONGEST_NAME_BYTES} bytes")
        return name

    @field_validator("password", "ssl_key_password")
    @classmethod
    def _is_no_display(cls, secret: SecretStr) -> SecretStr:
        refuse_stars(secret)
        return secret

    @field_validator("parameters")
    @classmethod
    def _known_to_libpq(cls, parameters: dict[str, str]) -> dict[str, str]:
        shown_as = {each.keyword.decode(): (each.dispchar or b"").decode() for each in Conninfo.get_defaults()}
        for name in parameters:
            if name == "schema" or name in _KEYWORDS.values():
                raise ValueError(f"{name} has a field of its own; write it there")
            if shown_as.get(name):  # libpq marks secrets, and what is not for users
                raise ValueError(f"{name} must not stand where it can be read; leave it out")
            if name not in shown_as:
                raise ValueError("one of these is no parameter that libpq knows; see docs/store.md")
        return parameters

    @property
    def url(self) -> SecretStr:
        """For `open_store`; where a field is as it came, libpq's defaults and the environment of the worker count."""
        fields: dict[str, Any] = {keyword: getattr(self, field) for field, keyword in _KEYWORDS.items()}
        if self.ssl_mode == "prefer":
            del fields["sslmode"]  # libpq's own default, but said aloud it would refuse sslrootcert=system
        given = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in fields.items()
        }
        named = {"schema": self.schema_name, **given, **self.parameters}
        return SecretStr("postgresql:///?" + "&".join(f"{n}={quote(v, safe='')}" for n, v in named.items() if v))


def store_block(url: str) -> SqliteFile | PostgresDatabase:
    """The block that says what a URL says.

    Raises:
        SettingsError: see `open_store`.
        ValidationError: a parameter of the URL is none of libpq's, or a secret that has no field.
    """
    store = open_store(url)
    if isinstance(store, SqliteStore):
        return SqliteFile(path=str(store.path))
    schema, given = read_url(url)
    fields = {field: given.pop(keyword) for field, keyword in _KEYWORDS.items() if keyword in given}
    return PostgresDatabase(schema_name=schema, **fields, parameters=given)


def chosen_store(given: Any) -> Any:  # noqa: ANN401
    """What a document holds as its store, as the block of its kind; older documents hold a URL.

    Raises:
        ValueError: it is wrong, or no store at all.
    """
    if isinstance(given, SecretStr):
        given = given.get_secret_value()
    if isinstance(given, str):
        return store_block(given)
    refuse_not_chosen(NOT_CHOSEN if given is None else given)
    if not isinstance(given, dict):
        return given
    slug = given.get("block_type_slug", "")
    is_file = slug == SqliteFile.get_block_type_slug() if slug else "path" in given
    return (SqliteFile if is_file else PostgresDatabase).model_validate(given)

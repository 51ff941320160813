"""The stores' blocks: they say what a URL says, and nothing else may stand in them (rules L1, S9)."""

from typing import Any

import pytest

from blocks.import_settings import ImportSettings
from blocks.postgres_connection import Place
from blocks.store_blocks import PostgresDatabase, SqliteFile, store_block
from blocks.stores import open_store
from schemas.errors import SettingsError

URLS = {
    "all in its place": "postgresql://px:pass@db.example:5433/px?schema=px&sslmode=verify-full",
    "marks in the password": "postgresql://px:%40%2F%3A%3F%23%25%26+%20@db.example/px",
    "the machine's authorities": "postgresql://px@db.example/px?sslrootcert=system",
    "two hosts": "postgresql://px@a.example:5432,b.example:5433/px?target_session_attrs=read-write",
    "an address of version 6": "postgresql://[::1]/px",
    "a socket": "postgresql:///px?host=/var/run/postgresql",
    "a client's key": "postgresql://px@db.example/px?sslcert=/c&sslkey=/k&sslpassword=a%26b",
    "a schema with marks": "postgresql://px@db.example/px?schema=a%26b%3Dc",
    "options": "postgresql://px@db.example/px?options=-c%20geqo%3Doff",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_a_block_leads_where_the_url_leads(url: str) -> None:
    block = store_block(url)
    assert isinstance(block, PostgresDatabase)
    assert Place.parse(block.url.get_secret_value()) == Place.parse(url)


def test_a_block_leads_to_the_file_of_its_url() -> None:
    block = store_block("sqlite:////var/lib/px-import/px.db")
    assert block == SqliteFile(path="/var/lib/px-import/px.db")
    assert open_store(block.url.get_secret_value()).name == "/var/lib/px-import/px.db"


@pytest.mark.rule("S10")
def test_a_password_is_in_no_repr() -> None:
    assert "pass-word" not in repr(store_block("postgresql://px:pass-word@db.example/px?sslpassword=pass-word-2"))


def read(store: Any) -> ImportSettings:
    document = {"feed": "users", "bucket": "b", "destination": {"product": "AP-X"}}
    return ImportSettings.model_validate(document | {"authorization": {}, "catalogue": {}, "store": store})


GIVEN = {
    "of an older document": ("sqlite:////var/px.db", SqliteFile(path="/var/px.db")),
    "a file": ({"path": "/var/px.db"}, SqliteFile(path="/var/px.db")),
    "as Prefect stores it inside": (
        {"path": "/var/px.db", "block_type_slug": "px-sqlite-store"},
        SqliteFile(path="/var/px.db"),
    ),
    "a database": ({"host": "db.example", "port": 5433}, PostgresDatabase(host="db.example", port="5433")),
}


@pytest.mark.parametrize(("given", "block"), GIVEN.values(), ids=GIVEN)
def test_what_a_document_may_hold_as_its_store(given: Any, block: SqliteFile | PostgresDatabase) -> None:
    assert read(given).store == block


WRONG = {
    "nothing": (None, "store: none is chosen, or the one that was chosen has been deleted; choose one."),
    "no URL": ("mysql://x", "store: not the URL of a store; write sqlite:////absolute"),
    "a relative path": ({"path": "px.db"}, "store.path: this does not have the right form: absolute path on the"),
    "a misspelt field": ({"hots": "x"}, "store.hots: there is no such setting; did you mean 'host'?"),
    "a port beyond": ({"port": "x"}, "store.port: this does not have the right form: a number"),
    "no such mode": ({"ssl_mode": "full"}, "store.ssl_mode: this must be 'disable', "),
    "a long schema": ({"schema_name": "é" * 32}, "store.schema_name: the schema's name must have 1 to 63 bytes."),
    "stars": ({"password": "********"}, "store.password: saving in the browser has put stars in place of the secret"),
    "a parameter with a field": ({"parameters": {"sslmode": "x"}}, "store.parameters: sslmode has a field of its own"),
    "a secret in the open": ({"parameters": {"scram_client_key": "x"}}, "store.parameters: scram_client_key must not"),
    "no parameter": ({"parameters": {"x": "x"}}, "store.parameters: one of these is no parameter that libpq knows"),
}


@pytest.mark.rule("S9")
@pytest.mark.parametrize(("given", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_store_is_one_sentence_with_its_field(given: Any, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(given)
    assert str(caught.value).startswith(f"px-import-settings/users: {sentence}")

"""What is special to PostgreSQL; what every store does is in `test_stores`."""

import os
import re
import secrets
import signal
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme

from blocks.ledger import Ledger
from blocks.postgres_store import PostgresStore
from blocks.stores import open_store
from deployments.local_postgres import LocalPostgres
from schemas.catalogue import AttributeType, Entity
from schemas.errors import AccessRefused, ImporterError, SettingsError, StoreBusy, StoreConflict
from schemas.outcome import LoadCounts
from schemas.valid_file import PRODUCT_KEY
from tests.blocks import test_ledger as ledger_steps
from tests.blocks.conftest import MakeFile, load, look, records

STRING, NUMBER, BOOLEAN, DATE_TIME = AttributeType
CANARY = "c4nary"  # a cell's value or a password that must never show


@pytest.fixture
def store(postgres_url: str) -> PostgresStore:
    store = open_store(postgres_url)
    assert isinstance(store, PostgresStore)
    return store


def execute(store: PostgresStore, sql: str) -> list[tuple[Any, ...]]:
    with store.transaction() as tx:
        return tx.execute(sql)


def told(error: BaseException) -> str:
    """All that a log would show of it."""
    return "".join(traceback.format_exception(error))


# --- values and columns -----------------------------------------------------------------------------------------------


def test_each_type_is_postgresqls_own(store: PostgresStore, make_file: MakeFile) -> None:
    moment = datetime(2021, 2, 28, 7, 5, 9, 120000, tzinfo=UTC)
    load(store, make_file([{"id": "1", "name": "007", "score": 1.0, "active": True, "since": moment}]))
    assert look(store, "SELECT * FROM users") == [("1", "007", 1.0, True, moment)]
    kinds = ("id", "name", "score", "active", "since")
    assert look(store, f"SELECT {', '.join(f'pg_typeof({kind})::text' for kind in kinds)} FROM users") == [
        ("text", "text", "double precision", "boolean", "timestamp with time zone")
    ]


@pytest.mark.rule("L2")
def test_a_record_that_has_these_values_is_neither_written_nor_locked(
    store: PostgresStore, make_file: MakeFile
) -> None:
    load(store, make_file([{"id": "a", "name": "x"}, {"id": "b", "name": "y"}]))
    before = look(store, "SELECT id, ctid, xmin, xmax FROM users ORDER BY id")
    assert load(store, make_file([{"id": "a", "name": "x"}, {"id": "b", "name": "z"}])).unchanged == 1
    after = look(store, "SELECT id, ctid, xmin, xmax FROM users ORDER BY id")
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.rule("V7")
def test_ids_are_compared_and_sorted_byte_by_byte(store: PostgresStore, make_file: MakeFile) -> None:
    ids = ["a", "B", "é", "e\u0301", " a", "a\n"]
    assert load(store, make_file([{"id": each} for each in ids])) == LoadCounts(created=6)
    assert [each for (each,) in records(store, "id")] == sorted(ids, key=str.encode)
    collations = "pg_collation_for(id), pg_collation_for(user_id), pg_collation_for(product_key)"
    assert look(store, f"SELECT DISTINCT {collations} FROM users, user_products") == [('"C"',) * 3]


@pytest.mark.rule("R3")
def test_an_id_too_long_for_the_index_is_said_to_be(store: PostgresStore, make_file: MakeFile) -> None:
    with pytest.raises(StoreConflict, match=r"no room for it: index row .* take the record that is too large out"):
        load(store, make_file([{"id": secrets.token_hex(5000)}]))


@pytest.mark.parametrize("clear_blanks", [False, True], ids=["leave", "clear"])
def test_hundreds_of_columns_are_no_problem(store: PostgresStore, make_file: MakeFile, clear_blanks: bool) -> None:
    types = {"id": STRING, **{f"a{n}": NUMBER for n in range(900)}}
    rows = [{"id": each, **{f"a{n}": float(n) for n in range(900)}} for each in "abb"]
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == LoadCounts(created=2, repeated=1)
    rows[0]["a899"] = 0.0
    counts = LoadCounts(updated=1, unchanged=1, repeated=1)
    assert load(store, make_file(rows, types=types), clear_blanks=clear_blanks) == counts


@pytest.mark.rule("L4")
@pytest.mark.parametrize(
    ("columns", "filled", "said"),
    [
        pytest.param(1700, 0, "1600 columns", id="too-many-columns"),
        pytest.param(1500, 1500, "row is too big", id="too-wide-a-record"),
    ],
)
def test_what_postgresql_has_no_room_for_is_refused(
    store: PostgresStore, make_file: MakeFile, columns: int, filled: int, said: str
) -> None:
    types = {"id": STRING, **{f"a{n}": NUMBER for n in range(columns)}}
    row = {name: float(n) if n < filled else None for n, name in enumerate(types)} | {"id": "a"}
    with pytest.raises(StoreConflict, match=f"no room for it: .*{said}.* disable attributes"):
        load(store, make_file([row], types=types))


@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    ("added", "said"),
    [
        (f"ADD CONSTRAINT polite CHECK (name <> '{CANARY}')", 'check constraint "polite"'),
        ("ADD age int GENERATED ALWAYS AS (name::int) STORED", r"a value does not fit \(22P02\)"),
    ],
    ids=["constraint", "value"],
)
def test_a_record_that_the_database_refuses_is_not_quoted(
    store: PostgresStore, make_file: MakeFile, added: str, said: str
) -> None:
    load(store, make_file([{"id": "a", "name": "1"}]))
    execute(store, f"ALTER TABLE users {added}")
    with pytest.raises(StoreConflict, match=f"refuses a record: .*{said}.*constraints and triggers") as caught:
        load(store, make_file([{"id": "b", "name": CANARY}]))
    assert CANARY not in told(caught.value)


# --- where it lies ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://px:s3cret@db.example/px", "postgresql://db.example/px?schema=public"),
        ("postgres://px:s3cret@db.example:5433/px?schema=a%20b", "postgresql://db.example:5433/px?schema=a b"),
        ("POSTGRESQL://px:s3cret@[::1]:5433/px?sslmode=require&schema=s", "postgresql://::1:5433/px?schema=s"),
        (
            "postgresql://px:s3c%40ret@a:1,b:2/px?target_session_attrs=read-write",
            "postgresql://a:1,b:2/px?schema=public",
        ),
        (
            "postgresql:///px?host=/run/postgresql&user=px&password=s3cret",
            "postgresql:///run/postgresql/px?schema=public",
        ),
    ],
)
@pytest.mark.rule("S10")
def test_a_url_names_a_place_and_keeps_its_password(url: str, name: str) -> None:
    store = open_store(url)
    assert store.name == name
    assert "s3c" not in f"{store!r} {store}"


@pytest.mark.rule("S9")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://px:s3cret%zz@host/db", "not a URL that PostgreSQL can read; write postgresql://"),
        ("postgresql://px:s3cret@host/db?schemas=px", "not a URL that PostgreSQL can read"),
        ("postgresql://px:s3cret@host/db?nonsense", "not a URL that PostgreSQL can read"),
        ("postgresql://px:s3cret@12@host/db", "write %3A %2F %3F %23 %40 %25 for"),
        ("postgresql://px:s3cret/12@host/db", "write %3A %2F %3F %23 %40 %25 for"),
        ("postgresql://px:12/s3cret@host/db", "write %3A %2F %3F %23 %40 %25 for"),
        ("postgresql://px:s3cret/db", "write %3A %2F %3F %23 %40 %25 for"),
        ("postgresql://px:s3cret@host/db?schema=", "1 to 63 bytes"),
        (f"postgresql://px:s3cret@host/db?schema={'x' * 64}", "1 to 63 bytes"),
    ],
)
def test_a_url_that_names_no_place_is_refused_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_store(url)
    assert sentence in str(caught.value)
    assert "s3cret" not in told(caught.value)


def test_any_schema_may_hold_the_tables(local_postgres: LocalPostgres, make_file: MakeFile) -> None:
    for quoted, name in (("It%27s%20%22a%22", 'It\'s "a"'), ("select", "select")):
        store = open_store(f"{local_postgres.url}?schema={quoted}")
        load(store, make_file([{"id": "a"}]))
        assert look(
            store, "SELECT schemaname FROM pg_tables WHERE tablename = 'users' AND schemaname = current_schema()"
        ) == [(name,)]


def test_a_session_says_who_it_is_and_keeps_no_setting(store: PostgresStore) -> None:
    with store.transaction() as tx:
        assert tx.execute("SELECT current_setting('application_name')") == [("px-import",)]
        assert tx.execute("SHOW lock_timeout") == [("1min",)]
        assert tx.execute("SHOW idle_in_transaction_session_timeout") == [("30s",)]
        tx.execute("COMMIT")
        assert tx.execute("SHOW lock_timeout") == [("0",)]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_commit_waits_for_the_disk(store: PostgresStore, theirs: str, ours: str) -> None:
    given = {**store.place.parameters, "options": f"-c synchronous_commit={theirs}"}
    with replace(store, place=replace(store.place, parameters=given)).transaction() as tx:
        assert tx.execute("SHOW synchronous_commit") == [(ours,)]


# --- rights -----------------------------------------------------------------------------------------------------------

DOCUMENT = Path(__file__).parents[2] / "docs" / "store.md"
OWNER, LEDGER_ONLY, *RECORDS = re.findall(r"```sql\n((?:CREATE ROLE|GRANT) .*?)```", DOCUMENT.read_text(), re.DOTALL)
DAYS = {Entity.USER: "20211225", Entity.ACCOUNT: "20211226"}


@dataclass(frozen=True)
class Role:
    """A role that may log in and nothing else, in a database where nobody else may do anything either."""

    server: LocalPostgres
    name: str

    @property
    def store(self) -> PostgresStore:
        return self._store_of(self.name, CANARY)

    @property
    def owners(self) -> PostgresStore:
        """The store as the database's owner opens it."""
        url = urlsplit(self.server.url)
        return self._store_of(str(url.username), str(url.password))

    def _store_of(self, user: str, password: str) -> PostgresStore:
        url = self.server.url_of(user, password).removesuffix("/postgres")
        store = open_store(f"{url}/{self.name}?schema=px")
        assert isinstance(store, PostgresStore)
        return store

    def run(self, sql: str) -> None:
        """What the documents say, as the database's owner."""
        said = sql.replace("DATABASE px", f"DATABASE {self.name}").replace("px_import", self.name).replace("…", CANARY)
        with psycopg.connect(**self.owners.place.parameters) as connection:
            connection.execute(said.encode())


@pytest.fixture
def role(local_postgres: LocalPostgres) -> Role:
    role = Role(local_postgres, f"role_{secrets.token_hex(6)}")
    with psycopg.connect(local_postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {role.name}".encode())
    role.run("REVOKE ALL ON DATABASE px FROM PUBLIC")
    return role


def whole_delivery(store: PostgresStore, make_file: MakeFile, *entities: Entity) -> None:
    """Every verb of the ledger, and a load of each entity."""
    ledger = Ledger(store)
    ledger.migrate()
    lease = ledger.acquire("feed", "run", 60)
    assert lease
    for entity in entities:
        folder = ledger_steps.folder(day=DAYS[entity])
        ledger.resume(lease, entity, f"s3://b/{entity}")
        forgotten = ledger.claim(lease, entity, folder)
        assert forgotten
        assert ledger.abandon(lease, forgotten)
        delivery = ledger.claim(lease, entity, folder)
        assert delivery
        delivery = ledger.adopt(lease, delivery, "sub/", ledger_steps.stored("sub/", "e2", 0))
        again = [{"id": "a", "name": "x"}, {"id": "a", "name": "y", PRODUCT_KEY: "AP-X-2-1"}, {"id": "b"}]
        for rows in (again[::2], [{PRODUCT_KEY: "AP-Y-2-1"} | row for row in again]):
            load(store, make_file(rows), entity=entity)
        ledger_steps.load(ledger, lease, delivery, make_file(again[:1]), entity=entity)
        ledger_steps.finish(ledger, lease, delivery)
        for callback in ledger.due_callbacks("feed"):
            ledger.record_answer(lease, callback.id, received=True, next_attempt_at=None, answer="200")
            ledger.make_due(lease, callback.id, even_if_received=True)
    ledger.release(lease)
    assert {record.stage for record in ledger.deliveries()} == {"cleared"}


def test_a_role_with_a_schema_of_its_own_needs_no_other_right(role: Role, make_file: MakeFile) -> None:
    role.run(OWNER)
    whole_delivery(role.store, make_file, *Entity)
    with role.owners.read() as reader:
        tables = reader.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'px'")
    shown = DOCUMENT.read_text().partition("## SQLite")[0]
    assert {table for (table,) in tables if f"`{table}`" not in shown} == set()


def test_a_role_that_may_make_no_table_needs_only_these_rights(role: Role, make_file: MakeFile) -> None:
    """Granted when the first delivery of an entity has made its tables, and no others."""
    for entity, rights in zip(Entity, ((LEDGER_ONLY, RECORDS[0]), (RECORDS[1],)), strict=True):
        whole_delivery(role.owners, make_file, entity)
        with role.owners.transaction() as tx:
            for table in ("import_deliveries", f"{entity}s", f"{entity}_products"):
                tx.execute(f"DELETE FROM {table}")
        for each in rights:
            role.run(each)
        whole_delivery(role.store, make_file, entity)
    with pytest.raises(AccessRefused) as caught:
        load(role.store, make_file([{"id": "a", "score": 1.0}]))
    assert 'run ALTER TABLE users ADD COLUMN "score" double precision (must be owner of table users)' in str(
        caught.value
    )
    with role.owners.transaction() as tx:
        tx.execute('ALTER TABLE users ADD COLUMN "score" double precision')
    assert load(role.store, make_file([{"id": "a", "score": 1.0}])) == LoadCounts(updated=1)


@pytest.mark.rule("S9")
def test_a_right_that_is_missing_is_named(role: Role, make_file: MakeFile) -> None:
    role.run("CREATE ROLE px_import LOGIN PASSWORD '…'; GRANT CONNECT, TEMPORARY ON DATABASE px TO px_import")
    with pytest.raises(AccessRefused, match=r'run CREATE SCHEMA "px" .permission denied for database'):
        Ledger(role.store).migrate()
    role.run("CREATE SCHEMA px")
    with pytest.raises(AccessRefused, match=r"no schema has been selected.*docs/store.md"):
        Ledger(role.store).migrate()
    role.run("GRANT USAGE ON SCHEMA px TO px_import")
    with pytest.raises(AccessRefused, match=r"permission denied for schema px.*docs/store.md"):
        Ledger(role.store).migrate()
    whole_delivery(role.owners, make_file, *Entity)
    with pytest.raises(AccessRefused, match=r"permission denied for table users.*docs/store.md"):
        load(role.store, make_file([{"id": "a"}]))
    role.run("REVOKE TEMPORARY ON DATABASE px FROM px_import")
    with pytest.raises(AccessRefused, match=r"permission denied to create temporary tables.*docs/store.md"):
        load(role.store, make_file([{"id": "a"}]))
    role.run("REVOKE CONNECT ON DATABASE px FROM px_import")
    with pytest.raises(AccessRefused, match=r"permission denied for database.*docs/store.md") as caught:
        look(role.store, "SELECT 1")
    assert CANARY not in told(caught.value)


# --- faults -----------------------------------------------------------------------------------------------------------

Fault = Callable[[PostgresStore], None]


def elsewhere(store: PostgresStore, **parameters: str) -> PostgresStore:
    return replace(store, place=replace(store.place, parameters={**store.place.parameters, **parameters}))


def ask(store: PostgresStore, **parameters: str) -> None:
    look(elsewhere(store, **parameters), "SELECT 1")


def nobody_listens(store: PostgresStore) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ask(store, port=str(taken.getsockname()[1]))


def nobody_answers(store: PostgresStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ask(store, port=str(mute.getsockname()[1]), connect_timeout="2")


def in_the_middle(store: PostgresStore, what: str) -> None:
    with store.transaction() as tx:
        [(pid,)] = tx.execute("SELECT pg_backend_pid()")
        execute(store, what.format(pid=pid))
        tx.execute("SELECT 1")


def stands_still(store: PostgresStore) -> None:
    impatient = replace(store, patience_seconds=0.2)
    with impatient.transaction() as tx:
        [(pid,)] = tx.execute("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            tx.execute("SELECT 1")
        finally:
            os.kill(pid, signal.SIGCONT)


def locked(store: PostgresStore) -> None:
    with store.transaction() as tx:
        tx.lock_schema()
        with replace(store, patience_seconds=0.1).transaction() as other:
            other.lock_schema()


def too_slow(store: PostgresStore) -> None:
    with replace(store, patience_seconds=0.1).transaction() as tx:
        tx.execute("SELECT pg_sleep(10)")


def idle(store: PostgresStore) -> None:
    with replace(store, patience_seconds=0.1).transaction() as tx:
        time.sleep(0.5)
        tx.execute("SELECT 1")


def says(code: str) -> Fault:
    def fault(store: PostgresStore) -> None:
        execute(store, f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{code}'; END $$")

    fault.__name__ = code
    return fault


def a_nul(store: PostgresStore) -> None:
    with store.transaction() as tx:
        tx.execute("SELECT :text", {"text": "a\0b"})


@pytest.mark.rule("R3")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (nobody_listens, StoreBusy, r"cannot be used: connection to server .* failed: Connection refused\. Nothing is"),
        (nobody_answers, StoreBusy, r"cannot be used: connection timeout expired\. Nothing is lost"),
        (
            lambda store: ask(store, host="no.such.host.invalid", hostaddr=""),
            StoreBusy,
            "resolve host",
        ),
        (
            lambda store: ask(store, password=CANARY),
            AccessRefused,
            "log in .*authentication failed.*check user and password",
        ),
        (lambda store: ask(store, user="nobody"), AccessRefused, "log in .*check user and password"),
        (lambda store: ask(store, dbname="no such"), SettingsError, "there is no such database; create it"),
        (lambda store: ask(store, sslmode="require"), SettingsError, "no trusted connection .*does not support SSL"),
        (lambda store: ask(store, sslmode="sometimes"), SettingsError, "sslmode"),
        (
            lambda store: execute(elsewhere(store, options="-c default_transaction_read_only=on"), "CREATE TABLE t ()"),
            StoreBusy,
            "cannot execute CREATE TABLE in a read-only transaction .25006",
        ),
        (stands_still, StoreBusy, "no answer for 5.4 seconds"),
        (locked, StoreBusy, "lock timeout .55P03"),
        (too_slow, StoreBusy, "statement timeout .57014"),
        (idle, StoreBusy, "idle-in-transaction timeout"),
        *[
            (says(code), StoreBusy, f"cannot be used: so it is .{code}")
            for code in ("53100", "53200", "53300", "58030", "40001")
        ],
        *[(says(code), StoreConflict, f"so it is .{code}") for code in ("XX001", "54000", "23514")],
        (says("22P05"), StoreConflict, "the encoding of the database"),
        (a_nul, StoreConflict, "no text with a NUL"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_of_postgresql_becomes_a_sentence_with_its_cure(
    store: PostgresStore, fault: Fault, kind: type[ImporterError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        fault(store)
    said = told(caught.value)
    assert CANARY not in said
    assert store.place.parameters["password"] not in said


def test_a_mistake_of_ours_stays_what_it_is(store: PostgresStore) -> None:
    with pytest.raises(psycopg.errors.SyntaxError), store.read() as reader:
        reader.execute("SELEKT")


def test_a_reader_changes_nothing(store: PostgresStore) -> None:
    with pytest.raises(StoreBusy, match="read-only transaction"), store.read() as reader:
        reader.execute("CREATE TABLE t (x int)")


# --- TLS --------------------------------------------------------------------------------------------------------------


class TlsDoor:
    """Speaks TLS before a server that does not, in PostgreSQL's way: a question comes before the handshake."""

    def __init__(self, certificate: trustme.LeafCert, server_url: str) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self._context)
        self._server = urlsplit(server_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((self._server.hostname, self._server.port)) as server:
            assert client.recv(8) == struct.pack("!ii", 8, 80877103)
            client.sendall(b"S")
            with self._context.wrap_socket(client, server_side=True) as inside:
                inside.settimeout(0.02)
                server.settimeout(0.02)
                while True:
                    for one, other in ((inside, server), (server, inside)):
                        with suppress(TimeoutError):
                            content = one.recv(65536)
                            if not content:
                                return
                            other.sendall(content)


@pytest.mark.parametrize(
    ("host", "trusted", "refused"),
    [
        pytest.param("localhost", True, "", id="the-right-one"),
        pytest.param("127.0.0.1", True, "does not match host name", id="another-name"),
        pytest.param("localhost", False, "certificate verify failed", id="another-authority"),
    ],
)
def test_the_server_must_be_who_it_says(
    local_postgres: LocalPostgres, tmp_path: Path, host: str, trusted: bool, refused: str
) -> None:
    authority = trustme.CA()
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with closing(TlsDoor(authority.issue_cert("localhost"), local_postgres.url)) as door:
        url = urlsplit(local_postgres.url)
        where = url._replace(netloc=f"{url.username}:{url.password}@{host}:{door.port}").geturl()
        store = open_store(f"{where}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")
        if refused:
            with pytest.raises(SettingsError, match=f"no trusted connection .*{refused}.*docs/store.md"):
                look(store, "SELECT 1")
        else:
            with store.read() as reader:
                assert reader.execute("SELECT 1") == [(1,)]
                assert reader.connection.pgconn.ssl_in_use

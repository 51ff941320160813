"""`px-import doctor`: a healthy feed, and every trouble made for real; afterwards nothing has changed."""

import json
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import blocks.bucket_examination as bucket_examination
import tasks.examine
from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.cli import main
from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from schemas.catalogue import Entity
from schemas.drop_zone import DropZone, StoredObject, survey
from tests.blocks.test_s3_drop_zone import RIGHTS, user_with
from tests.receiver import ScriptedReceiver, SilentListener, status, unused_port
from tests.servers import Answer, AnsweringServer, Request, forwarded, xml_error

SCHEMA = json.loads(resources.files("schemas").joinpath("doctor.schema.json").read_text())
LOOPBACK = {"allow_http": True, "allowed_networks": ["127.0.0.0/8"]}
SECRETS = ("secret-access-key-2f6b", "callback-key-81aa", "store-password-9d3e", "session-token-77aa")


class Clinic:
    """A feed's settings, and what the doctor says of them."""

    def __init__(self, s3: LocalS3, bucket: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.s3, self.bucket, self.folder, self._capsys = s3, bucket, folder, capsys
        self.code = -1

    def write(self, **changes: Any) -> str:
        settings = {
            "feed": "users",
            "bucket": f"{self.bucket}/export",
            "base_folder": "users",
            "region": "us-east-1",
            "endpoint_url": self.s3.endpoint_url,
            "authorization": {
                "access_key_id": self.s3.access_key_id,
                "secret_access_key": self.s3.secret_access_key,
            },
            "destination": {"product": "AP-X"},
            "store": f"sqlite:///{self.folder}/px.db",
        }
        path = self.folder / "users.yaml"
        path.write_text(yaml.safe_dump(settings | changes))
        return str(path)

    def diagnosed(self, *options: str, **changes: Any) -> dict[str, list[tuple[str, str]]]:
        """State and sentence of each finding, by check; the JSON is valid, and no secret is in it."""
        self.code = main(["doctor", self.write(**changes), "--json", *options])
        said = self._capsys.readouterr().out
        assert not [secret for secret in (*SECRETS, self.s3.secret_access_key) if secret in said]
        document = json.loads(said)
        jsonschema.validate(document, SCHEMA)
        found: dict[str, list[tuple[str, str]]] = {}
        for finding in document["feeds"][0]["findings"]:
            found.setdefault(finding["name"], []).append((finding["state"], finding["sentence"]))
        return found

    def put(self, key: str, body: bytes = b"") -> None:
        self.s3.client.put_object(Bucket=self.bucket, Key=f"export/users/{key}", Body=body)

    def keys(self) -> list[str]:
        listing = self.s3.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [stored["Key"].removeprefix("export/users/") for stored in listing]

    def user_without(self, *missing: str) -> dict[str, str]:
        rights = [right for right in RIGHTS if right not in missing]
        key_id, secret = user_with(self.s3, self.bucket, rights)
        return {"access_key_id": key_id, "secret_access_key": secret}


@pytest.fixture
def clinic(local_s3: LocalS3, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Clinic:
    return Clinic(local_s3, bucket, tmp_path, capsys)


def states(found: dict[str, list[tuple[str, str]]], *names: str) -> list[str]:
    return [found[name][0][0] for name in names]


BUCKET_CHECKS = ("list", "write", "read", "conditions", "delete", "folders")


def test_a_healthy_feed_and_nothing_is_left_of_the_check(clinic: Clinic) -> None:
    clinic.put("current/dt=20210228/users.csv.gz", b"abc")
    clinic.put("current/dt=20210228/_SUCCESS")
    before = clinic.keys()
    with Receiver() as receiver:
        found = clinic.diagnosed(status_endpoint={"url": receiver.url, **LOOPBACK})
        assert receiver.received == []
    assert {state for remarks in found.values() for state, _ in remarks} == {"ok"}
    assert clinic.code == 0
    assert found["folders"] == [("ok", "dt=20210228 is ready (1 file, 3 bytes)")]
    assert found["bucket"][0][1].startswith(f"s3://{clinic.bucket}/ is there")
    assert found["identity"] == [("ok", "arn:aws:iam::000000000000:user/administrator")]
    assert found["conditions"][0][1].count(" of a ") == 5
    assert clinic.keys() == before
    assert not (clinic.folder / "px.db").exists()


def test_what_a_killed_check_left_goes_with_the_next(clinic: Clinic) -> None:
    for name in (bucket_examination.PROBE, bucket_examination.PROBE_COPY):
        clinic.put(f"processed/{name}", b"old")
    assert states(clinic.diagnosed(), "conditions") == ["ok"]
    assert clinic.keys() == []


def test_a_pipe_gets_a_line_for_each_finding(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    path = clinic.write(bucket="no-such-bucket")
    assert main(["doctor", path]) == 1
    heading, *lines, tally, last = capsys.readouterr().out.split("\n")[:-1]
    assert (heading, last) == (path, "")
    assert "  FAILED   bucket          s3://no-such-bucket/ does not exist: create the bucket" in "\n".join(lines)
    assert "  -        list            not checked: the bucket cannot be used, see bucket" in lines
    assert "1 failed" in tally


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bucket": "no-such-bucket"}, "does not exist: create the bucket or correct the setting bucket"),
        ({"authorization": {"access_key_id": "AKIANOBODY", "secret_access_key": SECRETS[0]}}, "access_key_id"),
        ({"endpoint_url": f"http://127.0.0.1:{unused_port()}"}, "check the network and endpoint_url"),
    ],
    ids=["no such bucket", "wrong key", "nobody there"],
)
def test_a_bucket_that_cannot_be_used(clinic: Clinic, changes: dict[str, Any], sentence: str) -> None:
    found = clinic.diagnosed(**changes)
    assert found["bucket"][0][0] == "failed"
    assert sentence in found["bucket"][0][1]
    assert states(found, *BUCKET_CHECKS) == ["unchecked"] * len(BUCKET_CHECKS)
    assert states(found, "store", "tables", "deliveries") == ["ok", "ok", "ok"]
    assert clinic.code == 1


def test_a_wrong_secret_is_named(clinic: Clinic) -> None:
    keys = {"access_key_id": clinic.s3.access_key_id, "secret_access_key": SECRETS[0]}
    [(state, sentence)] = clinic.diagnosed(authorization=keys)["bucket"]
    assert (state, "correct authorization.secret_access_key" in sentence) == ("failed", True)


@pytest.mark.rule("R4")
@pytest.mark.parametrize(
    ("missing", "check", "others"),
    [
        ("s3:ListBucket", "list", {"write": "ok", "read": "ok", "conditions": "ok", "delete": "ok"}),
        ("s3:PutObject", "write", {"list": "ok", "read": "ok", "conditions": "unchecked", "delete": "ok"}),
        ("s3:GetObject", "read", {"list": "ok", "write": "ok", "conditions": "unchecked", "delete": "ok"}),
        ("s3:DeleteObject", "delete", {"list": "ok", "write": "unchecked", "read": "ok", "conditions": "unchecked"}),
    ],
)
def test_a_missing_right(clinic: Clinic, missing: str, check: str, others: dict[str, str]) -> None:
    clinic.put("current/dt=20210228/users.csv.gz", b"abc")
    found = clinic.diagnosed(authorization=clinic.user_without(missing))
    assert found[check][0][0] == "failed"
    assert f"grant {missing} on s3://{clinic.bucket}" in found[check][0][1]
    assert {name: found[name][0][0] for name in others} == others
    assert clinic.keys() == ["current/dt=20210228/users.csv.gz"]


@pytest.mark.rule("R4")
def test_four_rights_suffice(clinic: Clinic) -> None:
    clinic.put("processed/20210227/status.txt", b"SUCCESS\n")
    clinic.diagnosed(authorization=clinic.user_without())
    assert clinic.code == 0


def test_a_place_where_nothing_is(clinic: Clinic) -> None:
    clinic.put("Current/dt=20210228/users.csv.gz", b"abc")
    [(state, sentence)] = clinic.diagnosed()["list"]
    assert state == "warning"
    assert "there is: 'Current/'" in sentence
    clinic.put("processed/20210227/status.txt", b"SUCCESS\n")
    assert states(clinic.diagnosed(), "list", "folders") == ["ok", "ok"]


@pytest.mark.rule("D5")
def test_folders_that_are_not_ready_say_why(clinic: Clinic) -> None:
    for key in ("dt=20210301/_SUCCESS", "dt=20210302/users.csv.gz", "dt=2021-03-03/users.csv.gz"):
        clinic.put(f"current/{key}")
    for name in ("users.csv.gz", "users.csv", "_SUCCESS"):
        clinic.put(f"current/dt=20210304/{name}", b"abc")
    for name in ("/".join(["d" * 197] * 5), "_SUCCESS"):
        clinic.put(f"current/dt=20210305/{name}")
    found = clinic.diagnosed()["folders"]
    assert [state for state, _ in found] == ["warning"] * 5
    marker, files, mixed, long, stranger = (sentence for _, sentence in found)
    cure = "put the files, then the marker again"
    assert marker == f"dt=20210301 waits: _SUCCESS is there, but no .csv.gz file yet; {cure}"
    assert files == "dt=20210302 waits: no _SUCCESS yet; put _SUCCESS when all files are there"
    assert long.endswith("; give it a shorter name"), "another marker would not help"
    assert "the verdict will be ERROR: 'users.csv'" in mixed
    assert "'dt=2021-03-03/'" in stranger


# a server of our own before the store, for what the real one does not do


def before(clinic: Clinic, spoil: Callable[[Request, Answer], Answer]) -> AnsweringServer:
    return AnsweringServer(lambda request: spoil(request, forwarded(request, clinic.s3.endpoint_url)))


def with_headers(answer: Answer, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(answer.status, answer.body, answer.headers | named, answer.said_length)


def test_a_region_that_is_not_the_buckets(clinic: Clinic) -> None:
    with before(clinic, lambda _, answer: with_headers(answer, x_amz_bucket_region="eu-central-1")) as server:
        [(state, sentence)] = clinic.diagnosed(endpoint_url=server.url)["bucket"]
    assert state == "warning"
    assert sentence.endswith("requests are made for us-east-1; write region: eu-central-1")


def test_a_region_that_the_store_refuses(clinic: Clinic) -> None:
    def refuse(request: Request, _: Answer) -> Answer:
        refusal = xml_error(400, "IllegalLocationConstraintException")
        return with_headers(refusal, x_amz_bucket_region="eu-central-1")

    with before(clinic, refuse) as server:
        found = clinic.diagnosed(endpoint_url=server.url)
    assert found["bucket"] == [
        ("failed", f"region: s3://{clinic.bucket}/ lies in eu-central-1; write region: eu-central-1")
    ]


@pytest.mark.parametrize(("behind", "state"), [(5, "warning"), (20, "failed"), (0, "ok")])
def test_a_clock_that_is_wrong(clinic: Clinic, behind: int, state: str) -> None:
    date = f"{datetime.now(UTC) + timedelta(minutes=behind):%a, %d %b %Y %H:%M:%S GMT}"
    with before(clinic, lambda _, answer: with_headers(answer, Date=date)) as server:
        [(found, sentence)] = clinic.diagnosed(endpoint_url=server.url)["s3-clock"]
    assert found == state
    assert ("behind S3's clock" in sentence) == bool(behind)


CONDITIONS = ("if-none-match", "if-match", "x-amz-copy-source-if-match")


def test_conditions_that_a_store_ignores_are_warnings_that_say_what_protects(clinic: Clinic) -> None:
    """The server drops the conditions and signs anew: a signature covers them."""

    def careless(request: Request) -> Answer:
        place = {"Bucket": clinic.bucket, "Key": request.path.partition(f"/{clinic.bucket}/")[2].partition("?")[0]}
        met = [name for name in CONDITIONS if name in request.headers]
        client = clinic.s3.client
        if not met:
            return forwarded(request, clinic.s3.endpoint_url)
        if "x-amz-copy-source" in request.headers:
            client.copy_object(**place, CopySource=request.headers["x-amz-copy-source"])
            return Answer(200, b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>")
        if request.method == "PUT":
            return Answer(200, headers={"ETag": '"e"'})
        if request.method == "DELETE":
            client.delete_object(**place)
            return Answer(204)
        return Answer(200, b"abc", {"ETag": '"e"'})

    with AnsweringServer(careless) as server:
        found = clinic.diagnosed(endpoint_url=server.url)["conditions"]
    assert clinic.code == 0
    assert [state for state, _ in found] == ["warning"] * 5
    assert "nothing protects" in found[2][1]
    assert "compares the ETag" in found[3][1]
    assert clinic.keys() == []


def test_another_check_at_the_same_time_is_no_fault_of_the_store(clinic: Clinic) -> None:
    def interfere(request: Request) -> Answer:
        answer = forwarded(request, clinic.s3.endpoint_url)
        if "x-amz-copy-source" in request.headers:
            clinic.put(f"processed/{bucket_examination.PROBE}", b"another's")
        return answer

    with AnsweringServer(interfere) as server:
        found = clinic.diagnosed(endpoint_url=server.url)["conditions"]
    assert found[-1] == ("unchecked", "another check of this feed is at work; repeat this one")


def test_a_store_without_sts_is_no_failure(clinic: Clinic) -> None:
    def answer(request: Request) -> Answer:
        if b"GetCallerIdentity" in request.body:
            return xml_error(400, "InvalidRequest")
        return forwarded(request, clinic.s3.endpoint_url)

    with AnsweringServer(answer) as server:
        found = clinic.diagnosed(endpoint_url=server.url)
    [(state, sentence)] = found["identity"]
    assert (state, "has no STS" in sentence, clinic.s3.access_key_id in sentence) == ("ok", True, False)
    assert states(found, "bucket") == ["ok"]


def test_a_server_that_hangs_is_not_waited_for(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    impatience = {"connect_timeout": 0.3, "read_timeout": 0.3, "retries": {"total_max_attempts": 1}}
    monkeypatch.setattr(bucket_examination, "IMPATIENCE", impatience)
    with SilentListener() as s3, SilentListener() as endpoint:
        slow = {"url": f"https://127.0.0.1:{endpoint.port}/", "timeout_seconds": 0.3, **LOOPBACK}
        found = clinic.diagnosed(endpoint_url=f"http://127.0.0.1:{s3.port}", status_endpoint=slow)
    assert "did not answer" in found["bucket"][0][1]
    assert found["status-endpoint"] == [("failed", "127.0.0.1 cannot be reached: no answer within 0.3 seconds")]


def test_what_does_not_end_by_itself_is_left(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a name server, for which no library has a limit."""
    monkeypatch.setattr(tasks.examine, "DEADLINE_SECONDS", 0.5)
    with SilentListener() as database:
        url = f"postgresql://px:{SECRETS[2]}@127.0.0.1:{database.port}/px?connect_timeout=3"
        found = clinic.diagnosed(store=url)
    assert found["store"] == [("failed", "no answer within 0.5 seconds; check network and name server")]
    assert states(found, "tables", "store-clock", "deliveries", "callbacks") == ["unchecked"] * 4


# settings and catalogue


def test_settings_that_cannot_be_read_are_2(clinic: Clinic) -> None:
    found = clinic.diagnosed(lease_seconds=1)
    assert clinic.code == 2
    assert found["settings"][0][0] == "failed"
    assert "lease_seconds: " in found["settings"][0][1]


def test_no_feed_is_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 2
    assert "name a settings file" in capsys.readouterr().err


def test_a_faulty_catalogue_leaves_the_rest_to_be_checked(clinic: Clinic) -> None:
    (clinic.folder / "attributes.json").write_text('[{"apiName": "a"}, {"type": "STRING"}]')
    found = clinic.diagnosed(catalogue="attributes.json")
    [(state, sentence)] = found["catalogue"]
    assert (state, clinic.code) == ("failed", 1)
    assert "attributes.json: [0] (a).type: write one of" in sentence
    assert "1 more" in sentence
    assert states(found, "bucket", "store") == ["ok", "ok"]


def test_the_catalogue_is_counted_and_a_date_is_read(clinic: Clinic) -> None:
    (clinic.folder / "attributes.json").write_text('[{"apiName": "a", "type": "STRING"}]')
    found = clinic.diagnosed(catalogue="attributes.json", date_format="YYYYMMDD")
    assert found["catalogue"] == [("ok", "2 attributes of users, a catalogue of its own")]
    assert found["date-format"][0][1].startswith("YYYYMMDD: 20211225 is read as 2021-12-25 00:00:00.000 UTC; ")


# the store


def test_a_store_that_cannot_be_made(clinic: Clinic) -> None:
    found = clinic.diagnosed(store=f"sqlite:///{clinic.folder}/no/px.db")
    assert f"the folder {clinic.folder}/no does not exist" in found["store"][0][1]
    assert states(found, "store", "tables", "deliveries") == ["failed", "unchecked", "unchecked"]


def test_a_file_that_is_no_database(clinic: Clinic) -> None:
    (clinic.folder / "px.db").write_bytes(b"not a database" * 100)
    [(state, sentence)] = clinic.diagnosed()["store"]
    assert (state, "put back a backup" in sentence) == ("failed", True)


def test_somebody_elses_database_stays_as_it_is(clinic: Clinic) -> None:
    with closing(sqlite3.connect(clinic.folder / "px.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = (clinic.folder / "px.db").read_bytes()
    assert states(clinic.diagnosed(), "store", "tables") == ["ok", "ok"]
    assert (clinic.folder / "px.db").read_bytes() == before


def test_a_ledger_of_a_newer_version(clinic: Clinic) -> None:
    store = open_store(f"sqlite:///{clinic.folder}/px.db")
    Ledger(store).migrate()
    with store.transaction() as tx:
        tx.execute("UPDATE import_schema SET version = 99")
    found = clinic.diagnosed()
    assert "of version 99" in found["tables"][0][1]
    assert states(found, "tables", "deliveries", "callbacks") == ["failed", "unchecked", "unchecked"]


@pytest.mark.rule("R2")
def test_an_import_that_is_at_work_is_not_disturbed(clinic: Clinic) -> None:
    """Its lease is held, its delivery open, and it is just writing."""
    store = open_store(f"sqlite:///{clinic.folder}/px.db")
    ledger = begun(store)
    lease = ledger.acquire("users", "somebody", 300)
    assert lease
    claim(ledger, lease)
    with store.transaction():
        found = clinic.diagnosed()
    assert found["store"][0][0] == "warning"
    assert "database is locked" in found["store"][0][1]
    assert found["deliveries"][0] == ("ok", "a run is at work on this feed")
    assert found["deliveries"][1][0] == "ok"
    ledger.renew(lease)


def test_what_was_left_open_is_told(clinic: Clinic) -> None:
    ledger = begun(open_store(f"sqlite:///{clinic.folder}/px.db"))
    lease = ledger.acquire("users", "somebody", 300)
    assert lease
    claim(ledger, lease)
    ledger.release(lease)
    with closing(sqlite3.connect(clinic.folder / "px.db")) as connection:
        connection.execute(
            "INSERT INTO import_callbacks SELECT 'c', id, feed, '{}', 2, 0, 'It answered 500.', NULL, NULL "
            "FROM import_deliveries"
        )
        connection.commit()
    found = clinic.diagnosed()
    [(state, sentence)] = found["deliveries"]
    assert state == "warning"
    assert sentence.startswith("dt=20210228 is open (claimed ")
    assert found["callbacks"] == [
        ("warning", "waiting to be received: 1; tries of the next one so far: 2; It answered 500")
    ]


def begun(store: Any) -> Ledger:
    ledger = Ledger(store)
    ledger.migrate()
    return ledger


def claim(ledger: Ledger, lease: Any) -> None:
    zone, at = DropZone("b", ""), datetime(2021, 3, 1, tzinfo=UTC)
    objects = [StoredObject(f"current/dt=20210228/{name}", "e", 3, at) for name in ("_SUCCESS", "users.csv.gz")]
    (folder,) = survey(zone, objects).ready
    assert ledger.claim(lease, Entity.USER, folder)


# PostgreSQL


def tables(server: LocalPostgres, schema: str) -> list[Any]:
    return [name for held, name in server.execute("SELECT schemaname, tablename FROM pg_tables") if held == schema]


def test_a_new_schema_is_not_made(clinic: Clinic, local_postgres: LocalPostgres, postgres_url: str) -> None:
    found = clinic.diagnosed(store=postgres_url)
    assert states(found, "store", "tables", "store-clock", "deliveries") == ["ok"] * 4
    schema = postgres_url.rpartition("=")[2]
    assert (schema,) not in local_postgres.execute("SELECT nspname FROM pg_namespace")


def test_a_role_without_rights(clinic: Clinic, local_postgres: LocalPostgres, postgres_url: str) -> None:
    role = f"poor_{uuid.uuid4().hex[:8]}"
    schema = postgres_url.rpartition("=")[2]
    run: Any = local_postgres.execute
    run(f"CREATE ROLE {role} LOGIN PASSWORD '{SECRETS[2]}'")
    poor = f"{local_postgres.url_of(role, SECRETS[2])}?schema={schema}"
    assert "CREATE SCHEMA" in clinic.diagnosed(store=poor)["store"][0][1]
    Ledger(open_store(postgres_url)).migrate()
    run(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
    run(f"REVOKE DELETE ON {schema}.import_moves FROM {role}")
    run(f"REVOKE INSERT ON {schema}.import_files FROM {role}")
    found = clinic.diagnosed(store=poor)
    assert "does not allow INSERT on import_files, DELETE on import_moves; let its owner grant" in found["store"][0][1]
    assert states(found, "store", "tables", "deliveries") == ["failed", "ok", "ok"]
    run(f"GRANT INSERT, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")
    before = tables(local_postgres, schema)
    assert states(clinic.diagnosed(store=poor), "store", "callbacks") == ["ok", "ok"]
    assert tables(local_postgres, schema) == before


@pytest.mark.parametrize(
    ("user", "database", "sentence"),
    [("postgres", "", "check user and password"), ("", "nosuch", "there is no such database")],
)
def test_a_database_that_lets_nobody_in(
    clinic: Clinic, local_postgres: LocalPostgres, user: str, database: str, sentence: str
) -> None:
    url = local_postgres.url_of(user, SECRETS[2]) if user else local_postgres.url.replace("/postgres", f"/{database}")
    found = clinic.diagnosed(store=url if user else f"{local_postgres.url.rpartition('/')[0]}/{database}")
    assert found["store"][0][0] == "failed"
    assert sentence in found["store"][0][1]
    assert states(found, "tables") == ["unchecked"]


# the status endpoint


def test_an_endpoint_that_is_down(clinic: Clinic) -> None:
    down = {"url": f"http://127.0.0.1:{unused_port()}/told", **LOOPBACK}
    assert clinic.diagnosed(status_endpoint=down)["status-endpoint"] == [
        ("failed", "127.0.0.1 cannot be reached: Connection refused")
    ]


@pytest.mark.rule("N5")
def test_an_endpoint_that_speaks_no_tls_or_is_not_public(clinic: Clinic) -> None:
    with Receiver() as receiver:
        plain = {"url": receiver.url.replace("http:", "https:"), "allowed_networks": ["127.0.0.0/8"]}
        assert states(clinic.diagnosed(status_endpoint=plain), "status-endpoint") == ["failed"]
        private = {"url": receiver.url.replace("127.0.0.1", socket.gethostname()), "allow_http": True}
        assert states(clinic.diagnosed(status_endpoint=private), "status-endpoint") == ["failed"]
        assert receiver.received == []


@pytest.mark.rule("N1")
@pytest.mark.parametrize(("code", "state"), [(200, "ok"), (403, "failed")])
def test_a_test_callback_can_be_taken_for_no_delivery(clinic: Clinic, code: int, state: str) -> None:
    with Receiver() as receiver, ScriptedReceiver(status(code)) as scripted:
        endpoint = {"url": receiver.url if code == 200 else scripted.url, "api_key": SECRETS[1], **LOOPBACK}
        found = clinic.diagnosed("--send-test", status_endpoint=endpoint)
        assert states(found, "status-endpoint") == [state]
        if code == 200:
            (told,) = receiver.received
            body = json.loads(told.body)
            assert set(body) == {"folder_path", "success", "message"}
            assert (body["folder_path"], body["success"]) == ("export/users/processed/test", False)
            assert "test of px-import doctor" in body["message"]
            assert told.headers["x-api-key"] == SECRETS[1]


def test_a_terminal_and_ctrl_c_are_not_needed_to_stop(clinic: Clinic) -> None:
    """As a program of its own: its exit code, and nothing on standard error."""
    program = Path(sys.executable).parent / "px-import"
    done = subprocess.run([program, "doctor", clinic.write()], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 failed" not in done.stdout

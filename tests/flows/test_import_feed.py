"""One tick of a feed, whole: real bucket, real database, real receiver, real Prefect server."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from prefect_aws import AwsCredentials

from blocks.import_settings import AttributeCatalogue, ImportSettings
from blocks.ledger import Ledger
from blocks.s3_drop_zone import S3DropZone
from blocks.sqlite_store import SqliteStore
from deployments.cli import main
from schemas.errors import DropZoneBusy
from tests.blocks.test_roles import ASSUME, EXTERNAL_ID, Account
from tests.flows.conftest import Feed
from tests.ministack import MiniStack

GOOD = "id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n"


@pytest.mark.rule("D1")
@pytest.mark.rule("P1")
@pytest.mark.rule("N1")
def test_the_articles_success(feed: Feed):
    text = "id,email\r\n" + "".join(f"{n},u{n}@example.com\r\n" for n in range(4155))
    feed.drop("20210228", users_csv_gz=text)
    delivered = feed.objects()["current/dt=20210228/users.csv.gz"]

    state = feed.tick()

    assert (state.type.value, state.name, state.message) == ("COMPLETED", "Imported", "1 folder, 4,155 records")
    after = feed.objects()
    assert set(after) == {
        f"processed/20210228/{name}" for name in ("_SUCCESS", "status.txt", "status.json", "users.csv.gz")
    }
    assert after["processed/20210228/users.csv.gz"] == delivered
    assert after["processed/20210228/status.txt"] == b"SUCCESS\n4155 records were uploaded\n"
    assert feed.rows("SELECT count(*), min(id) FROM users") == [(4155, "0")]
    assert feed.rows("SELECT DISTINCT product_key FROM user_products") == [("AP-XXXXXXXXXX-2-1",)]
    [callback] = feed.callbacks
    assert json.loads(callback.body) == {
        "folder_path": "export/users/processed/20210228",
        "success": True,
        "message": "4155 records were uploaded",
    }
    assert callback.headers["x-api-key"] == "callback-key"


@pytest.mark.rule("F1")
@pytest.mark.rule("R3")
def test_the_articles_error(feed: Feed):
    feed.drop("20210228", users_csv_gz="flantana_carteret,email\r\n1,x@example.com\r\n")

    state = feed.tick()

    assert (state.type.value, state.name) == ("COMPLETED", "Rejected")
    errors = "Parsing Errors:[ Unknown PX Column: 'flantana_carteret', Missing required Column: 'id' ]"
    assert feed.text("processed/20210228/status.txt") == f"ERROR\n{errors}\n"
    assert "processed/20210228/users.csv.gz" in feed.objects()
    assert feed.text("processed/20210228/errors.csv").startswith(
        "file,line,row,column,code,message\r\nusers.csv.gz,1,,"
    )
    assert feed.rows("SELECT name FROM sqlite_master WHERE name = 'users'") == []
    [callback] = feed.callbacks
    assert json.loads(callback.body)["success"] is False


@pytest.mark.rule("D4")
@pytest.mark.rule("P3")
def test_several_files_are_imported_in_order_and_a_wrong_one_spoils_no_other(feed: Feed):
    feed.drop(
        "20210228",
        b_csv_gz="id,email\n1,second@example.com\n",
        a_csv_gz="id,email\n1,first@example.com\n2,other@example.com\n",
        c_csv_gz="id,score\n1,many\n",
    )
    report = feed.report()
    assert report.state == "Rejected"
    assert feed.text("processed/20210228/status.txt") == (
        "ERROR\n"
        "a.csv.gz: 2 records were uploaded\n"
        "b.csv.gz: 1 records were uploaded\n"
        "c.csv.gz: Parsing Errors:[ Invalid number in Column 'score': 1 row (line 2) ]\n"
    )
    assert feed.rows("SELECT id, email FROM users ORDER BY id") == [
        ("1", "second@example.com"),
        ("2", "other@example.com"),
    ]


@pytest.mark.rule("D4")
def test_folders_are_imported_oldest_date_first(feed: Feed):
    feed.drop("20210302", users_csv_gz="id,email\n1,new@example.com\n")
    feed.drop("20210228", users_csv_gz="id,email\n1,old@example.com\n")
    report = feed.report()
    assert [each.delivery.day for each in report.deliveries] == ["20210228", "20210302"]
    assert feed.rows("SELECT email FROM users") == [("new@example.com",)]
    assert [json.loads(each.body)["folder_path"][-8:] for each in feed.callbacks] == ["20210228", "20210302"]


@pytest.mark.rule("P2")
def test_a_repeated_date_moves_the_earlier_deliveries_aside(feed: Feed):
    for round_ in ("first", "second", "third"):
        feed.drop("20210228", users_csv_gz=f"id,email\n1,{round_}@example.com\n")
        feed.report()
    archived = feed.objects()
    names = {"_SUCCESS", "status.txt", "status.json", "users.csv.gz"}
    assert set(archived) == {f"processed/20210228{n}/{name}" for n in ("", ".1", ".2") for name in names}
    ids = [json.loads(archived[f"processed/20210228{n}/status.json"])["delivery_id"] for n in (".1", ".2", "")]
    assert ids == [id_ for (id_,) in feed.rows("SELECT id FROM import_deliveries ORDER BY claimed_at_ms")]


@pytest.mark.rule("D2")
@pytest.mark.rule("D5")
@pytest.mark.rule("R5")
def test_what_is_not_ready_is_left_alone_and_named(feed: Feed):
    feed.drop("20210301", marker=False, users_csv_gz=GOOD)
    feed.drop("20210302")
    feed.put("current/dt=20210230/_SUCCESS")
    feed.put("current/readme.txt", b"hello")
    before = feed.objects()

    state = feed.tick()

    assert state.name == "NothingToDo"
    assert state.message == (
        "Nothing to import; waiting: dt=20210301 (no _SUCCESS yet); "
        "waiting: dt=20210302 (_SUCCESS is there, but no .csv.gz file yet); "
        "left alone in current/: 'dt=20210230/', 'readme.txt'"
    )
    assert feed.objects() == before
    assert feed.callbacks == []


@pytest.mark.rule("D3")
def test_other_objects_of_a_folder(feed: Feed):
    feed.drop("20210228", marker=False, users_csv_gz=GOOD)
    for name, body in {
        "_started_17": b"spark",
        ".hidden": b"h",
        "users.csv": b"id\n1\n",
        "status.txt": b"mine",
        "status.txt.received": b"too",
    }.items():
        feed.put(f"current/dt=20210228/{name}", body)
    feed.put("current/dt=20210228/nested/more.csv.gz", b"x")
    feed.put("current/dt=20210228/_SUCCESS")
    feed.report()
    assert feed.text("processed/20210228/status.txt") == (
        "ERROR\n"
        "nested/more.csv.gz: Parsing Errors:[ Unsupported file: 'nested/more.csv.gz' (expected .csv.gz) ]\n"
        "status.txt: Parsing Errors:[ Unsupported file: 'status.txt' (expected .csv.gz) ]\n"
        "status.txt.received: Parsing Errors:[ Unsupported file: 'status.txt.received' (expected .csv.gz) ]\n"
        "users.csv: Parsing Errors:[ Unsupported file: 'users.csv' (expected .csv.gz) ]\n"
        "users.csv.gz: 2 records were uploaded\n"
    )
    archived = feed.objects()
    assert archived["processed/20210228/status.txt.received"] == b"too"
    assert archived["processed/20210228/status.txt.received.2"] == b"mine"
    assert archived["processed/20210228/_started_17"] == b"spark"
    assert archived["processed/20210228/nested/more.csv.gz"] == b"x"
    assert not [key for key in archived if key.startswith("current/")]


@pytest.mark.rule("K3")
@pytest.mark.rule("S4")
def test_accounts_with_their_product_keys_in_a_column(feed: Feed):
    feed.configure(entity="account", destination={"product_key_column": "productKey"})
    feed.drop(
        "20210228", a_csv_gz="id,name,productKey\nacme,Acme,AP-AAAA-2\n", b_csv_gz="id,productKey\nacme,AP-BBBB-1-3\n"
    )
    feed.report()
    assert feed.rows("SELECT id, name FROM accounts") == [("acme", "Acme")]
    assert feed.rows("SELECT * FROM account_products ORDER BY 2") == [("acme", "AP-AAAA-2-1"), ("acme", "AP-BBBB-1-3")]


@pytest.mark.rule("L5")
def test_a_user_whose_account_is_unknown_is_loaded(feed: Feed):
    feed.drop("20210228", users_csv_gz="id,accountId\n1,no-such-account\n")
    assert feed.report().state == "Imported"
    assert feed.rows("SELECT accountId FROM users") == [("no-such-account",)]


def before(patch: pytest.MonkeyPatch, verb: str, happening, *, call: int = 1) -> None:
    """Let something happen in the world just before one call of a verb."""
    original, calls = getattr(S3DropZone, verb), []

    def wrapped(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            happening()
        return original(self, *args, **kwargs)

    patch.setattr(S3DropZone, verb, wrapped)


def anew(feed: Feed, **files: str | bytes) -> Callable[[], None]:
    """Deliver the folder once more, in a new second: in whole ones the marker's time is kept."""

    def deliver() -> None:
        time.sleep(1.1)
        feed.drop("20210228", **files)

    return deliver


@pytest.mark.rule("D6")
class TestTheBucketChangesMeanwhile:
    """What a producer does while a run is under way."""

    def test_a_file_that_comes_after_the_claim_stays(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)
        before(monkeypatch, "download", lambda: feed.drop("20210228", marker=False, late_csv_gz=GOOD))
        feed.report()
        assert [key for key in feed.objects() if key.startswith("current/")] == ["current/dt=20210228/late.csv.gz"]
        feed.put("current/dt=20210228/_SUCCESS")
        feed.report()
        assert {"processed/20210228/late.csv.gz", "processed/20210228.1/users.csv.gz"} <= set(feed.objects())

    def test_a_file_replaced_before_it_is_read_is_imported_as_it_is_now(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)
        newer = "id,email\n9,newer@example.com\n"
        before(monkeypatch, "download", lambda: feed.drop("20210228", marker=False, users_csv_gz=newer))
        feed.report()
        assert feed.rows("SELECT id FROM users") == [("9",)]
        assert not [key for key in feed.objects() if key.startswith("current/")]

    def test_a_newer_marker_goes_with_the_newer_file(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)

        before(monkeypatch, "download", anew(feed, users_csv_gz="id,email\n9,newer@example.com\n"))
        feed.report()
        assert feed.rows("SELECT id FROM users") == [("9",)]
        assert not [key for key in feed.objects() if key.startswith("current/")]

    def test_a_folder_delivered_anew_half_way_is_the_next_delivery(self, feed: Feed, monkeypatch):
        feed.drop("20210228", a_csv_gz="id,email\n1,old\n", b_csv_gz="id,email\n2,old\n")

        before(monkeypatch, "download", anew(feed, a_csv_gz="id,email\n1,new\n", b_csv_gz="id,email\n2,new\n"), call=2)
        feed.report()
        assert feed.rows("SELECT id, email FROM users ORDER BY id") == [("1", "old"), ("2", "new")]
        waiting = [key for key in feed.objects() if key.startswith("current/")]
        assert waiting == ["current/dt=20210228/_SUCCESS", "current/dt=20210228/a.csv.gz"]
        feed.report()
        assert feed.rows("SELECT id, email FROM users ORDER BY id") == [("1", "new"), ("2", "new")]
        assert not [key for key in feed.objects() if key.startswith("current/")]

    def test_a_newer_marker_stays_with_a_file_that_was_put_again_as_it_was(self, feed: Feed, monkeypatch):
        feed.drop("20210228", a_csv_gz="id,email\n1,old\n", b_csv_gz="id,email\n2,same\n")

        before(monkeypatch, "download", anew(feed, a_csv_gz="id,email\n1,new\n", b_csv_gz="id,email\n2,same\n"))
        for _ in range(2):
            feed.report()
        assert feed.rows("SELECT id, email FROM users ORDER BY id") == [("1", "new"), ("2", "same")]
        assert not [key for key in feed.objects() if key.startswith("current/")]

    def test_a_newer_marker_goes_where_no_file_stays(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD, _note=b"old")

        before(monkeypatch, "download", anew(feed, users_csv_gz="id\n9\n", _note=b"new"))
        feed.report()
        assert [key for key in feed.objects() if key.startswith("current/")] == ["current/dt=20210228/.note"]

    def test_a_newer_marker_stays_with_a_file_that_came_with_it(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)

        before(monkeypatch, "download", anew(feed, more_csv_gz="id\n8\n", users_csv_gz="id\n9\n"))
        for _ in range(2):
            feed.report()
        assert feed.rows("SELECT id FROM users ORDER BY id") == [("8",), ("9",)]
        assert not [key for key in feed.objects() if key.startswith("current/")]

    def test_a_later_folder_is_taken_as_it_is_when_its_turn_comes(self, feed: Feed, monkeypatch):
        for day in ("20210228", "20210301", "20210302"):
            feed.drop(day, users_csv_gz=GOOD)

        def change() -> None:
            feed.s3.client.delete_object(Bucket=feed.bucket, Key="export/users/current/dt=20210301/_SUCCESS")
            feed.drop("20210302", users_csv_gz="id\n8\n", more_csv_gz="id\n9\n")

        before(monkeypatch, "download", change)
        report = feed.report()
        assert [(each.delivery.day, len(each.files)) for each in report.deliveries] == [
            ("20210228", 1),
            ("20210302", 2),
        ]
        assert [key for key in feed.objects() if key.startswith("current/")] == ["current/dt=20210301/users.csv.gz"]

    def test_a_file_replaced_after_its_import_is_archived_as_imported_and_the_newer_stays(self, feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)
        imported = feed.objects()["current/dt=20210228/users.csv.gz"]
        newer = "id,email\n9,newer@example.com\n"
        before(monkeypatch, "copy", lambda: feed.drop("20210228", marker=False, users_csv_gz=newer))
        feed.report()
        objects = feed.objects()
        assert objects["processed/20210228/users.csv.gz"] == imported
        assert "current/dt=20210228/users.csv.gz" in objects
        assert feed.rows("SELECT count(*) FROM users WHERE id = '9'") == [(0,)]

    def test_a_folder_withdrawn_after_the_claim_is_given_up(self, feed: Feed, monkeypatch):
        feed.drop("20210228", users_csv_gz=GOOD)

        def withdraw() -> None:
            for key in feed.objects():
                feed.s3.client.delete_object(Bucket=feed.bucket, Key=f"export/users/{key}")

        before(monkeypatch, "download", withdraw)
        assert feed.report().state == "NothingToDo"
        assert feed.objects() == {}
        assert feed.rows("SELECT count(*) FROM import_deliveries") == [(0,)]


@pytest.mark.rule("R2")
def test_a_second_run_of_a_feed_says_so_and_ends_well(feed: Feed):
    feed.drop("20210228", users_csv_gz=GOOD)
    ledger = Ledger(SqliteStore(feed.folder / "px.db"))
    ledger.migrate()
    lease = ledger.acquire("users", "another run", 300)
    assert lease
    before = feed.objects()
    state = feed.tick()
    assert (state.type.value, state.name) == ("COMPLETED", "Skipped")
    assert feed.objects() == before
    ledger.release(lease)
    assert feed.report().state == "Imported"


@pytest.mark.rule("R2")
def test_a_late_run_does_not_blame_what_its_successor_has_archived(feed: Feed, monkeypatch):
    feed.drop("20210228", users_csv_gz=GOOD)

    def succeed() -> None:
        with SqliteStore(feed.folder / "px.db").transaction() as tx:
            tx.change("UPDATE import_leases SET owner = 'another run', fence = fence + 1")
        feed.put("processed/20210228/status.json", b"of a later delivery")

    before(monkeypatch, "put", succeed)
    assert feed.report().state == "Skipped"


@pytest.mark.rule("R1")
@pytest.mark.parametrize("verb", ["list", "probe", "download", "copy", "put", "delete"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_tick_goes_on_where_trouble_stopped_the_one_before(
    feed: Feed, no_retries, monkeypatch, verb: str, moment: str
):
    feed.drop("20210228", users_csv_gz="id,email\n1,old@example.com\n")
    feed.report()
    feed.drop("20210228", users_csv_gz=GOOD)
    with monkeypatch.context() as patch:
        original = getattr(S3DropZone, verb)

        def fails(self, *args, **kwargs):
            if moment == "after":
                original(self, *args, **kwargs)
            raise DropZoneBusy(verb, "s3://test", "the test says so")

        patch.setattr(S3DropZone, verb, fails)
        state = feed.tick()
        assert state.is_failed()
        assert state.message.startswith(f"Could not {verb} s3://test")
    feed.report()
    objects = feed.objects()
    names = {"_SUCCESS", "status.txt", "status.json", "users.csv.gz"}
    assert set(objects) == {f"processed/20210228{n}/{name}" for n in ("", ".1") for name in names}
    assert objects["processed/20210228/status.txt"] == b"SUCCESS\n2 records were uploaded\n"
    assert feed.rows("SELECT id, email FROM users ORDER BY id") == [("1", "a@example.com"), ("2", "b@example.com")]
    assert [json.loads(each.body)["message"] for each in feed.callbacks] == [
        "1 records were uploaded",
        "2 records were uploaded",
    ]


@pytest.mark.rule("R5")
def test_what_was_finished_before_the_trouble_is_reported(feed: Feed, no_retries, monkeypatch):
    feed.drop("20210228", users_csv_gz=GOOD)
    feed.drop("20210301", users_csv_gz=GOOD)
    reported, probes, probe = [], [], S3DropZone.probe

    async def noted(_settings, report, trouble=None) -> None:
        reported.append((report, str(trouble)))

    def fails_at_the_second(self) -> None:
        probes.append(self)
        if len(probes) == 2:
            raise DropZoneBusy("write below", "s3://test", "the test says so")
        probe(self)

    monkeypatch.setattr("flows.import_feed.show_feed", noted)
    monkeypatch.setattr(S3DropZone, "probe", fails_at_the_second)
    assert feed.tick().is_failed()
    [(report, trouble)] = reported
    assert [each.delivery.day for each in report.deliveries] == ["20210228"]
    assert trouble.startswith("Could not write below s3://test")


@pytest.mark.rule("S8")
def test_a_catalogue_may_be_a_block_document(feed: Feed):
    AttributeCatalogue(entries=[{"apiName": "shoeSize", "type": "NUMBER"}]).save("shoes", overwrite=True)
    feed.configure(catalogue="block:shoes")
    feed.drop("20210228", users_csv_gz="id,shoeSize\n1,42.5\n")
    assert feed.report().state == "Imported"
    assert feed.rows("SELECT shoeSize FROM users") == [(42.5,)]


@pytest.mark.rule("S3")
def test_a_role_may_be_a_block_document(feed: Feed, ministack: MiniStack, capsys):
    """As the customer's external id was typed into Prefect's form; on a server that judges it."""
    account = Account(ministack)
    keys = account.user(ASSUME)
    condition = {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
    role = AwsCredentials(
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        assume_role_arn=account.role("customer", {"AWS": account.user_arn}, Condition=condition),
        assume_role_kwargs={"ExternalId": EXTERNAL_ID},
    )
    feed = replace(feed, s3=ministack, bucket=account.name)
    feed.configure(sts_endpoint_url=ministack.endpoint_url)
    feed.drop("20210228", users_csv_gz=GOOD)
    role.save("customer-role")
    settings = ImportSettings.from_file(feed.settings_file)
    settings.model_copy(update={"authorization": AwsCredentials.load("customer-role")}).save("users-role")
    assert main(["run", "--feed", "users-role"]) == 0
    assert capsys.readouterr().out == "users dt=20210228 SUCCESS 2 records were uploaded\n"
    role.assume_role_kwargs.ExternalId = "another"
    role.save("customer-role", overwrite=True)
    assert main(["run", "--feed", "users-role"]) == 2
    assert "check authorization.role_arn and external_id" in capsys.readouterr().err


@pytest.mark.rule("R5")
def test_the_terminal_is_told_what_was_left_alone_too(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    feed.drop("20210301", marker=False, users_csv_gz=GOOD)
    assert main(["run", str(feed.settings_file)]) == 0
    assert capsys.readouterr().out == (
        "users dt=20210228 SUCCESS 2 records were uploaded\nusers waiting: dt=20210301 (no _SUCCESS yet)\n"
    )


@pytest.mark.rule("N2")
def test_a_callback_that_is_not_received_never_fails_an_import(feed: Feed, monkeypatch):
    monkeypatch.setattr("tasks.notify.within_run", lambda *_: False)
    feed.configure(status_endpoint={"url": "https://127.0.0.1:9/x", "allowed_networks": ["127.0.0.0/8"]})
    feed.drop("20210228", users_csv_gz=GOOD)
    state = feed.tick()
    assert state.name == "Imported"
    assert "127.0.0.1" in state.message
    assert feed.rows("SELECT attempts > 0, received_at_ms FROM import_callbacks") == [(1, None)]


TROUBLE = {
    "a missing bucket": ({"bucket": "no-such-bucket"}, "s3://no-such-bucket does not exist: create the bucket"),
    "a wrong secret": (
        {"authorization": {"access_key_id": "AKIAWRONG", "secret_access_key": "wrong-secret-9"}},
        "authorization",
    ),
    "an endpoint that does not answer": ({"endpoint_url": "http://127.0.0.1:9"}, "endpoint_url"),
    "a store whose folder is missing": ({"store": "sqlite:////no/such/folder/px.db"}, "/no/such/folder"),
}


@pytest.mark.rule("R3")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(("changes", "sentence"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_in_the_world_fails_the_run_with_one_sentence(feed: Feed, no_retries, caplog, changes, sentence):
    feed.drop("20210228", users_csv_gz=GOOD)
    before = feed.objects()
    feed.configure(**changes)
    with caplog.at_level(logging.DEBUG):
        state = feed.tick()
    assert state.is_failed()
    assert sentence in state.message
    assert "Traceback" not in state.message
    assert "\n" not in state.message
    assert "wrong-secret-9" not in state.message + caplog.text
    assert feed.objects() == before
    feed.configure()
    assert feed.report().state == "Imported"


@pytest.mark.rule("F3")
def test_no_cell_is_in_anything_that_is_said(feed: Feed, caplog):
    """Every cell of a rejected and of an accepted file holds a token that may be found nowhere but in the store."""
    good = "id,email,title\n" + "".join(f"canary-id{n},canary-a{n},canary-b{n}\n" for n in range(20))
    bad = "id,score,surveys,signUpDate,title\n" + 'canary-1,canary-2,canary-3,canary-4,"canary-5"canary-6\n,canary-7\n'
    feed.drop("20210228", a_csv_gz=good, b_csv_gz=bad + "canary-8,canary-9,canary-10,canary-11,\xff\n")
    with caplog.at_level(logging.DEBUG):
        state = feed.tick()
    assert state.name == "Rejected"
    archived = {key: body for key, body in feed.objects().items() if not key.endswith(".csv.gz")}
    said = [state.message, repr(state), *map(repr, feed.artifacts(state)), caplog.text, *map(str, archived.values())]
    said += [repr(callback) for callback in feed.callbacks]
    said += map(repr, feed.rows("SELECT * FROM import_deliveries") + feed.rows("SELECT * FROM import_files"))
    assert not [text for text in said if "canary" in text]
    assert feed.rows("SELECT count(*) FROM users WHERE title LIKE 'canary%'") == [(20,)]

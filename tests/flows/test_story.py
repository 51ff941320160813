"""What the ledger tells a person of a delivery and of its callback, and a callback sent again, through the commands."""

import asyncio
import json

import pytest
import yaml

from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.s3_drop_zone import S3DropZone
from blocks.stores import open_store
from deployments.cli import main
from flows.import_feed import tick
from schemas.errors import DropZoneBusy
from tests.flows.conftest import Feed
from tests.receiver import ScriptedReceiver, status

HOSTILE = "\x1b[2J[red]x\u202e.csv.gz"
GOOD, WRONG = "id,score\n1,1\n2,2\n", "id,score\n1,x\n"


def run(feed: Feed) -> None:
    asyncio.run(tick(ImportSettings.from_file(feed.settings_file), []))


def ledger(feed: Feed) -> Ledger:
    return Ledger(open_store(f"sqlite:///{feed.folder}/px.db"))


def words(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert main([str(argument) for argument in arguments]) == code
    told = capsys.readouterr()
    return told.err if code == 2 else told.out


def test_a_delivery_tells_its_whole_story(feed: Feed, monkeypatch, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    feed.drop("20210228", users_csv_gz="id,score\n2,3\n")
    feed.put(f"current/dt=20210228/{HOSTILE}", b"no gzip")
    with monkeypatch.context() as broken:
        broken.setattr(S3DropZone, "delete", lambda *_: (_ for _ in ()).throw(DropZoneBusy("delete", "s3://b/k", "no")))
        with pytest.raises(DropZoneBusy):
            run(feed)
    shown = words(capsys, "deliveries", "show", ledger(feed).deliveries("users")[0].id, feed.settings_file)
    assert "made way" not in shown
    assert "failed    Could not delete s3://b/k: no. Nothing is lost; the next tick tries again." in shown
    run(feed)
    latest, first = ledger(feed).deliveries("users")
    told = words(capsys, "deliveries", "show", latest.id[:13], feed.settings_file)
    for expected in (
        f"Delivery {latest.id}",
        "feed users (user), folder dt=20210228, ERROR",
        "\\x1b[2J[red]x\\u202e.csv.gz",
        "Not a gzip file",
        "made way: export/users/processed/20210228/users.csv.gz → export/users/processed/20210228.1/users.csv.gz",
        "callback: received after 1 try",
    ):
        assert expected in told
    assert "\x1b" not in told
    story = [line.split()[2] for line in told[told.index("time ") :].splitlines()[1:]]
    assert story == [
        "claimed", "rejected", "loaded", "decided", "failed",
        "resumed", "moved", "archived", "cleared", "finished", "told",
    ]  # fmt: skip
    shown = json.loads(words(capsys, "deliveries", "show", latest.id, feed.settings_file, "--json"))
    assert [step["step"].split()[0] for step in shown["steps"]] == story
    assert shown["steps"][0]["detail"] == "dt=20210228, 3 objects"
    assert shown["callback"]["state"] == "received"
    assert {move["to"].rpartition("/")[0] for move in shown["moved_aside"]} == {"export/users/processed/20210228.1"}
    assert first.id in words(capsys, "deliveries", feed.settings_file)


def test_a_delivery_that_is_not_named_clearly_is_asked_for_again(feed: Feed, capsys):
    for day in ("20210227", "20210228"):
        feed.drop(day, users_csv_gz=GOOD)
    run(feed)
    assert "ID: no delivery begins with 'zz'; px-import deliveries lists them." in words(
        capsys, "deliveries", "show", "zz", feed.settings_file, code=2
    )
    assert "ID: 2 deliveries begin with ''" in words(capsys, "deliveries", "show", "", feed.settings_file, code=2)


def test_a_claim_that_was_given_up_keeps_its_story(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    [delivery] = ledger(feed).deliveries("users")
    with open_store(f"sqlite:///{feed.folder}/px.db").transaction() as tx:
        tx.execute("DELETE FROM import_deliveries")
    told = words(capsys, "deliveries", "show", delivery.id, feed.settings_file)
    assert "The claim was given up; nothing of it was loaded." in told
    assert "claimed" in told


@pytest.mark.rule("N2")
@pytest.mark.rule("N3")
def test_a_callback_that_was_given_up_is_sent_again_by_hand(feed: Feed, capsys):
    with ScriptedReceiver(status(410), status(200), status(500)) as receiver:
        endpoint = {"url": receiver.url, "allow_http": True, "allowed_networks": ["127.0.0.0/8"]}
        feed.configure(status_endpoint=endpoint)
        feed.drop("20210228", users_csv_gz=GOOD)
        run(feed)
        listed = words(capsys, "callbacks", "list", feed.settings_file)
        assert "given up after 1 try: " in listed
        [callback] = json.loads(words(capsys, "callbacks", "list", feed.settings_file, "--json"))
        assert (callback["state"], callback["attempts"], callback["next_attempt"]) == ("given up", 1, None)
        assert callback["id"] in listed
        sent = words(capsys, "callbacks", "resend", callback["id"][:8], feed.settings_file)
        assert sent == "users dt=20210228 received after 1 try: The status endpoint 127.0.0.1 answered 200.\n"
        first, second = receiver.received
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == callback["id"]
        refused = words(capsys, "callbacks", "resend", callback["id"], feed.settings_file, code=2)
        assert "was received before; add --again to send it all the same" in refused
        assert len(receiver.received) == 2


@pytest.mark.rule("N1")
def test_nobody_is_told_of_a_delivery_that_is_not_finished(feed: Feed, monkeypatch, capsys):
    feed.drop("20210227", users_csv_gz=GOOD)
    run(feed)
    feed.drop("20210228", users_csv_gz=GOOD)
    with monkeypatch.context() as broken:
        broken.setattr(S3DropZone, "copy", lambda *_: (_ for _ in ()).throw(DropZoneBusy("copy", "s3://b/k", "no")))
        with pytest.raises(DropZoneBusy):
            run(feed)
    listed = json.loads(words(capsys, "callbacks", "list", feed.settings_file, "--json"))
    unfinished, first = (callback["id"] for callback in listed)
    assert listed[0]["next_attempt"] is None
    assert "waiting until the delivery is finished" in words(capsys, "callbacks", "list", feed.settings_file)
    words(capsys, "callbacks", "resend", first, feed.settings_file, "--again")
    refused = words(capsys, "callbacks", "resend", unfinished, feed.settings_file, code=2)
    assert "ID: dt=20210228 is not finished; the run that finishes it tells of it: px-import run." in refused
    assert [each.headers["webhook-id"] for each in feed.callbacks] == [first, first]
    run(feed)
    assert [each.headers["webhook-id"] for each in feed.callbacks] == [first, first, unfinished]


def test_a_callback_that_is_received_no_more_keeps_waiting(feed: Feed, monkeypatch, capsys):
    monkeypatch.setattr("tasks.notify.within_run", lambda *_: False)
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    with ScriptedReceiver(status(500)) as receiver:
        endpoint = {"url": receiver.url, "allow_http": True, "allowed_networks": ["127.0.0.0/8"]}
        feed.configure(status_endpoint=endpoint)
        [callback] = json.loads(words(capsys, "callbacks", "list", feed.settings_file, "--json"))
        assert main(["callbacks", "resend", callback["id"], str(feed.settings_file), "--again"]) == 2
        assert capsys.readouterr().out.startswith("users dt=20210228 waiting after 1 try, next ")


def test_the_chosen_callback_goes_before_those_that_have_waited_longer(feed: Feed, monkeypatch, capsys):
    monkeypatch.setattr("tasks.notify.within_run", lambda *_: False)
    monkeypatch.setattr("tasks.notify.next_attempt", lambda _attempts, now, *_, **__: now)
    with ScriptedReceiver(status(500), status(500), status(500), status(200)) as receiver:
        endpoint = {"url": receiver.url, "allow_http": True, "allowed_networks": ["127.0.0.0/8"]}
        feed.configure(status_endpoint=endpoint)
        for day in ("20210227", "20210228"):
            feed.drop(day, users_csv_gz=GOOD)
            run(feed)
        chosen, older = json.loads(words(capsys, "callbacks", "list", feed.settings_file, "--json"))
        assert {chosen["state"], older["state"]} == {"waiting"}
        words(capsys, "callbacks", "resend", chosen["id"], feed.settings_file, code=2)
        assert receiver.received[-1].headers["webhook-id"] == chosen["id"]


def test_a_feed_of_another_name_is_no_empty_history(feed: Feed, capsys):
    for command in (["deliveries"], ["callbacks", "list"]):
        said = words(capsys, *command, "--feed", "nobody", feed.settings_file, code=2)
        assert said == "px-import: --feed: none of these settings files is of the feed 'nobody'.\n"


def test_while_a_run_imports_nothing_is_sent(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    [callback] = json.loads(words(capsys, "callbacks", "list", feed.settings_file, "--json"))
    assert ledger(feed).acquire("users", "another run", 60)
    told = words(capsys, "callbacks", "resend", callback["id"], feed.settings_file, "--again", code=2)
    assert "a run is importing 'users' right now; try again when it has ended" in told
    assert len(feed.callbacks) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["callbacks", "resend", "zz"], "ID: no callback begins with 'zz'; px-import callbacks list shows them."),
        (["callbacks", "resend", ""], "ID: 2 callbacks begin with ''; write more of it."),
    ],
)
def test_a_callback_that_is_not_named_clearly_is_asked_for_again(feed: Feed, capsys, arguments, sentence):
    for day in ("20210227", "20210228"):
        feed.drop(day, users_csv_gz=GOOD)
    run(feed)
    assert sentence in words(capsys, *arguments, feed.settings_file, code=2)


def test_where_nothing_was_imported_there_is_nothing_to_tell(feed: Feed, capsys):
    run(feed)
    assert words(capsys, "callbacks", "list", feed.settings_file) == "No callbacks yet.\n"
    assert words(capsys, "deliveries", feed.settings_file) == "No deliveries yet.\n"


def test_a_store_that_is_not_there_hides_no_other_feed(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    accounts = feed.folder / "accounts.yaml"
    settings = {**yaml.safe_load(feed.settings_file.read_text()), "feed": "accounts", "entity": "account"}
    accounts.write_text(yaml.safe_dump({**settings, "store": f"sqlite:///{feed.folder}/nowhere.db"}))
    for command in (["deliveries"], ["callbacks", "list"]):
        assert main([*command, str(accounts), str(feed.settings_file), "--json"]) == 2
        told = capsys.readouterr()
        assert [each["feed"] for each in json.loads(told.out)] == ["users"]
        assert told.err == (
            f"px-import: accounts: store: {feed.folder}/nowhere.db does not exist; nothing was imported there yet.\n"
        )

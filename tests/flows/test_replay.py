"""An archived delivery imported again on purpose: for a store rebuilt or a rule changed, stopped anywhere."""

import asyncio
import json
import re

import pytest

from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.s3_drop_zone import S3DropZone
from blocks.stores import open_store
from deployments.cli import main
from flows.import_feed import tick
from tests.flows.conftest import Feed

GOOD = "id,email\n1,a@example.com\n2,b@example.com\n"
CUSTOM = [
    {"apiName": "id", "type": "STRING"},
    {"apiName": "email", "type": "STRING"},
    {"apiName": "x", "type": "NUMBER"},
]


def run(feed: Feed):
    return asyncio.run(tick(ImportSettings.from_file(feed.settings_file), []))


def ledger(feed: Feed) -> Ledger:
    return Ledger(open_store(f"sqlite:///{feed.folder}/px.db"))


def replay(feed: Feed, name: str, *more: str) -> int:
    return main(["replay", name, str(feed.settings_file), *more])


def rows(feed: Feed):
    return feed.rows("SELECT id, email FROM users ORDER BY id")


def test_a_rebuilt_store_gets_its_records_back_from_the_archive(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD, status_txt=b"the customer's own", _note=b"x")
    run(feed)
    before = feed.objects()
    assert "processed/20210228/status.txt.received" in before
    feed.configure(store=f"sqlite:///{feed.folder}/new.db")
    assert replay(feed, "20210228") == 0
    assert capsys.readouterr().out == (
        f"3 files are laid out in s3://{feed.bucket}/export/users/current/dt=20210228/; "
        "the next run imports them as a new delivery.\n"
    )
    laid_out = {
        key.removeprefix("current/dt=20210228/"): body for key, body in feed.objects().items() if "current" in key
    }
    assert laid_out == {
        "users.csv.gz": before["processed/20210228/users.csv.gz"],
        "status.txt": b"the customer's own",
        ".note": b"x",
        "_SUCCESS": b"",
    }
    assert run(feed).state == "Rejected"  # for the customer's status.txt, as before
    feed.configure()
    after = feed.objects()
    assert {key: body for key, body in after.items() if key.startswith("processed/20210228.1/")} == {
        key.replace("20210228/", "20210228.1/"): body for key, body in before.items()
    }
    assert not [key for key in after if key.startswith("current/")]


def test_a_delivery_is_imported_under_a_changed_rule(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz="id,x\n1,7\n")
    assert run(feed).state == "Rejected"
    [rejected] = ledger(feed).deliveries("users")
    catalogue = feed.folder / "catalogue.json"
    catalogue.write_text(json.dumps(CUSTOM))
    feed.configure(catalogue=str(catalogue))
    assert replay(feed, rejected.id[:10]) == 0
    assert re.match("1 file is laid out in .*; the next run imports it as a new delivery", capsys.readouterr().out)
    assert run(feed).state == "Imported"
    assert feed.rows("SELECT id, x FROM users") == [("1", 7.0)]
    assert [step.name for step in ledger(feed).steps(rejected.id)][-1] == "replayed"
    assert len(ledger(feed).deliveries("users")) == 2


def test_one_that_made_way_is_found_and_does_not_bring_old_values_back_unasked(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    feed.drop("20210228", users_csv_gz="id,email\n1,new@example.com\n")
    run(feed)
    latest, first = ledger(feed).deliveries("users")
    assert replay(feed, first.id) == 2
    told = capsys.readouterr().err
    assert "ID: dt=20210228 came later, and its values would be overwritten; add --even-if-newer" in told
    assert replay(feed, first.id, "--even-if-newer") == 0
    run(feed)
    assert rows(feed) == [("1", "a@example.com"), ("2", "b@example.com")]
    assert replay(feed, "20210228.2", "--even-if-newer") == 0
    run(feed)
    assert rows(feed) == [("1", "new@example.com"), ("2", "b@example.com")]
    assert latest.id in feed.text("processed/20210228.2/status.json")


def deliver(feed: Feed, *deliveries: tuple[str, str]) -> None:
    for day, text in deliveries:
        feed.drop(day, users_csv_gz=f"id,email\n{text}")
        run(feed)


def test_a_lost_store_is_made_again_in_the_order_of_its_deliveries(feed: Feed, capsys):
    """One that made way holds a record of its own, and an earlier date was corrected last."""
    deliver(feed, ("20210228", "1,a\n2,b\n"), ("20210228", "1,c\n"), ("20210301", "3,d\n4,d\n"), ("20210227", "3,e\n"))
    before = rows(feed)
    assert before == [("1", "c"), ("2", "b"), ("3", "e"), ("4", "d")]
    first = [f"{each.day}/{each.id}" for each in reversed(ledger(feed).deliveries("users"))]
    (feed.folder / "px.db").unlink()

    def missing() -> list[str]:
        assert main(["replay", "--missing", str(feed.settings_file)]) == 0
        return capsys.readouterr().out.split()

    for stop_after in (2, 4):  # stopped between a replay and its run, and begun again
        for each in missing()[:stop_after]:
            run(feed)
            assert replay(feed, each, "--even-if-newer") == 0
            capsys.readouterr()
            assert each == first.pop(0)
    run(feed)
    assert (missing(), first) == ([], [])
    assert rows(feed) == before


def test_where_the_ledger_is_lost_the_archive_tells_what_is_older(feed: Feed, capsys):
    deliver(feed, ("20210228", "1,a\n"), ("20210228", "1,c\n"))
    latest, first = ledger(feed).deliveries("users")
    (feed.folder / "px.db").unlink()
    assert replay(feed, latest.id[:13]) == 0
    run(feed)
    assert main(["deliveries", "show", latest.id, str(feed.settings_file)]) == 0
    assert "Imported before this ledger was made, and laid out again." in capsys.readouterr().out
    for name in ("20210228.1", first.id, f"20210228/{first.id[:9]}"):
        assert replay(feed, name) == 2
        assert "dt=20210228 came later, and its values would be overwritten" in capsys.readouterr().err
    assert replay(feed, "20210227/", "--missing") == replay(feed, f"20210227/{first.id}") == 2
    told = capsys.readouterr().err
    assert "ID: name one delivery, or list those that the ledger does not know" in told
    assert "ID: no delivery of this feed begins with '20210227/" in told
    assert rows(feed) == [("1", "c")]


def test_a_later_day_counts_as_newer(feed: Feed, capsys):
    for day in ("20210227", "20210228"):
        feed.drop(day, users_csv_gz=GOOD)
    run(feed)
    assert replay(feed, "20210227") == 2
    assert "dt=20210228 came later" in capsys.readouterr().err
    assert replay(feed, "20210228") == 0


def test_a_later_day_that_came_before_or_brought_nothing_is_not_newer(feed: Feed):
    deliver(feed, ("20210301", "1,a\n"), ("20210228", "1,b\n"), ("20210302", ",no id\n"))
    assert [each.counts.total for each in ledger(feed).deliveries("users")] == [0, 1, 1]
    assert replay(feed, "20210228") == 0


def test_a_day_that_came_later_under_another_name_is_newer(feed: Feed, capsys):
    deliver(feed, ("20210227", "1,a\n"), ("20210228", "1,b\n"))
    renamed = Feed(feed.s3, feed.bucket, feed.folder, feed.receiver, "people")
    renamed.configure(base_folder="users")
    run(renamed)
    assert replay(renamed, "20210227") == 2
    assert "dt=20210228 came later" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["b.csv.gz", "c.csv.gz"])
def test_what_is_delivered_meanwhile_is_imported_alone(feed: Feed, capsys, monkeypatch, name: str):
    feed.drop("20210228", a_csv_gz="id,email\n1,old\n", b_csv_gz="id,email\n2,old\n")
    run(feed)
    with monkeypatch.context() as patched:
        copy, delivery = S3DropZone.copy, {name.replace(".", "_"): "id,email\n1,new\n2,new\n"}

        def copy_then_deliver(self, *args):
            copy(self, *args)
            if delivery:
                feed.drop("20210228", **delivery)
                delivery.clear()

        patched.setattr(S3DropZone, "copy", copy_then_deliver)
        assert replay(feed, "20210228") == 2
    assert f"'{name}' was delivered to s3://{feed.bucket}/export/users/current/dt=20210228/ meanwhile" in (
        capsys.readouterr().err
    )
    [imported] = run(feed).deliveries
    assert [file.name for file in imported.files] == [name]
    assert rows(feed) == [("1", "new"), ("2", "new")]


def test_twice_is_once(feed: Feed):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    for _ in range(2):
        assert replay(feed, "20210228") == 0
    report = run(feed)
    assert len(report.deliveries) == 1
    assert run(feed).state == "NothingToDo"


def spoil_archive(feed: Feed):
    feed.put("processed/20210228/users.csv.gz", b"something else of another length")


def remove_archived(feed: Feed):
    feed.s3.client.delete_object(Bucket=feed.bucket, Key="export/users/processed/20210228/users.csv.gz")


def spoil_status(feed: Feed):
    feed.put("processed/20210228/status.json", b'{"files": 1}')


def remove_status(feed: Feed):
    feed.s3.client.delete_object(Bucket=feed.bucket, Key="export/users/processed/20210228/status.json")


def put_stranger(feed: Feed):
    feed.put("current/dt=20210228/new.csv.gz", b"new")


def put_other(feed: Feed):
    feed.put("current/dt=20210228/users.csv.gz", b"new")


def leave_open(feed: Feed):
    feed.drop("20210301", users_csv_gz=GOOD)
    with open_store(f"sqlite:///{feed.folder}/px.db").transaction() as tx:
        tx.change("UPDATE import_deliveries SET finished_at_ms = NULL")


def nothing(_: Feed):
    pass


@pytest.mark.parametrize(
    ("happens", "name", "sentence"),
    [
        (spoil_archive, "20210228", "processed/20210228/users.csv.gz is not what was imported; put the right file"),
        (remove_archived, "20210228", "'users.csv.gz' is not in s3://"),
        (spoil_status, "20210228", "is no delivery's; look for the right folder"),
        (remove_status, "20210228", "holds no status.json of a delivery"),
        (put_stranger, "20210228", "'new.csv.gz' waits in s3://"),
        (put_other, "20210228", "'users.csv.gz' waits in s3://"),
        (leave_open, "20210228", "ID: dt=20210228 is not finished; let one run finish it first"),
        (nothing, "20210227", "processed/20210227/ holds no status.json of a delivery"),
        (nothing, "20210228.1", "processed/20210228.1/ holds no status.json of a delivery"),
        (nothing, "zz", "no delivery of this feed begins with 'zz'"),
        (nothing, "20219999", "no delivery of this feed begins with '20219999'"),
        (remove_status, "", "is not in s3://"),
    ],
)
def test_what_cannot_be_laid_out_again_is_told_and_nothing_is_done(feed: Feed, capsys, happens, name, sentence):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    happens(feed)
    before = feed.objects()
    assert replay(feed, name) == 2
    assert sentence in capsys.readouterr().err
    assert feed.objects() == before


def test_while_a_run_imports_nothing_is_laid_out(feed: Feed, capsys):
    feed.drop("20210228", users_csv_gz=GOOD)
    run(feed)
    assert ledger(feed).acquire("users", "another run", 60)
    assert replay(feed, "20210228") == 2
    assert "a run is importing 'users' right now" in capsys.readouterr().err
    assert not [key for key in feed.objects() if key.startswith("current/")]


def test_stopped_after_any_write_it_goes_on_and_the_marker_is_last(feed: Feed, monkeypatch):
    class Stopped(Exception):
        pass

    feed.drop("20210228", a_csv_gz=GOOD, b_csv_gz=GOOD)
    run(feed)
    writes = {name: getattr(S3DropZone, name) for name in ("copy", "put")}
    stops = 0
    while True:
        left = stops

        def counted(name):
            def write(self, *args, **options):
                nonlocal left
                writes[name](self, *args, **options)
                if left == 0:
                    raise Stopped
                left -= 1

            return write

        with monkeypatch.context() as patched:
            for name in writes:
                patched.setattr(S3DropZone, name, counted(name))
            try:
                assert replay(feed, "20210228") == 0
                break
            except Stopped:
                stops += 1
        current = [key for key in feed.objects() if key.startswith("current/")]
        assert "current/dt=20210228/_SUCCESS" not in current or len(current) == 3
    assert stops >= 3
    assert run(feed).state == "Imported"
    assert run(feed).state == "NothingToDo"
    assert len(ledger(feed).deliveries("users")) == 2

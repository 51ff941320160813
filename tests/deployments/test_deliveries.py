"""What `px-import deliveries` and `callbacks list` show: all that can be read in a terminal, and all in a pipe."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from blocks.history import Step, StepName
from blocks.outbox import CallbackRecord
from deployments import callbacks, deliveries
from deployments.cli import TROUBLE, main
from deployments.deliveries import callback_words
from deployments.tables import Column, beginnings, show, terminal
from schemas.delivery import Stage
from schemas.delivery_record import DeliveryRecord
from schemas.issues import Issue
from schemas.outcome import FileOutcome, LoadCounts

NOW = datetime(2021, 3, 1, 4, 5, tzinfo=UTC)
IDS = ("8e2bff1c-0000-5000-8000-000000000001", "8e2bff1c-9900-5000-8000-000000000002")
RUN = "worker-7.example.com:1234567:0123456789ab"


def record(id_: str, feed: str = "users", *, count: int = 350000) -> DeliveryRecord:
    good = FileOutcome("users-part-0001.csv.gz", 9000, "ab" * 32, count, LoadCounts(count, 2, 3, 4), ())
    bad = FileOutcome("b.csv.gz", 9, "cd" * 32, 1, None, (Issue("not-gzip", "Not a gzip file"),))
    return DeliveryRecord(id_, feed, "user", "20210228", Stage.DECIDED, "ERROR", NOW, NOW, "c", (good, bad))


def callback(id_: str, answer: str, received: datetime | None = None) -> CallbackRecord:
    return CallbackRecord(id_, IDS[0], "users", "20210228", 3, answer, NOW, received, None, NOW)


def shown(show, what, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    show(console, what)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_deliveries_at_80_columns_are_a_line_each_and_what_has_no_room_is_named():
    other = record("9f000000-0000-5000-8000-000000000003")
    assert shown(deliveries._show_records, [record(IDS[0]), other], 80) == (
        "feed   folder       verdict  created  updated  finished           delivery\n"
        "users  dt=20210228  ERROR     350000        2  2021-03-01 04:05Z  8e2bff1c\n"
        "users  dt=20210228  ERROR     350000        2  2021-03-01 04:05Z  9f000000\n"
        "No room for faulty files, unchanged, repeated; see --json or a wider terminal."
    )


def test_deliveries_at_120_columns_have_all_but_the_end_of_the_id():
    header, line = shown(deliveries._show_records, [record(IDS[0])], 120).splitlines()
    assert header.split() == [
        *("feed", "folder", "verdict", "created", "updated", "unchanged", "repeated", "faulty", "files"),
        *("finished", "delivery"),
    ]
    assert line.split() == [
        *("users", "dt=20210228", "ERROR", "350000", "2", "3", "4", "1", "2021-03-01", "04:05Z", "8e2bff1c"),
    ]


def test_a_long_name_of_a_feed_costs_columns_and_then_lines_but_never_a_character():
    name = "accounts-of-northern-europe"
    assert f"\n{name}  dt=20210228  ERROR    2021-03-01 04:05Z  8e2bff1c\n" in shown(
        deliveries._show_records, [record(IDS[0], name)], 80
    )
    text = shown(deliveries._show_records, [record(IDS[0], name * 4)], 80)
    assert "".join(line.split("  ")[0] for line in text.splitlines()[1:4]).startswith(name * 4)
    assert "8e2bff1c" in text


@pytest.mark.parametrize("width", [200, 100_000])
def test_where_there_is_room_and_in_a_pipe_the_ids_are_whole(width):
    text = shown(deliveries._show_records, [record(id_) for id_ in IDS], width)
    assert [line.split()[-1] for line in text.splitlines()] == ["delivery", *IDS]


def test_an_id_is_as_long_as_tells_it_from_the_others():
    assert beginnings(IDS) == ("8e2bff1c-0", "8e2bff1c-9")
    assert beginnings([IDS[0], IDS[0]]) == ("8e2bff1c", "8e2bff1c")


def test_the_files_of_a_delivery_keep_their_names_and_rows():
    assert shown(deliveries._show_files, record(IDS[0]).files, 80).splitlines()[:3] == [
        "file                    outcome   bytes    rows  created  updated  unchanged",
        "users-part-0001.csv.gz  loaded     9000  350000   350000        2          3",
        "b.csv.gz                rejected      9       1",
    ]


STEPS = [
    Step(NOW, RUN, 1, StepName.CLAIMED, "dt=20210228, 3 objects"),
    Step(NOW, RUN, 1, StepName.ARCHIVED, ""),
    Step(NOW, RUN.replace("7.", "8."), 2, StepName.FINISHED, ""),
]


def test_the_runs_of_a_story_stand_below_their_first_steps_where_they_have_no_room_beside_them():
    assert shown(deliveries._show_steps, STEPS, 80) == (
        "time                  step      detail / run\n"
        "2021-03-01 04:05:00Z  claimed   dt=20210228, 3 objects\n"
        "                                worker-7.example.com:1234567:0123456789ab, fence\n"
        "                                1\n"
        "2021-03-01 04:05:00Z  archived\n"
        "2021-03-01 04:05:00Z  finished  worker-8.example.com:1234567:0123456789ab, fence\n"
        "                                2"
    )
    assert [line.count(f"{RUN}, fence 1") for line in shown(deliveries._show_steps, STEPS, 120).splitlines()] == [
        *(0, 1, 1, 0)
    ]


def test_a_callback_is_a_line_or_two_and_why_it_waits_is_never_cut():
    received = callback(IDS[0], "The status endpoint example.com answered 200.", NOW)
    waiting = callback("9f000000-0000-5000-8000-000000000003", "The status endpoint example.com answered 500.")
    assert shown(callbacks._show, [received, waiting], 80) == (
        "feed   folder       state                                               callback\n"
        "users  dt=20210228  received after 3 tries                              8e2bff1c\n"
        "users  dt=20210228  waiting after 3 tries, next 2021-03-01 04:05Z: The  9f000000\n"
        "                    status endpoint example.com answered 500."
    )
    whole = shown(callbacks._show, [received, waiting], 100_000)
    [line] = [line for line in whole.splitlines() if line.endswith(IDS[0])]
    assert "received after 3 tries: The status endpoint example.com answered 200." in line


@pytest.mark.parametrize("length", [57, 100])
def test_a_callback_of_a_long_feed_loses_nothing_either(length):
    name = "accounts-of-northern-europe-" * 4
    waiting = replace(callback(IDS[0], "The status endpoint example.com answered 500."), feed=name[:length])
    lines = shown(callbacks._show, [waiting], 80).splitlines()
    columns = [lines[0].index(head) for head in ("feed", "folder", "state", "callback")]
    feed, folder, state, id_ = (
        [line[start:end].strip() for line in lines[1:]] for start, end in pairwise([*columns, None])
    )
    assert "".join(feed) == name[:length]
    assert "".join(folder + id_) == "dt=202102288e2bff1c"
    assert " ".join(filter(None, state)) == callback_words(waiting)


def test_a_colon_is_a_colon(capsys):
    columns = [Column("run", ("worker:100:0123", "a:x:b.csv.gz"))]
    show(terminal(), columns, columns)
    assert capsys.readouterr().out.split() == ["run", "worker:100:0123", "a:x:b.csv.gz"]
    assert columns[0].width == len("worker:100:0123")


def feed_file(folder: Path, feed: str) -> str:
    path = folder / f"{feed}.yaml"
    settings = {"feed": feed, "bucket": "b", "destination": {"product": "AP-X"}, "store": f"sqlite:///{folder}/px.db"}
    path.write_text(yaml.safe_dump(settings))
    return str(path)


@pytest.mark.parametrize("command", [["deliveries"], ["callbacks", "list"]])
def test_each_feed_that_is_named_must_be_there(tmp_path, capsys, command):
    files = [feed_file(tmp_path, feed) for feed in ("users", "accounts")]
    assert main([*command, "--feed", "users", "--feed", "nobody", *files]) == TROUBLE
    assert capsys.readouterr().err == "px-import: --feed: none of these settings files is of the feed 'nobody'.\n"
    assert main([*command, "--feed", "users", "--feed", "accounts", *files]) == TROUBLE
    assert "px.db does not exist; nothing was imported there yet." in capsys.readouterr().err


def test_the_last_deliveries_of_each_feed(tmp_path, capsys, monkeypatch):
    asked = []

    def held(_, feed, limit):
        asked.append((feed, limit > 1_000_000 or limit))
        return [record(IDS[0], feed)]

    monkeypatch.setattr("blocks.ledger.Ledger.deliveries", held)
    files = [feed_file(tmp_path, feed) for feed in ("users", "accounts")]
    assert main(["deliveries", "--last", "3", "--feed", "users", *files]) == 0
    assert main(["deliveries", *files]) == 0
    assert asked == [("users", 3), ("users", True), ("accounts", True)]
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == [
        *("users", "dt=20210228", "ERROR", "350000", "2", "3", "4", "1", "2021-03-01", "04:05Z", IDS[0]),
    ]

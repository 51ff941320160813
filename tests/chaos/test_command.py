"""The matrix as a user plays it."""

import csv
import subprocess
import sys
import time
from operator import attrgetter

import pytest
import yaml

from blocks.stores import open_store
from deployments.chaos import importer
from deployments.chaos.case import Case, Result, play
from deployments.chaos.command import Wishes, chaos
from deployments.chaos.exchange import Call, Door
from deployments.chaos.faults import FAULTS
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import REJECTED, SCENARIOS
from deployments.chaos.stage import Ground, keys_below
from deployments.chaos.table import Line, summary
from deployments.cli import INTERRUPTED, TERMINATED, main
from flows import import_feed as flow


@pytest.fixture
def settings_file(tmp_path, local_s3, bucket):
    given = {
        "feed": "users", "entity": "user", "bucket": f"{bucket}/export", "region": "us-east-1",
        "endpoint_url": local_s3.endpoint_url, "store": "sqlite:////px.db", "destination": {"product": "AP-XXXXXXXXXX"},
        "authorization": {"access_key_id": local_s3.access_key_id, "secret_access_key": local_s3.secret_access_key},
    }  # fmt: skip
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump(given))
    return path


def test_a_part_of_the_matrix_is_played_on_ones_own_bucket(settings_file, sqlite_ground, tmp_path, capsys):
    page, cases = tmp_path / "promises.md", tmp_path / "cases.csv"
    page.write_text("Before\n<!-- chaos: Ours -->\nold\n<!-- end -->\nAfter\n")
    into = ["--title", "Ours", "--into", str(page), "--cases", str(cases)]
    only = ["--scenario", "rejected file", "--fault", "killed before", "--fault", "late", "--every", "9"]
    assert main(["chaos", str(settings_file), *only, *into]) == 0
    assert "| fault | rejected file |" in (out := capsys.readouterr().out)
    assert "| **killed before**: the importer is killed before the call takes effect | 3 ✓ |" in out
    assert page.read_text().startswith("Before\n<!-- chaos: Ours -->\nOurs: 6 cases, 0 broken")
    assert page.read_text().endswith("|\n<!-- end -->\nAfter\n")
    rows = list(csv.DictReader(cases.read_text().splitlines()))
    told = {(row["fault"], row["result"]) for row in rows}
    assert told == {("killed before", "as promised"), ("late", "as promised")}
    with sqlite_ground.client() as client:
        assert list(keys_below(client, sqlite_ground.zone.bucket, "")) == []


def test_a_broken_promise_is_told_with_its_place(monkeypatch, settings_file, tmp_path, capsys):
    case = Case(REJECTED, FAULTS[0], 7)
    sad = Result(case, Call(Door.S3, "PUT users/x"), ("two [bold]things[/]", "went wrong"), (), ())
    missed = Result(case, None, (), (), ())
    monkeypatch.setattr(Matrix, "play", lambda *_: iter([sad, missed]))
    cases = tmp_path / "cases.csv"
    assert chaos(settings_file, Wishes(cases=cases)) == 1
    out = capsys.readouterr().out
    assert "BROKEN rejected file, killed before at S3 PUT users/x: two [bold]things[/]; went wrong" in out
    assert "BROKEN rejected file, killed before at call 7: the fault met no call" in out
    assert "**2 of 2 broken**" in out
    assert "two [bold]things[/]; went wrong" in cases.read_text()


def played(case, *broken):
    return Result(case, Call(Door.S3, "PUT users/x"), broken, (), ())


def test_what_an_interrupted_run_has_played_well_is_not_played_again(monkeypatch, settings_file, tmp_path, capsys):
    cases, asked = tmp_path / "cases.csv", []

    def play(matrix, ground, known):
        asked.append(set(known))
        if known:
            yield played(Case(REJECTED, FAULTS[0], 2))
            return
        yield played(Case(REJECTED, FAULTS[0], 2), "sad")
        yield played(Case(REJECTED, FAULTS[0], 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(Matrix, "play", play)
    arguments = ["chaos", str(settings_file), "--fault", "killed before", "--cases", str(cases)]
    assert main(arguments) == INTERRUPTED
    assert main([*arguments, "--resume"]) == 0
    assert asked == [set(), {("rejected file", "killed before", 1)}]
    assert ": 2 cases, 0 broken, the last on " in capsys.readouterr().out
    assert [row["number"] for row in csv.DictReader(cases.read_text().splitlines())] == ["1", "2"]


def test_the_table_has_the_scenarios_in_the_order_in_which_they_are_played():
    lines = [Line.of(played(Case(scenario, FAULTS[0], 1))) for scenario in sorted(SCENARIOS, key=attrgetter("name"))]
    header = summary(lines, FAULTS).splitlines()[0]
    assert header == "| fault | first delivery | repeated date | rejected file | three files | both entities |"


def test_cases_that_are_known_are_left_out(sqlite_ground):
    matrix = Matrix([REJECTED], [FAULTS[0]], every=15)
    known = [("rejected file", "killed before", 1)]
    assert [result.case.number for result in matrix.play(sqlite_ground, known)] == [0, 16]


def test_what_stays_is_told(monkeypatch, settings_file, capsys):
    monkeypatch.setattr(Matrix, "play", lambda *_: iter([played(Case(REJECTED, FAULTS[0], 1))]))
    monkeypatch.setattr(Ground, "left_behind", lambda _: ["export/px-chaos-1/x"])
    assert chaos(settings_file, Wishes()) == 1
    assert "left behind: export/px-chaos-1/x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("store", "fault", "sentence"),
    [
        ("sqlite:////px.db", "killed at a sync", "killed at a sync (strace is not installed)"),
        ("postgresql://me:x@127.0.0.1:1/db", "killed at a sync", "killed at a sync (only with SQLite: "),
        ("postgresql://me:x@127.0.0.1:1/db", "killed at a statement", "killed at a statement (only with SQLite: "),
    ],
)
def test_where_nothing_can_be_played_there_is_no_success(monkeypatch, settings_file, capsys, store, fault, sentence):
    monkeypatch.setenv("PATH", "/nowhere")
    settings_file.write_text(settings_file.read_text().replace("sqlite:////px.db", store))
    assert main(["chaos", str(settings_file), "--fault", fault]) == 2
    assert f"px-import: nothing can be played here: {sentence}" in capsys.readouterr().err


def test_nor_where_nothing_was_played(monkeypatch, settings_file, capsys):
    monkeypatch.setattr(Matrix, "play", lambda *_: iter([Result(Case(REJECTED), None, (), (), ())]))
    assert main(["chaos", str(settings_file)]) == 2
    assert "px-import: nothing was played" in capsys.readouterr().err


def test_what_was_left_out_is_told_with_its_reason(monkeypatch, settings_file, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(Matrix, "play", lambda *_: iter([played(Case(REJECTED, FAULTS[0], 1))]))
    assert main(["chaos", str(settings_file)]) == 0
    assert (
        "; each fault at every call. Not played: killed at a sync (strace is not installed)." in capsys.readouterr().out
    )


def test_sigterm_leaves_nothing_behind(settings_file, sqlite_ground):
    command = [sys.executable, "-m", "deployments.cli", "chaos", str(settings_file), "--scenario", "rejected file"]
    with (
        sqlite_ground.client() as client,
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as running,
    ):
        while running.poll() is None and not list(keys_below(client, sqlite_ground.zone.bucket, "")):
            time.sleep(0.02)
        running.terminate()
        _, err = running.communicate()
        assert (running.returncode, err) == (TERMINATED, "px-import: stopped\n")
        assert list(keys_below(client, sqlite_ground.zone.bucket, "")) == []


def test_a_run_that_does_not_end_is_a_broken_promise(monkeypatch, sqlite_ground):
    monkeypatch.setattr(importer, "_PATIENCE_SECONDS", 0.5)
    result = played_by(sqlite_ground, Case(REJECTED, change=stands_still))
    assert any("crashed: it did not end within 0.5 seconds" in each for each in result.broken)


def played_by(ground, case):
    with ground.client() as client:
        return play(ground, case, "still", client)


def stands_still():
    async def archive(*_):
        time.sleep(60)

    flow.archive = archive


def test_scratch_schemas_are_seen_if_they_stay(postgres_ground):
    name = postgres_ground.schema("c1")
    with open_store(postgres_ground.settings.store.get_secret_value()).transaction() as tx:
        tx.change(f'CREATE SCHEMA "{name}"')
    assert postgres_ground.left_behind() == [name]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fault", "gnome"], "--fault: there is no fault 'gnome'; there are: killed before, killed after,"),
        (["--resume"], "--resume: name with --cases the file that an interrupted run has written."),
        (
            ["--cases", "/nowhere/cases.csv"],
            "--cases: /nowhere/cases.csv cannot be written (No such file or directory).",
        ),
        (["--cases", __file__, "--resume"], f"--cases: {__file__} is no list of cases; name another file."),
        (["--scenario", "none"], "--scenario: there is no scenario 'none'; there are: first delivery, repeated date,"),
    ],
)
def test_what_is_unknown_is_refused(settings_file, capsys, arguments, sentence):
    assert main(["chaos", str(settings_file), *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--every", "0"], ["--every", "-3"], ["--jobs", "-1"], ["--jobs", "0"]])
def test_a_number_that_is_none_is_refused(settings_file, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        main(["chaos", str(settings_file), *arguments])
    assert f"argument {arguments[0]}: {arguments[1]} is no number from 1 on" in capsys.readouterr().err


def test_a_bucket_that_does_not_take_part_is_told_in_a_sentence(settings_file, bucket, capsys):
    settings_file.write_text(settings_file.read_text().replace(bucket, "no-such-bucket"))
    assert main(["chaos", str(settings_file), "--scenario", "first delivery"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("px-import: s3://no-such-bucket does not exist: create the bucket")
    assert "Traceback" not in err


def test_a_page_with_no_place_for_the_table_is_refused_before_anything_is_played(settings_file, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["chaos", str(settings_file), "--title", "Ours", "--into", str(page)]) == 2
    assert f"--into: {page} has no line '<!-- chaos: Ours -->' with '<!-- end -->' after it" in capsys.readouterr().err

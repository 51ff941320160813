"""The matrix as a user plays it."""

import csv

import pytest
import yaml

from blocks.stores import open_store
from deployments.chaos.case import Case, Result
from deployments.chaos.command import Wishes, chaos
from deployments.chaos.exchange import Call, Door
from deployments.chaos.faults import FAULTS
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import REJECTED
from deployments.chaos.stage import Ground, keys_below
from deployments.cli import main


@pytest.fixture
def settings_file(tmp_path, local_s3, bucket):
    given = {
        "feed": "users", "entity": "user", "bucket": f"{bucket}/export", "region": "us-east-1",
        "endpoint_url": local_s3.endpoint_url, "store": "sqlite:///px.db", "destination": {"product": "AP-XXXXXXXXXX"},
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


def test_what_stays_is_told(monkeypatch, settings_file, capsys):
    monkeypatch.setattr(Matrix, "play", lambda *_: iter([]))
    monkeypatch.setattr(Ground, "left_behind", lambda _: ["export/px-chaos-1/x"])
    assert chaos(settings_file, Wishes()) == 1
    assert "left behind: export/px-chaos-1/x" in capsys.readouterr().err


def test_scratch_schemas_are_seen_if_they_stay(postgres_ground):
    name = postgres_ground.schema("c1")
    with open_store(postgres_ground.settings.store.get_secret_value()).transaction() as tx:
        tx.change(f'CREATE SCHEMA "{name}"')
    assert postgres_ground.left_behind() == [name]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fault", "gnome"], "--fault: there is no fault 'gnome'; there are: killed before, killed after,"),
        (["--scenario", "none"], "--scenario: there is no scenario 'none'; there are: first delivery, repeated date,"),
    ],
)
def test_what_is_unknown_is_refused(settings_file, capsys, arguments, sentence):
    assert main(["chaos", str(settings_file), *arguments]) == 2
    assert sentence in capsys.readouterr().err


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

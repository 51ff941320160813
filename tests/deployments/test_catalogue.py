"""`px-import catalogue`, and that whoever reads a catalogue refuses the same names."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from blocks.feed_settings import SettingsFile
from blocks.import_settings import AttributeCatalogue
from deployments.cli import main
from schemas.catalogue import Entity, default_catalogue
from schemas.errors import SettingsError
from tests.schemas.test_catalogue import FAULTY, REFUSED, listed

pytestmark = pytest.mark.rule("G1")
FEED = {"feed": "users", "bucket": "b", "destination": {"product": "AP-X"}, "store": "sqlite:////tmp/px.db"}


def written(folder: Path, entries: object) -> str:
    path = folder / "c.json"
    path.write_text(json.dumps(entries))
    return str(path)


def test_a_catalogue_as_px_serves_it_is_counted_by_type_and_state(tmp_path, capsys):
    more = {"id": "5c1", "name": "x", "internalName": "x", "createdDate": 1, "modifiedDate": None, "origin": "CUSTOM"}
    entries = [
        {"apiName": "plan", "type": "STRING", "state": "ENABLED", **more},
        {"apiName": "old", "type": "STRING", "state": "DELETED", **more},
        {"apiName": "score", "type": "NUMBER", "state": "DISABLED", **more},
    ]
    assert main(["catalogue", "check", written(tmp_path, entries)]) == 0
    verdict, *table, last = capsys.readouterr().out.splitlines()
    assert (verdict, [line.split() for line in table]) == (
        "SUCCESS",
        [
            ["ENABLED", "DISABLED", "DELETED"],
            ["STRING", "1", "0", "1"],
            ["NUMBER", "0", "1", "0"],
            ["BOOLEAN", "0", "0", "0"],
            ["DATE_TIME", "0", "0", "0"],
        ],
    )
    assert last.startswith("hash ")


@pytest.mark.rule("G3")
@pytest.mark.parametrize("entity", Entity)
def test_the_default_is_printed_as_a_catalogue_that_means_the_default(tmp_path, capsys, entity):
    assert main(["catalogue", "default", entity.value]) == 0
    text = capsys.readouterr().out
    shipped = resources.files("schemas").joinpath(f"px_{entity}_attributes.json")
    assert text == shipped.read_text(encoding="utf-8")
    (tmp_path / "c.json").write_text(text)
    assert main(["catalogue", "check", str(tmp_path / "c.json")]) == 0
    assert capsys.readouterr().out.endswith(f"hash {default_catalogue(entity).hash}\n")


@pytest.mark.rule("S9")
def test_all_faults_are_listed_by_their_places(tmp_path, capsys):
    assert main(["catalogue", "check", written(tmp_path, FAULTY)]) == 1
    assert capsys.readouterr().out == (
        "ERROR\n"
        "[0].apiName: a name is needed here\n"
        "[0].type: write one of STRING, NUMBER, BOOLEAN, DATE_TIME\n"
        "[2].apiName: only upper and lower case tell 'Plan' from 'plan', too little for SQLite; disable one\n"
        "[2] (Plan).state: write one of ENABLED, DISABLED, DELETED\n"
        "[3].apiName: 'plan' is listed twice; keep one\n"
        "[3] (plan).type: write one of STRING, NUMBER, BOOLEAN, DATE_TIME\n"
        '[4]: write an object like {"apiName": "score", "type": "NUMBER"}\n'
    )


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[{]", "this is not valid JSON (Expecting property name"),
        (b"\xff\xfe\xff", "this is not valid JSON ("),
        (b"[" * 100_000, "this is not valid JSON ("),
        (b'{"attributes": []}', "an attribute catalogue is a JSON array"),
        (b"[]", "no attribute is listed; for PX's own attributes name no catalogue at all"),
    ],
    ids=["broken", "no text", "too deep", "an object", "nothing listed"],
)
def test_a_file_that_is_no_catalogue_is_refused_wherever_it_is_read(tmp_path, capsys, content, sentence):
    (tmp_path / "c.json").write_bytes(content)
    assert main(["catalogue", "check", str(tmp_path / "c.json")]) == 1
    assert capsys.readouterr().out.startswith(f"ERROR\n{sentence}")
    with pytest.raises(SettingsError):
        SettingsFile(**FEED, catalogue="c.json").file_catalogue(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_does_no_harm(tmp_path, capsys, encoding):
    (tmp_path / "c.json").write_bytes(json.dumps(listed("größe")).encode(encoding))
    assert main(["catalogue", "check", str(tmp_path / "c.json")]) == 0
    names = SettingsFile(**FEED, catalogue="c.json").file_catalogue(tmp_path).by_name
    assert list(names) == ["id", "größe"]


@pytest.mark.rule("L4")
@pytest.mark.parametrize(("names", "place", "problem"), REFUSED.values(), ids=REFUSED)
def test_names_that_a_store_could_mix_up_are_refused_wherever_they_are_read(tmp_path, capsys, names, place, problem):
    entries = listed(*names)
    file = written(tmp_path, entries)
    assert main(["catalogue", "check", file]) == 1
    assert f"{place}: " in capsys.readouterr().out
    with pytest.raises(SettingsError) as caught:
        SettingsFile(**FEED, catalogue="c.json").catalogue_entries(tmp_path)
    assert problem in str(caught.value)
    with pytest.raises(ValidationError) as refused:
        AttributeCatalogue(entries=entries)
    assert problem in str(refused.value)
    (tmp_path / "users.csv").write_text("id\n1\n")
    assert main(["check", str(tmp_path / "users.csv"), "--entity", "user", "--catalogue", file]) == 2
    assert problem in capsys.readouterr().err


def test_an_empty_block_still_means_the_defaults():
    assert AttributeCatalogue(entries=[]).entries == []


def test_a_file_that_cannot_be_read_is_trouble(tmp_path, capsys):
    assert main(["catalogue", "check", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"px-import: {tmp_path}: the file cannot be read (Is a directory).\n")


def test_it_starts_without_anything_heavy():
    program = (
        "import sys; from deployments.cli import main; main(['catalogue', 'default', 'user']); "
        "sys.exit(any(name in sys.modules for name in ('prefect', 'boto3', 'requests', 'pyarrow', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0

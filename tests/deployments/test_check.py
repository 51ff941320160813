"""`px-import check` and the other commands that need no server."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.cli import main

SETTINGS = {
    "feed": "users",
    "bucket": "b",
    "destination": {"product": "AP-X"},
    "store": "sqlite:////tmp/px.db",
    "authorization": {"access_key_id": "AKIA", "secret_access_key": "${NOT_SET_HERE}"},
}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


def written(folder: Path, name: str, text: str) -> str:
    (folder / name).write_bytes(gzip.compress(text.encode()))
    return str(folder / name)


@pytest.mark.rule("P3")
def test_an_accepted_file_prints_its_status_and_exits_with_0(tmp_path, settings, capsys):
    good = written(tmp_path, "users.csv.gz", "id,email\n1,a@example.com\n1,b@example.com\n")
    assert main(["check", good, "--settings", str(settings)]) == 0
    assert capsys.readouterr().out == (
        "SUCCESS\n2 records were uploaded\n"
        "Note: 1 row repeats the id of an earlier row; the last value of each attribute was kept\n"
    )


@pytest.mark.rule("F2")
def test_a_rejected_file_exits_with_1_and_several_are_told_apart(tmp_path, settings, capsys):
    good = written(tmp_path, "a.csv.gz", "id\n1\n")
    bad = written(tmp_path, "b.csv.gz", "Id,score\n1,x\n")
    assert main(["check", good, bad, "--settings", str(settings)]) == 1
    assert capsys.readouterr().out == (
        "ERROR\na.csv.gz: 1 records were uploaded\n"
        "b.csv.gz: Parsing Errors:[ Unknown PX Column: 'Id' (did you mean 'id'?), Missing required Column: 'id', "
        "Invalid number in Column 'score': 1 row (line 2) ]\n"
    )


@pytest.mark.rule("P4")
def test_json_is_for_programs(tmp_path, settings, capsys):
    bad = written(tmp_path, "b.csv.gz", "id,score\n1,x\n")
    assert main(["check", bad, "--settings", str(settings), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "ERROR"
    [file] = document["files"]
    assert (file["name"], file["rows"], file["faults"][0]["code"]) == ("b.csv.gz", 1, "invalid-number")


@pytest.mark.rule("D3")
def test_a_file_of_another_kind_is_a_fault(tmp_path, settings, capsys):
    (tmp_path / "users.csv").write_text("id\n1\n")
    assert main(["check", str(tmp_path / "users.csv"), "--settings", str(settings)]) == 1
    assert "Unsupported file: 'users.csv' (expected .csv.gz)" in capsys.readouterr().out


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "no-such.csv.gz", "--settings", "users.yaml"], "no-such.csv.gz: the file cannot be read"),
        (["check", "x.csv.gz", "--settings", "no-such.yaml"], "no-such.yaml: the settings file cannot be read"),
        (["run"], "name a settings file, or a feed with --feed"),
        (["run", "users.yaml"], "the environment variable NOT_SET_HERE is not set"),
    ],
    ids=["no such file", "no such settings", "nothing to run", "a secret that is not set"],
)
def test_trouble_is_one_sentence_and_exit_2(settings, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(settings.parent)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("px-import: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


def test_check_starts_without_prefect(tmp_path, settings):
    good = written(tmp_path, "users.csv.gz", "id\n1\n")
    program = (
        "import sys; from deployments.cli import main; "
        f"code = main(['check', {good!r}, '--settings', {str(settings)!r}]); "
        "sys.exit(code or any(name in sys.modules for name in ('prefect', 'boto3', 'requests', 'sqlalchemy')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "SUCCESS\n1 records were uploaded\n"), done.stderr

"""`px-import check` and the other commands that need no server."""

import copy
import gzip
import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from deployments.cli import main
from schemas.catalogue import Entity, default_catalogue

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
    (tmp_path / "users.xlsx").write_text("id\n1\n")
    assert main(["check", str(tmp_path / "users.xlsx"), "--settings", str(settings)]) == 1
    assert "Unsupported file: 'users.xlsx' (expected .csv.gz)" in capsys.readouterr().out


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check", "no-such.csv.gz", "--settings", "users.yaml"], "no-such.csv.gz: the file cannot be read"),
        (["check", "x.csv.gz", "--settings", "no-such.yaml"], "no-such.yaml: the settings file cannot be read"),
        (["check"], "name the files to check; - is standard input"),
        (["check", "x.csv.gz"], "say what the files hold with --entity user, --entity account or --settings"),
        (["check", "-", "-", "--entity", "user"], "-: standard input can be read only once"),
        (["check", "x.csv", "--entity", "user", "--date-format", "yyyy"], "--date-format: there is no month: write"),
        (["check", "x.csv", "--entity", "user", "--product-key-column", "id"], "--product-key-column: product_key_col"),
        (["check", "x.csv", "--entity", "user", "--catalogue", "no.json"], "catalogue: no.json cannot be read (No su"),
        (["check", "users.yaml", "--entity", "user", "--errors", "./users.yaml"], "is one of the files to check"),
        (["check", "users.yaml", "--entity", "user", "--errors", "no/e.csv"], "--errors: no/e.csv cannot be written"),
        (["check", "--explain-date-format", "users.yaml"], "--explain-date-format: this reads no file; leave out FILE"),
        (["run"], "name a settings file, or a feed with --feed"),
        (["run", "users.yaml"], "the environment variable NOT_SET_HERE is not set"),
    ],
    ids=[
        *(
            "no such file",
            "no such settings",
            "nothing to check",
            "neither entity nor settings",
            "standard input twice",
        ),
        *("a wrong date format", "a wrong column", "no such catalogue", "errors over the file", "errors nowhere"),
        *("a file to explain", "nothing to run", "a secret that is not set"),
    ],
)
def test_trouble_is_one_sentence_and_exit_2(settings, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(settings.parent)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("px-import: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "needless"),
    [
        (["--settings", "SETTINGS"], {"prefect", "boto3", "requests", "sqlalchemy"}),
        (["--entity", "user"], {"prefect", "boto3", "requests", "sqlalchemy", "sqlite3", "yaml"}),
    ],
)
def test_check_starts_without_what_it_does_not_need(tmp_path, settings, options, needless):
    good = written(tmp_path, "users.csv.gz", "id\n1\n")
    arguments = ["check", good, *(each.replace("SETTINGS", str(settings)) for each in options)]
    program = (
        f"import sys; from deployments.cli import main; code = main({arguments!r}); "
        f"sys.exit(code or ', '.join(sys.modules.keys() & {needless!r}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "SUCCESS\n1 records were uploaded\n"), done.stderr


USER = ["--entity", "user"]


@pytest.mark.rule("S8")
def test_without_settings_px_defaults_hold_and_no_product_is_asked_for(tmp_path, capsys):
    good = written(tmp_path, "users.csv.gz", "id,signUpDate\n1,2021-12-25T13:55:42Z\n")
    assert main(["check", good, *USER]) == 0
    assert main(["check", good, "--entity", "account"]) == 1
    assert capsys.readouterr().out.endswith("ERROR\nParsing Errors:[ Unknown PX Column: 'signUpDate' ]\n")


ALLOWED = {"product_key_column": "key", "allowed_product_keys": ["AP-X-2-1"]}


@pytest.mark.rule("S8")
@pytest.mark.parametrize(
    ("changes", "text", "options"),
    [
        ({"entity": "user"}, "id,nps\n1,7\n", ["--entity", "account"]),
        ({"catalogue": "no-such.json"}, "id,x\n1,2\n", ["--catalogue", "x.json"]),
        ({"date_format": "yyyy"}, "id,signUpDate\n1,25.12.2021\n", ["--date-format", "dd.MM.yyyy"]),
        ({"destination": {"product": "AP-X", "channel": 1}}, "id,p\n1,AP-Y-3\n", ["--product-key-column", "p"]),
        ({"destination": ALLOWED}, "id,p\n1,AP-X-2-1\n", ["--product-key-column", "p"]),
    ],
    ids=["entity", "catalogue", "date format", "column for product", "column for column"],
)
def test_an_option_goes_before_the_settings_field(tmp_path, capsys, changes, text, options):
    (tmp_path / "x.json").write_text('[{"apiName": "x", "type": "NUMBER"}]')
    (tmp_path / "feed.yaml").write_text(yaml.safe_dump({**SETTINGS, **changes}))
    options = [str(tmp_path / "x.json") if option == "x.json" else option for option in options]
    file = written(tmp_path, "a.csv.gz", text)
    assert main(["check", file, "--settings", str(tmp_path / "feed.yaml"), *options]) == 0, capsys.readouterr()
    assert main(["check", file, "--settings", str(tmp_path / "feed.yaml")]) in (1, 2)


@pytest.mark.rule("K2")
def test_the_allowed_product_keys_stay_with_another_column(tmp_path, capsys):
    (tmp_path / "feed.yaml").write_text(yaml.safe_dump({"destination": ALLOWED}))
    file = written(tmp_path, "a.csv.gz", "id,p\n1,AP-Y-2-1\n")
    assert main(["check", file, "--settings", str(tmp_path / "feed.yaml"), "--product-key-column", "p"]) == 1
    assert "Unknown product key in Column 'p': 1 row (line 2)" in capsys.readouterr().out


@pytest.mark.rule("S9")
def test_of_the_settings_only_what_reading_takes_is_needed_but_no_other_names_are_allowed(tmp_path, capsys):
    path, file = tmp_path / "feed.yaml", written(tmp_path, "a.csv.gz", "id\n1\n")
    path.write_text("destination: {product: AP-X}\nstore: ${NOT_SET_HERE}\nstatus_endpoint: {url: 7}\n")
    assert main(["check", file, "--settings", str(path)]) == 0
    path.write_text("destination: {product: AP-X}\ndate_fromat: yyyyMMdd\n")
    assert main(["check", file, "--settings", str(path)]) == 2
    assert "date_fromat: there is no such setting; did you mean 'date_format'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.csv", b"id\n1\n", "a.csv: note: the importer takes .csv.gz only; compress it with gzip\n"),
        (
            "a.csv",
            gzip.compress(b"id\n1\n"),
            "a.csv: note: the importer takes .csv.gz only; this is gzipped, so rename",
        ),
        ("_a.csv.gz", gzip.compress(b"id\n1\n"), "_a.csv.gz: note: the importer does not read names that begin with"),
        ("a.csv.gz", gzip.compress(b"id\n1\n"), ""),
    ],
    ids=["plain", "gzipped, but not by its name", "bookkeeping by its name", "as it should be"],
)
@pytest.mark.rule("D3")
def test_what_the_importer_would_not_take_as_it_is_gets_a_note(tmp_path, capsys, name, content, note):
    (tmp_path / name).write_bytes(content)
    assert main(["check", str(tmp_path / name), *USER]) == 0
    captured = capsys.readouterr()
    assert captured.out == "SUCCESS\n1 records were uploaded\n"
    assert captured.err.startswith(note)
    assert bool(captured.err) == bool(note)


@pytest.mark.rule("C3")
def test_a_plain_file_that_is_called_gzip_is_refused_as_by_the_importer(tmp_path, capsys):
    (tmp_path / "a.csv.gz").write_text("id\n1\n")
    assert main(["check", str(tmp_path / "a.csv.gz"), *USER]) == 1
    assert capsys.readouterr().out == "ERROR\nParsing Errors:[ Not a gzip file ]\n"


@pytest.mark.parametrize("content", [b"id\n1\n1\n", gzip.compress(b"id\n1\n1\n")], ids=["plain", "gzipped"])
def test_standard_input_is_read(content, tmp_path):
    command = [sys.executable, "-m", "deployments.cli", "check", "-", *USER, "--summary"]
    done = subprocess.run(command, input=content, capture_output=True)
    assert (done.returncode, done.stdout.splitlines()[:2]) == (0, [b"SUCCESS", b"2 records were uploaded"])
    assert b"standard input: 2 rows, 1 columns, %d bytes, " % len(content) in done.stderr
    assert (b"note" in done.stderr) == content.startswith(b"id")


@pytest.mark.rule("F4")
def test_the_places_of_the_faults_are_written_as_errors_csv(tmp_path, capsys):
    bad = written(tmp_path, "b.csv.gz", "id,score\n1,x\n,2\n")
    good = written(tmp_path, "g.csv.gz", "id\n1\n")
    assert main(["check", bad, good, *USER, "--errors", str(tmp_path / "e.csv"), "--summary"]) == 1
    assert (tmp_path / "e.csv").read_bytes() == (
        b"file,line,row,column,code,message\r\n"
        b"b.csv.gz,2,1,score,invalid-number,Invalid number in Column 'score'\r\n"
        b"b.csv.gz,3,2,id,missing-value,Missing value in Column 'id'\r\n"
    )
    captured = capsys.readouterr()
    assert captured.out.startswith("ERROR\nb.csv.gz: Parsing Errors:[ Missing value in Column 'id': 1 row (line 3), ")
    size = (tmp_path / "b.csv.gz").stat().st_size
    assert captured.err.startswith(f"b.csv.gz: 2 rows, 2 columns, {size} bytes, ")
    assert main(["check", good, *USER, "--errors", str(tmp_path / "e.csv")]) == 0
    assert (tmp_path / "e.csv").read_bytes() == b"file,line,row,column,code,message\r\n", "nothing of the past is left"


@pytest.mark.rule("F2")
@pytest.mark.parametrize(
    "variable", ["VALIDATION_ENABLED=False", "VALIDATION_DEPTH=SCHEMA_ONLY", "VALIDATION_DEPTH=DATA_ONLY"]
)
def test_no_variable_of_the_machine_turns_validation_off(variable):
    name, _, value = f"PANDERA_{variable}".partition("=")
    command = [sys.executable, "-m", "deployments.cli", "check", "-", *USER]
    content = b"id,id,score\n1,1,x\n"
    done = subprocess.run(command, input=content, capture_output=True, env={**os.environ, name: value})
    assert b"Duplicate Column: 'id', Invalid number in Column 'score': 1 row (line 2)" in done.stdout


SCHEMA = json.loads(resources.files("schemas").joinpath("check.schema.json").read_text(encoding="utf-8"))


def as_json(capsys, *arguments: str) -> dict:
    main(["check", *arguments, *USER, "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.rule("P4")
def test_the_json_is_what_its_schema_says_and_nothing_less(tmp_path, capsys):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    good, bad = written(tmp_path, "g.csv.gz", "id\n1\n1\n"), written(tmp_path, "b.csv.gz", "id,id\n1\n")
    (tmp_path / "x.doc").write_bytes(b"")
    sound = as_json(capsys, good, bad, str(tmp_path / "x.doc"))
    assert validator.is_valid(sound)
    assert validator.is_valid(as_json(capsys, good))
    assert (sound["entity"], sound["catalogue_hash"]) == ("user", default_catalogue(Entity.USER).hash)
    assert [(file["rows"], file["columns"], file["repeated"]) for file in sound["files"]] == [
        *((2, 1, 1), (1, 2, 0), (0, 0, 0)),
    ]
    for part in (sound, sound["files"][0], sound["files"][1]["faults"][0]):
        for name in [*part, "more"]:
            kept = copy.copy(part)
            part.pop(name, None) if name in part else part.update({name: 1})
            assert not validator.is_valid(sound), name
            part.clear()
            part.update(kept)
    assert validator.is_valid(sound)
    assert not validator.is_valid({**sound, "verdict": "SUCCESS"})
    assert not validator.is_valid({**sound, "files": sound["files"][:1]})


NOT_THERE = "px-import: {}: the file cannot be read (No such file or directory).\n"


@pytest.mark.rule("F4")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_file_that_cannot_be_read_hides_no_other(tmp_path, capsys, place):
    files = [written(tmp_path, "g.csv.gz", "id\n1\n"), written(tmp_path, "b.csv.gz", "id,score\n1,x\n")]
    missing = str(tmp_path / "m.csv.gz")
    files.insert(place, missing)
    assert main(["check", *files, *USER, "--errors", str(tmp_path / "e.csv")]) == 2
    assert capsys.readouterr() == (
        "ERROR\ng.csv.gz: 1 records were uploaded\n"
        "b.csv.gz: Parsing Errors:[ Invalid number in Column 'score': 1 row (line 2) ]\n",
        NOT_THERE.format(missing),
    )
    assert (tmp_path / "e.csv").read_bytes().splitlines()[1:] == [
        b"b.csv.gz,2,1,score,invalid-number,Invalid number in Column 'score'"
    ]
    document = as_json(capsys, *files)
    jsonschema.validate(document, SCHEMA)
    assert (document["verdict"], [file["name"] for file in document["files"]]) == ("ERROR", ["g.csv.gz", "b.csv.gz"])


def test_no_success_is_claimed_of_a_file_that_nobody_has_looked_at(tmp_path, capsys):
    good, missing = written(tmp_path, "g.csv.gz", "id\n1\n"), str(tmp_path / "m.csv.gz")
    assert main(["check", good, missing, *USER]) == 2
    assert capsys.readouterr() == ("g.csv.gz: 1 records were uploaded\n", NOT_THERE.format(missing))
    assert main(["check", good, missing, *USER, "--json"]) == 2
    assert capsys.readouterr().out == ""
    assert main(["check", missing, f"{missing}.2", *USER]) == 2
    assert capsys.readouterr() == ("", NOT_THERE.format(missing) + NOT_THERE.format(f"{missing}.2"))


@pytest.mark.rule("V6")
@pytest.mark.parametrize("where", ["option", "settings", "both"])
def test_a_date_format_is_explained(tmp_path, capsys, where):
    (tmp_path / "feed.yaml").write_text("date_format: " + ("yyyy" if where == "both" else "YYYYMMDD"))
    option = [] if where == "settings" else ["--date-format", "YYYYMMDD"]
    file = [] if where == "option" else ["--settings", str(tmp_path / "feed.yaml")]
    assert main(["check", "--explain-date-format", *option, *file]) == 0
    assert capsys.readouterr().out == (
        "Date format: YYYYMMDD\n"
        "Note: 'YYYYMMDD' is read as 'yyyyMMdd': calendar year and day of the month.\n"
        "20211225 is read as 2021-12-25 00:00:00.000 UTC\n"
        "20240605 is read as 2024-06-05 00:00:00.000 UTC\n"
    )


@pytest.mark.rule("V6")
def test_a_refused_date_format_is_drawn(capsys):
    assert main(["check", "--explain-date-format", "--date-format", "yyyy-mm-dd"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        "px-import: date format: 'mm' is minutes and there is no month: write 'MM' for months\n"
        "    yyyy-mm-dd\n"
        "         ^\n",
    )


def test_the_default_date_format_is_explained_where_none_is_given(capsys):
    assert main(["check", "--explain-date-format"]) == 0
    assert "2024-06-05T09:07:03+01:00 is read as 2024-06-05 08:07:03.000 UTC\n" in capsys.readouterr().out


def test_a_ledger_that_is_not_there_yet_is_one_sentence_and_makes_no_file(tmp_path, capsys):
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, "authorization": {}, "store": f"sqlite:///{tmp_path}/px.db"}))
    assert main(["deliveries", str(path)]) == 2
    assert "px.db does not exist; nothing was imported there yet." in capsys.readouterr().err
    assert not (tmp_path / "px.db").exists()


def test_the_versions_are_told(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"px-import [\d.]+ \(prefect 3[\d.]+, Python 3[\d.]+\)\n", capsys.readouterr().out)

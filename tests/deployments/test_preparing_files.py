"""docs/preparing-files.md: its recipes make files that are accepted, and faults are worded as it says."""

import gzip
import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from deployments.cli import main
from tests.schemas.making import feed, judged_bytes

PAGE = (Path(__file__).parents[2] / "docs/preparing-files.md").read_text(encoding="utf-8")
ISO = "yyyy-MM-dd'T'HH:mm:ssX"


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def run(recipe: str) -> None:
    exec(compile(recipe, "docs/preparing-files.md", "exec"), {})


def recipe(title: str) -> str:
    return re.search(r"^```python\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)[1]


@pytest.mark.rule("C1")
@pytest.mark.parametrize("title", ["From Python", "From pandas"])
def test_a_recipe_makes_a_file_that_arrives_as_it_was_meant(title, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(recipe(title))
    assert main(["check", "users.csv.gz", "--entity", "user"]) == 0
    assert capsys.readouterr().out == "SUCCESS\n2 records were uploaded\n"
    since = pd.Timestamp("2021-12-25T13:55:42Z").to_pydatetime()
    assert judged_bytes(Path("users.csv.gz").read_bytes(), feed(date_format=ISO)).rows == [
        {"id": "007", "email": "ada@example.com", "score": 12.5, "signUpDate": since},
        {"id": "008", "email": '"Bob", the other one', "score": None, "signUpDate": None},
    ]


#: What is changed in a recipe, and what the page says of it.
SPOILT = {
    "dates as they are": ("From Python", 'since and since.strftime("%Y-%m-%dT%H:%M:%SZ")', "since"),
    "line ends twice, as on Windows": (
        "From Python",
        "csv.writer(file)",
        "csv.writer(file, lineterminator='\\r\\r\\n')",
    ),
    "no index=False": ("From pandas", "index=False, ", ""),
    "no date_format": ("From pandas", ', date_format="%Y-%m-%dT%H:%M:%SZ"', ""),
    "NaN for blank": ("From pandas", "index=False, ", "index=False, na_rep='NaN', "),
    "infinity": ("From pandas", "[12.5, None]", "[12.5, float('inf')]"),
}
SPOILT_SAYS = {
    "dates as they are": f"Invalid date in Column 'signUpDate' (expected {ISO})",
    "line ends twice, as on Windows": "Carriage return without line feed outside quotes",
    "no index=False": "Empty Column name at position 1",
    "no date_format": f"Invalid date in Column 'signUpDate' (expected {ISO})",
    "NaN for blank": "Invalid number in Column 'score'",
    "infinity": "Invalid number in Column 'score'",
}


@pytest.mark.rule("F3")
@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_recipe_is_refused_in_the_words_of_its_section(fault, tmp_path, monkeypatch, capsys):
    title, right, wrong = SPOILT[fault]
    assert right in recipe(title)
    monkeypatch.chdir(tmp_path)
    run(recipe(title).replace(right, wrong))
    assert main(["check", "users.csv.gz", "--entity", "user"]) == 1
    assert SPOILT_SAYS[fault] in capsys.readouterr().out
    assert f"| `{SPOILT_SAYS[fault]}` |" in section(title)


#: Files as those programs write them when something is forgotten: section, its sentence, the file.
FAULTS = {
    "Windows' own encoding": (
        "Python",
        "Not valid UTF-8",
        "id,city\n1,Köln\n".encode("cp1252"),
    ),
    "unquoted alias": (
        "PostgreSQL",
        "Unknown PX Column: 'signupdate' (did you mean 'signUpDate'?)",
        b"id,signupdate\n",
    ),
    "short booleans": ("PostgreSQL", "Invalid boolean in Column 'trackUsage'", b"id,trackUsage\n1,t\n"),
    "NaN": ("PostgreSQL", "Invalid number in Column 'score'", b"id,score\n1,NaN\n"),
    "upper case alias": ("Snowflake", "Unknown PX Column: 'EMAIL' (did you mean 'email'?)", b"id,EMAIL\n"),
    "no header": (
        "Snowflake",
        "Missing header: the first line holds values, no names of columns",
        b"007,a@example.com\n",
    ),
    "a NULL": ("Snowflake", "Invalid number in Column 'score'", b"id,score\n1,\\N\n"),
    "unquoted comma": ("Snowflake", "Wrong number of fields", b"id,city\n1,Paris, Texas\n"),
    "backslash": ("Spark", "Text after a closing quote", b'id,city\n1,"say \\"hi\\""\n'),
    "Spark without header": (
        "Spark",
        "Missing header: the first line holds values, no names of columns",
        b"007,a@example.com\n",
    ),
    "milliseconds": (
        *("Spark", f"Invalid date in Column 'signUpDate' (expected {ISO})"),
        b"id,signUpDate\n1,2021-12-25T13:55:42.000Z\n",
    ),
    "empty part": ("Spark", "Missing header", b""),
    "semicolons": ("Excel", "Unknown PX Column: 'id;email;score'", b"id;email;score\n1;a;2\n"),
    "saved as CSV": ("Excel", "Not valid UTF-8", "id,city\n1,Köln\n".encode("cp1252")),
    "saved as Unicode Text": (
        *("Excel", "Not valid UTF-8 (this looks like UTF-16; save the file as UTF-8)"),
        "id\tcity\n1\tx\n".encode("utf-16"),
    ),
    "local number": ("Excel", "Invalid number in Column 'score'", b'id,score\n1,"1,234.50"\n'),
    "local date": ("Excel", f"Invalid date in Column 'signUpDate' (expected {ISO})", b"id,signUpDate\n1,25/12/2021\n"),
}


@pytest.mark.rule("F3")
@pytest.mark.parametrize(("title", "sentence", "text"), FAULTS.values(), ids=FAULTS)
def test_a_typical_fault_is_refused_in_the_words_of_its_section(title, sentence, text, tmp_path, capsys):
    (tmp_path / "users.csv.gz").write_bytes(gzip.compress(text))
    assert main(["check", str(tmp_path / "users.csv.gz"), "--entity", "user"]) == 1
    assert sentence in capsys.readouterr().out
    assert f"| `{sentence}` |" in section(f"From {title}")


@pytest.mark.parametrize(
    ("title", "sentence", "name"),
    [
        ("PostgreSQL", "Not a gzip file", "users.csv.gz"),
        ("Snowflake", "Unsupported file: 'users' (expected .csv.gz)", "users"),
        (
            *("Spark", "Unsupported file: 'part-00000.snappy.parquet' (expected .csv.gz)"),
            "part-00000.snappy.parquet",
        ),
    ],
    ids=["not compressed", "no ending", "another format"],
)
@pytest.mark.rule("D3")
def test_a_wrong_kind_of_file_is_refused_in_the_words_of_its_section(title, sentence, name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"id\n1\n")
    assert main(["check", str(tmp_path / name), "--entity", "user"]) == 1
    assert sentence in capsys.readouterr().out
    assert f"| `{sentence}` |" in section(f"From {title}")


def test_no_sentence_of_the_page_is_without_a_test():
    shown = {(title, said) for title in re.findall(r"^## From (\w+)", PAGE, re.MULTILINE)
             for said in re.findall(r"^\| `(.+?)` \|", section(f"From {title}"), re.MULTILINE)}  # fmt: skip
    tested = {(title, sentence) for title, sentence, _ in FAULTS.values()}
    tested |= {(title.removeprefix("From "), SPOILT_SAYS[fault]) for fault, (title, _, _) in SPOILT.items()}
    kinds = {said for _, said in shown if said.startswith(("Unsupported file", "Not a gzip file"))}
    assert {pair for pair in shown if pair[1] not in kinds} == tested


@pytest.mark.rule("V2")
def test_the_example_file_is_accepted(capsys):
    [example] = re.findall(r"^```csv\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "users.csv.gz"
        path.write_bytes(gzip.compress(example.encode()))
        assert main(["check", str(path), "--entity", "user"]) == 0
    assert capsys.readouterr().out == "SUCCESS\n2 records were uploaded\n"


@pytest.mark.rule("V6")
@pytest.mark.parametrize("pattern", ["YYYYMMDD", "yyyy-mm-dd"], ids=["read otherwise", "refused"])
def test_the_explanations_of_the_page_are_those_of_the_command(pattern, capsys):
    command = f"px-import check --explain-date-format --date-format {pattern}"
    main(command.split()[1:])
    captured = capsys.readouterr()
    shown = "".join(f"    {line}\n" for line in [f"$ {command}", *(captured.out + captured.err).splitlines()])
    assert shown in PAGE

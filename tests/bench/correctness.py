"""What each contestant makes of awkward cells, and of files that are wrong."""

import gzip
import io
import json
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from schemas.catalogue import AttributeType
from tests.bench import page
from tests.bench.contestants import DAYS, Contestant, Delivery, environment
from tests.bench.files import Layout
from tests.bench.ground import POSTGRESQL, SQLITE, Ground, Place
from tests.bench.processes import Failed

_TEXT, _NUMBER, _BOOLEAN, _DATE = (AttributeType(each) for each in ("STRING", "NUMBER", "BOOLEAN", "DATE_TIME"))
LAYOUT = Layout(
    (
        *(("id", _TEXT), ("accountId", _TEXT), ("firstName", _TEXT), ("title", _TEXT)),
        *(("score", _NUMBER), ("surveys", _BOOLEAN), ("signUpDate", _DATE)),
    )
)
_HEADER = ",".join(LAYOUT.names) + "\r\n"
_GOOD = '007,00042,"Jürgen, 小林","5"" pipe\r\nand more",12.5,true,2021-02-28T23:30:00Z\r\n'
_RIGHT = (
    _HEADER
    + _GOOD
    + "008,12345678901234567890,NA,null,9007199254740991,FALSE,2021-06-01T12:00:00Z\r\n"
    + "009,,,x,,,\r\n"
    + "1e5, padded ,None,x,1e3,True,2021-06-01T12:00:00Z\r\n"
)


def _gzipped(text: str) -> bytes:
    """With the name of a file, as `gzip FILE` writes it: the Singer tap passes over one that has none."""
    packed = io.BytesIO()
    with gzip.GzipFile("users.csv", "wb", fileobj=packed, mtime=0) as file:
        file.write(text.encode())
    return packed.getvalue()


@dataclass(frozen=True, slots=True)
class Row:
    """A loaded record, its values by api name."""

    values: dict[str, Any]

    def text(self, name: str) -> str | None:
        """As text; None where it is no value."""
        value = self.values.get(name)
        return None if value is None else str(value)

    def number(self, name: str) -> float | None:
        """As a number, where it is one."""
        try:
            return float(self.values[name])
        except (TypeError, ValueError, KeyError):
            return None

    def instant(self, name: str) -> datetime | None:
        """As an instant, where it is one; without a zone it is taken as UTC."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        if not isinstance(value, datetime):
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


Rows = dict[str, Row]

#: What the first file must come to, by what it is about.
CHECKS: dict[str, Callable[[Rows], bool]] = {
    "leading zeros of an id": lambda rows: {"007", "008", "009"} <= set(rows),
    "an id like a number": lambda rows: "1e5" in rows,
    "all rows": lambda rows: len(rows) == 4,
    "line break in quotes": lambda rows: _of(rows, 0).text("title") == '5" pipe\r\nand more',
    "non-ASCII": lambda rows: _of(rows, 0).text("firstName") == "Jürgen, 小林",
    "leading zeros": lambda rows: _of(rows, 0).text("accountId") == "00042",
    "20 digits as text": lambda rows: _of(rows, 1).text("accountId") == "12345678901234567890",
    "the texts NA, null, None": lambda rows: (
        [_of(rows, 1).text("firstName"), _of(rows, 1).text("title"), _of(rows, 3).text("firstName")]
        == ["NA", "null", "None"]
    ),
    "blank text is no value": lambda rows: _of(rows, 2).text("firstName") is None,
    "blanks around a text": lambda rows: _of(rows, 3).text("accountId") == " padded ",
    "a number of 16 digits": lambda rows: _of(rows, 1).number("score") == 9007199254740991,
    "a date's instant": lambda rows: _of(rows, 0).instant("signUpDate") == datetime(2021, 2, 28, 23, 30, tzinfo=UTC),
}


def _of(rows: Rows, position: int) -> Row:
    """A record by its place in the file, whatever became of its id."""
    wanted = ["007", "008", "009", "1e5"][position]
    for key, row in rows.items():
        if key == wanted or (key.replace(".", "").isdigit() and float(key) == float(wanted)):
            return row
    return Row({})


def _wrong(row: str) -> bytes:
    return _gzipped(_HEADER + _GOOD + row + "\r\n")


#: Files that nobody should load: each loses or changes something.
WRONG: dict[str, bytes] = {
    "a field too many": _wrong("010,00043,b,c,1,true,2021-06-01T12:00:00Z,surplus"),
    "a field too few": _wrong("010,00043,b,c,1,true"),
    "a quote never closed": _wrong('010,00043,"b,c,1,true,2021-06-01T12:00:00Z'),
    "no number": _wrong("010,00043,b,c,1_0,true,2021-06-01T12:00:00Z"),
    "a number that does not fit": _wrong("010,00043,b,c,9007199254740993,true,2021-06-01T12:00:00Z"),
    "30 February": _wrong("010,00043,b,c,1,true,2021-02-30T12:00:00Z"),
    "a blank id": _wrong(",00043,b,c,1,true,2021-06-01T12:00:00Z"),
    "cut off": _gzipped(_HEADER + _GOOD * 2000)[:-20],
}


def report(ground: Ground, contestants: Sequence[Contestant]) -> list[str]:
    """A table: what each changes, and what it loads that it should refuse."""
    rows = []
    for contestant in contestants:
        rows.append([contestant.title, contestant.database, _changed(ground, contestant), _loaded(ground, contestant)])
        print(*rows[-1], sep=" | ", flush=True)
    lines = page.table(["load", "database", "changes without a word", "loads without a word"], rows)
    return [line.replace("---:", "---") for line in lines]


def _changed(ground: Ground, contestant: Contestant) -> str:
    with ground.place(contestant.database) as place:
        try:
            found = _load(ground, contestant, place, _gzipped(_RIGHT))
        except Failed:
            return "refuses the file, which is right"
    return ", ".join(about for about, is_right in CHECKS.items() if not is_right(found)) or "nothing"


def _loaded(ground: Ground, contestant: Contestant) -> str:
    loaded = []
    for about, content in WRONG.items():
        with ground.place(contestant.database) as place:
            try:
                _load(ground, contestant, place, content)
            except Failed:
                continue
            loaded.append(about)
    return ", ".join(loaded) or "nothing"


def _load(ground: Ground, contestant: Contestant, place: Place, content: bytes) -> Rows:
    path = place.folder / "awkward.csv.gz"
    path.write_bytes(content)
    delivery = Delivery(path, f"peers/{place.name}/users.csv.gz", LAYOUT, DAYS[0])
    ground.put(path, delivery.key)
    contestant.load(ground, place, delivery)
    return {str(row.values["id"]): row for row in read(place)}


def read(place: Place) -> list[Row]:
    """All records of the table `users`, wherever it was made; names without underscores are found all the same."""
    if place.database == POSTGRESQL:
        with psycopg.connect(place.url) as connection:
            names, rows = _rows_of(connection.execute, _postgres_table(connection))
    elif place.database == SQLITE:
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as connection:
            names, rows = _rows_of(connection.execute, "users")
    else:
        names, rows = json.loads(_duckdb(place.url))
    known = {name.lower(): name for name in LAYOUT.names}
    wanted = [known.get(name.replace("_", "").lower(), name) for name in names]
    return [Row(dict(zip(wanted, row, strict=True))) for row in rows]


def _rows_of(execute: Callable[[str], Any], table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = execute(f"SELECT * FROM {table}")
    return [column[0] for column in cursor.description], cursor.fetchall()


def _postgres_table(connection: "psycopg.Connection[Any]") -> str:
    sql = "SELECT schemaname FROM pg_tables WHERE tablename = 'users' AND schemaname !~ 'staging'"
    [(schema,)] = connection.execute(sql).fetchall()
    return f'"{schema}".users'


def _duckdb(path: str) -> str:
    """Names and rows, all as text, as JSON; its library is not in this environment."""
    program = (
        "import duckdb, json, sys\n"
        "found = duckdb.connect(sys.argv[1]).execute(\"SET TimeZone = 'UTC'; SELECT COLUMNS(*)::VARCHAR FROM users\")\n"
        "print(json.dumps([[each[0] for each in found.description], found.fetchall()]))"
    )
    python = environment("duckdb.txt") / "bin" / "python"
    return subprocess.run([python, "-c", program, path], check=True, capture_output=True, text=True).stdout

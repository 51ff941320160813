"""What the demo shows: headings, trees and tables; colours and a spinner where a person watches, else plain lines."""

import json
import shlex
import shutil
import sqlite3
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.tree import Tree

from deployments.receiver import Received
from deployments.tables import terminal
from schemas.delivery_record import DeliveryRecord
from schemas.drop_zone import MARKER, STATUS_TEXT

_PLAIN_WIDTH = 100
_RECORDS = {
    "accounts": "SELECT id, name, isPartner, renewalDate, notes FROM accounts ORDER BY id LIMIT 3",
    "users": (
        "SELECT id, firstName || ' ' || lastName AS name, title, signUpDate, score, surveys "
        "FROM users ORDER BY id LIMIT 4"
    ),
}
_LOOK = "SELECT city, count(*), avg(score) FROM users GROUP BY city"
_INDENT = "  "


def open_console() -> Console:
    """The terminal, or 100 columns of plain text where stdout is none."""
    return terminal(_PLAIN_WIDTH)


@contextmanager
def waiting(console: Console, what: str) -> Iterator[None]:
    """Turn a wheel and count the seconds where a person watches."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


def show_heading(console: Console, text: str) -> None:
    """A line that says what comes next."""
    console.print(f"\n[bold cyan]{text}[/]")


def show_tree(console: Console, folder: Path, bucket: str) -> None:
    """The copy of a bucket: a line for each folder that holds objects."""
    tree = Tree(f"[bold]s3://{bucket}[/]", guide_style="dim")
    _grow(tree, folder)
    console.print(tree)


def _grow(tree: Tree, folder: Path) -> None:
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        names = [path.name for path in sorted(inner.iterdir()) if path.is_file()]
        if names:
            tree.add(f"{_coloured_folder(inner, names)}  [dim]{escape('  '.join(names))}[/]")
        else:
            _grow(tree.add(f"{inner.name}/"), inner)


def _coloured_folder(folder: Path, names: Sequence[str]) -> str:
    if STATUS_TEXT in names:
        return _coloured((folder / STATUS_TEXT).read_text().split("\n")[0], f"{folder.name}/")
    return f"{folder.name}/" if MARKER in names else f"[yellow]{folder.name}/[/]"


def show_deliveries(console: Console, records: Iterable[DeliveryRecord]) -> None:
    """What a tick has done: a line for each delivery."""
    table = _table()
    for name in ("feed", "folder", "verdict"):
        table.add_column(name)
    for name in ("rows read", "new", "changed", "as before", "rejected files"):
        table.add_column(name, justify="right")
    for record in records:
        counts = [file.counts for file in record.files if file.counts]
        rejected = sum(bool(file.issues) for file in record.files)
        table.add_row(
            record.feed,
            f"dt={record.day}",
            _coloured(record.verdict, record.verdict),
            f"{sum(file.rows for file in record.files):,}",
            *(f"{sum(getattr(c, name) for c in counts):,}" for name in ("created", "updated", "unchanged")),
            f"[red]{rejected}[/]" if rejected else "0",
        )
    console.print(table)


def show_status_files(console: Console, folder: Path) -> None:
    """Each `status.txt` below a folder."""
    for path in sorted(folder.rglob(STATUS_TEXT)):
        verdict, *lines = path.read_text().splitlines()
        console.print(f"  [bold]{path.relative_to(folder)}[/]")
        console.print(f"{_INDENT * 2}{_coloured(verdict, verdict)}")
        for line in lines:
            console.print(_wrapped(line, console.width), markup=False)


def show_first_lines(console: Console, path: Path, count: int) -> None:
    """The beginning of a text file."""
    lines = path.read_text().splitlines()
    for line in lines[:count]:
        console.print(f"{_INDENT}{escape(line)}", no_wrap=True, overflow="ellipsis")
    if len(lines) > count:
        console.print(f"{_INDENT}[dim]… {len(lines) - count} more lines[/]")


def show_callbacks(console: Console, received: Sequence[Received]) -> None:
    """What the status endpoint was told."""
    table = _table(expand=True)
    table.add_column("folder_path", no_wrap=True)
    table.add_column("success", no_wrap=True)
    table.add_column("message", no_wrap=True, overflow="ellipsis", ratio=1)
    for body in (json.loads(each.body) for each in received):
        verdict = "SUCCESS" if body["success"] else "ERROR"
        message = " · ".join(body["message"].splitlines())
        table.add_row(escape(body["folder_path"]), _coloured(verdict, str(body["success"]).lower()), escape(message))
    console.print(table)


def show_records(console: Console, database: Path) -> None:
    """The first records of each entity."""
    with closing(sqlite3.connect(database)) as connection:
        for name, sql in _RECORDS.items():
            console.print(f"{_INDENT}[bold]{name}[/]")
            cursor = connection.execute(sql)
            table = _table()
            for column in cursor.description:
                table.add_column(column[0], no_wrap=True, overflow="ellipsis")
            for row in cursor:
                table.add_row(*map(_cell, row))
            console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "[dim]NULL[/]"
    return escape("⏎".join(str(value).splitlines()))


def show_places(console: Console, folder: Path) -> None:
    """Where everything lies, and what to type next."""
    for name, what in (
        ("files/", "what was delivered"),
        ("bucket/", "the bucket before and after, to be looked at with ordinary tools"),
        ("accounts.yaml, users.yaml", "settings of the two feeds"),
        ("px.db", "records and ledger"),
    ):
        console.print(f"{_INDENT}{name:<27}[dim]{what}[/]")
    show_heading(console, "What to type next")
    importer, prefect, place = _program("px-import"), _program("prefect"), shlex.quote(str(folder))
    for what, command in (
        ("ask the database", _query(place)),
        ("read the ledger", f"{importer} deliveries {place}/users.yaml"),
        (
            "check a file before it is delivered",
            f"{importer} check {place}/files/users-faulty.csv.gz --settings {place}/users.yaml",
        ),
        ("look at the runs in a browser", f"PREFECT_HOME={place}/prefect {prefect} server start"),
    ):
        console.print(f"{_INDENT}[dim]# {what}[/]")
        console.print(f"{_INDENT}{escape(command)}", soft_wrap=True)  # one line, to be copied


def _program(name: str) -> str:
    """How to call a program of this Python environment from here."""
    if shutil.which(name):
        return name
    beside = Path(sys.executable).parent / name
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def _query(place: str) -> str:
    """A question to the database, with what this machine has for it."""
    if shutil.which("sqlite3"):
        return f'sqlite3 {place}/px.db "{_LOOK}"'
    code = f"import sqlite3; print(*sqlite3.connect('{place}/px.db').execute('{_LOOK}'), sep='\\n')"
    return f'{_program("python3")} -c "{code}"'


def _table(*, expand: bool = False) -> Table:
    return Table(box=None, padding=(0, 0, 0, len(_INDENT)), header_style="dim", expand=expand)


def _wrapped(line: str, width: int) -> str:
    """A line that is easier to read in two, indented."""
    indent = _INDENT * 2
    return textwrap.fill(
        line, width - 1, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _coloured(verdict: str, text: str) -> str:
    return f"[{'green' if verdict == 'SUCCESS' else 'red'}]{escape(text)}[/]"

"""What Prefect shows of a finished delivery (rule R5): a page and a table of its files, with no cell's content."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from schemas.drop_zone import ERRORS_CSV, STATUS_JSON, STATUS_TEXT, archived_names
from schemas.issues import SHOWN_LINES, Issue, one_line
from schemas.markdown import plain, table
from schemas.outcome import FileOutcome, LoadCounts, counts_of, verdict_of
from schemas.report import DeliveryReport, counted
from schemas.s3_console import ObjectLinks

#: Most lines of a table: a page is for a person.
MOST_LINES = 200
_NUMBERS = ("rows", "faults", "created", "updated", "unchanged", "repeated", "size_bytes")


def written_day(day: str) -> str:
    """YYYYMMDD as a person writes it."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def sign(success: bool) -> str:
    """A verdict at a glance; no emoji, for which many machines have no font."""
    return "✓" if success else "✗"


def delivery_line(report: DeliveryReport) -> str:
    """The delivery in a line."""
    verdict, files = verdict_of(report.success), counted(len(report.files), "file")
    return f"{sign(report.success)} {written_day(report.delivery.day)} {verdict}: {files}, {_loaded(report)}"


def delivery_page(report: DeliveryReport, links: ObjectLinks) -> str:
    """The delivery's page in Markdown: status, faults by column, links to the objects."""
    delivery, folder = report.delivery, links.zone.processed_folder(report.delivery.day)
    written = [STATUS_TEXT, STATUS_JSON, *([] if report.success else [ERRORS_CSV])]
    counts = counts_of(report.files)
    lines = [
        f"# {sign(report.success)} {delivery.feed} {written_day(delivery.day)}: {verdict_of(report.success)}",
        "",
        f"**{_loaded(report)}**: {counts.created:,} created, {counts.updated:,} updated, "
        f"{counts.unchanged:,} unchanged, {counts.repeated:,} repeated",
        "",
        f"Archived in {links.folder(folder)}: {', '.join(links.object(f'{folder}/{name}', name) for name in written)}",
        "",
        f"Delivery `{delivery.id}`, claimed {delivery.claimed_at:%Y-%m-%d %H:%M:%S} UTC",
        "",
    ]
    if not report.success:
        lines += ["## Faults", "", *_faults(report.files), ""]
    lines += ["## Files", "", *_files(report, links, folder)]
    return "\n".join(lines)


def files_table(report: DeliveryReport) -> list[dict[str, str | int]]:
    """A line for each file: verdict, size and counts."""
    rows: list[dict[str, str | int]] = [
        {"file": one_line(file.name), "verdict": verdict_of(not file.issues), **_numbers(file)}
        for file in report.files[:MOST_LINES]
    ]
    if more := _more(report.files, "file"):
        rows.append({"file": more})
    return rows


def _loaded(report: DeliveryReport) -> str:
    return counted(report.records, "record")


def _numbers(file: FileOutcome) -> dict[str, int]:
    counts = file.counts or LoadCounts()
    return {name: getattr(counts if hasattr(counts, name) else file, name) for name in _NUMBERS}


def _faults(files: Iterable[FileOutcome]) -> Iterator[str]:
    found = [(file.name, issue) for file in files for issue in file.issues]
    yield from table(
        ("file", "column", "fault", "rows:", "lines"),
        (
            [
                plain(name),
                plain(issue.column),
                plain(issue.message),
                f"{issue.count:,}" if issue.count else "",
                _at(issue),
            ]
            for name, issue in islice(found, MOST_LINES)
        ),
    )
    if more := _more(found, "fault"):
        yield f"\n{more}: see {ERRORS_CSV}"


def _at(issue: Issue) -> str:
    first = issue.lines[:SHOWN_LINES]
    return ", ".join(map(str, first)) + (", …" if issue.count > len(first) else "")


def _files(report: DeliveryReport, links: ObjectLinks, folder: str) -> Iterator[str]:
    names = archived_names(file.name for file in report.delivery.files)
    numbers = ("rows", "faults", "created", "updated")  # a page is narrow; `files_table` has all
    yield from table(
        ("file", "verdict", *(f"{name}:" for name in numbers)),
        (
            [
                links.object(f"{folder}/{names.get(file.name, file.name)}", file.name),
                f"{sign(not file.issues)} {verdict_of(not file.issues)}",
                *(f"{_numbers(file)[name]:,}" for name in numbers),
            ]
            for file in report.files[:MOST_LINES]
        ),
    )
    if more := _more(report.files, "file"):
        yield f"\n{more}: see {STATUS_JSON}"


def _more(lines: Sequence[object], what: str) -> str:
    return f"and {counted(len(lines) - MOST_LINES, f'more {what}')}" if len(lines) > MOST_LINES else ""

"""What came of a matrix, as a table for people and as lines for programs."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.chaos.case import Result
from deployments.chaos.faults import Fault
from schemas.errors import SettingsError

_COLUMNS = ("scenario", "fault", "number", "door", "call", "result")
_KEPT = "as promised"


def outcome(result: Result) -> str:
    """One case in words; empty where all is as promised."""
    if result.call is None:
        return "the fault met no call"
    return "; ".join(result.broken)


def summary(results: Sequence[Result], faults: Sequence[Fault]) -> str:
    """A Markdown table: a line a fault, a column a scenario, in each cell how often it was played and what broke."""
    scenarios = list(dict.fromkeys(result.case.scenario.name for result in results))
    lines = [
        f"| {' | '.join(['fault', *scenarios])} |",
        f"|---|{'---:|' * len(scenarios)}",
    ]
    for fault in faults:
        cells = [_cell([each for each in results if _is(each, scenario, fault)]) for scenario in scenarios]
        if any(cells):
            lines.append(f"| **{fault.name}**: {fault.about} | {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Section:
    """The part of a Markdown file between the comments `<!-- chaos: TITLE -->` and `<!-- end -->`."""

    path: Path
    title: str

    def check(self) -> None:
        """See that the place is there.

        Raises:
            SettingsError: it is not.
        """
        self._replaced("")

    def write(self, text: str) -> None:
        """Put a text there. Raises like `check`."""
        self.path.write_text(self._replaced(text), "utf-8")

    def _replaced(self, text: str) -> str:
        begin, end = f"<!-- chaos: {self.title} -->", "<!-- end -->"
        place = re.compile(rf"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        try:
            page = self.path.read_text("utf-8")
        except OSError as error:
            raise SettingsError("--into", f"{self.path} cannot be read ({error.strerror})") from None
        page, count = place.subn(lambda found: f"{found[1]}{text}\n{found[2]}", page)
        if not count:
            raise SettingsError("--into", f"{self.path} has no line {begin!r} with {end!r} after it; put both there")
        return page


def write_cases(path: Path, results: Iterable[Result]) -> None:
    """A line a case, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(sorted(map(_row, results)))


def _cell(results: Sequence[Result]) -> str:
    broken = sum(bool(outcome(result)) for result in results)
    if broken:
        return f"**{broken} of {len(results)} broken**"
    return f"{len(results)} ✓" if results else ""


def _is(result: Result, scenario: str, fault: Fault) -> bool:
    return result.case.scenario.name == scenario and result.case.fault is fault


def _row(result: Result) -> tuple[str, str, int, str, str, str]:
    case, call = result.case, result.call
    fault = case.fault.name if case.fault else ""
    place = (call.door.value, call.what) if call else ("", "")
    return (case.scenario.name, fault, case.number, *place, outcome(result) or _KEPT)

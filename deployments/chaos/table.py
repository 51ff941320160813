"""What came of a matrix, a line a case, and as a table for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.chaos.case import Result
from deployments.chaos.faults import Fault
from deployments.chaos.scenarios import SCENARIOS
from schemas.errors import SettingsError

_KEPT = "as promised"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One case that was played.

    Attributes:
        scenario: its name.
        fault: its name.
        number: of the call at which the fault struck.
        door: of that call; empty where the run made fewer.
        call: what it was.
        result: `as promised`, or what was broken.
    """

    scenario: str
    fault: str
    number: int
    door: str
    call: str
    result: str

    @classmethod
    def of(cls, result: Result) -> "Line":
        """The line of a result."""
        case, call = result.case, result.call
        place = (call.door.value, call.what) if call else ("", "")
        broken = "; ".join(result.broken) if call else "the fault met no call"
        return cls(case.scenario.name, case.fault.name if case.fault else "", case.number, *place, broken or _KEPT)

    @property
    def broken(self) -> str:
        """The case in words; empty where all is as promised."""
        return "" if self.result == _KEPT else self.result


def summary(lines: Sequence[Line], faults: Sequence[Fault]) -> str:
    """A Markdown table: a line a fault, a column a scenario, in each cell how often it was played and what broke."""
    played = {line.scenario for line in lines}
    scenarios = [each.name for each in SCENARIOS if each.name in played]
    rows = [
        f"| {' | '.join(['fault', *scenarios])} |",
        f"|---|{'---:|' * len(scenarios)}",
    ]
    for fault in faults:
        cells = [
            _cell([line for line in lines if (line.scenario, line.fault) == (name, fault.name)]) for name in scenarios
        ]
        if any(cells):
            rows.append(f"| **{fault.name}**: {fault.about} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(lines: Sequence[Line]) -> str:
    broken = sum(bool(line.broken) for line in lines)
    if broken:
        return f"**{broken} of {len(lines)} broken**"
    return f"{len(lines)} ✓" if lines else ""


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

"""What a check of a feed's connections has found, as values (rule S9)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.errors import AccessRefused, DropZoneBusy, ImporterError, SettingsError, StoreBusy, StoreConflict
from schemas.markdown import plain

DIAGNOSIS_VERSION = 1


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNCHECKED = "unchecked"


#: What a check says: its state and a sentence; some say more than one.
Remark = tuple[State, str]


class NotChecked(Exception):
    """Something else must work before this can be checked; the text says what. Becomes a `Finding`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Attributes:
        name: of the check, small letters and dashes; several findings may have one name.
        state: how it ended.
        sentence: what was seen, and the cure where it is not well; without a full stop, never with a secret.
    """

    name: str
    state: State
    sentence: str

    def __str__(self) -> str:
        """For a line: a check that could not be made says so."""
        return f"not checked: {self.sentence}" if self.state is State.UNCHECKED else self.sentence


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings about one feed, in the order of the checks.

    Attributes:
        source: where the settings are from: a file, or a block document.
        feed: its name; empty where the settings cannot be read.
        findings: at least one.
    """

    source: str
    feed: str
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing has failed; a warning is no failure."""
        return not self._of(State.FAILED)

    @property
    def summary(self) -> str:
        """One sentence for all."""
        if failed := self._of(State.FAILED):
            return f"{_counted(len(failed), 'check')} failed: {'; '.join(f'{f.name}: {f.sentence}' for f in failed)}."
        warnings = len(self._of(State.WARNING))
        also = f", {_counted(warnings, 'warning')}" if warnings else ""
        return f"Nothing has failed{also}."

    @property
    def tally(self) -> str:
        """How many findings there are of each state, those that there are."""
        counts = {state: len(self._of(state)) for state in State}
        return ", ".join(
            f"{count} {'not checked' if s is State.UNCHECKED else s}" for s, count in counts.items() if count
        )

    @property
    def markdown(self) -> str:
        """The page in Prefect."""
        lines = [f"# {plain(self.feed)}: {self.tally}", "", "| | check | |", "|---|---|---|"]
        lines += [f"| {_MARKS[f.state]} | {plain(f.name)} | {plain(str(f))} |" for f in self.findings]
        return "\n".join(lines)

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs, one of the `feeds` of `doctor.schema.json`."""
        findings = [{"name": f.name, "state": f.state.value, "sentence": f.sentence} for f in self.findings]
        return {"source": self.source, "feed": self.feed, "healthy": self.healthy, "findings": findings}

    def _of(self, state: State) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.state is state)


_MARKS = {State.OK: "✓ ok", State.WARNING: "⚠ warning", State.FAILED: "✗ **failed**", State.UNCHECKED: "– not checked"}


def document(diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    """All feeds for programs; `schemas/doctor.schema.json` describes it."""
    healthy = all(diagnosis.healthy for diagnosis in diagnoses)
    return {"version": DIAGNOSIS_VERSION, "healthy": healthy, "feeds": [each.document for each in diagnoses]}


def sentence_of(error: ImporterError) -> str:
    """What an exception says, without what it says of a tick: nothing is under way here, and nothing comes again."""
    match error:
        case DropZoneBusy():
            return f"could not {error.action} {error.place}: {error.reason}"
        case StoreBusy():
            return f"{error.store} cannot be used: {error.reason}"
        case StoreConflict():
            return f"{error.place}: {error.problem}; {error.cure}"
        case AccessRefused():
            return f"not allowed to {error.action} {error.place} ({error.reason}): {error.cure}"
        case SettingsError():
            return ": ".join(part for part in (error.source, error.field, error.problem) if part)
        case _:
            return str(error).rstrip(".")


def clock_remarks(whose: str, ahead_seconds: float, consequence: str) -> Iterator[Remark]:
    """How far another clock is ahead of this machine's, and what it does to whom; a minute is nothing."""
    off = round(abs(ahead_seconds))
    if off <= TOLERATED_SECONDS:
        yield State.OK, f"{whose} and this machine's agree to the minute"
        return
    apart = f"{off // 60} minutes {off % 60} seconds {'behind' if ahead_seconds > 0 else 'ahead of'}"
    state = State.FAILED if off > REFUSED_SECONDS else State.WARNING
    yield state, f"this machine's clock is {apart} {whose}: {consequence}; let NTP set the clock"


TOLERATED_SECONDS = 60
REFUSED_SECONDS = 900


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"

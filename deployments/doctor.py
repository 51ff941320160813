"""`px-import doctor`: whether everything that a feed needs is there and allowed, before its first import."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from blocks.feed_settings import read_settings_file
from blocks.import_settings import ImportSettings
from deployments.exit_codes import TROUBLE
from deployments.tables import terminal
from schemas.diagnosis import Diagnosis, Finding, State, document, sentence_of
from schemas.errors import SettingsError
from schemas.issues import one_line

_MARKS = {State.OK: "ok", State.WARNING: "warning", State.FAILED: "FAILED", State.UNCHECKED: "-"}
_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red", State.UNCHECKED: "dim"}


@dataclass(frozen=True, slots=True)
class Patient:
    """One feed to look at.

    Attributes:
        source: where its settings are from.
        settings: with PX's own catalogue where the feed's is faulty.
        catalogue_fault: why it is, None where it is not.
    """

    source: str
    settings: ImportSettings
    catalogue_fault: SettingsError | None = None


def doctor(files: list[Path], feeds: list[str], *, with_test: bool, as_json: bool) -> int:
    """Print a line for each check of each feed.

    Args:
        files: settings files.
        feeds: names of feeds that are saved in Prefect.
        with_test: POST a test to each status endpoint.
        as_json: print JSON instead, as `schemas/doctor.schema.json` describes it.

    Returns:
        0 nothing has failed, 1 a check has, 2 some settings cannot be read.

    Raises:
        SettingsError: no feed is named.
    """
    if not files and not feeds:
        raise SettingsError("", "name a settings file, or a feed with --feed")
    show = _Screen(quiet=as_json)
    sources: list[Path | str] = [*files, *feeds]
    diagnoses = [_diagnosed(source, show, with_test=with_test) for source in sources]
    if as_json:
        print(json.dumps(document(diagnoses), ensure_ascii=False, indent=2))
    if not all(diagnosis.feed for diagnosis in diagnoses):
        return TROUBLE
    return int(not all(diagnosis.healthy for diagnosis in diagnoses))


def _diagnosed(source: Path | str, show: "_Screen", *, with_test: bool) -> Diagnosis:
    """One feed; settings that cannot be read are a finding, too, and leave nothing else to be checked."""
    from flows.check_connection import diagnose

    name, feed, findings = str(source), "", list[Finding]()
    show.heading(name)
    try:
        patient = _from_file(source) if isinstance(source, Path) else _from_document(source)
    except SettingsError as exc:
        findings = [Finding("settings", State.FAILED, sentence_of(exc))]
        findings.append(Finding("everything-else", State.UNCHECKED, "the settings cannot be read"))
        for finding in findings:
            show.line(finding)
    else:
        name, feed = patient.source, patient.settings.feed

        async def look() -> None:
            found = diagnose(patient.settings, with_test=with_test, catalogue_fault=patient.catalogue_fault)
            async for finding in found:
                findings.append(finding)
                show.line(finding)

        asyncio.run(look())
    diagnosis = Diagnosis(name, feed, tuple(findings))
    show.end(diagnosis)
    return diagnosis


def _from_file(path: Path) -> Patient:
    """The feed of a settings file; a catalogue that is faulty leaves the rest to be checked."""
    file = read_settings_file(path)
    try:
        return Patient(str(path), ImportSettings.of(file, path))
    except SettingsError as exc:
        if not file.catalogue:
            raise
        without = file.model_copy(update={"catalogue": ""})
        return Patient(str(path), ImportSettings.of(without, path), exc)


def _from_document(name: str) -> Patient:
    """The feed of a block document."""
    return Patient(f"{ImportSettings.get_block_type_slug()}/{name}", ImportSettings.from_document(name))


class _Screen:
    """Lines as they come: coloured and folded in a terminal, one line a finding in a pipe."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = terminal(quiet=quiet)

    def heading(self, source: str) -> None:
        """Whose lines follow."""
        self._console.print(f"[bold]{escape(one_line(source))}[/]")

    def line(self, finding: Finding) -> None:
        """One finding."""
        colour = _COLOURS[finding.state]
        said = escape(one_line(str(finding)))
        table = Table.grid(padding=(0, 1))
        table.add_column(width=9)
        table.add_column(width=15)
        table.add_column(overflow="fold")
        state, name = f"  [{colour}]{_MARKS[finding.state]}[/]", finding.name.replace("-", " ")
        if self._console.is_terminal:
            table.add_row(state, name, f"[{colour}]{said}[/]" if finding.state is not State.OK else said)
            self._console.print(table)
        else:
            self._console.print(f"  {_MARKS[finding.state]:<8} {name:<15} {said}")

    def end(self, diagnosis: Diagnosis) -> None:
        """What it comes to."""
        colour = "green" if diagnosis.healthy else "red"
        self._console.print(f"[{colour}]{diagnosis.tally}[/]\n")

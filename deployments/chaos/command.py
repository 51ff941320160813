"""`px-import chaos`: the matrix on somebody's own bucket and database."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from prefect.exceptions import TerminationSignal
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from blocks.aws_session import Attempt, fault_of
from blocks.feed_settings import SettingsFile, read_settings_file
from deployments.chaos.case_file import add_line, kept_lines, write_lines
from deployments.chaos.exchange import Door
from deployments.chaos.faults import ALL, AT_SYNC, Fault
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import SCENARIOS, Scenario
from deployments.chaos.stage import Ground
from deployments.chaos.syncs import can_be_played
from deployments.chaos.table import Line, Section, summary
from deployments.local_s3 import LocalS3
from deployments.tables import terminal
from schemas.errors import PermanentError, SettingsError

_BUCKET = "px-chaos"
_PLAIN_WIDTH = 160
_EACH = 100  # cases, until the next line for whoever reads a log

Named = TypeVar("Named", Scenario, Fault)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asks for.

    Attributes:
        scenarios: names; none means all.
        faults: names; none means all.
        every: see `Matrix`.
        jobs: see `Matrix`; 0 for one a processor.
        title: where it is played, as the table says it; empty for the place's own name.
        into: Markdown file that gets the table; None for none.
        cases: CSV file that gets a line a case; None for none.
        resume: whether what that file holds already is not played again.
    """

    scenarios: Sequence[str] = ()
    faults: Sequence[str] = ()
    every: int = 1
    jobs: int = 0
    title: str = ""
    into: Path | None = None
    cases: Path | None = None
    resume: bool = False


class NothingPlayed(PermanentError):
    """No case fits what was asked for."""


def chaos(settings: Path | None, wishes: Wishes) -> int:
    """Play the matrix and print its table.

    Args:
        settings: file of any feed, whose bucket and store are used, in scratch parts that are removed again; None for
            an embedded S3 server and SQLite.
        wishes: what else is asked for.

    Returns:
        0 all is as promised, 1 a promise was broken.

    Raises:
        SettingsError: there is no such scenario or fault, the settings cannot be used, or a file cannot be written.
        NothingPlayed: no fault that was asked for can happen here, or none met a call.
        ImporterError: bucket or store do not take part.
    """
    if wishes.resume and not wishes.cases:
        raise SettingsError("--resume", "name with --cases the file that an interrupted run has written")
    scenarios, faults = _chosen(SCENARIOS, wishes.scenarios, "scenario"), _chosen(ALL, wishes.faults, "fault")
    with _ended_by_a_signal(), _ground(settings) as ground:
        title = wishes.title or f"{ground.endpoint_url}, {ground.database}"
        section = Section(wishes.into, title) if wishes.into else None
        if section:
            section.check()
        impossible = {fault.name: why for fault in faults if (why := _why_not(fault, ground))}
        possible = [fault for fault in faults if fault.name not in impossible]
        if not possible:
            raise NothingPlayed(f"nothing can be played here: {_listed(impossible)}")
        matrix = Matrix(scenarios, possible, wishes.every, wishes.jobs or os.cpu_count() or 1)
        began = time.monotonic()
        lines = _all_lines(ground, matrix, wishes)
        when = "the last" if wishes.resume else f"in {(time.monotonic() - began) / 60:.0f} min"
        when += f" on {datetime.now(UTC):%Y-%m-%d}"
        left = _left_behind(ground)
    if not lines:
        raise NothingPlayed("nothing was played: --every leaves out every call of these faults; name a smaller number")
    text = f"{_caption(title, matrix, lines, when, impossible)}\n\n{summary(lines, faults)}"
    print(f"\n{text}")
    if section:
        section.write(text)
    for name in left:
        print(f"left behind: {name}", file=sys.stderr)
    return int(bool(left) or any(line.broken for line in lines))


def _all_lines(ground: Ground, matrix: Matrix, wishes: Wishes) -> list[Line]:
    """Play what is still to be played; each line is on the disk before the next case."""
    lines = kept_lines(wishes.cases) if wishes.cases and wishes.resume else []
    if wishes.cases:
        write_lines(wishes.cases, lines)
    console = terminal(_PLAIN_WIDTH)
    console.print(_where(ground), soft_wrap=True)
    for line in _played(console, matrix, ground, tuple(lines)):
        lines.append(line)
        if wishes.cases:
            add_line(wishes.cases, line)
    if wishes.cases:
        write_lines(wishes.cases, lines)
    return lines


@contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what is under way is cleared away."""

    def end(number: int, _: object) -> None:
        raise TerminationSignal(signal=number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _why_not(fault: Fault, ground: Ground) -> str:
    """Why a fault cannot happen here; empty where it can."""
    if ground.database != "sqlite" and fault.doors <= {Door.FILE, Door.DISK}:
        return "only with SQLite: here each statement is a call, and the disk is the server's"
    if fault is AT_SYNC and not can_be_played():
        return "strace is not installed"
    return ""


def _listed(impossible: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({why})" for name, why in impossible.items())


def _caption(title: str, matrix: Matrix, lines: Sequence[Line], when: str, impossible: Mapping[str, str]) -> str:
    """What was played, all of it or a sample, what came of it, and what was not played and why."""
    broken = sum(bool(line.broken) for line in lines)
    part = (
        f"a sample, each fault at one in {matrix.every} of its calls or more"
        if matrix.every > 1
        else "each fault at every call"
    )
    not_played = f" Not played: {_listed(impossible)}." if impossible else ""
    return f"{title}: {len(lines)} cases, {broken} broken, {when}; {part}.{not_played}"


def _chosen(known: Sequence[Named], names: Sequence[str], what: str) -> list[Named]:
    by_name = {each.name: each for each in known}
    for name in names:
        if name not in by_name:
            raise SettingsError(f"--{what}", f"there is no {what} {name!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names] or list(known)


@contextmanager
def _ground(path: Path | None) -> Iterator[Ground]:
    if path:
        yield Ground(read_settings_file(path))
        return
    with LocalS3() as s3:
        s3.create_bucket(_BUCKET)
        yield Ground(
            SettingsFile.model_validate(
                {
                    "feed": "users",
                    "entity": "user",
                    "bucket": _BUCKET,
                    "region": s3.region,
                    "endpoint_url": s3.endpoint_url,
                    "authorization": {
                        "access_key_id": s3.access_key_id,
                        "secret_access_key": s3.secret_access_key,
                    },
                    "store": "sqlite:////px.db",  # each case has a file of its own
                    "destination": {"product": "AP-XXXXXXXXXX"},
                }
            )
        )


def _where(ground: Ground) -> str:
    place = "in SQLite files of their own" if ground.database == "sqlite" else f"in schemas {ground.schema('…')}"
    return f"Deliveries are played below {ground.zone.url(ground.zone.root)}/ and {place}; nothing of it stays."


def _played(console: Console, matrix: Matrix, ground: Ground, kept: Sequence[Line]) -> Iterator[Line]:
    """The lines of all faults but the kept ones; what is broken is told at once, and how far it has come."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    known, count = {(line.scenario, line.fault, line.number) for line in kept}, len(kept)
    with (
        _asking(ground),
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("every scenario with no fault …", total=None)
        for result in matrix.play(ground, known):
            if result.case.fault is None:
                continue
            count, line = count + 1, Line.of(result)
            yield line
            progress.update(task, description=f"{count} cases; {line.scenario}")
            if not console.is_terminal and count % _EACH == 0:
                console.print(f"{count} cases; {line.scenario}", soft_wrap=True)
            if line.broken:
                place = f"{line.door} {line.call}" if line.call else f"call {line.number}"
                told = f"BROKEN {line.scenario}, {line.fault} at {place}: {line.broken}"
                console.print(told, markup=False, soft_wrap=True)


def _left_behind(ground: Ground) -> list[str]:
    with _asking(ground):
        return ground.left_behind()


@contextmanager
def _asking(ground: Ground) -> Iterator[None]:
    """The customer's own calls, too, fail in a sentence."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        place, rights = (
            ground.zone.url(ground.zone.root),
            "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject",
        )
        raise fault_of(error, Attempt("play below", place, rights)) from None

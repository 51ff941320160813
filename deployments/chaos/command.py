"""`px-import chaos`: the matrix on somebody's own bucket and database."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from blocks.aws_session import Attempt, fault_of
from blocks.feed_settings import SettingsFile, read_settings_file
from deployments.chaos.case import Result
from deployments.chaos.faults import AT_SYNC, FAULTS, Fault
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import SCENARIOS, Scenario
from deployments.chaos.stage import Ground
from deployments.chaos.syncs import can_be_played
from deployments.chaos.table import Section, outcome, summary, write_cases
from deployments.local_s3 import LocalS3
from schemas.errors import SettingsError

_ALL = (*FAULTS, AT_SYNC)
_BUCKET = "px-chaos"
_PLAIN_WIDTH = 160

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
    """

    scenarios: Sequence[str] = ()
    faults: Sequence[str] = ()
    every: int = 1
    jobs: int = 0
    title: str = ""
    into: Path | None = None
    cases: Path | None = None


def chaos(settings: Path | None, wishes: Wishes) -> int:
    """Play the matrix and print its table.

    Args:
        settings: file of any feed, whose bucket and store are used, in scratch parts that are removed again; None for
            an embedded S3 server and SQLite.
        wishes: what else is asked for.

    Returns:
        0 all is as promised, 1 a promise was broken.

    Raises:
        SettingsError: there is no such scenario or fault, or the settings cannot be used.
        ImporterError: bucket or store do not take part.
    """
    scenarios, faults = _chosen(SCENARIOS, wishes.scenarios, "scenario"), _chosen(_ALL, wishes.faults, "fault")
    with _ground(settings) as ground:
        title = wishes.title or f"{ground.endpoint_url}, {ground.database}"
        section = Section(wishes.into, title) if wishes.into else None
        if section:
            section.check()
        if AT_SYNC in faults and not (ground.database == "sqlite" and can_be_played()):
            faults.remove(AT_SYNC)
        matrix = Matrix(scenarios, faults, wishes.every, **({"jobs": wishes.jobs} if wishes.jobs else {}))
        console = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
        console.print(_where(ground), soft_wrap=True)
        began = time.monotonic()
        results = _played(console, matrix, ground)
        minutes = (time.monotonic() - began) / 60
        left = _left_behind(ground)
    broken = [result for result in results if outcome(result)]
    text = f"{_caption(title, matrix, len(results), len(broken), minutes)}\n\n{summary(results, faults)}"
    print(f"\n{text}")
    if section:
        section.write(text)
    if wishes.cases:
        write_cases(wishes.cases, results)
    for name in left:
        print(f"left behind: {name}", file=sys.stderr)
    return int(bool(broken or left))


def _caption(title: str, matrix: Matrix, played: int, broken: int, minutes: float) -> str:
    part = f" Each fault struck at one in {matrix.every} of its calls." if matrix.every > 1 else ""
    return f"{title}: {played} cases, {broken} broken, in {minutes:.0f} min on {datetime.now(UTC):%Y-%m-%d}.{part}"


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
                    "store": "sqlite:///px.db",  # each case has a file of its own
                    "destination": {"product": "AP-XXXXXXXXXX"},
                }
            )
        )


def _where(ground: Ground) -> str:
    place = "in SQLite files of their own" if ground.database == "sqlite" else f"in schemas {ground.schema('…')}"
    return f"Deliveries are played below {ground.zone.url(ground.zone.root)}/ and {place}; nothing of it stays."


def _played(console: Console, matrix: Matrix, ground: Ground) -> list[Result]:
    """The results of all faults; what is broken is told at once, the number of cases where a person watches."""
    results: list[Result] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        _asking(ground),
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("every scenario with no fault …", total=None)
        for result in matrix.play(ground):
            fault, scenario = result.case.fault, result.case.scenario
            if fault is None:
                continue
            results.append(result)
            progress.update(task, description=f"{len(results)} cases; {scenario.name}")
            if told := outcome(result):
                place = f"{result.call.door.value} {result.call.what}" if result.call else f"call {result.case.number}"
                line = f"BROKEN {scenario.name}, {fault.name} at {place}: {told}"
                console.print(line, markup=False, soft_wrap=True)
    return results


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

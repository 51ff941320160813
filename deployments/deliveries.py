"""`px-import deliveries`: the ledger, read."""

import json
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocks.history import Step, StepName
from blocks.ledger import Ledger
from blocks.outbox import CallbackRecord
from deployments.ledgers import feeds_of, ledgers_of, of_each
from schemas.delivery import Stage
from schemas.delivery_record import DeliveryRecord
from schemas.errors import SettingsError
from schemas.issues import one_line
from schemas.outcome import FileOutcome, file_json

_COLOURS = {"SUCCESS": "green", "ERROR": "red"}
_PLAIN_WIDTH = 200
_COUNTS = ("created", "updated", "unchanged", "repeated")


def deliveries(files: list[Path], feed: str, *, as_json: bool) -> int:
    """Print past and open deliveries, the newest of each feed first.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feed: only this one; empty for all.
        as_json: print an array instead of a table.

    Returns:
        0, or 2 where the store of some feed could not be read.

    Raises:
        SettingsError, StoreBusy: the settings, or every store, cannot be read.
    """
    records, are_all = of_each(feeds_of(files, feed), lambda ledger, name: ledger.deliveries(name, limit=sys.maxsize))
    if as_json:
        _print_json([_record_json(record) for record in records])
    else:
        _console().print(_records(records) if records else "No deliveries yet.")
    return 0 if are_all else 2


def show_delivery(beginning: str, files: list[Path], *, as_json: bool) -> int:
    """Print all that the ledger knows of one delivery.

    Args:
        beginning: of its id, as much as is needed to tell it from others.
        files: as for `deliveries`.
        as_json: print an object instead.

    Raises:
        SettingsError: there is no such delivery, or more than one; or as for `deliveries`.
    """
    story = _find(beginning, files)
    if as_json:
        _print_json(story.json)
    else:
        story.show(_console())
    return 0


def _find(beginning: str, files: list[Path]) -> "_Story":
    found = {id_: ledger for ledger in ledgers_of(feeds_of(files)) for id_ in ledger.ids(beginning.lower())}
    if len(found) == 1:
        [(id_, ledger)] = found.items()
        return _Story.of(ledger, id_)
    if found:
        some = ", ".join(list(found)[:3])
        raise SettingsError("ID", f"{len(found)} deliveries begin with {beginning!r}, {some} …; write more of it")
    raise SettingsError("ID", f"no delivery begins with {beginning!r}; px-import deliveries lists them")


@dataclass(frozen=True, slots=True)
class _Story:
    """All that is known of one delivery; no record where its claim was given up."""

    id: str
    record: DeliveryRecord | None
    moves: tuple[tuple[str, str], ...]
    callback: CallbackRecord | None
    steps: list[Step]

    @classmethod
    def of(cls, ledger: Ledger, delivery_id: str) -> "_Story":
        record = ledger.record(delivery_id)
        callbacks = [each for each in ledger.callbacks() if each.delivery_id == delivery_id]
        steps = ledger.steps(delivery_id)
        gone = {step.detail for step in steps if step.name is StepName.NOT_MOVED}
        planned = record is None or record.stage is Stage.DECIDED
        moves = () if planned else ledger.moves(delivery_id)
        keys = tuple((move.source.key, move.target_key) for move in moves if move.source.key not in gone)
        return cls(delivery_id, record, keys, next(iter(callbacks), None), steps)

    @property
    def json(self) -> dict[str, Any]:
        record, callback = self.record, self.callback
        return {
            **(_record_json(record) if record else {"id": self.id}),
            "moved_aside": [{"from": source, "to": target} for source, target in self.moves],
            "callback": callback and callback_json(callback),
            "steps": [
                {
                    "at": step.at.isoformat(),
                    "step": step.name,
                    "run": step.run,
                    "fence": step.fence,
                    "detail": step.detail,
                }
                for step in self.steps
            ],
        }

    def show(self, console: Console) -> None:
        console.print(f"[bold]Delivery {self.id}[/]")
        if record := self.record:
            console.print(f"feed {escape(record.feed)} ({record.entity}), folder dt={record.day}, {_verdict(record)}")
            console.print(f"claimed {_time(record.claimed_at)}, finished {_time(record.finished_at)}")
            console.print(_files(record))
            for file in record.files:
                for issue in file.issues:
                    console.print(f"{one_line(file.name)}: {issue}", markup=False, soft_wrap=True)
        else:
            is_older = any(step.name is StepName.REPLAYED for step in self.steps)
            older = "Imported before this ledger was made, and laid out again."
            console.print(older if is_older else "The claim was given up; nothing of it was loaded.")
        for source, target in self.moves:
            console.print(f"made way: {one_line(source)} → {one_line(target)}", markup=False, soft_wrap=True)
        if self.callback:
            console.print(f"callback: {callback_words(self.callback)}", markup=False, soft_wrap=True)
        console.print(_steps(self.steps))


def callback_words(callback: CallbackRecord) -> str:
    """State, tries and last answer of a callback."""
    if not callback.finished_at:
        return "waiting until the delivery is finished"
    words = f"{callback.state} after {callback.attempts} {'try' if callback.attempts == 1 else 'tries'}"
    if callback.state == "waiting":
        words += f", next {_time(callback.next_attempt_at)}"
    return f"{words}: {one_line(callback.last_answer)}" if callback.last_answer else words


def callback_json(callback: CallbackRecord) -> dict[str, Any]:
    """A callback for programs; times are ISO 8601, None where there is none."""
    waits = callback.state == "waiting" and callback.finished_at
    return {
        "id": callback.id,
        "delivery": callback.delivery_id,
        "feed": callback.feed,
        "folder": f"dt={callback.day}",
        "state": callback.state,
        "attempts": callback.attempts,
        "last_answer": callback.last_answer,
        "next_attempt": callback.next_attempt_at.isoformat() if waits else None,
        "received": callback.received_at and callback.received_at.isoformat(),
        "gave_up": callback.gave_up_at and callback.gave_up_at.isoformat(),
    }


def _console() -> Console:
    """A terminal as wide as it is; a pipe gets every column whole."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _records(records: list[DeliveryRecord]) -> Table:
    table = Table("feed", "folder", "verdict", box=None)
    for number in (*_COUNTS, "faulty files"):
        table.add_column(number, justify="right")
    table.add_column("finished", no_wrap=True)
    table.add_column("delivery", no_wrap=True)
    for record in records:
        counts = record.counts
        table.add_row(
            escape(record.feed),
            f"dt={record.day}",
            _verdict(record),
            *(str(getattr(counts, name)) for name in _COUNTS),
            str(sum(bool(file.issues) for file in record.files)),
            _time(record.finished_at),
            record.id,
        )
    return table


def _files(record: DeliveryRecord) -> Table:
    table = Table("file", "outcome", box=None)
    for number in ("bytes", "rows", *_COUNTS):
        table.add_column(number, justify="right")
    table.add_column("sha256", no_wrap=True)
    for file in record.files:
        table.add_row(*_file(file))
    return table


def _file(file: FileOutcome) -> tuple[str, ...]:
    counts = [str(getattr(file.counts, name)) if file.counts else "" for name in _COUNTS]
    outcome = "loaded" if file.counts else "rejected"
    return (escape(one_line(file.name)), outcome, str(file.size_bytes), str(file.rows), *counts, file.sha256[:16])


def _steps(steps: list[Step]) -> Table:
    table = Table("time", "step", "detail", "run", box=None)
    for step in steps:
        run = f"{step.run}, fence {step.fence}"
        table.add_row(f"{step.at:%Y-%m-%d %H:%M:%S}Z", step.name, escape(one_line(step.detail)), escape(run))
    return table


def _verdict(record: DeliveryRecord) -> str:
    verdict = record.verdict or record.stage.value
    return f"[{_COLOURS.get(verdict, 'yellow')}]{verdict}[/]"


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z" if moment else "not yet"


def _record_json(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "feed": record.feed,
        "entity": record.entity,
        "folder": f"dt={record.day}",
        "stage": record.stage.value,
        "verdict": record.verdict or None,
        "claimed": record.claimed_at.isoformat(),
        "finished": record.finished_at.isoformat() if record.finished_at else None,
        "catalogue_hash": record.catalogue_hash or None,
        "files": [file_json(file) for file in record.files],
    }

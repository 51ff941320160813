"""`px-import deliveries`: the ledger, read."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from blocks.feed_settings import LONGEST_FEED_NAME
from blocks.history import Step, StepName
from blocks.ledger import Ledger
from blocks.outbox import CallbackRecord
from deployments.exit_codes import TROUBLE
from deployments.ledgers import feeds_of, ledgers_of, of_each
from deployments.tables import Column, beginnings, show, terminal
from schemas.delivery import Stage
from schemas.delivery_record import DeliveryRecord
from schemas.errors import SettingsError
from schemas.issues import one_line
from schemas.outcome import FileOutcome, LoadCounts, file_json

_COLOURS = {"SUCCESS": "green", "ERROR": "red"}
#: And which of them goes first where there is no room.
_COUNTS = {"created": 6, "updated": 5, "unchanged": 3, "repeated": 2}
_LEAST_NAME = 24  # characters of a file's name on a line
_LEAST_DETAIL = 20


def deliveries(files: list[Path], feeds: list[str], *, last: int | None, as_json: bool) -> int:
    """Print past and open deliveries, the newest of each feed first.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feeds: only these; none for all.
        last: so many of each feed; None for all.
        as_json: print an array instead of a table.

    Returns:
        0, or 2 where the store of some feed could not be read.

    Raises:
        SettingsError, StoreBusy: the settings, or every store, cannot be read.
    """
    limit = last or sys.maxsize
    records, are_all = of_each(feeds_of(files, feeds), lambda ledger, name: ledger.deliveries(name, limit=limit))
    if as_json:
        _print_json([_record_json(record) for record in records])
    else:
        _show_records(terminal(), records)
    return 0 if are_all else TROUBLE


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
        story.show(terminal())
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
            _show_files(console, record.files)
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
        _show_steps(console, self.steps)


def callback_words(callback: CallbackRecord, *, with_answer: bool = True) -> str:
    """State, tries and last answer of a callback."""
    if not callback.finished_at:
        return "waiting until the delivery is finished"
    words = f"{callback.state} after {callback.attempts} {'try' if callback.attempts == 1 else 'tries'}"
    if callback.state == "waiting":
        words += f", next {_time(callback.next_attempt_at)}"
    return f"{words}: {one_line(callback.last_answer)}" if callback.last_answer and with_answer else words


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


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _show_records(console: Console, records: list[DeliveryRecord]) -> None:
    if not records:
        console.print("No deliveries yet.")
        return
    ids = tuple(record.id for record in records)
    parts = [
        *feed_and_folder(records),
        Column("verdict", tuple(_verdict(record) for record in records)),
        *_counts([record.counts for record in records]),
        Column("faulty files", tuple(_faulty(record) for record in records), is_number=True, goes=4),
        Column("finished", tuple(_time(record.finished_at) for record in records), goes=7),
    ]
    show(console, [*parts, Column("delivery", ids)], [*parts, Column("delivery", beginnings(ids))])


def feed_and_folder(records: Sequence[DeliveryRecord] | Sequence[CallbackRecord]) -> list[Column]:
    """The columns that tell which delivery is meant; a feed's name folds only where no other column can go."""
    return [
        Column("feed", tuple(escape(each.feed) for each in records), folds_to=LONGEST_FEED_NAME),
        Column("folder", tuple(f"dt={each.day}" for each in records)),
    ]


def _counts(counts: Sequence[LoadCounts | None]) -> list[Column]:
    return [
        Column(name, tuple(str(getattr(each, name)) if each else "" for each in counts), is_number=True, goes=goes)
        for name, goes in _COUNTS.items()
    ]


def _faulty(record: DeliveryRecord) -> str:
    return str(sum(bool(file.issues) for file in record.files))


def _show_files(console: Console, files: tuple[FileOutcome, ...]) -> None:
    columns = [
        Column("file", tuple(escape(one_line(file.name)) for file in files), folds_to=_LEAST_NAME),
        Column("outcome", tuple("loaded" if file.counts else "rejected" for file in files)),
        Column("bytes", tuple(str(file.size_bytes) for file in files), is_number=True, goes=4),
        Column("rows", tuple(str(file.rows) for file in files), is_number=True),
        *_counts([file.counts for file in files]),
        Column("sha256", tuple(file.sha256[:16] for file in files), goes=1),
    ]
    show(console, columns, columns)


def _show_steps(console: Console, steps: list[Step]) -> None:
    """Where the runs have no room beside the steps, each stands below the first step that it did."""
    runs = [escape(f"{step.run}, fence {step.fence}") for step in steps]
    details = [escape(one_line(step.detail)) for step in steps]
    changes = [run if run != before else "" for before, run in zip(["", *runs], runs, strict=False)]
    both = [
        "\n".join(filter(None, [detail, run and f"[dim]{run}[/]"]))
        for detail, run in zip(details, changes, strict=True)
    ]
    parts = [
        Column("time", tuple(f"{step.at:%Y-%m-%d %H:%M:%S}Z" for step in steps)),
        Column("step", tuple(step.name.value for step in steps)),
    ]
    wide = [Column("detail", tuple(details)), Column("run", tuple(runs))]
    show(console, parts + wide, [*parts, Column("detail / run", tuple(both), folds_to=_LEAST_DETAIL)])


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

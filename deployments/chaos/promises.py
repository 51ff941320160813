"""What is promised of a delivery, looked up in bucket, store and callbacks without asking the importer.

`broken_midway` holds at any moment, wherever a run was stopped; `broken_in_the_end` when nothing is left to do.
Both give a sentence for every promise that is not kept, none where all are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from deployments.chaos.expected import callback, errors_csv, status_json, status_text
from deployments.chaos.scenarios import DAY, PRODUCT_KEY, Ending, Files, Record, Scenario
from deployments.chaos.stage import Stage
from schemas.delivery import Stage as DeliveryStage
from schemas.drop_zone import ERRORS_CSV, MARKER, STATUS_JSON, STATUS_TEXT

_OURS = {STATUS_TEXT, STATUS_JSON, ERRORS_CSV, MARKER}
_NOTHING = frozenset[str]()


def broken_midway(stage: Stage, scenario: Scenario, may_lack: AbstractSet[str] = _NOTHING) -> list[str]:
    """Promises that do not even hold while a delivery is under way; the customer has touched nothing meanwhile."""
    return [f"{feed}: {fault}" for feed in scenario.feeds for fault in _midway(stage, scenario, feed, may_lack)]


def broken_in_the_end(
    stage: Stage,
    scenario: Scenario,
    endings: Mapping[str, Sequence[Ending]],
    told: Sequence[bytes],
    may_lack: AbstractSet[str] = _NOTHING,
) -> list[str]:
    """Promises that do not hold when nothing is left to do.

    Args:
        stage: where.
        scenario: what was delivered.
        endings: per feed, the states of which one must be there.
        told: every body that was written to `status.txt`, in order, whatever became of it.
        may_lack: what the archive of the last delivery need not hold.
    """
    faults, met = [], {}
    for feed in scenario.feeds:
        met[feed] = _met(stage, feed, endings[feed])
        faults += [f"{feed}: {fault}" for fault in _in_the_end(stage, feed, met[feed], may_lack)]
    faults += _callbacks(stage, scenario, met)
    faults += [f"left behind on this machine: {name}" for name in stage.leftovers()]
    faults += _status_once(stage, scenario, told)
    return faults


def _midway(stage: Stage, scenario: Scenario, feed: str, may_lack: AbstractSet[str]) -> Iterator[str]:
    files, current = scenario.pending[feed], stage.current(feed)
    folders = stage.archive(feed)
    kept = [body for folder in folders for body in folder.values()] + list(current.values())
    delivered = [file for each in scenario.ending(feed).imported for file in each.values()]
    if any(file.body not in kept for file in delivered):
        yield "a delivered file is neither in current/ nor in processed/"
    if MARKER in current and not files.keys() <= current.keys():
        yield "a folder that was emptied in part still has its marker, so it looks ready"
    records = stage.records(feed)
    latest = folders[-1] if folders else {}
    if latest.get(STATUS_TEXT) == status_text(files):
        if any(latest.get(name) != file.body for name, file in files.items()):
            yield "status.txt is there before the files that it tells of"
        if not {STATUS_JSON, MARKER} - may_lack <= latest.keys():
            yield "status.txt is there before another status file"
        if records != scenario.ending(feed).records:
            yield "status.txt is there before the records that it tells of"
    elif not current and not scenario.earlier.get(feed):
        yield "current/ was cleared before status.txt was there"
    yield from _loaded_in_part(scenario, feed, records)
    yield from _products(stage, feed, records)
    if _bodies(stage) and not _archived_somewhere(stage, scenario):
        yield "a callback was sent before status.txt was there"


def _loaded_in_part(scenario: Scenario, feed: str, records: Mapping[str, Record]) -> Iterator[str]:
    for name, file in scenario.pending[feed].items():
        rows = [row for row in file.rows if _is_new(row, scenario, feed)]
        stored = [row for row in rows if records.get(str(row["id"])) == row]
        if stored and (file.blemish or len(stored) != len(rows)):
            yield f"{name} is loaded in part"


def _products(stage: Stage, feed: str, records: Mapping[str, Record]) -> Iterator[str]:
    """Each record has the product of its feed, in the same transaction (rule K3)."""
    if (found := stage.products(feed)) != [(identifier, PRODUCT_KEY) for identifier in sorted(records)]:
        yield f"the records {sorted(records)} have the products {found}"


def _is_new(row: Record, scenario: Scenario, feed: str) -> bool:
    """Whether this one file alone brings this record as it is."""
    earlier = Ending(scenario.earlier.get(feed, ())).records
    pending = [each["id"] for file in scenario.pending[feed].values() for each in file.rows]
    return earlier.get(str(row["id"])) != row and pending.count(row["id"]) == 1


def _archived_somewhere(stage: Stage, scenario: Scenario) -> bool:
    return any(
        folder.get(STATUS_TEXT) == status_text(scenario.pending[feed])
        for feed in scenario.feeds
        for folder in stage.archive(feed)
    )


def _met(stage: Stage, feed: str, endings: Sequence[Ending]) -> Ending | None:
    """Which ending bucket and archive show, of several alike the one that status.txt tells of; None for none."""
    current, folders = stage.current(feed), stage.archive(feed)
    shown = [{name: body for name, body in folder.items() if name not in _OURS} for folder in folders]
    alike = [each for each in endings if _is_there(each, shown, current)]
    told = [folder.get(STATUS_TEXT) for folder in folders]
    return next((each for each in alike if [*map(status_text, each.imported)] == told), next(iter(alike), None))


def _in_the_end(stage: Stage, feed: str, ending: Ending | None, may_lack: AbstractSet[str]) -> Iterator[str]:
    current, folders = stage.current(feed), stage.archive(feed)
    if ending is None:
        yield f"current/ holds {sorted(current)}, processed/ {[sorted(folder) for folder in folders]}: not as delivered"
        return
    if (records := stage.records(feed)) != ending.records:
        yield f"the store holds {records} instead of {ending.records}"
    yield from _products(stage, feed, records)
    for number, (files, folder) in enumerate(zip(ending.imported, folders, strict=True)):
        yield from _status_files(files, folder, may_lack if folder is folders[-1] else _NOTHING)
        yield from _status_json(stage, feed, status_json(feed, ending.imported[:number], files), folder)
    yield from _ledger(stage, feed, ending)


def _is_there(ending: Ending, archived: Sequence[Mapping[str, bytes]], current: Mapping[str, bytes]) -> bool:
    waiting = _contents(ending.waiting) | ({MARKER: b""} if ending.marked else {})
    return waiting == current and [_contents(files) for files in ending.imported] == archived


def _contents(files: Files) -> dict[str, bytes]:
    return {name: file.body for name, file in files.items() if not file.removed | file.lost}


def _status_files(files: Files, folder: Mapping[str, bytes], may_lack: AbstractSet[str]) -> Iterator[str]:
    faults = errors_csv(files)
    expected = {STATUS_TEXT, STATUS_JSON, MARKER} | ({ERRORS_CSV} if faults else set())
    if not expected - may_lack <= folder.keys() & _OURS <= expected:
        yield f"the archive holds the status files {sorted(folder.keys() & _OURS)}, not {sorted(expected)}"
    if folder.get(STATUS_TEXT) != status_text(files):
        yield f"status.txt says {folder.get(STATUS_TEXT, b'nothing')!r}, not {status_text(files)!r}"
    if folder.get(ERRORS_CSV) != faults:
        yield f"errors.csv says {folder.get(ERRORS_CSV)!r}, not {faults!r}"


def _status_json(stage: Stage, feed: str, expected: dict[str, Any], folder: Mapping[str, bytes]) -> Iterator[str]:
    told = json.loads(folder.get(STATUS_JSON, b"{}"))
    times, identifier = (told.pop("started", ""), told.pop("finished", "")), told.pop("delivery_id", "")
    if told != expected:
        yield f"status.json says {told}, not {expected}"
    if identifier not in {each.id for each in stage.ledger.deliveries(feed)} or not "" < times[0] <= times[1]:
        yield f"status.json tells of a delivery {identifier!r} at {times}, which the ledger does not know"


def _ledger(stage: Stage, feed: str, ending: Ending) -> Iterator[str]:
    deliveries = stage.ledger.deliveries(feed)
    if any(each.finished_at is None or each.stage is not DeliveryStage.CLEARED for each in deliveries):
        yield "the ledger holds a delivery that is not finished"
    if len(deliveries) != len(ending.imported):
        yield f"the ledger holds {len(deliveries)} deliveries, not {len(ending.imported)}"
    created = sum(each.counts.created for each in deliveries)
    if created != len(ending.records):
        yield f"the ledger counts {created} new records, the store holds {len(ending.records)}: loaded twice?"


def _bodies(stage: Stage) -> dict[str, set[bytes]]:
    """What the status endpoint received, by the id of the callback."""
    bodies: dict[str, set[bytes]] = {}
    for received in stage.receiver.received:
        bodies.setdefault(received.headers.get("webhook-id", ""), set()).add(received.body)
    return bodies


def _callbacks(stage: Stage, scenario: Scenario, met: Mapping[str, Ending | None]) -> Iterator[str]:
    """At least one callback a delivery, always with one id and one body, which says what status.txt says."""
    bodies = _bodies(stage)
    if any(len(each) > 1 for each in bodies.values()):
        yield "a callback was sent with two bodies under one id"
    told = [json.loads(body) for each in bodies.values() for body in each]
    wanted = [
        callback(f"{stage.zone(feed).root}/processed/{DAY}", files)
        for feed, ending in met.items()
        for files in (ending.imported[len(scenario.earlier.get(feed, ())) :] if ending else ())
    ]
    if sorted(told, key=repr) != sorted(wanted, key=repr):
        yield f"the status endpoint was told {told}, not {wanted}"


def _status_once(stage: Stage, scenario: Scenario, told: Sequence[bytes]) -> Iterator[str]:
    """However often it was written, every delivery has one `status.txt`."""
    new = [
        folder.get(STATUS_TEXT, b"")
        for feed in scenario.feeds
        for folder in stage.archive(feed)[len(scenario.earlier.get(feed, ())) :]
    ]
    if set(told) - set(new):
        yield "a status.txt was written that is not the one that stayed"

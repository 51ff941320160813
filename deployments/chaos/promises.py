"""What is promised of a delivery, looked up in bucket, store and callbacks without asking the importer.

`broken_midway` holds at any moment, wherever a run was stopped; `broken_in_the_end` when nothing is left to do.
Both give a sentence for every promise that is not kept, none where all are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from deployments.chaos.scenarios import Ending, Files, Record, Scenario, status_text
from deployments.chaos.stage import Stage
from schemas.delivery import Stage as DeliveryStage
from schemas.drop_zone import ERRORS_CSV, MARKER, STATUS_JSON, STATUS_TEXT

_OURS = {STATUS_TEXT, STATUS_JSON, ERRORS_CSV, MARKER}


def broken_midway(stage: Stage, scenario: Scenario) -> list[str]:
    """Promises that do not even hold while a delivery is under way; the customer has touched nothing meanwhile."""
    return [f"{feed}: {fault}" for feed in scenario.feeds for fault in _midway(stage, scenario, feed)]


def broken_in_the_end(
    stage: Stage, scenario: Scenario, endings: Mapping[str, Sequence[Ending]], told: Sequence[bytes]
) -> list[str]:
    """Promises that do not hold when nothing is left to do.

    Args:
        stage: where.
        scenario: what was delivered.
        endings: per feed, the states of which one must be there.
        told: every body that was written to `status.txt`, in order, whatever became of it.
    """
    faults = [f"{feed}: {fault}" for feed in scenario.feeds for fault in _in_the_end(stage, feed, endings[feed])]
    faults += _callbacks(stage, scenario)
    faults += [f"left behind on this machine: {name}" for name in stage.leftovers()]
    faults += _status_once(stage, scenario, told)
    return faults


def _midway(stage: Stage, scenario: Scenario, feed: str) -> Iterator[str]:
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
        if not {STATUS_JSON, MARKER} <= latest.keys():
            yield "status.txt is there before another status file"
        if records != scenario.ending(feed).records:
            yield "status.txt is there before the records that it tells of"
    elif not current and not scenario.earlier.get(feed):
        yield "current/ was cleared before status.txt was there"
    yield from _loaded_in_part(scenario, feed, records)
    if _bodies(stage) and not _archived_somewhere(stage, scenario):
        yield "a callback was sent before status.txt was there"


def _loaded_in_part(scenario: Scenario, feed: str, records: Mapping[str, Record]) -> Iterator[str]:
    for name, file in scenario.pending[feed].items():
        rows = [row for row in file.rows if _is_new(row, scenario, feed)]
        stored = [row for row in rows if records.get(str(row["id"])) == row]
        if stored and (file.fault or len(stored) != len(rows)):
            yield f"{name} is loaded in part"


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


def _in_the_end(stage: Stage, feed: str, endings: Sequence[Ending]) -> Iterator[str]:
    current, folders = stage.current(feed), stage.archive(feed)
    shown = [{name: body for name, body in folder.items() if name not in _OURS} for folder in folders]
    ending = next((each for each in endings if _is_there(each, shown, current)), None)
    if ending is None:
        yield f"current/ holds {sorted(current)}, processed/ {[sorted(folder) for folder in folders]}: not as delivered"
        return
    if stage.records(feed) != ending.records:
        yield f"the store holds {stage.records(feed)} instead of {ending.records}"
    for files, folder in zip(ending.imported, folders, strict=True):
        yield from _status_files(files, folder)
    yield from _ledger(stage, feed, ending)


def _is_there(ending: Ending, archived: Sequence[Mapping[str, bytes]], current: Mapping[str, bytes]) -> bool:
    return _contents(ending.waiting) == current and [_contents(files) for files in ending.imported] == archived


def _contents(files: Files) -> dict[str, bytes]:
    return {name: file.body for name, file in files.items()}


def _status_files(files: Files, folder: Mapping[str, bytes]) -> Iterator[str]:
    expected = {STATUS_TEXT, STATUS_JSON, MARKER} | ({ERRORS_CSV} if any(f.fault for f in files.values()) else set())
    if folder.keys() & _OURS != expected:
        yield f"the archive holds the status files {sorted(folder.keys() & _OURS)}, not {sorted(expected)}"
    if folder.get(STATUS_TEXT) != status_text(files):
        yield f"status.txt says {folder.get(STATUS_TEXT, b'nothing')!r}, not {status_text(files)!r}"
    told = json.loads(folder.get(STATUS_JSON, b"{}"))
    if told.get("verdict") != status_text(files).decode().partition("\n")[0]:
        yield "status.json has another verdict than status.txt"


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


def _callbacks(stage: Stage, scenario: Scenario) -> Iterator[str]:
    """At least one callback a delivery, always with one id and one body, and its words are those of status.txt."""
    bodies = _bodies(stage)
    if any(len(each) > 1 for each in bodies.values()):
        yield "a callback was sent with two bodies under one id"
    told = sorted(json.loads(body)["message"] for each in bodies.values() for body in each)
    wanted = sorted(
        folder.get(STATUS_TEXT, b"").decode().partition("\n")[2].rstrip("\n")
        for feed in scenario.feeds
        for folder in stage.archive(feed)[len(scenario.earlier.get(feed, ())) :]
    )
    if told != wanted:
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

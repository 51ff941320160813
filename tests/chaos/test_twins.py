"""Importers with one thing done wrong, each met by the fault that shows it: the promise it breaks must be named."""

import pytest

from deployments.chaos.case import Case, play
from deployments.chaos.faults import FAULTS
from deployments.chaos.scenarios import FIRST, REPEATED
from tests.chaos import twins

FAULT = {fault.name: fault for fault in FAULTS}
STATUS = "PUT users/processed/20210228/status.txt"
LAST_DELETE = "DELETE users/current/dt=20210228/users.csv.gz"
TWINS = [
    (
        twins.status_before_the_copies,
        FIRST,
        "killed before",
        "PUT users/processed/20210228/users.csv.gz",
        "status.txt is there before the files that it tells of",
    ),
    (
        twins.marker_deleted_last,
        FIRST,
        "killed before",
        "DELETE users/current/dt=20210228/_SUCCESS",
        "still has its marker",
    ),
    (twins.deleted_without_looking, FIRST, "file replaced", STATUS, "current/ holds []"),
    (twins.deleted_under_no_condition, FIRST, "file replaced", LAST_DELETE, "current/ holds []"),
    (
        twins.read_whatever_is_there,
        FIRST,
        "file replaced",
        "GET users/current/dt=20210228/users.csv.gz",
        "not as delivered",
    ),
    (twins.nothing_makes_way, REPEATED, "late", "LIST users/current/", "it has not come to rest"),
    (twins.archive_overwritten, REPEATED, "late", "LIST users/current/", "neither in current/ nor in processed/"),
    (twins.nothing_is_resumed, FIRST, "killed before", LAST_DELETE, "current/ holds ['users.csv.gz']"),
    (twins.no_fence, FIRST, "outlived", STATUS, "the run that came too late does not say so"),
    (
        twins.ledger_beside_the_transaction,
        FIRST,
        "killed at a statement",
        "UPDATE import_files SET outcome",
        "loaded twice?",
    ),
    (twins.callback_under_new_ids, FIRST, "reset after", "POST import-status", "the status endpoint was told"),
    (twins.callback_ticked_off_first, FIRST, "killed before", "POST import-status", "the status endpoint was told []"),
    (
        twins.callback_before_the_archive,
        FIRST,
        "killed before",
        STATUS,
        "a callback was sent before status.txt was there",
    ),
    (twins.spools_left_behind, FIRST, "late", STATUS, "left behind on this machine"),
    (twins.probes_under_new_names, FIRST, "killed after", "PUT users/processed/.", "processed/ [['."),
]
WHERE = list({(scenario.name, *where): (scenario, *where) for _, scenario, *where, _ in TWINS}.values())


def played(ground, name, scenario, fault, call, change):
    """A case whose fault strikes at the first call that begins so; the calls are counted in a run with no fault."""
    with ground.client() as client:
        calls = play(ground, Case(scenario, change=change), f"{name}-peaceful", client).calls
        met = [each.what.startswith(call) for each in calls if each.door in FAULT[fault].doors]
        return play(ground, Case(scenario, FAULT[fault], met.index(True) + 1, change), name, client)


@pytest.mark.rule("R2")
@pytest.mark.rule("D6")
@pytest.mark.parametrize(
    ("twin", "scenario", "fault", "call", "broken_promise"), TWINS, ids=[twin.__name__ for twin, *_ in TWINS]
)
def test_an_importer_that_does_one_thing_wrong_is_noticed(sqlite_ground, twin, scenario, fault, call, broken_promise):
    result = played(sqlite_ground, "twin", scenario, fault, call, twin)
    assert broken_promise in "; ".join(result.broken)


@pytest.mark.parametrize(("scenario", "fault", "call"), WHERE, ids=[f"{fault}: {call}" for _, fault, call in WHERE])
def test_where_the_wrong_ones_fail_the_right_one_does_not(sqlite_ground, scenario, fault, call):
    result = played(sqlite_ground, "right", scenario, fault, call, None)
    assert result.call
    assert not result.broken

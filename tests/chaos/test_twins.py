"""Importers with one thing done wrong, each met by the fault that shows it: the promise it breaks must be named."""

import ast
from pathlib import Path

import pytest

from deployments.chaos import case, promises
from deployments.chaos.case import Case, play
from deployments.chaos.faults import FAULTS
from deployments.chaos.scenarios import FIRST, REJECTED, REPEATED, THREE
from tests.chaos import twins

FAULT = {fault.name: fault for fault in FAULTS}
ARCHIVED = "users/processed/20210228"
COPY = f"PUT {ARCHIVED}/users.csv.gz"
STATUS = f"PUT {ARCHIVED}/status.txt"
GET = "GET users/current/dt=20210228/users.csv.gz"
DELETE = "DELETE users/current/dt=20210228/users.csv.gz"
DELETE_MARKER = "DELETE users/current/dt=20210228/_SUCCESS"
POST = "POST import-status"
KILLED = "killed before"
#: What is done wrong, the scenario, the fault that shows it (None: it shows without one), its call, a broken promise.
TWINS = [
    (twins.status_before_the_copies, FIRST, KILLED, COPY, "status.txt is there before the files that it tells of"),
    (twins.marker_deleted_last, FIRST, KILLED, DELETE_MARKER, "still has its marker, so it looks ready"),
    (twins.deleted_without_looking, FIRST, "file replaced", STATUS, "current/ holds []"),
    (twins.deleted_under_no_condition, FIRST, "file replaced", DELETE, "current/ holds []"),
    (twins.read_whatever_is_there, FIRST, "file replaced", GET, "not as delivered"),
    (twins.copied_whatever_is_there, FIRST, "file replaced", COPY, "not as delivered"),
    (twins.nothing_makes_way, REPEATED, None, "", "more runs it has not come to rest"),
    (twins.archive_overwritten, REPEATED, None, "", "a delivered file is neither in current/ nor in processed/"),
    (twins.nothing_is_resumed, FIRST, KILLED, DELETE, "current/ holds ['users.csv.gz']"),
    (twins.no_fence, FIRST, "outlived", STATUS, "the run that came too late does not say so"),
    (twins.ledger_beside_the_transaction, FIRST, "killed at a statement", "UPDATE import_files SET outcome",
     "loaded twice?"),
    (twins.callback_under_new_ids, FIRST, "reset after", POST, "the status endpoint was told"),
    (twins.callback_ticked_off_first, FIRST, KILLED, POST, "the status endpoint was told []"),
    (twins.callback_before_the_archive, FIRST, KILLED, STATUS, "a callback was sent before status.txt was there"),
    (twins.callback_written_anew, FIRST, "reset after", POST, "a callback was sent with two bodies under one id"),
    (twins.callback_of_another_verdict, FIRST, None, "", "the status endpoint was told"),
    (twins.callback_of_another_folder, FIRST, None, "", "the status endpoint was told"),
    (twins.spools_left_behind, FIRST, None, "", "left behind on this machine"),
    (twins.probes_under_new_names, FIRST, "killed after", "PUT users/processed/.", "processed/ [['."),
    (twins.record_without_product, FIRST, None, "", "have the products"),
    (twins.record_lost, FIRST, None, "", "status.txt is there before the records that it tells of"),
    (twins.record_lost, FIRST, None, "", " instead of "),
    (twins.rejected_row_loaded, THREE, None, "", " is loaded in part"),
    (twins.a_draft_of_the_status, FIRST, None, "", "a status.txt was written that is not the one that stayed"),
    (twins.status_before_its_companion, FIRST, KILLED, f"PUT {ARCHIVED}/status.json",
     "status.txt is there before another status file"),
    (twins.cleared_before_the_status, FIRST, KILLED, f"PUT {ARCHIVED}/status.json",
     "current/ was cleared before status.txt was there"),
    (twins.marker_not_archived, FIRST, None, "", "the archive holds the status files "),
    (twins.another_status, FIRST, None, "", "status.txt says "),
    (twins.another_digest, FIRST, None, "", "status.json says "),
    (twins.other_counts, FIRST, None, "", "status.json says "),
    (twins.another_delivery, FIRST, None, "", "which the ledger does not know"),
    (twins.other_fault_places, REJECTED, None, "", "errors.csv says "),
    (twins.nothing_is_finished, FIRST, None, "", "the ledger holds a delivery that is not finished"),
    (twins.deliveries_forgotten, FIRST, None, "", " deliveries, not "),
    (twins.crashes, FIRST, None, "", "crashed when it was run again: "),
]  # fmt: skip
ON_POSTGRESQL = [
    (twins.record_without_product, FIRST, None, "", "have the products"),
    (twins.nothing_is_resumed, FIRST, KILLED, DELETE, "current/ holds ['users.csv.gz']"),
    (twins.no_fence, FIRST, "outlived", STATUS, "the run that came too late does not say so"),
]
#: Where a fault was needed; that it does no harm to the right importer when it kills it, `test_matrix` shows.
WHERE = sorted({(fault, call) for _, scenario, fault, call, _ in TWINS if fault and "killed" not in fault})


def played(ground, name, scenario, fault, call, change=None):
    """A case whose fault strikes at the first call that begins so."""
    with ground.client() as client:
        return play(ground, Case(scenario, fault and FAULT[fault], 1, call, change), name, client)


@pytest.mark.rule("R2")
@pytest.mark.rule("D6")
@pytest.mark.parametrize(
    ("twin", "scenario", "fault", "call", "broken_promise"),
    TWINS,
    ids=[f"{twin.__name__}: {end}" for twin, *_, end in TWINS],
)
def test_an_importer_that_does_one_thing_wrong_is_noticed(sqlite_ground, twin, scenario, fault, call, broken_promise):
    assert broken_promise in "; ".join(played(sqlite_ground, "twin", scenario, fault, call, twin).broken)


@pytest.mark.parametrize(
    ("twin", "scenario", "fault", "call", "broken_promise"),
    ON_POSTGRESQL,
    ids=[twin.__name__ for twin, *_ in ON_POSTGRESQL],
)
def test_it_is_noticed_on_postgresql(postgres_ground, twin, scenario, fault, call, broken_promise):
    assert broken_promise in "; ".join(played(postgres_ground, "twin", scenario, fault, call, twin).broken)


@pytest.mark.parametrize(("fault", "call"), WHERE, ids=[f"{fault}: {call}" for fault, call in WHERE])
def test_where_the_wrong_ones_fail_the_right_one_does_not(sqlite_ground, fault, call):
    result = played(sqlite_ground, "right", FIRST, fault, call)
    assert result.call
    assert not result.broken


def sentences(module):
    """The fixed parts of every sentence that a module makes but raises not, a list for each."""
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    raised = {id(part) for node in nodes if isinstance(node, ast.Raise) for part in ast.walk(node)}
    inside = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in docstrings | raised | inside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield [part.value for part in node.values if isinstance(part, ast.Constant)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield [node.value]


@pytest.mark.parametrize("module", [promises, case], ids=["promises", "case"])
def test_every_sentence_about_a_broken_promise_has_an_importer_that_earns_it(module):
    named = [promise for *_, promise in TWINS]
    told = [parts for parts in sentences(module) if len(" ".join(parts).split()) > 3]
    assert len(told) >= {promises: 20, case: 3}[module]
    assert not [parts for parts in told if not any(promise in part for promise in named for part in parts)]

"""A part of the matrix: every fault in every scenario, at some calls, on real servers; then all must be as promised.

`make chaos` plays the rest. A kill after a call and one before the next leave the servers in the same state, so one of
the two is played at every call here.
"""

import dataclasses

import pytest

from deployments.chaos import matrix
from deployments.chaos.case import Case, Watch, play
from deployments.chaos.faults import AT_SYNC, FAULTS
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import BOTH, FIRST, REJECTED, REPEATED, THREE
from deployments.chaos.syncs import can_be_played

BY_NAME = {fault.name: fault for fault in FAULTS}
#: Where a server of another make may answer otherwise: what is conditional, and what was done before it is asked for.
OF_S3 = [BY_NAME[name] for name in ("killed after", "reset after", "cut", "file replaced", "delivered anew")]
OF_STORE = [BY_NAME[name] for name in ("killed before", "gone", "reset after", "outlived")]


def broken(results):
    """What was not as promised, and every fault that met no call."""
    return [
        (each.case.scenario.name, each.case.fault.name, each.case.number, each.call and each.call.what, each.broken)
        for each in results
        if each.case.fault and (each.broken or each.call is None)
    ]


@pytest.mark.rule("R1")
def test_killed_after_every_call_a_delivery_ends_as_promised(sqlite_ground):
    results = list(Matrix([FIRST], [BY_NAME["killed after"]]).play(sqlite_ground))
    assert len(results) > 15
    assert not broken(results)


@pytest.mark.rule("R1")
@pytest.mark.parametrize("scenario", [REPEATED, REJECTED, THREE, BOTH], ids=lambda scenario: scenario.name)
def test_every_fault_at_some_calls_of_every_other_scenario(sqlite_ground, scenario):
    results = list(Matrix([scenario], FAULTS, every=60).play(sqlite_ground))
    possible = {fault.name for fault in FAULTS if scenario.earlier or not fault.repeated}
    assert {each.case.fault.name for each in results if each.case.fault} == possible
    assert not broken(results)


@pytest.mark.rule("R1")
def test_killed_in_some_waits_for_the_disk_though_one_is_missed_once(sqlite_ground, monkeypatch):
    if not can_be_played():
        pytest.skip("strace is not installed: kills in the midst of an fdatasync are not shown on this machine")
    missed = []

    def play_but_miss_one(ground, case, name, client):
        result = play(ground, case, name, client)
        if case.number == 1 and not missed:
            missed.append(result)
            return dataclasses.replace(result, call=None)
        return result

    monkeypatch.setattr(matrix, "play", play_but_miss_one)
    results = list(Matrix([FIRST], [AT_SYNC], every=9, jobs=2).play(sqlite_ground))
    numbers = sorted(each.case.number for each in results if each.case.fault)
    assert missed
    assert numbers == [1 + 9 * step for step in range(len(numbers))]
    assert len(numbers) > 3
    assert not broken(results)


@pytest.mark.rule("R1")
@pytest.mark.rule("R2")
def test_some_faults_at_some_calls_to_postgresql(postgres_ground):
    results = list(Matrix([FIRST], OF_STORE, every=60).play(postgres_ground))
    assert len(results) > 9
    assert not broken(results)


@pytest.mark.rule("R1")
def test_some_faults_at_some_calls_on_another_s3_server(ministack_ground):
    assert not broken(Matrix([REPEATED], OF_S3, every=45).play(ministack_ground))


@pytest.mark.rule("D6")
@pytest.mark.parametrize(
    ("scenario", "fault", "begins"),
    [
        (FIRST, "file removed", "LIST users/current/"),  # before the claim
        (FIRST, "file removed", "GET users/current/dt=20210228/users.csv.gz"),  # before it is read
        (FIRST, "file removed", "PUT users/processed/20210228/users.csv.gz"),  # before it is archived
        (THREE, "file removed", "GET users/current/dt=20210228/users-3.csv.gz"),  # when others are loaded
        (THREE, "folder removed", "GET users/current/dt=20210228/users-2.csv.gz"),
        (REPEATED, "archive robbed", "HEAD users/processed/20210228.1/users.csv.gz"),  # before it makes way
    ],
)
def test_what_is_taken_away_holds_up_nothing(sqlite_ground, scenario, fault, begins):
    with sqlite_ground.client() as client:
        result = play(sqlite_ground, Case(scenario, BY_NAME[fault], 1, begins), "taken", client)
    assert result.call
    assert not result.broken


@pytest.mark.rule("P2")
def test_a_deletion_that_comes_too_late_may_take_the_equal_marker_and_nothing_else(sqlite_ground, monkeypatch):
    """What docs/promises.md does not promise; without that exception the same case is told as broken."""
    with sqlite_ground.client() as client:
        case = Case(REPEATED, BY_NAME["outlived"], 1, "DELETE users/processed/20210228/_SUCCESS")
        result = play(sqlite_ground, case, "late", client)
        assert result.call
        assert not result.broken
        monkeypatch.setattr(Watch, "may_lack", frozenset())
        [midway, end] = play(sqlite_ground, case, "later", client).broken
    assert midway == "midway: users: status.txt is there before another status file"
    assert end.startswith("users: the archive holds the status files ['status.json', 'status.txt'], not ")

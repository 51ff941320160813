"""A part of the matrix: faults at every call, or at every N-th, on real servers; then all must be as promised."""

import pytest

from deployments.chaos.faults import FAULTS
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import BOTH, FIRST, REJECTED, REPEATED, THREE

BY_NAME = {fault.name: fault for fault in FAULTS}
KILLS = [BY_NAME["killed before"], BY_NAME["killed after"]]


def broken(results):
    """What was not as promised, and every fault that met no call."""
    return [
        (each.case.scenario.name, each.case.fault.name, each.case.number, each.call and each.call.what, each.broken)
        for each in results
        if each.case.fault and (each.broken or each.call is None)
    ]


@pytest.mark.rule("R1")
def test_killed_before_and_after_every_call_a_delivery_ends_as_promised(sqlite_ground):
    results = list(Matrix([FIRST], KILLS).play(sqlite_ground))
    assert len(results) > 2 * 15
    assert not broken(results)


@pytest.mark.rule("R1")
@pytest.mark.parametrize(("scenario", "every"), [(REPEATED, 20), (REJECTED, 15), (THREE, 18), (BOTH, 18)])
def test_every_fault_at_some_calls_of_every_other_scenario(sqlite_ground, scenario, every):
    assert not broken(Matrix([scenario], FAULTS, every).play(sqlite_ground))


@pytest.mark.rule("R1")
def test_killed_at_some_calls_to_postgresql(postgres_ground):
    results = list(Matrix([FIRST], KILLS, every=13).play(postgres_ground))
    assert len(results) > 15
    assert not broken(results)


@pytest.mark.rule("R1")
def test_every_fault_at_some_calls_on_another_s3_server(ministack_ground):
    assert not broken(Matrix([REPEATED], FAULTS, every=45).play(ministack_ground))

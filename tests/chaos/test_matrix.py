"""A part of the matrix: faults at every call, or at every N-th, on real servers; then all must be as promised."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from blocks.feed_settings import SettingsFile
from deployments.chaos.case import Case, play
from deployments.chaos.faults import FAULTS
from deployments.chaos.matrix import Matrix
from deployments.chaos.scenarios import BOTH, FIRST, REJECTED, REPEATED, THREE
from deployments.chaos.stage import Ground
from tests.chaos import twins

BY_NAME = {fault.name: fault for fault in FAULTS}
KILLS = [BY_NAME["killed before"], BY_NAME["killed after"]]


@pytest.fixture
def sqlite_ground(local_s3, bucket):
    return SettingsFile(
        feed="users", entity="user", bucket=bucket, region="us-east-1", endpoint_url=local_s3.endpoint_url,
        authorization={
            "access_key_id": local_s3.access_key_id, "secret_access_key": local_s3.secret_access_key,
        },
        store="sqlite:////of/no/account.db", destination={"product": "AP-XXXXXXXXXX"},
    )  # fmt: skip


@pytest.fixture
def postgres_ground(sqlite_ground, local_postgres):
    return sqlite_ground.model_copy(update={"store": SecretStr(local_postgres.url)})


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


@pytest.mark.rule("R2")
@pytest.mark.rule("D6")
@pytest.mark.parametrize(
    ("twin", "scenario", "fault", "call"),
    [
        (twins.status_before_the_copies, FIRST, "killed before", "PUT users/processed/20210228/users.csv.gz"),
        (twins.marker_deleted_last, FIRST, "killed before", "DELETE users/current/dt=20210228/_SUCCESS"),
        (twins.deleted_without_looking, FIRST, "file replaced", "PUT users/processed/20210228/status.txt"),
        (twins.nothing_makes_way, REPEATED, "late", "LIST users/current/"),
        (twins.nothing_is_resumed, FIRST, "killed before", "DELETE users/current/dt=20210228/users.csv.gz"),
    ],
)
def test_an_importer_that_does_one_thing_wrong_is_noticed(sqlite_ground, tmp_path, twin, scenario, fault, call):
    ground = Ground(sqlite_ground, "px-chaos-twin")
    with ground.client() as client:
        calls = play(ground, Case(scenario, change=twin), "count", client).calls
        number = [each.what for each in calls].index(call) + 1
        case = Case(scenario, BY_NAME[fault], number, twin)
        assert play(ground, case, "twin", client).broken
        sound = play(ground, Case(scenario), "sound", client).calls
        number = [each.what for each in sound].index(call) + 1
        assert not play(ground, replace(case, change=None, number=number), "right", client).broken

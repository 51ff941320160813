"""Every deployment of every prefect file, and of `px-import serve`, on a real server that plans their runs."""

import json
from datetime import datetime
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Plant
from tests.e2e.prefect_files import EVERY, PrefectFile
from tests.e2e.processes import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]  # on a busy machine

QUARTER_HOUR_SECONDS, HALF_HOUR_SECONDS = 900, 1800


@pytest.fixture(scope="module", params=EVERY, ids=lambda file: file.pool_type)
def deployed(request: pytest.FixtureRequest, plant: Plant) -> PrefectFile:
    """A file deployed to a new pool of its type, where what was deployed before had another schedule and pool."""
    file: PrefectFile = request.param
    name = file.content["definitions"]["pool"]["name"]
    plant.server.ask("POST", "/work_pools/", name=name, type=file.pool_type, base_job_template=file.template)
    for deployment in plant.deployments().values():
        for schedule in deployment["schedules"]:
            path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
            plant.server.ask("PATCH", path, schedule={**schedule["schedule"], "interval": HALF_HOUR_SECONDS})
    plant.command("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file.path))
    return file


def test_each_deployment_is_as_the_file_says(plant: Plant, deployed: PrefectFile) -> None:
    found = plant.deployments()
    for wanted in deployed.content["deployments"]:
        deployment = found[wanted["name"]]
        assert deployment["entrypoint"] == wanted["entrypoint"]
        assert deployment["parameters"] == wanted.get("parameters", {})
        assert deployment["tags"] == wanted["tags"]
        assert deployment["work_pool_name"] == wanted["work_pool"]["name"]
        assert deployment["job_variables"] == wanted["work_pool"]["job_variables"]
        assert (deployment["pull_steps"], deployment["concurrency_limit"]) == ([], None)
        assert [interval(each) for each in deployment["schedules"]] == [
            each["interval"] for each in wanted["schedules"]
        ]


def interval(schedule: dict[str, Any]) -> float:
    assert schedule["active"]
    return schedule["schedule"]["interval"]


@pytest.mark.rule("D1")
def test_its_runs_are_planned_for_its_pool(plant: Plant, deployed: PrefectFile) -> None:
    for wanted in deployed.content["deployments"]:
        if wanted["schedules"]:
            # those of the former schedule and pool go as these come
            eventually(lambda wanted=wanted: is_every_quarter_of_an_hour(plant.planned(wanted["name"]), wanted))


def is_every_quarter_of_an_hour(runs: list[Any], wanted: dict[str, Any]) -> bool:
    times = [seconds(run) for run in runs]
    return (
        len(times) > 1
        and {run["work_pool_name"] for run in runs} == {wanted["work_pool"]["name"]}
        and (times[0] % QUARTER_HOUR_SECONDS, times[1] - times[0]) == (0, QUARTER_HOUR_SECONDS)
    )


def seconds(run: dict[str, Any]) -> float:
    return datetime.fromisoformat(run["expected_start_time"]).timestamp()


@pytest.mark.rule("S10")
def test_no_secret_reached_a_deployment_or_a_planned_run(plant: Plant, deployed: PrefectFile) -> None:
    told = json.dumps([plant.server.every("deployments"), plant.server.every("flow_runs")])
    assert "px-import-settings/users" in told, "the search must be able to find something"
    assert not [secret for secret in plant.secrets if secret in told]


@pytest.fixture(scope="module")
def served(plant: Plant) -> dict[str, Any]:
    """What `px-import serve` came to; a run was at work when it was told to end."""
    plant.drop("served")
    plant.gate.close_to("served")
    plant.server.environment["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"
    file = plant.write_settings("served")
    service = plant.server.start("serve", "px-import", "serve", file, "--feed", "saved")
    planned = {feed: eventually(lambda feed=feed: plant.planned(feed)) for feed in ("served", "saved")}
    deployments = plant.deployments()
    path = f"/deployments/{deployments['served']['id']}/create_flow_run"
    plant.server.ask("POST", path, state={"type": "SCHEDULED"})
    plant.gate.wait_for("served")
    run = plant.process_of("served")
    return {
        "file": file, "deployments": deployments, "planned": planned, "run": run, "code": service.terminate(),
        "said": service.log.read_text(), "after": plant.deployments(),
    }  # fmt: skip


@pytest.mark.rule("D1")
def test_serve_plans_each_feed_every_quarter_of_an_hour(served: dict[str, Any]) -> None:
    for feed, runs in served["planned"].items():
        deployment = served["deployments"][feed]
        assert [interval(each) for each in deployment["schedules"]] == [QUARTER_HOUR_SECONDS]
        assert all(seconds(run) % QUARTER_HOUR_SECONDS == 0 for run in runs)
        assert (deployment["work_pool_name"], deployment["tags"]) == (None, ["px-import", feed])


@pytest.mark.rule("S10")
def test_serve_gives_no_secret_away(plant: Plant, served: dict[str, Any]) -> None:
    deployments = served["deployments"]
    assert deployments["served"]["parameters"] == {"settings_file": served["file"]}
    assert deployments["saved"]["parameters"] == {
        "settings": {"$ref": {"block_document_slug": "px-import-settings/saved"}}
    }
    told = served["said"] + json.dumps(deployments)
    assert not [secret for secret in plant.secrets if secret in told]


def test_serve_ends_when_it_is_told_to_and_leaves_no_run_behind(served: dict[str, Any]) -> None:
    assert served["code"] == 0
    assert "Traceback" not in served["said"]
    assert not psutil.pid_exists(served["run"])


def test_serve_leaves_the_switch_of_the_schedule_alone(served: dict[str, Any]) -> None:
    for feed in ("served", "saved"):
        assert not served["after"][feed]["paused"]
        assert [each["active"] for each in served["after"][feed]["schedules"]] == [True]

"""Run, worker, server and the whole machine are killed: what becomes of run, slots and delivery."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest

from blocks.import_settings import ImportSettings
from tests.e2e.conftest import Plant
from tests.e2e.prefect_files import DEFAULT
from tests.e2e.processes import eventually
from tests.e2e.services import Service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.rule("R1")]  # on a busy machine

POOL = "px-import"
QUARTER_HOUR_SECONDS = 900


@pytest.fixture(scope="module")
def deployed(plant: Plant) -> Plant:
    """prefect.yaml is deployed, and its schedules are off: only the runs of these tests start."""
    if POOL not in {pool["name"] for pool in plant.server.ask("POST", "/work_pools/filter")}:
        plant.server.ask("POST", "/work_pools/", name=POOL, type="process", base_job_template=DEFAULT.template)
        plant.command("prefect", "--no-prompt", "deploy", "--all")
    for deployment in plant.deployments().values():
        plant.server.ask("PATCH", f"/deployments/{deployment['id']}", paused=True)
    return plant


@pytest.fixture
def worker(deployed: Plant) -> Iterator[Service]:
    service = deployed.server.start_worker()
    yield service
    deployed.server.lose_workers()


def standing(plant: Plant, feed: str, deployment: str = "users") -> tuple[str, psutil.Process]:
    """A run that has claimed its delivery and stands at the gate, and its process."""
    run = plant.stand(feed, deployment)
    plant.gate.wait_for(feed)
    return run, psutil.Process(plant.process_of(feed))


def assert_imported(plant: Plant, feed: str, run: str) -> None:
    """The run has ended so, and everything is there once."""
    assert plant.ended(run) == "Imported"
    assert plant.records(feed) == ["1", "2"]
    assert plant.archived(feed) == "SUCCESS\n2 records were uploaded\n"


def assert_next_tick_goes_on(plant: Plant, feed: str) -> None:
    """Once the lease of the run that is gone has run out."""
    plant.gate.open_to(feed)
    eventually(lambda: not plant.is_leased(feed))
    assert_imported(plant, feed, plant.start_run(feed))


@pytest.mark.rule("D1")
def test_after_a_lost_machine_the_next_planned_tick_goes_on(deployed: Plant, worker: Service) -> None:
    """Server, worker and run are killed at once; the run stays Running in Prefect, and nobody waits for it."""
    run, process = standing(deployed, "users")
    deployed.server.lose_machine(process)
    deployed.server.start_server()
    deployed.server.start_worker()
    assert deployed.state(run) == ("RUNNING", "Running")
    users = f"/deployments/{deployed.deployments()['users']['id']}"
    assert deployed.server.ask("GET", users)["concurrency_limit"] is None
    deployed.server.ask("PATCH", users, paused=False)
    tick = eventually(lambda: deployed.planned("users"))[0]
    wait = datetime.fromisoformat(tick["expected_start_time"]) - datetime.now(UTC)
    assert wait.total_seconds() <= QUARTER_HOUR_SECONDS

    deployed.gate.open_to("users")
    eventually(lambda: not deployed.is_leased("users"))
    forward = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
    deployed.server.ask("POST", f"/flow_runs/{tick['id']}/set_state", state=forward, force=True)
    assert_imported(deployed, "users", tick["id"])


def test_every_lease_runs_out_before_the_tick_after_next() -> None:
    [most] = [bound.le for bound in ImportSettings.model_fields["lease_seconds"].metadata if hasattr(bound, "le")]
    assert most < QUARTER_HOUR_SECONDS


@pytest.mark.slow
def test_a_killed_run_is_told_as_crashed_and_the_next_tick_goes_on(deployed: Plant, worker: Service) -> None:
    run, process = standing(deployed, "killed")
    process.kill()
    assert deployed.ended(run) == "Crashed"
    assert_next_tick_goes_on(deployed, "killed")


@pytest.mark.slow
def test_a_run_outlives_a_restart_of_the_server(deployed: Plant, worker: Service) -> None:
    run, _ = standing(deployed, "restarted")
    deployed.server.lose_server()
    deployed.server.start_server()
    deployed.gate.open_to("restarted")
    assert_imported(deployed, "restarted", run)


@pytest.mark.slow
def test_a_run_outlives_its_worker(deployed: Plant, worker: Service) -> None:
    run, _ = standing(deployed, "orphaned")
    worker.kill(everything=False)
    deployed.gate.open_to("orphaned")
    assert_imported(deployed, "orphaned", run)


@pytest.mark.slow
def test_a_worker_that_is_stopped_takes_its_run_along_and_the_next_tick_goes_on(
    deployed: Plant, worker: Service
) -> None:
    """As `systemctl stop` does; nobody is left to tell Prefect."""
    run, process = standing(deployed, "stopped")
    worker.terminate()
    process.wait(30)
    assert deployed.state(run) == ("RUNNING", "Running")
    deployed.server.start_worker()
    assert_next_tick_goes_on(deployed, "stopped")


@pytest.mark.slow
def test_slots_that_a_lost_machine_leaks(deployed: Plant, worker: Service) -> None:
    """Where somebody has set limits: a deployment's slot is freed by the server, a work pool's never by itself."""
    accounts = f"/deployments/{deployed.deployments()['accounts']['id']}"
    deployed.server.ask(
        "PATCH", accounts, concurrency_limit=1, concurrency_options={"collision_strategy": "CANCEL_NEW"}
    )
    run, process = standing(deployed, "accounts", deployment="accounts")
    deployed.server.lose_machine(process)
    deployed.gate.open_to("accounts")
    deployed.server.start_server()

    def taken() -> int:
        return deployed.server.ask("GET", accounts)["global_concurrency_limit"]["active_slots"]

    assert taken() == 1
    eventually(lambda: taken() == 0, 420)  # the run's last sign of life counts for 300 seconds

    waiting = deployed.start_run("accounts", deployment="accounts")
    pool = f"/work_pools/{POOL}"

    def offered() -> set[str]:
        return {each["flow_run"]["id"] for each in deployed.server.ask("POST", f"{pool}/get_scheduled_flow_runs")}

    ghosts = deployed.runs_in("RUNNING")
    assert run in ghosts
    assert waiting in offered()
    deployed.server.ask("PATCH", pool, concurrency_limit=len(ghosts))
    assert not offered()
    for ghost in ghosts:
        deployed.server.ask("POST", f"/flow_runs/{ghost}/set_state", state={"type": "CRASHED"}, force=True)
    assert waiting in offered()
    deployed.server.start_worker()
    assert_imported(deployed, "accounts", waiting)

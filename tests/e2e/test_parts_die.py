"""Run, worker, server and whole machine are killed: what becomes of the run, of Prefect's slots, and of the delivery."""

import os
import signal
import time
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from blocks.import_settings import ImportSettings
from tests.e2e.conftest import Plant
from tests.e2e.prefect_files import DEFAULT
from tests.e2e.processes import eventually
from tests.e2e.services import Service

pytestmark = [pytest.mark.e2e, pytest.mark.rule("R1")]

POOL = "px-import"
SUCCESS = "SUCCESS\n2 records were uploaded\n"
QUARTER_HOUR_SECONDS = 900


@pytest.fixture(scope="module")
def running(plant: Plant) -> Plant:
    """Server and worker run, prefect.yaml is deployed, its schedules are off: only the runs of these tests start."""
    if POOL not in {pool["name"] for pool in plant.server.ask("POST", "/work_pools/filter")}:
        template = DEFAULT.template
        plant.server.ask("POST", "/work_pools/", name=POOL, type="process", base_job_template=template)
        plant.command("prefect", "--no-prompt", "deploy", "--all")
    for deployment in plant.deployments().values():
        plant.server.ask("PATCH", f"/deployments/{deployment['id']}", paused=True)
    return plant


class Scene:
    """A run at the gate, with a worker that was started for it."""

    def __init__(self, plant: Plant, feed: str, deployment: str = "users") -> None:
        self.plant, self.feed = plant, feed
        self.worker: Service = plant.server.start_worker()
        self.run = plant.stand(feed, deployment)
        plant.gate.wait_for(feed)
        self.process = plant.process_of(feed)

"""A production of the project's own making: Prefect's server by its unit on PostgreSQL, feeds, and a gate before S3."""

import gzip
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from tests.e2e.processes import eventually
from tests.e2e.services import Production
from tests.servers import Answer, AnsweringServer, Request, forwarded

AUTH_STRING = "operator:auth-string-4b7e"
BUCKET = "e2e-production"
#: Their leases run out soon after a crash.
LEASE_SECONDS = 5
FEEDS = ["users", "accounts", "saved"]


class Gate(AnsweringServer):
    """Before S3: holds the file of a feed, and with it the run that asks for it, while it is closed to that feed."""

    def __init__(self, s3: LocalS3) -> None:
        self._s3 = s3
        self._free: dict[str, threading.Event] = {}
        self._reached: dict[str, threading.Event] = {}
        super().__init__(self._pass)

    def close_to(self, feed: str) -> None:
        self._free[feed], self._reached[feed] = threading.Event(), threading.Event()

    def open_to(self, feed: str) -> None:
        self._free[feed].set()

    def open_to_all(self) -> None:
        for free in self._free.values():
            free.set()

    def wait_for(self, feed: str) -> None:
        """Until a run of the feed stands there."""
        assert self._reached[feed].wait(240), f"no run of {feed} has come"

    def _pass(self, request: Request) -> Answer:
        feed = request.path.split("/")[3] if request.path.count("/") > 3 else ""
        if feed in self._free and request.method == "GET" and request.path.endswith("users.csv.gz"):
            self._reached[feed].set()
            self._free[feed].wait(300)
        return forwarded(request, self._s3.endpoint_url)


class Plant:
    """The production, and its feeds as customers and operators see them."""

    def __init__(self, server: Production, s3: LocalS3, gate: Gate) -> None:
        self.server, self.s3, self.gate = server, s3, gate
        self.secrets = {s3.secret_access_key, AUTH_STRING}
        self._saved: set[str] = set()

    def write_settings(self, feed: str) -> str:
        """Its path."""
        settings = {
            "feed": feed,
            "bucket": f"{BUCKET}/export",
            "base_folder": feed,
            "region": "us-east-1",
            "endpoint_url": self.gate.url,
            "authorization": {
                "access_key_id": self.s3.access_key_id,
                "secret_access_key": self.s3.secret_access_key,
            },
            "destination": {"product": "AP-X"},
            "store": f"sqlite:///{self.server.folder}/{feed}.db",
            "lease_seconds": LEASE_SECONDS,
        }
        path = self.server.folder / f"{feed}.yaml"
        path.write_text(yaml.safe_dump(settings))
        return str(path)

    def save(self, *feeds: str) -> None:
        self.command("px-import", "apply", *[self.write_settings(feed) for feed in feeds])
        self._saved |= set(feeds)

    def drop(self, feed: str) -> None:
        folder = f"export/{feed}/current/dt=20210228"
        body = gzip.compress(b"id,email\n1,a@x\n2,b@x\n")
        self.s3.client.put_object(Bucket=BUCKET, Key=f"{folder}/users.csv.gz", Body=body)
        self.s3.client.put_object(Bucket=BUCKET, Key=f"{folder}/_SUCCESS")

    def command(self, *words: str) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.server.terminal(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deployments(self) -> dict[str, Any]:
        return {deployment["name"]: deployment for deployment in self.server.every("deployments")}

    def planned(self, deployment: str) -> list[Any]:
        """The runs that the scheduler has planned for it, the next one first."""
        body = {
            "deployments": {"name": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
        }
        runs = self.server.ask("POST", "/flow_runs/filter", sort="EXPECTED_START_TIME_ASC", **body)
        return [run for run in runs if run["auto_scheduled"]]

    def start_run(self, feed: str, deployment: str = "users") -> str:
        reference = {"$ref": {"block_document_slug": f"px-import-settings/{feed}"}}
        path = f"/deployments/{self.deployments()[deployment]['id']}/create_flow_run"
        return str(self.server.ask("POST", path, parameters={"settings": reference})["id"])

    def state(self, run: str) -> tuple[str, str]:
        """Type and name."""
        found = self.server.ask("GET", f"/flow_runs/{run}")
        return found["state_type"], found["state_name"]

    def ended(self, run: str) -> str:
        """The name of its last state, as soon as it has that."""
        eventually(lambda: self.state(run)[0] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}, 240)
        return self.state(run)[1]

    def runs_in(self, state_type: str) -> list[str]:
        flow_runs = {"state": {"type": {"any_": [state_type]}}}
        return [run["id"] for run in self.server.ask("POST", "/flow_runs/filter", flow_runs=flow_runs)]

    def stand(self, feed: str, deployment: str = "users") -> str:
        """Drop a delivery and start a run that will stop at the gate; the run."""
        if feed not in self._saved:
            self.save(feed)
        self.drop(feed)
        self.gate.close_to(feed)
        return self.start_run(feed, deployment)

    def process_of(self, feed: str) -> int:
        """The number of the process that holds the feed's lease."""
        return int(self._asked(feed, "SELECT owner FROM import_leases")[0][0].split(":")[1])

    def is_leased(self, feed: str) -> bool:
        now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        return bool(self._asked(feed, f"SELECT 1 FROM import_leases WHERE owner <> '' AND expires_at_ms > {now}"))

    def records(self, feed: str) -> list[str]:
        return [row[0] for row in self._asked(feed, "SELECT id FROM users ORDER BY id")]

    def archived(self, feed: str) -> str:
        """The delivery's status file."""
        key = f"export/{feed}/processed/20210228/status.txt"
        return self.s3.client.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def _asked(self, feed: str, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.server.folder / f"{feed}.db")) as store:
            return store.execute(sql).fetchall()


@pytest.fixture(scope="session")
def plant(
    local_s3: LocalS3, local_postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    """The server runs and the feeds are saved; nothing is deployed, and there is no worker."""
    database = f"prefect_{uuid.uuid4().hex[:12]}"
    local_postgres.execute(f"CREATE DATABASE {database}")
    address = local_postgres.url.removeprefix("postgresql://").rpartition("/")[0]
    environment_file = {
        "PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING,
        "PREFECT_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{address}/{database}",
    }
    local_s3.create_bucket(BUCKET)
    server = Production(tmp_path_factory.mktemp("production"), environment_file)
    with Gate(local_s3) as gate:
        plant = Plant(server, local_s3, gate)
        try:
            server.start_server()
            plant.save(*FEEDS)
            yield plant
        finally:
            gate.open_to_all()
            server.end()

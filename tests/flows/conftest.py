"""A feed on real servers: S3, SQLite, a callback receiver, and a Prefect server for the flow's own states."""

import asyncio
import gc
import gzip
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.testing.utilities import prefect_test_harness

import flows.import_feed as import_feed_module
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from flows.import_feed import import_feed_file
from schemas.report import FeedReport

NEEDLESS_SERVICES = (
    "EVENT_PERSISTER", "TASK_RUN_RECORDER", "TRIGGERS", "SCHEDULER",
    "LATE_RUNS", "FOREMAN", "REPOSSESSOR", "CANCELLATION_CLEANUP",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Prefect leaves its client's connections to the garbage collector, whichever test that strikes."""
    for item in items:
        if "prefect_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for service in NEEDLESS_SERVICES:
            environment.setenv(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
        with prefect_test_harness(server_startup_timeout=90):
            yield


@dataclass(frozen=True)
class Feed:
    """One feed as its customer and its operator see it."""

    s3: LocalS3
    bucket: str
    folder: Path
    receiver: Receiver
    name: str = "users"

    @property
    def settings_file(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    def configure(self, **changes: Any) -> None:
        settings = {
            "feed": self.name,
            "entity": "user",
            "bucket": f"{self.bucket}/export",
            "base_folder": self.name,
            "region": "us-east-1",
            "endpoint_url": self.s3.endpoint_url,
            "authorization": {
                "access_key_id": self.s3.access_key_id,
                "secret_access_key": self.s3.secret_access_key,
            },
            "destination": {"product": "AP-XXXXXXXXXX", "channel": 2, "environment": "production"},
            "store": f"sqlite:///{self.folder}/px.db",
            "status_endpoint": {
                "url": self.receiver.url,
                "api_key": "callback-key",
                "allow_http": True,
                "allowed_networks": ["127.0.0.0/8"],
            },
        }
        self.settings_file.write_text(yaml.safe_dump({**settings, **changes}))

    def put(self, key: str, body: bytes = b"") -> None:
        self.s3.client.put_object(Bucket=self.bucket, Key=f"export/{self.name}/{key}", Body=body)

    def drop(self, day: str, marker: bool = True, **files: str | bytes) -> None:
        """Put files (`users_csv_gz` for users.csv.gz; text is gzipped) and then the marker."""
        for name, content in files.items():
            body = gzip.compress(content.encode(), mtime=0) if isinstance(content, str) else content
            self.put(f"current/dt={day}/{name.replace('_', '.')}", body)
        if marker:
            self.put(f"current/dt={day}/_SUCCESS")

    def objects(self) -> dict[str, bytes]:
        """Everything below the root, by key."""
        root = f"export/{self.name}/"
        listing = self.s3.client.list_objects_v2(Bucket=self.bucket, Prefix=root).get("Contents", [])
        return {stored["Key"].removeprefix(root): self._body(stored["Key"]) for stored in listing}

    def _body(self, key: str) -> bytes:
        return self.s3.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def text(self, key: str) -> str:
        return self._body(f"export/{self.name}/{key}").decode()

    def tick(self) -> Any:
        """One run of the flow; its state."""

        async def run() -> Any:
            return await import_feed_file(str(self.settings_file), return_state=True)

        return asyncio.run(run())

    def report(self) -> FeedReport:
        """One run of the flow that must end well; its report."""
        state = self.tick()
        assert state.is_completed(), state.message
        return state.data.result

    def artifacts(self, state: Any) -> list[Any]:
        """What a run has left in Prefect, the oldest first."""

        async def read() -> list[Any]:
            async with get_client() as client:
                run = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
                return await client.read_artifacts(flow_run_filter=run)

        return sorted(asyncio.run(read()), key=lambda artifact: artifact.created)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "px.db")) as connection:
            return connection.execute(sql).fetchall()

    @property
    def callbacks(self) -> list[Any]:
        return self.receiver.received


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at once, as after the last try."""
    for each in vars(import_feed_module).values():
        if isinstance(task := getattr(each, "task", None), Task):
            monkeypatch.setattr(task, "retries", 0)


@pytest.fixture
def feed(prefect_server: None, local_s3: LocalS3, bucket: str, tmp_path: Path) -> Iterator[Feed]:
    with Receiver() as receiver:
        feed = Feed(local_s3, bucket, tmp_path, receiver)
        feed.configure()
        yield feed
    with warnings.catch_warnings():
        # Prefect leaves its client's connections to the garbage collector; no other test should be blamed.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()

"""Commands that ask Prefect where no server is, or something else: one sentence each."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployments.cli import TROUBLE
from tests.receiver import unused_port
from tests.servers import Answer, AnsweringServer


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    text = {"feed": "users", "bucket": "b-export", "region": "us-east-1", "destination": {"product": "AP-X"}}
    path.write_text(yaml.safe_dump(text | {"store": f"sqlite:///{tmp_path}/px.db"}))
    return path


def said(api_url: str, command: str, settings: Path) -> str:
    """All that stands on standard error: in a process of its own, for Prefect leaves its connections open."""
    program = [sys.executable, "-m", "deployments.cli"]
    arguments = command.replace("SETTINGS", str(settings)).split()
    environment = {**os.environ, "PREFECT_API_URL": api_url}
    done = subprocess.run([*program, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == TROUBLE, done.stderr
    return done.stderr


@pytest.mark.parametrize("command", ["deliveries", "callbacks list", "run SETTINGS"])
def test_the_server_is_not_there(settings: Path, command: str) -> None:
    cure = "start it or correct its address"
    expected = f"px-import: PREFECT_API_URL: the Prefect server cannot be reached (ConnectError); {cure}.\n"
    assert said(f"http://127.0.0.1:{unused_port()}/api", command, settings) == expected


@pytest.mark.parametrize("command", ["deliveries", "run SETTINGS"])
def test_the_address_is_not_that_of_its_api(settings: Path, command: str) -> None:
    with AnsweringServer(lambda _: Answer(404)) as server:
        told = said(server.url, command, settings)
    assert told == "px-import: PREFECT_API_URL: no Prefect API answers there; the address ends in /api.\n"


@pytest.mark.parametrize("command", ["deliveries", "apply SETTINGS", "run SETTINGS"])
def test_the_server_fails(settings: Path, command: str) -> None:
    with AnsweringServer(lambda _: Answer(500)) as server:
        told = said(server.url, command, settings)
    cause = "its log says why; with another PREFECT_SERVER_ENCRYPTION_KEY it cannot read the blocks that it has"
    assert told == f"px-import: PREFECT_API_URL: the Prefect server failed (HTTP 500): {cause}.\n"

"""What the tests of several rooms need: a real S3 server, and an empty bucket for each test."""

import atexit
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# New examples at every run here; in CI the same ones, so that it fails for a change and not by chance.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# What killed runs and Prefect's workers leave goes with a folder of our own; what pytest keeps for a person stays.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="px-tests-")
Path(tempfile.tempdir).chmod(0o711)  # PostgreSQL runs as another user
atexit.register(shutil.rmtree, tempfile.tempdir, ignore_errors=True)

# Before Prefect is imported: a home of its own, and no word to anybody outside.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

from deployments.local_postgres import LocalPostgres  # noqa: E402 -- only now
from deployments.local_s3 import LocalS3  # noqa: E402 -- only now
from tests.ministack import MiniStack  # noqa: E402 -- only now


@pytest.fixture(scope="session")
def local_s3() -> Iterator[LocalS3]:
    with LocalS3() as server:
        yield server


@pytest.fixture
def bucket(local_s3: LocalS3) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    local_s3.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def ministack() -> Iterator[MiniStack]:
    """S3 with IAM and STS: use it where policies and roles must be judged as AWS does."""
    with MiniStack() as server:
        yield server


@pytest.fixture(scope="session")
def local_postgres() -> Iterator[LocalPostgres]:
    with LocalPostgres() as server:
        yield server


@pytest.fixture
def postgres_url(local_postgres: LocalPostgres) -> str:
    """Of a store in a schema that nobody has used."""
    return f"{local_postgres.url}?schema=test_{uuid.uuid4().hex[:12]}"

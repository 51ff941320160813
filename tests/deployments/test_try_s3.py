"""`px-import s3`: a server for as long as one wants it, and nothing afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from deployments.local_s3 import LocalS3
from deployments.try_s3 import _make
from schemas.errors import SettingsError
from tests.deployments.test_demo import processes_of


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_bucket_is_there_until_it_is_stopped(tmp_path: Path, told: signal.Signals) -> None:
    command = [sys.executable, "-m", "deployments.cli", "s3", "px-tutorial"]
    server = subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert server.stdout
    told_us = [server.stdout.readline().removeprefix("export ").strip().partition("=") for _ in range(4)]
    variables = {name: value for name, _, value in told_us}
    client = boto3.client(
        "s3",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_DEFAULT_REGION"],
    )
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["px-tutorial"]
    client.close()
    server.send_signal(told)
    out, err = server.communicate(timeout=60)
    assert (server.returncode, out, err) == (0, "", "The bucket px-tutorial is there until you press Ctrl-C.\n")
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["A b", "Bad_Name", "a/b"])
def test_a_name_that_no_bucket_can_have_is_one_sentence(local_s3: LocalS3, name: str) -> None:
    with pytest.raises(SettingsError, match=r"BUCKET: give a name of 3 to 63 small letters, digits and dashes\."):
        _make(local_s3, name)

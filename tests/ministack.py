"""A second real S3 server for tests: MiniStack, whose IAM and STS judge policies and roles.

It pins a botocore that Prefect's AWS library cannot go with, so it lives in an environment of its own
beside the project's packages, made at first use. `make install` makes it, too.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import cached_property
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PINS = Path(__file__).with_suffix(".txt")
_ENVIRONMENT = Path(sys.prefix) / "ministack"
_PORTS = range(22_000, 32_000)
_START_SECONDS = 60
# The server ends with the process that holds the other end of its standard input, however that ends.
_PROGRAM = """
import os, shutil, sys, threading
scratch = sys.argv.pop()
def watch():
    while (word := os.read(0, 1)) == b"e":
        from ministack.services import sts
        for session in list(sts._sessions.values()):
            session["Expiration"] = 0
        open(scratch + "/expired", "x").close()
    if not word:
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from ministack.app import main
main()
"""


def program() -> Path:
    """Python with MiniStack in it; installed where it is missing or another version is pinned by now."""
    python, done = _ENVIRONMENT / "bin" / "python", _ENVIRONMENT / "installed.txt"
    if not done.exists() or done.read_text() != _PINS.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", _ENVIRONMENT], check=True)
        pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-deps", "--requirement", _PINS], check=True)
        done.write_text(_PINS.read_text())
    return python


class MiniStack:
    """S3, IAM and STS on a free loopback port, every signature and policy checked; a context manager.

    The root user's secret alone is not checked: sign in as a user or a role to see a wrong one refused.

    Attributes:
        endpoint_url: where all three listen, known once it has started.
        access_key_id: the root user's key, made up anew for each instance.
        secret_access_key: the root user's secret.
        region: what requests are signed for.
        account: its account number.
    """

    def __init__(self) -> None:
        self.access_key_id = f"ROOT{secrets.token_hex(8).upper()}"
        self.secret_access_key = secrets.token_hex(20)
        self.region = "us-east-1"
        self.account = "000000000000"
        self.endpoint_url = ""
        self._scratch: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(b"")
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def start(self) -> None:
        """Start it; where it was stopped, on the same port with the same objects, but without users and roles."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="px-import-ministack-"))
        if not self.endpoint_url:
            self.endpoint_url = f"http://127.0.0.1:{_free_port()}"
        with (self._scratch / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program(), "-Ic", _PROGRAM, self._scratch],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment(self._scratch),
                start_new_session=True,
            )
        if not self._answers():
            said = (self._scratch / "log").read_text(errors="replace")[-2000:]
            self.__exit__()
            raise RuntimeError(f"MiniStack did not start; the end of what it said:\n{said}")

    def stop(self) -> None:
        """Kill it; its objects stay for `start`."""
        self._end(b"k")

    def expire_sessions(self) -> None:
        """Every session that STS has given out is over when this returns, whatever its time."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._scratch is not None
        done = self._scratch / "expired"
        self._process.stdin.write(b"e")
        self._process.stdin.flush()
        while not done.exists():
            assert self._process.poll() is None, "the server has ended"
            time.sleep(0.01)
        done.unlink()

    @cached_property
    def client(self) -> "S3Client":
        """A boto3 client of S3 as the root user."""
        return self.service("s3")

    def service(self, name: str) -> Any:
        """A boto3 client as the root user."""
        import boto3

        return boto3.client(
            name,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def create_bucket(self, name: str) -> None:
        """Create an empty bucket."""
        self.client.create_bucket(Bucket=name)

    def _environment(self, scratch: Path) -> dict[str, str]:
        own = {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.endpoint_url.rpartition(":")[2],
            "SERVICES": "s3,iam,sts",
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(scratch / "objects"),
            "MINISTACK_ACCOUNT_ID": self.account,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "IOT_MTLS_ENABLED": "0",  # no listener but the one
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
            "HOME": str(scratch),
            "LOG_LEVEL": "WARNING",
        }
        return {"PATH": os.environ.get("PATH", "")} | own

    def _answers(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while self._process and self._process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.endpoint_url}/_ministack/health", timeout=5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _end(self, word: bytes) -> None:
        """Let it end itself; with a word, the objects stay."""
        if self._process and self._process.stdin:
            try:
                self._process.stdin.write(word)
                self._process.stdin.close()
            except BrokenPipeError:
                pass  # it ended by itself
            self._process.wait()
        self._process = None


def _free_port() -> int:
    """Below 32768, where outgoing connections get theirs: it is still free when the server starts again."""
    for port in SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on 127.0.0.1")


if __name__ == "__main__":
    program()

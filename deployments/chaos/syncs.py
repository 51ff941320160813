"""Kills an importer while it waits for the disk, in an `fdatasync`, which no proxy sees; needs Linux and `strace`."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 10.0


def can_be_played() -> bool:
    """Whether this machine has what it takes."""
    return shutil.which("strace") is not None


@contextmanager
def killed_at_sync(pid: int, number: int) -> Iterator[None]:
    """Kill a process at its `fdatasync` of this number, counted from 1, if it comes so far within the block.

    Raises:
        RuntimeError: the process cannot be watched.
    """
    command = ["strace", "-f", "-qq", "-o", os.devnull, "-p", str(pid), "-e", "trace=fdatasync"]
    inject = f"inject=fdatasync:signal=SIGKILL:when={number}"
    with subprocess.Popen([*command, "-e", inject], stderr=subprocess.PIPE, text=True) as strace:  # noqa: S603 - ours
        try:
            _wait_until_watched(pid, strace)
            yield
        finally:
            strace.terminate()


def _wait_until_watched(pid: int, strace: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    status = Path(f"/proc/{pid}/status")
    while f"TracerPid:\t{strace.pid}\n" not in status.read_text():
        if strace.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"strace cannot watch the importer: {strace.communicate()[1].strip()}")
        time.sleep(0.005)

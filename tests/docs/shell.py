"""A person at a terminal who types what a page says."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.docs.pages import ROOT
from tests.e2e.processes import eventually, running

#: Commands that stay until they are stopped, and what they say once they can be used.
STAYING: dict[str, Callable[[str, dict[str, str]], bool]] = {
    r"px-import s3 ": lambda said, _: "AWS_DEFAULT_REGION" in said,
    r"prefect server start": lambda _, environment: _is_healthy(environment["PREFECT_API_URL"]),
    r"prefect worker start": lambda said, _: "started!" in said,
}


class Terminal:
    """One terminal after the other, in a folder that looks like the project.

    Attributes:
        folder: where the commands are typed.
        environment: of the first terminal, as the commands have left it.
    """

    def __init__(self, folder: Path, port: int) -> None:
        """Take the folder, and the port that stands for Prefect's own in all that is typed."""
        self.folder, self._port = folder, port
        for path in ROOT.iterdir():
            if path.name not in {".git", ".venv", "tutorial", "demo-output"}:
                (folder / path.name).symlink_to(path)
        (folder / ".venv").symlink_to(sys.prefix)
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "AWS_"))}
        self._fresh = outside | {"PYTHONUNBUFFERED": "1", "PREFECT_WORKER_QUERY_SECONDS": "1", "HOME": str(folder)}
        self.environment = dict(self._fresh)
        self._servers = ExitStack()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        """Press Ctrl-C in all others, those that were opened last first."""
        self._servers.close()

    def type(self, text: str) -> str:
        """Run a block to its end in the first terminal; what was printed. One that stays gets a terminal of its own."""
        text = text.replace("4200", str(self._port))
        for words, is_ready in STAYING.items():
            if re.search(words, text):
                return self._stay(text, is_ready)
        kept = self.folder / ".environment"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{text}\nenv -0 > {kept}"],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        self.environment = dict(_variables(kept))
        return done.stdout

    def _stay(self, text: str, is_ready: Callable[[str, dict[str, str]], bool]) -> str:
        name = f"terminal-{len(list(self.folder.glob('*.log')))}"
        log, kept = self.folder / f"{name}.log", self.folder / f".{name}"
        *before, _ = text.strip().splitlines()
        setup = "\n".join([*before, f"env -0 > {kept}"])
        subprocess.run(["bash", "-euc", setup], cwd=self.folder, env=self._fresh, check=True, timeout=60)
        environment = dict(_variables(kept))
        self._servers.enter_context(running(["bash", "-euc", text], self.folder, self._fresh, log))
        try:
            eventually(lambda: is_ready(log.read_text(errors="replace"), environment), 300)
        except AssertionError as late:
            late.add_note(f"{text}\n{log.read_text(errors='replace')}")
            raise
        return ""


def _variables(kept: Path) -> Iterator[tuple[str, str]]:
    for entry in kept.read_text().rstrip("\0").split("\0"):
        name, _, value = entry.partition("=")
        yield name, value


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def is_shown(line: str, printed: str) -> bool:
    """Whether a line of a page, `…` standing for anything, was printed."""
    pattern = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
    return re.search(f"^{pattern}$", printed, re.MULTILINE) is not None

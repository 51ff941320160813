"""The pictures of docs/images, taken of a real Prefect server after real imports: `make screenshots`."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.demo_feeds import account_attributes, first_deliveries, second_delivery, settings_file
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.e2e.processes import ROOT, PrefectServer, eventually

IMAGES = ROOT / "docs" / "images"
_FEEDS = ("accounts", "users")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_MISSING = """screenshots need a browser and the library that drives it. Install both:
  apt-get install chromium                      (as root; or any Chromium or Chrome on PATH)
  .venv/bin/pip install --constraint constraints.txt --editable '.[screenshots]'"""


@dataclass(frozen=True)
class Stage:
    """A Prefect server after some imports.

    Attributes:
        server: it.
        runs: the last run of each feed.
    """

    server: PrefectServer
    runs: dict[str, str]

    def newest(self, key: str) -> str:
        """Id of the newest artifact of a key."""
        every = [each for each in self.server.every("artifacts") if each["key"] == key]
        return str(max(every, key=lambda each: str(each["created"]))["id"])


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """The demo's two feeds, deployed and imported by a worker: good files, rejected ones, a folder that waits."""
    with LocalS3() as s3, Receiver() as receiver, PrefectServer(folder).started() as server:
        s3.create_bucket("px-demo")
        server.environment |= {
            "PX_DEMO_ACCESS_KEY_ID": s3.access_key_id,
            "PX_DEMO_SECRET_ACCESS_KEY": s3.secret_access_key,
            "PX_DEMO_API_KEY": "the-receiver-knows-this-key",
        }
        (folder / "account-attributes.json").write_text(account_attributes(), encoding="utf-8")
        for feed in _FEEDS:
            text = settings_file(feed, endpoint_url=s3.endpoint_url, callback_url=receiver.url, store=f"{folder}/px.db")
            (folder / f"{feed}.yaml").write_text(text, encoding="utf-8")
        _must(server, "px-import", "apply", *(str(folder / f"{feed}.yaml") for feed in _FEEDS))
        _must(server, "prefect", "work-pool", "create", "px-import", "--type", "process")
        _must(server, "prefect", "--no-prompt", "deploy", "--all")
        with server.background("worker", "prefect", "worker", "start", "--pool", "px-import"):
            runs = {}
            for samples in (second_delivery(), first_deliveries()):
                for sample in samples:
                    s3.client.put_object(Bucket="px-demo", Key=f"export/{sample.key}", Body=sample.content)
                for feed in _FEEDS:
                    runs[feed] = _run(server, feed)
        yield Stage(server, runs)


def _must(server: PrefectServer, *command: str) -> None:
    done = server.terminal(*command)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def _run(server: PrefectServer, feed: str) -> str:
    """One run of a deployment, to its end."""
    deployment = server.ask("GET", f"/deployments/name/import-feed/{feed}")
    run = str(server.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", parameters={})["id"])
    eventually(lambda: server.ask("GET", f"/flow_runs/{run}")["state_type"] in {"COMPLETED", "FAILED", "CRASHED"})
    return run


def take(images: Path) -> int:
    """Take all pictures.

    Returns:
        0 done, 2 something is not installed.
    """
    program = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        print(_MISSING, file=sys.stderr)
        return 2
    images.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="px-import-screenshots-") as folder,
        stage(Path(folder)) as on,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        for name, show in PICTURES.items():
            show(page, on)
            page.screenshot(path=images / f"{name}.png")
            print(images / f"{name}.png")
        browser.close()
    return 0


Show = Callable[[Any, Stage], None]
PICTURES: dict[str, Show] = {}

"""The pictures of docs/images, taken of a real Prefect server after real imports: `make screenshots`."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.demo_feeds import account_attributes, first_deliveries, second_delivery, settings_file
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.e2e.processes import ROOT, PrefectServer, eventually

IMAGES = ROOT / "docs" / "images"
_FEEDS = ("accounts", "users")
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_DRAWN_MILLISECONDS = 20_000  # the graph of a run says nowhere that it is drawn
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

    def artifact(self, key: str, about: str = "") -> str:
        """Path of the newest artifact of a key whose description holds these words."""
        every = self.server.every("artifacts")
        found = [each for each in every if each["key"] == key and about in each["description"]]
        return f"artifacts/artifact/{max(found, key=lambda each: str(each['created']))['id']}"


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """The demo's two feeds, deployed and imported by a worker: good files, rejected ones, a folder that waits."""
    server = PrefectServer(folder)
    server.environment["PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT"] = "false"
    with LocalS3() as s3, Receiver() as receiver, server.started():
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
        page = browser.new_page()
        for name, (path, words, height) in _pictures(on).items():
            page.set_viewport_size({"width": 1280, "height": height})
            page.goto(on.server.environment["PREFECT_API_URL"].removesuffix("api") + f"v2/{path}")
            page.get_by_text(words).first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(_DRAWN_MILLISECONDS)
            page.screenshot(path=images / f"{name}.png", animations="disabled")
            print(images / f"{name}.png")
        browser.close()
    return 0


def _pictures(on: Stage) -> dict[str, tuple[str, str, int]]:
    """Name of each picture: the page, words that are there when it is drawn, and its height."""
    return {
        "deployments": ("deployments", "users", 400),
        "run": (f"runs/flow-run/{on.runs['accounts']}?tab=Artifacts", "feed-accounts", 820),
        "delivery": (on.artifact("delivery-users", "2026-03-03"), "Faults", 900),
        "feed": (on.artifact("feed-users", "waiting"), "Last deliveries", 760),
        "settings": ("blocks/catalog/px-import-settings/create", "S3 bucket name", 820),
    }


if __name__ == "__main__":
    sys.exit(take(IMAGES))

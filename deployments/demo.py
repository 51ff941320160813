"""`px-import demo`: a whole import on this machine, from an S3 server to the database, and a look at all of it."""

import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, closing, contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.demo_feeds import (
    FIRST_TICK,
    RECORDS,
    SECOND_TICK,
    WAITING,
    Sample,
    account_attributes,
    first_deliveries,
    second_delivery,
    settings_file,
)
from deployments.demo_screen import (
    open_console,
    show_callbacks,
    show_deliveries,
    show_first_lines,
    show_heading,
    show_places,
    show_records,
    show_status_files,
    show_tree,
    waiting,
)
from deployments.exit_codes import INTERRUPTED
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from deployments.run import keep_quiet, tick_of_file
from schemas.delivery_record import DeliveryRecord
from schemas.errors import PermanentError, SettingsError
from schemas.report import FeedReport

_BUCKET, _ROOT = "px-demo", "export"
_FEEDS = ("accounts", "users")  # accounts first, so that a user's account is there before the user
_MARKER = ".px-import-demo"
_OURS = ("files", "bucket", "prefect", "px.db*", "account-attributes.json", *(f"{feed}.yaml" for feed in _FEEDS))

Expected = Sequence[tuple[str, str, str, int]]


def demo(folder: Path) -> int:
    """Show a person in a minute what the importer does.

    Args:
        folder: where everything lies afterwards; one of an earlier demo is replaced.

    Returns:
        0 all went as it should; 1 what came out is not what should have; 130 interrupted.

    Raises:
        SettingsError: the folder holds something else; nothing was touched.
        PermanentError: the S3 server does not start, or a tick failed.
    """
    _take(folder)
    _separate_from_machine(folder)
    console = open_console()
    # At once, and with the servers: Python's own handler would wait in asyncio for Prefect to start.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, _stop)
    try:
        with Receiver() as receiver, _local_s3(console) as s3:
            return _Demo(folder, console, s3, receiver).play()
    except KeyboardInterrupt:
        print("px-import: the demo was stopped.", file=sys.stderr)
        return INTERRUPTED


class _Demo:
    """The acts of the demo, with what all of them need."""

    def __init__(self, folder: Path, console: Console, s3: LocalS3, receiver: Receiver) -> None:
        self._folder, self._console = folder, console
        self._s3, self._receiver = s3, receiver
        self._ledger = Ledger(open_store(f"sqlite:///{self._database}"))
        self._surprises: list[str] = []
        self._started = time.monotonic()

    @property
    def _database(self) -> Path:
        return self._folder.absolute() / "px.db"

    def play(self) -> int:
        """Deliver, import, deliver again, import again, and show what came of it."""
        console = self._console
        console.print(f"S3 server: {self._s3.endpoint_url}    Status endpoint: {self._receiver.url}")
        self._write_settings()
        self._s3.create_bucket(_BUCKET)
        self._deliver(first_deliveries())
        show_heading(console, "1. What was delivered (a folder without _SUCCESS is not finished yet)")
        self._copy_bucket("before")
        show_heading(console, "2. A tick, as every 15 minutes: both feeds are imported, accounts first")
        self._tick(FIRST_TICK, "Prefect starts, and both feeds are imported …")
        show_heading(console, "3. dt=20260302 is delivered once more, with changes, and the next tick imports it")
        self._deliver(second_delivery())
        self._tick(SECOND_TICK, "The next tick …")
        show_heading(console, "4. The bucket afterwards: what was imported lies archived, the open folder untouched")
        after = self._copy_bucket("after")
        show_heading(console, "5. What the one who delivers can read: status.txt in each archive folder …")
        show_status_files(console, after)
        show_heading(console, "… and errors.csv, a line for each fault")
        show_first_lines(console, after / "users/processed/20260303/errors.csv", 4)
        show_heading(console, "6. What the status endpoint was told")
        show_callbacks(console, self._receiver.received)
        show_heading(console, "7. What the database holds")
        show_records(console, self._database)
        return self._end()

    def _end(self) -> int:
        """Say whether all is as it should be, and where it lies."""
        counts = self._check()
        if self._surprises:
            self._console.print("\n[bold red]This is not what should have come out:[/]")
            for surprise in self._surprises:
                self._console.print(f"  {surprise}", markup=False)
            return 1
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        seconds = time.monotonic() - self._started
        self._console.print(f"\n[bold green]As it should be:[/] {told}; {len(self._receiver.received)} callbacks.")
        show_heading(self._console, f"Done in {seconds:.0f} s. Everything lies in {self._folder}/")
        show_places(self._console, self._folder)
        return 0

    def _write_settings(self) -> None:
        """What a person would write before the first tick; the secrets go to the environment."""
        for feed in _FEEDS:
            text = settings_file(
                feed, endpoint_url=self._s3.endpoint_url, callback_url=self._receiver.url, store=str(self._database)
            )
            self._settings(feed).write_text(text, encoding="utf-8")
        (self._folder / "account-attributes.json").write_text(account_attributes(), encoding="utf-8")
        os.environ["PX_DEMO_ACCESS_KEY_ID"] = self._s3.access_key_id
        os.environ["PX_DEMO_SECRET_ACCESS_KEY"] = self._s3.secret_access_key
        os.environ["PX_DEMO_API_KEY"] = "the-receiver-knows-this-key"

    def _settings(self, feed: str) -> Path:
        return self._folder / f"{feed}.yaml"

    def _deliver(self, samples: Sequence[Sample]) -> None:
        """Put objects into the bucket, and a copy of each file into a folder."""
        for sample in samples:
            self._s3.client.put_object(Bucket=_BUCKET, Key=f"{_ROOT}/{sample.key}", Body=sample.content)
            if sample.name:
                _write(self._folder / "files" / sample.name, sample.content)

    def _tick(self, expected: Expected, doing: str) -> None:
        """Run the flow of each feed, as `px-import run` does, and show what it did."""
        open_folders: list[str] = []
        with waiting(self._console, doing):
            known = {record.id for record in self._ledger.deliveries()} if self._database.exists() else set()
            for feed in _FEEDS:
                result = _tick_of(self._settings(feed))
                if isinstance(result, Exception):
                    raise PermanentError(f"{feed}: {result}") from result
                if result.seen:
                    open_folders += [f"{feed} dt={f.day}: {f.why_not_ready}" for f in result.seen.waiting]
        records = [record for record in reversed(self._ledger.deliveries()) if record.id not in known]
        show_deliveries(self._console, records)
        for line in open_folders:
            self._console.print(f"  [yellow]left alone:[/] {line}")
        self._compare("verdicts", sorted(map(_verdict, records)), sorted(expected))

    def _copy_bucket(self, name: str) -> Path:
        """Copy the bucket into a folder and show its tree; where both feeds lie in it."""
        target = self._folder / "bucket" / name
        for page in self._s3.client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET):
            for key in (entry["Key"] for entry in page.get("Contents", [])):
                _write(target / key, self._s3.client.get_object(Bucket=_BUCKET, Key=key)["Body"].read())
        show_tree(self._console, target, _BUCKET)
        return target / _ROOT

    def _check(self) -> dict[str, int]:
        """Compare records, callbacks and open folders with what they should be; the number of records."""
        with closing(sqlite3.connect(self._database)) as connection:
            counts = {
                feed: int(connection.execute(f"SELECT count(*) FROM {feed}").fetchone()[0])  # noqa: S608 - our names
                for feed in _FEEDS
            }
        self._compare("records", counts, RECORDS)
        self._compare("callbacks", len(self._receiver.received), len(FIRST_TICK) + len(SECOND_TICK))
        bucket = self._folder / "bucket"
        waiting = [f"{_ROOT}/{feed}/current/dt={day}" for feed, day in WAITING]
        current = [str(path.relative_to(bucket / "after")) for path in bucket.glob("after/*/*/current/*")]
        self._compare("folders in current/", sorted(current), waiting)
        for folder in waiting:
            self._compare(f"content of {folder}", *(_content(bucket / name / folder) for name in ("before", "after")))
        return counts

    def _compare(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self._surprises.append(f"{what}: {found!r}, not {expected!r}")


def _tick_of(settings: Path) -> FeedReport | Exception:
    """One tick, started in a folder without `.env`, `prefect.toml` or `pyproject.toml`: Prefect obeys them."""
    settings = settings.absolute()
    with chdir(settings.parent):
        return tick_of_file(settings)


def _verdict(record: DeliveryRecord) -> tuple[str, str, str, int]:
    """The parts of a delivery that are compared."""
    loaded = sum(file.counts.total for file in record.files if file.counts)
    return record.feed, record.day, record.verdict, loaded


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _take(folder: Path) -> None:
    """Make the folder, or remove what an earlier demo has left in it, and nothing else.

    Raises:
        SettingsError: it is a file, or a folder of something else.
    """
    marker = folder / _MARKER
    try:
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not marker.exists()):
            raise SettingsError("--folder", f"{folder} is not from an earlier demo and stays as it is; name another")
        folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
        for path in (path for pattern in _OURS for path in folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as exc:
        raise SettingsError("--folder", f"{exc.filename} cannot be written ({exc.strerror})") from None


def _separate_from_machine(folder: Path) -> None:
    """Keep the demo apart from the machine's own Prefect, AWS settings and proxies; to be called before Prefect."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "AWS_"))]:
        del os.environ[name]
    os.environ |= {
        "PREFECT_HOME": str(folder.absolute() / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # a small machine makes its tables slowly
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    keep_quiet()


@contextmanager
def _local_s3(console: Console) -> Iterator[LocalS3]:
    """A running S3 server.

    Raises:
        PermanentError: it is not installed or does not start.
    """
    with ExitStack() as running:
        with waiting(console, "An S3 server starts …"):
            try:
                server = running.enter_context(LocalS3())
            except RuntimeError as exc:
                raise PermanentError(str(exc)) from None
        yield server

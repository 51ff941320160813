"""`px-import deliveries`: the ledger, read."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from blocks.feed_settings import FeedSettings, read_settings_file
from blocks.ledger import DeliveryRecord, Ledger
from blocks.stores import open_store
from schemas.outcome import file_json

_COLOURS = {"SUCCESS": "green", "ERROR": "red"}


def deliveries(files: list[Path], feed: str, *, as_json: bool) -> int:
    """Print past and open deliveries, the newest of each feed first.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feed: only this one; empty for all.
        as_json: print an array instead of a table.

    Raises:
        SettingsError, StoreBusy: the settings or a store cannot be read.
    """
    feeds = [read_settings_file(path, lenient=True) for path in files] or _saved_feeds()
    records = [record for each in feeds if feed in ("", each.feed) for record in _records(each)]
    if as_json:
        print(json.dumps([_json(record) for record in records], ensure_ascii=False, indent=2))
    else:
        # A pipe gets every column whole, a terminal what fits.
        Console(width=None if sys.stdout.isatty() else 200).print(_table(records) if records else "No deliveries yet.")
    return 0


def _saved_feeds() -> list[FeedSettings]:
    """The feeds that Prefect knows."""
    from blocks.import_settings import ImportSettings, saved_feeds

    return [ImportSettings.from_document(name) for name in saved_feeds()]


def _records(feed: FeedSettings) -> list[DeliveryRecord]:
    return Ledger(open_store(feed.store.get_secret_value())).deliveries(feed.feed, limit=sys.maxsize)


def _table(records: list[DeliveryRecord]) -> Table:
    table = Table("feed", "folder", "verdict", box=None)
    for number in ("created", "updated", "unchanged", "repeated", "faulty files"):
        table.add_column(number, justify="right")
    table.add_column("finished", no_wrap=True)
    table.add_column("delivery", no_wrap=True)
    for record in records:
        verdict, counts = record.verdict or record.stage.value, record.counts
        table.add_row(
            record.feed,
            f"dt={record.day}",
            f"[{_COLOURS.get(verdict, 'yellow')}]{verdict}[/]",
            *map(str, (counts.created, counts.updated, counts.unchanged, counts.repeated)),
            str(sum(bool(file.issues) for file in record.files)),
            f"{record.finished_at:%Y-%m-%d %H:%M}Z" if record.finished_at else "not yet",
            record.id,
        )
    return table


def _json(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "feed": record.feed,
        "entity": record.entity,
        "folder": f"dt={record.day}",
        "stage": record.stage.value,
        "verdict": record.verdict or None,
        "claimed": record.claimed_at.isoformat(),
        "finished": record.finished_at.isoformat() if record.finished_at else None,
        "catalogue_hash": record.catalogue_hash or None,
        "files": [file_json(file) for file in record.files],
    }

"""`px-import deliveries`: the ledger, read."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blocks.database import open_store
from blocks.feed_settings import read_settings_file
from blocks.ledger import DeliveryRecord, Ledger
from schemas.outcome import file_json, message_of


def deliveries(files: list[Path], feed: str, *, as_json: bool) -> int:
    """Print past and open deliveries.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feed: only this one; empty for all.
        as_json: print an array instead of a table.

    Raises:
        SettingsError, StoreBusy: the settings or a store cannot be read.
    """
    stores = [read_settings_file(path, lenient=True).store for path in files] or _saved_stores(feed)
    urls = dict.fromkeys(store.get_secret_value() for store in stores)
    records = [record for url in urls for record in Ledger(open_store(url)).deliveries(feed)]
    if as_json:
        print(json.dumps([_json(record) for record in records], ensure_ascii=False, indent=2))
    else:
        Console().print(_table(records) if records else "No deliveries yet.")
    return 0


def _saved_stores(feed: str) -> list[Any]:
    """Stores of the feeds that Prefect knows."""
    from blocks.import_settings import ImportSettings, saved_feeds

    return [ImportSettings.from_document(name).store for name in saved_feeds() if feed in ("", name)]


def _table(records: list[DeliveryRecord]) -> Table:
    table = Table("feed", "folder", "verdict", "message", "claimed", "finished", "delivery", box=None)
    for record in records:
        verdict = record.verdict or record.stage.value
        message = escape(message_of(record.files)) if record.files else ""
        table.add_row(
            record.feed,
            f"dt={record.day}",
            f"[{'green' if verdict == 'SUCCESS' else 'red'}]{verdict}[/]",
            message,
            _shown(record.claimed_at),
            _shown(record.finished_at),
            record.id,
        )
    return table


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z" if moment else "open"


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

"""`px-import deliveries`: the ledger, read."""

import json
from dataclasses import asdict
from pathlib import Path

from blocks.ledger import DeliveryRecord, Ledger
from rich.console import Console
from rich.table import Table

from blocks.database import open_store
from blocks.feed_settings import read_settings_file


def deliveries(files: list[Path], feed: str, *, as_json: bool) -> int:
    """Print past and open deliveries, newest first.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feed: only this one; empty for all.
        as_json: print an array instead of a table.

    Raises:
        SettingsError, StoreBusy: the settings or a store cannot be read.
    """
    urls = dict.fromkeys([read_settings_file(path).store.get_secret_value() for path in files] or _saved_stores(feed))
    records = [record for url in urls for record in Ledger(open_store(url)).deliveries(feed)]
    if as_json:
        print(json.dumps([asdict(record) for record in records], default=str, indent=2))
    else:
        Console().print(_table(records))
    return 0


def _saved_stores(feed: str) -> list[str]:
    from blocks.import_settings import ImportSettings, saved_feeds

    return [ImportSettings.from_document(name).store.get_secret_value() for name in saved_feeds() if feed in ("", name)]


def _table(records: list[DeliveryRecord]) -> Table:
    return Table()

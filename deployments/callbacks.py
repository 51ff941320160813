"""`px-import callbacks`: the outbox, read, and one of it sent again."""

import asyncio
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.outbox import CallbackRecord
from deployments.deliveries import callback_json, callback_words, feed_and_folder
from deployments.exit_codes import TROUBLE
from deployments.ledgers import feeds_of, ledger_of, of_each, saved_settings
from deployments.tables import Column, beginnings, show, terminal
from flows.tell_again import tell_again
from schemas.errors import SettingsError

_LEAST_STATE = 30  # characters on a line


def list_callbacks(files: list[Path], feeds: list[str], *, as_json: bool) -> int:
    """Print what the status endpoints were told or are still to be told, the latest delivery of each feed first.

    Args:
        files: settings files whose stores are read; none: those of the feeds saved in Prefect.
        feeds: only these; none for all.
        as_json: print an array instead of a table.

    Returns:
        0, or 2 where the store of some feed could not be read.

    Raises:
        SettingsError, StoreBusy: the settings, or every store, cannot be read.
    """
    found, are_all = of_each(feeds_of(files, feeds), Ledger.callbacks)
    if as_json:
        print(json.dumps([callback_json(each) for each in found], ensure_ascii=False, indent=2))
    else:
        _show(terminal(), found)
    return 0 if are_all else TROUBLE


def resend(beginning: str, files: list[Path], *, again: bool) -> int:
    """Send a callback now; see `tell_again`.

    Args:
        beginning: of its id, as much as is needed to tell it from others.
        files: as for `list_callbacks`.
        again: also if it was received before.

    Returns:
        0 it was received, 2 it was not, or a run holds the feed.

    Raises:
        SettingsError: there is no such callback, or more than one; it was received before, or is not due yet.
    """
    settings, callback = _find(beginning, files)
    if not callback.finished_at:
        problem = f"dt={callback.day} is not finished; the run that finishes it tells of it: px-import run"
        raise SettingsError("ID", problem)
    unreceived = asyncio.run(tell_again(settings, callback.id, even_if_received=again))
    if unreceived is None:
        print(
            f"px-import: a run is importing {callback.feed!r} right now; try again when it has ended", file=sys.stderr
        )
        return TROUBLE
    [after] = [each for each in ledger_of(settings).callbacks(callback.feed) if each.id == callback.id]
    print(f"{after.feed} dt={after.day} {callback_words(after)}")
    return 0 if after.received_at else TROUBLE


def _find(beginning: str, files: list[Path]) -> tuple[ImportSettings, CallbackRecord]:
    given = [ImportSettings.from_file(path) for path in files] if files else saved_settings()
    found = [
        (settings, callback)
        for settings in given
        for callback in ledger_of(settings).callbacks(settings.feed)
        if callback.id.startswith(beginning.lower())
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError("ID", f"{len(found)} callbacks begin with {beginning!r}; write more of it")
    raise SettingsError("ID", f"no callback begins with {beginning!r}; px-import callbacks list shows them")


def _show(console: Console, callbacks: list[CallbackRecord]) -> None:
    if not callbacks:
        console.print("No callbacks yet.")
        return
    ids = tuple(each.id for each in callbacks)
    parts = feed_and_folder(callbacks)
    states = tuple(escape(callback_words(each)) for each in callbacks)
    brief = tuple(escape(callback_words(each, with_answer=not each.received_at)) for each in callbacks)
    wide = [Column("state", states), Column("callback", ids)]
    narrow = [Column("state", brief, folds_to=_LEAST_STATE), Column("callback", beginnings(ids))]
    show(console, parts + wide, parts + narrow)

"""The ledgers that a person means: those of some settings files, or of every feed saved in Prefect."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from blocks.feed_settings import SettingsFile, read_settings_file
from blocks.ledger import Ledger
from blocks.prefect_api import asking_prefect
from blocks.stores import open_store
from schemas.errors import ImporterError, SettingsError

if TYPE_CHECKING:
    from blocks.import_settings import ImportSettings

T = TypeVar("T")


def feeds_of(files: list[Path], feeds: Sequence[str] = ()) -> "list[SettingsFile] | list[ImportSettings]":
    """Their settings; with no file those of the feeds that Prefect knows.

    Args:
        files: settings files.
        feeds: only those of these names; none for all.

    Raises:
        SettingsError: a file, or a document, cannot be read; or none is of one of the feeds.
    """
    if not files:
        return saved_settings(feeds)
    given = [read_settings_file(path, lenient=True) for path in files]
    for feed in feeds:
        if feed not in {each.feed for each in given}:
            raise SettingsError("--feed", f"none of these settings files is of the feed {feed!r}")
    return [each for each in given if not feeds or each.feed in feeds]


def saved_settings(feeds: Sequence[str] = ()) -> "list[ImportSettings]":
    """Those of the feeds that Prefect knows, or of those that are named.

    Raises:
        SettingsError: Prefect cannot be asked, or a document is missing or wrong.
    """
    from blocks.saved_feeds import saved_feeds

    with asking_prefect():
        saved = list(saved_feeds(feeds))
    return [each.usable for each in saved]


def ledger_of(feed: "SettingsFile | ImportSettings") -> Ledger:
    """The ledger in the feed's store, as it is: nothing is made and nothing brought up to date.

    Raises:
        SettingsError: the store's URL cannot be used.
    """
    return Ledger(open_store(feed.store_url.get_secret_value()))


def ledgers_of(feeds: "list[SettingsFile] | list[ImportSettings]") -> Iterator[Ledger]:
    """Each ledger once, however many feeds share a store."""
    yield from (ledger_of(feed) for feed in {feed.store_url.get_secret_value(): feed for feed in feeds}.values())


def of_each(
    feeds: "list[SettingsFile] | list[ImportSettings]", read: Callable[[Ledger, str], Iterable[T]]
) -> tuple[list[T], bool]:
    """What the ledgers hold of each feed; one that cannot be read is told on standard error, and the others go on.

    Args:
        feeds: their settings.
        read: from a ledger, what it holds of a feed.

    Returns:
        What was found, and whether all could be read.

    Raises:
        SettingsError, StoreBusy: none could be read; the first one's reason.
    """
    found: list[T] = []
    troubles: list[tuple[str, ImporterError]] = []
    for each in feeds:
        try:
            found += read(ledger_of(each), each.feed)
        except ImporterError as exc:
            troubles.append((each.feed, exc))
    if troubles and len(troubles) == len(feeds):
        raise troubles[0][1]
    for feed, trouble in troubles:
        print(f"px-import: {feed}: {trouble}", file=sys.stderr)
    return found, not troubles

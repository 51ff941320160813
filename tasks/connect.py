"""Verbs: open a feed's doors, take the right to import it, and see what an earlier run left unfinished."""

import logging
from dataclasses import dataclass
from pathlib import Path

from blocks import connections
from blocks.connections import Connections, HeldLease
from blocks.import_settings import ImportSettings
from blocks.spool import old_spools, remove_spools
from schemas.delivery import Delivery
from schemas.errors import ImporterError
from tasks.verb import in_thread, verb

_log = logging.getLogger("px_import.connect")


@verb("read settings")
def read_settings(path: Path) -> ImportSettings:
    """The settings of a YAML file.

    Raises:
        SettingsError: the file is wrong, by its field (rule S9).
    """
    return ImportSettings.from_file(path)


@verb("connect")
def connect(settings: ImportSettings) -> Connections:
    """Open the doors of one feed.

    Raises:
        SettingsError, StoreBusy, StoreConflict: see `Connections.open`.
    """
    return Connections.open(settings)


@verb("take lease")
def take_lease(feed: Connections) -> HeldLease | None:
    """The right to import the feed; None while another run has it (rule R2).

    Raises:
        StoreBusy: worth another try.
    """
    return connections.take_lease(feed)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What earlier runs have left to do.

    Attributes:
        deliveries: claimed and not finished, oldest first, each with the names of its files that were loaded or
            rejected (rule R1).
        callbacks_due: whether anything in the outbox is to be told now (rule N2).
    """

    deliveries: list[tuple[Delivery, frozenset[str]]]
    callbacks_due: bool


@verb("resume")
def unfinished(feed: Connections, held: HeldLease) -> Unfinished:
    """What earlier runs have left to do.

    What runs that were killed long ago have left on this machine goes, if this ledger knows that nobody needs it:
    that of another feed's open delivery, or of another ledger's, may be all that is left of what was imported.

    Raises:
        SettingsError: open deliveries lie elsewhere than the settings say; see `Ledger.resume`.
        StoreBusy: worth another try.
        LeaseLost: another run has taken over.
    """
    found = feed.ledger.resume(held.lease, feed.settings.entity, feed.settings.zone.place)
    deliveries = [(delivery, frozenset(feed.ledger.file_outcomes(delivery))) for delivery in found]
    for delivery_id in old_spools():
        if feed.ledger.is_over(delivery_id):
            remove_spools(delivery_id)
    endpoint = feed.settings.status_endpoint
    return Unfinished(deliveries, bool(endpoint.url and feed.ledger.due_callbacks(feed.settings.feed)))


async def release_lease(held: HeldLease) -> None:
    """Give the feed back; harmless where another run has taken over. No task: there is nothing to show or try again.

    Where the store fails, that is no news for a person: either the work is done, or the run already says what is wrong.
    """
    try:
        await in_thread(held.ledger.release, held.lease)
    except ImporterError as exc:
        _log.warning("The feed %s stays taken for up to %g seconds. %s", held.lease.feed, held.lease.seconds, exc)

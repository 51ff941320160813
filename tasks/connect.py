"""Verbs: open a feed's doors, take the right to import it, and see what an earlier run left unfinished."""

import logging
from pathlib import Path

from blocks import connections
from blocks.connections import Connections, HeldLease
from blocks.import_settings import ImportSettings
from blocks.spool import remove_old_spools
from schemas.delivery import Delivery
from schemas.errors import ImporterError
from tasks.verb import verb

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


@verb("resume")
def unfinished(feed: Connections, held: HeldLease) -> list[Delivery]:
    """Deliveries that an earlier run claimed and did not finish, oldest first (rule R1).

    What runs that were killed long ago have left on this machine goes.

    Raises:
        SettingsError: they lie elsewhere than the settings say; see `Ledger.resume`.
        StoreBusy: worth another try.
        LeaseLost: another run has taken over.
    """
    zone = feed.settings.zone
    found = feed.ledger.resume(held.lease, zone.url(zone.root))
    remove_old_spools(but={delivery.id for delivery in found})
    return found


@verb("release lease")
def release_lease(held: HeldLease) -> None:
    """Give the feed back; harmless where another run has taken over.

    Where the store fails, that is no news for a person: either the work is done, or the run already says what is wrong.
    """
    try:
        held.ledger.release(held.lease)
    except ImporterError as exc:
        _log.warning("The feed %s stays taken for up to %g seconds. %s", held.lease.feed, held.lease.seconds, exc)

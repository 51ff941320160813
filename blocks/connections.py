"""The doors of one feed, opened from its settings for one run."""

import os
import socket
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from blocks.aws_session import s3_client
from blocks.import_settings import ImportSettings
from blocks.ledger import Lease, Ledger
from blocks.s3_drop_zone import S3DropZone
from blocks.stores import open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Connections:
    """What the verbs of one run work with.

    Attributes:
        settings: of the feed.
        drop_zone: the door to its bucket.
        ledger: the door to its store.
        run: who has the lease and made each step: machine, process and a number of its own.
    """

    settings: ImportSettings
    drop_zone: S3DropZone
    ledger: Ledger
    run: str
    _client: "S3Client"

    @classmethod
    def open(cls, settings: ImportSettings) -> "Connections":
        """Open the doors; the ledger's tables are made where they are missing.

        Raises:
            SettingsError: the store's URL or the authorization cannot be used.
            StoreBusy, StoreConflict: the database cannot be opened.
        """
        client = s3_client(
            settings.authorization,
            region=settings.region,
            endpoint_url=settings.endpoint_url,
            sts_endpoint_url=settings.sts_endpoint_url,
        )
        drop_zone = S3DropZone(client, settings.zone, sse=settings.sse, kms_key_id=settings.kms_key_id)
        ledger = Ledger(open_store(settings.store_url.get_secret_value()))
        ledger.migrate()
        run = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        return cls(settings, drop_zone, ledger, run, client)

    def close(self) -> None:
        """Let go of the connections to S3; the database's are closed after each use."""
        self._client.close()


@dataclass(slots=True)
class HeldLease:
    """The right to import one feed, kept alive while the work goes on (rule R2)."""

    ledger: Ledger
    lease: Lease
    _renewed: float = field(default_factory=time.monotonic)

    def keep(self) -> None:
        """Renew the lease now and then; called often from long work.

        Raises:
            LeaseLost: another run has taken over.
        """
        if time.monotonic() - self._renewed > self.lease.seconds / 5:
            self.ledger.renew(self.lease)
            self._renewed = time.monotonic()


def take_lease(feed: Connections) -> HeldLease | None:
    """The feed's lease, or None while another run holds it; a run that has it already gets it once more."""
    lease = feed.ledger.acquire(feed.settings.feed, feed.run, feed.settings.lease_seconds)
    return HeldLease(feed.ledger, lease) if lease else None

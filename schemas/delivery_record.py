"""A past or open delivery, as the ledger remembers it and a person asks for it."""

from dataclasses import dataclass
from datetime import datetime

from schemas.delivery import Stage
from schemas.outcome import FileOutcome, LoadCounts, counts_of


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One delivery as a person asks for it.

    Attributes:
        id: the delivery's.
        feed: name of the feed.
        entity: what it brings.
        day: YYYYMMDD of the folder.
        stage: how far it has come.
        verdict: SUCCESS or ERROR; empty before the decision.
        claimed_at: UTC.
        finished_at: UTC; None while there is work to do.
        catalogue_hash: empty before the decision.
        files: those judged so far, in import order.
    """

    id: str
    feed: str
    entity: str
    day: str
    stage: Stage
    verdict: str
    claimed_at: datetime
    finished_at: datetime | None
    catalogue_hash: str
    files: tuple[FileOutcome, ...]

    @property
    def counts(self) -> LoadCounts:
        """Of all loaded files together."""
        return counts_of(self.files)

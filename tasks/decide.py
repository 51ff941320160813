"""Verb: reach the verdict of a delivery, once."""

import re
from collections.abc import Iterable

from blocks.connections import Connections, HeldLease
from blocks.ledger import Decision
from schemas.delivery import Delivery, Move, Stage
from schemas.drop_zone import DropZone, StoredObject
from schemas.outcome import DeliveryOutcome, errors_csv
from tasks.verb import verb


@verb("decide", "dt={delivery.day}")
def decide(feed: Connections, held: HeldLease, delivery: Delivery) -> Decision:
    """Freeze verdict, status files, moves and callback before anything moves in S3 (rules P2 to P5, N1).

    What was decided by an earlier run stays as it is.

    Raises:
        DropZoneBusy, AccessRefused: `processed/` cannot be listed.
        StoreBusy: worth another try.
        LeaseLost: another run has taken over.
    """
    ledger, settings = feed.ledger, feed.settings
    if delivery.stage is Stage.CLAIMED:
        outcome, most = _outcome(feed, delivery), settings.limits.max_error_lines
        places = ledger.fault_places(delivery, most)
        folder = settings.zone.processed_folder(delivery.day)
        ledger.decide(
            held.lease,
            delivery,
            success=outcome.success,
            status_txt=outcome.status_txt,
            status_json=outcome.status_json,
            errors_csv=errors_csv(places, most) if places else None,
            catalogue_hash=outcome.catalogue_hash,
            moves=_moves(feed, delivery),
            callback_body=outcome.callback_body(folder) if settings.status_endpoint.url else None,
        )
    return ledger.decision(delivery)


def _outcome(feed: Connections, delivery: Delivery) -> DeliveryOutcome:
    outcomes = feed.ledger.file_outcomes(delivery)
    return DeliveryOutcome(
        delivery_id=delivery.id,
        feed=delivery.feed,
        entity=feed.settings.entity.value,
        folder=f"dt={delivery.day}",
        started_at=delivery.claimed_at,
        finished_at=feed.ledger.now(),
        catalogue_hash=feed.settings.attribute_catalogue.hash,
        files=tuple(outcomes[file.name] for file in delivery.files if file.name in outcomes),
    )


def _moves(feed: Connections, delivery: Delivery) -> list[Move]:
    """What an earlier delivery of the date left, and where it goes: the first free number (rule P2)."""
    zone = feed.settings.zone
    folder = f"{zone.processed_folder(delivery.day)}/"
    earlier = [stored for stored in feed.drop_zone.list(folder) if stored.key != folder]
    if not earlier:
        return []
    aside = zone.processed_folder(delivery.day, _free_number(zone, delivery.day, feed.drop_zone.list(folder[:-1])))
    return [Move(stored, f"{aside}/{stored.key.removeprefix(folder)}") for stored in earlier]


def _free_number(zone: DropZone, day: str, stored: Iterable[StoredObject]) -> int:
    """One more than the highest N of `processed/YYYYMMDD.N/`."""
    pattern = re.compile(re.escape(zone.processed_folder(day)) + r"\.([0-9]+)/")
    return max((int(match[1]) for o in stored if (match := pattern.match(o.key))), default=0) + 1

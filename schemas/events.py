"""What Prefect's event feed is told of a feed, for automations: docs/operations.md lists names and payloads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.daily_hour import DailyHour
from schemas.delivery_page import written_day
from schemas.drop_zone import DropZone, Folder, Survey
from schemas.errors import ImporterError
from schemas.issues import cut, one_line
from schemas.report import DeliveryReport

_MOST_FAULTS = 20
_LONGEST_WHY = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a feed.

    Attributes:
        name: `px.import.…`.
        feed: the feed's name.
        entity: what it brings.
        payload: as JSON takes it; no secret and no cell in it.
        kind: what an automation may match besides the name; empty where there is nothing to tell apart.
    """

    name: str
    feed: str
    entity: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    kind: str = ""

    @property
    def resource(self) -> dict[str, str]:
        """Labels of the resource that the event is about."""
        labels = {"prefect.resource.id": f"px.feed.{self.feed}", "prefect.resource.name": self.feed}
        return labels | {"px.entity": self.entity} | ({"px.kind": self.kind} if self.kind else {})

    @property
    def full_payload(self) -> dict[str, Any]:
        """The payload with what stands in all of them."""
        return {"feed": self.feed, "entity": self.entity, **self.payload}


def delivered(report: DeliveryReport, entity: str, zone: DropZone) -> Event:
    """`px.import.imported` or `px.import.rejected`."""
    delivery = report.delivery
    faults = [(file.name, issue) for file in report.files for issue in file.issues]
    payload = {
        "day": written_day(delivery.day),
        "delivery_id": delivery.id,
        "folder": zone.url(zone.processed_folder(delivery.day)),
        "files": len(report.files),
        "records": report.records,
        "faults": [
            {"file": one_line(name), "column": one_line(issue.column), "rows": issue.count, "message": str(issue)}
            for name, issue in faults[:_MOST_FAULTS]
        ],
        "more_faults": max(len(faults) - _MOST_FAULTS, 0),
        "why": cut(report.message, _LONGEST_WHY),
    }
    return Event(f"px.import.{'imported' if report.success else 'rejected'}", delivery.feed, entity, payload)


@dataclass(frozen=True, slots=True)
class News:
    """What should be told once: an event under a key that stays the same as long as it is the same news.

    The first word of the key is the matter: waiting, overdue or blocked.
    """

    key: str
    event: Event


def waiting(feed: str, entity: str, seen: Survey, zone: DropZone, now: datetime, hours: int) -> list[News]:
    """Folders in which nothing has changed for so many hours, and that are still not ready."""
    late = [folder for folder in seen.waiting if now - folder.changed_at >= timedelta(hours=hours)]
    return [
        News(f"waiting {f.day} {_kind(f)} {f.changed_at.isoformat()}", _waiting(feed, entity, f, zone, now))
        for f in late
    ]


def _waiting(feed: str, entity: str, folder: Folder, zone: DropZone, now: datetime) -> Event:
    payload = {
        "day": written_day(folder.day),
        "folder": zone.url(folder.prefix),
        "objects": len(folder.objects),
        "since": folder.changed_at.isoformat(),
        "hours": int((now - folder.changed_at) / timedelta(hours=1)),
        "why": folder.why_not_ready,
    }
    return Event("px.import.waiting", feed, entity, payload, kind=_kind(folder))


def _kind(folder: Folder) -> str:
    return folder.not_ready.value if folder.not_ready else ""


def overdue(feed: str, entity: str, hour: DailyHour, now: datetime, last: datetime | None) -> list[News]:
    """A day whose hour has passed without a delivery; at most one."""
    day = hour.missed(now, last)
    if not day:
        return []
    payload = {
        "day": day,
        "expected_by": str(hour),
        "last_delivery": last.isoformat() if last else None,
        "why": f"no delivery since midnight, expected by {hour}",
    }
    return [News(f"overdue {day}", Event("px.import.overdue", feed, entity, payload))]


def blocked(feed: str, entity: str, trouble: ImporterError, now: datetime) -> News:
    """A run that failed because of the world or a setting; the same kind of trouble is news once a day."""
    kind = type(trouble).__name__
    return News(
        f"blocked {kind} {now:%Y-%m-%d}",
        Event("px.import.blocked", feed, entity, {"why": cut(str(trouble), _LONGEST_WHY)}, kind=kind),
    )

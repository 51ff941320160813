"""The hour by which a delivery is expected every day."""

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?: +(\S+))?")


@dataclass(frozen=True, slots=True)
class DailyHour:
    """An hour of every day.

    Attributes:
        hour: hour and minute.
        zone: whose clock and whose midnight are meant.
    """

    hour: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `06:00` (UTC) or `06:00 Europe/Berlin`.

        Raises:
            ValueError: the text is something else.
        """
        match = _FORM.fullmatch(text)
        if not match:
            raise ValueError("expected_by is an hour like 06:00, or with a zone 06:00 Europe/Berlin")
        try:
            zone = ZoneInfo(match[3] or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("expected_by names no time zone; write one like Europe/Berlin, or none for UTC") from None
        return cls(time(int(match[1]), int(match[2])), zone)

    def missed(self, now: datetime, last: datetime | None) -> str:
        """The day, YYYY-MM-DD, whose hour has passed without a delivery since its midnight; empty where none has.

        Args:
            now: with a zone.
            last: when the latest delivery was claimed; None where there was none.
        """
        here = now.astimezone(self.zone)
        came = last is not None and last.astimezone(self.zone).date() >= here.date()
        return "" if came or here.time() < self.hour else here.date().isoformat()

    def __str__(self) -> str:
        """As a person writes it."""
        return f"{self.hour:%H:%M} {self.zone.key}"

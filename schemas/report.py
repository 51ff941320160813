"""What one tick of a feed came to: for the run's state and the terminal (rule R5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.delivery import Delivery
from schemas.drop_zone import Survey
from schemas.issues import shown
from schemas.outcome import FileOutcome, verdict_of


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One delivery that was finished in this tick.

    Attributes:
        delivery: as it was claimed.
        success: the verdict.
        message: `status.txt` without its first line.
        files: what became of each file, in import order.
        not_archived: names of files that were replaced or removed after the claim and could not be archived.
    """

    delivery: Delivery
    success: bool
    message: str
    files: tuple[FileOutcome, ...]
    not_archived: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """Data rows of the files that were loaded."""
        return sum(file.rows for file in self.files if file.counts)

    def __str__(self) -> str:
        """One line for a terminal."""
        verdict = verdict_of(self.success)
        return f"dt={self.delivery.day} {verdict} {'; '.join(self.message.splitlines())}"


_MOST_SHOWN = 20
TAKEN = "Another run is importing this feed."
IMPORTED_BEFORE = "imported before; a new _SUCCESS makes it a new delivery"


@dataclass(frozen=True, slots=True)
class FeedReport:
    """One tick of one feed.

    Attributes:
        feed: the feed's name.
        deliveries: those finished in this tick, in the order of their import.
        seen: what the listing of `current/` showed; None where the tick ended before it.
        known: days of ready folders that hold the very objects of a finished delivery, marker included.
        unreceived: a sentence for each callback that was not received.
        skipped: another run holds the feed, from the start or since it took over; this one did no more.
    """

    feed: str
    deliveries: tuple[DeliveryReport, ...] = ()
    seen: Survey | None = None
    known: tuple[str, ...] = ()
    unreceived: tuple[str, ...] = ()
    skipped: bool = False

    @property
    def state(self) -> str:
        """Name of the run's state."""
        if not self.deliveries:
            return "Skipped" if self.skipped else "NothingToDo"
        return "Imported" if all(report.success for report in self.deliveries) else "Rejected"

    @property
    def summary(self) -> str:
        """Message of the run's state."""
        if self.skipped and not self.deliveries:
            return TAKEN
        return "; ".join([*self._deliveries(), *self.remarks])

    @property
    def remarks(self) -> tuple[str, ...]:
        """What else a person should know: what was left alone and why, callbacks that were not received."""
        return (*self._not_archived(), *self._left_alone(), *self.unreceived, *((TAKEN,) if self.skipped else ()))

    def _deliveries(self) -> Iterator[str]:
        if not self.deliveries:
            yield "Nothing to import"
            return
        yield f"{counted(len(self.deliveries), 'folder')}, {counted(sum(r.records for r in self.deliveries), 'record')}"
        rejected = [f"dt={report.delivery.day}" for report in self.deliveries if not report.success]
        if rejected:
            yield f"with errors: {', '.join(rejected)}"

    def _not_archived(self) -> Iterator[str]:
        for report in self.deliveries:
            if report.not_archived:
                names = some_names(report.not_archived)
                yield f"not archived: dt={report.delivery.day} {names} (replaced or removed after the claim)"

    def _left_alone(self) -> Iterator[str]:
        if self.seen is None:
            return
        waiting, strangers = self.seen.waiting, self.seen.strangers
        for folder in waiting[:_MOST_SHOWN]:
            yield f"waiting: dt={folder.day} ({folder.why_not_ready})"
        if len(waiting) > _MOST_SHOWN:
            yield f"waiting: {len(waiting) - _MOST_SHOWN} more folders"
        for day in self.known:
            yield f"left alone: dt={day} ({IMPORTED_BEFORE})"
        if strangers:
            yield f"left alone in current/: {some_names(strangers, self.seen.more_strangers)}"


def counted(number: int, what: str) -> str:
    """A number of things: `1 folder`, `12,465 records`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def some_names(names: Sequence[str], others: int = 0, most: int = _MOST_SHOWN) -> str:
    """The first names, and how many more there are, those of which only the number is known among them."""
    others += max(0, len(names) - most)
    return ", ".join(shown(name) for name in names[:most]) + (f" and {others} more" if others else "")

"""What one tick of a feed came to: for the run's state, the terminal and the run's page (rule R5)."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.delivery import Delivery
from schemas.drop_zone import Survey
from schemas.issues import shown
from schemas.markdown import plain
from schemas.outcome import verdict_of


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One delivery that was finished in this tick.

    Attributes:
        delivery: as it was claimed.
        success: the verdict.
        message: `status.txt` without its first line.
        records: data rows of the files that were loaded.
        processed_folder: `s3://` place of the archive.
    """

    delivery: Delivery
    success: bool
    message: str
    records: int
    processed_folder: str

    def __str__(self) -> str:
        """One line for a terminal."""
        verdict = verdict_of(self.success)
        return f"dt={self.delivery.day} {verdict} {'; '.join(self.message.splitlines())}"


_MOST_SHOWN = 20
TAKEN = "Another run is importing this feed."


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
        return (*self._left_alone(), *self.unreceived, *((TAKEN,) if self.skipped else ()))

    def _deliveries(self) -> Iterator[str]:
        if not self.deliveries:
            yield "Nothing to import"
            return
        folders, records = len(self.deliveries), sum(report.records for report in self.deliveries)
        yield f"{folders} folder{'s' * (folders != 1)}, {records} records"
        rejected = [f"dt={report.delivery.day}" for report in self.deliveries if not report.success]
        if rejected:
            yield f"with errors: {', '.join(rejected)}"

    def _left_alone(self) -> Iterator[str]:
        if self.seen is None:
            return
        waiting, strangers = self.seen.waiting, self.seen.strangers
        for folder in waiting[:_MOST_SHOWN]:
            yield f"waiting: dt={folder.day} ({folder.why_not_ready})"
        if len(waiting) > _MOST_SHOWN:
            yield f"waiting: {len(waiting) - _MOST_SHOWN} more folders"
        for day in self.known:
            yield f"left alone: dt={day} (imported before; a new _SUCCESS makes it a new delivery)"
        if strangers:
            names = ", ".join(shown(name) for name in strangers[:_MOST_SHOWN])
            more = f" and {len(strangers) - _MOST_SHOWN} more" if len(strangers) > _MOST_SHOWN else ""
            yield f"left alone in current/: {names}{more}"

    @property
    def markdown(self) -> str:
        """The run's page in Prefect."""
        lines = [f"# {self.feed}: {self.state}", "", plain(self.summary), ""]
        for report in self.deliveries:
            verdict = verdict_of(report.success)
            lines += [f"## dt={report.delivery.day}: {verdict}", "", f"Archived in `{report.processed_folder}/`", ""]
            lines += ["| file | size in bytes |", "|---|---:|"]
            lines += [f"| {plain(f.name)} | {f.stored.size_bytes:,} |" for f in report.delivery.files]
            lines += ["", *(f"- {plain(line)}" for line in report.message.splitlines()), ""]
        return "\n".join(lines)

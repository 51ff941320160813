"""What Prefect always shows of a feed (rule R5): what waits and why, and its last deliveries.

The page holds no word that changes while nothing happens, so that an idle tick need not write it anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.delivery_page import sign, written_day
from schemas.delivery_record import DeliveryRecord
from schemas.drop_zone import Survey
from schemas.markdown import plain, table
from schemas.report import IMPORTED_BEFORE, counted, some_names
from schemas.s3_console import ObjectLinks

#: Deliveries on the page; `px-import deliveries` shows all.
SHOWN_DELIVERIES = 10
_SHOWN_FOLDERS = 50


@dataclass(frozen=True, slots=True)
class FeedPage:
    """What is known of a feed after a tick.

    Attributes:
        feed: its name.
        entity: what it brings.
        links: to its place in the bucket.
        seen: what the listing of `current/` showed; None where the tick did not come so far.
        known: days of ready folders that were imported before.
        recent: the last deliveries, newest first; None where the ledger could not be read.
        overdue: by which hour there should have been a delivery today; empty where none is late.
        trouble: the sentence that the run failed with; empty where it did not.
    """

    feed: str
    entity: str
    links: ObjectLinks
    seen: Survey | None
    known: tuple[str, ...]
    recent: tuple[DeliveryRecord, ...] | None
    overdue: str = ""
    trouble: str = ""

    @property
    def summary(self) -> str:
        """The page in a line."""
        waiting = [f"{counted(len(self.seen.waiting), 'folder')} waiting"] if self.seen and self.seen.waiting else []
        last = [f"last delivery {written_day(each.day)} {each.verdict or 'open'}" for each in (self.recent or ())[:1]]
        troubled = ["in trouble"] if self.trouble else []
        late = ["overdue"] if self.overdue else []
        none = ["no delivery yet"] if self.recent == () else []
        return "; ".join([*troubled, *late, *waiting, *last, *none])

    @property
    def markdown(self) -> str:
        """The page."""
        current = self.links.zone.current_prefix.rstrip("/")
        lines = [f"# {self.feed}", "", f"{self.entity.capitalize()}s from {self.links.folder(current)}", ""]
        if self.trouble:
            lines += [f"**The last run failed.** {plain(self.trouble)}", ""]
        if self.overdue:
            lines += [f"**Overdue**: {plain(self.overdue)}", ""]
        lines += ["## What waits", "", *self._waiting(), "", "## Last deliveries", "", *self._deliveries()]
        return "\n".join(lines)

    def _waiting(self) -> Iterator[str]:
        if self.seen is None:
            yield "The last run did not come to look."
            return
        rows = [[f"dt={f.day}", f"{f.changed_at:%Y-%m-%d %H:%M}", plain(f.why_not_ready)] for f in self.seen.waiting]
        rows += [[f"dt={day}", "", plain(IMPORTED_BEFORE)] for day in self.known]
        if rows:
            yield from table(("folder", "last change (UTC)", "why it waits"), rows[:_SHOWN_FOLDERS])
        if len(rows) > _SHOWN_FOLDERS:
            yield f"\nand {counted(len(rows) - _SHOWN_FOLDERS, 'more folder')}"
        if self.seen.strangers:
            yield f"\nLeft alone in current/: {plain(some_names(self.seen.strangers, self.seen.more_strangers))}"
        if not rows and not self.seen.strangers:
            yield "Nothing."

    def _deliveries(self) -> Iterator[str]:
        if not self.recent:
            yield "None yet." if self.recent is not None else "The ledger could not be read."
            return
        heads = ("day", "verdict", "records:", "faults:", "finished (UTC)", "id")
        yield from table(heads, map(_row, self.recent))
        for day, newer in _late(self.recent):
            said = (
                f"{written_day(day)} was imported after {written_day(newer)}: its values may have replaced newer ones"
            )
            yield f"\n**Out of order**: {said}, see px-import replay."


def _late(recent: Sequence[DeliveryRecord]) -> Iterator[tuple[str, str]]:
    """Days that changed records after a newer day had come, and the newest that has not come again since (rule D4)."""
    brought = [record for record in recent if record.counts.total]
    for at, late in enumerate(brought):
        again = {record.day for record in brought[:at]}
        newer = [record.day for record in brought[at + 1 :] if record.day > late.day and record.day not in again]
        if newer and late.counts.updated:
            yield late.day, max(newer)


def _row(record: DeliveryRecord) -> list[str]:
    return [
        written_day(record.day),
        f"{sign(record.verdict == 'SUCCESS')} {record.verdict}" if record.verdict else "under way",
        f"{record.counts.total:,}",
        f"{sum(file.faults for file in record.files):,}",
        f"{record.finished_at:%Y-%m-%d %H:%M}" if record.finished_at else record.stage.value,
        f"`{record.id[:8]}`",
    ]

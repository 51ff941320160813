"""What one sweep over many feeds came to: for the run's state and its table (rules R3, R5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from schemas.report import counted

_MOST_NAMED = 20
_MOST_LINES = 1000


class Fate(Enum):
    """What became of one feed in a sweep."""

    IMPORTED = "imported"
    REJECTED = "rejected"
    IDLE = "nothing to do"
    SKIPPED = "skipped"
    LEFT = "left for the next tick"
    TROUBLE = "in trouble"


#: By the state of the feed's own run.
FATES = {"Imported": Fate.IMPORTED, "Rejected": Fate.REJECTED, "Skipped": Fate.SKIPPED, "NothingToDo": Fate.IDLE}
LEFT = "There was no time left to begin; more shards, or more imports at once, would help."


@dataclass(frozen=True, slots=True)
class FeedOutcome:
    """One feed in a sweep.

    Attributes:
        feed: name of its document.
        fate: what became of it.
        said: for a person; empty where there is nothing to say.
    """

    feed: str
    fate: Fate
    said: str = ""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """One sweep.

    Attributes:
        outcomes: one a feed.
    """

    outcomes: tuple[FeedOutcome, ...]

    @property
    def state(self) -> str:
        """Name of the run's state where no feed was in trouble."""
        if self.named(Fate.REJECTED):
            return "Rejected"
        return "Imported" if self.named(Fate.IMPORTED) else "NothingToDo"

    @property
    def in_trouble(self) -> bool:
        """Whether the world failed for any feed."""
        return bool(self.named(Fate.TROUBLE))

    @property
    def summary(self) -> str:
        """Message of the run's state: how many feeds, and which."""
        return f"{counted(len(self.outcomes), 'feed')}: {'; '.join(self._counts()) or 'none is saved'}"

    def _counts(self) -> Iterator[str]:
        for fate in Fate:
            if names := self.named(fate):
                yield f"{len(names):,} {fate.value}" + ("" if fate is Fate.IDLE else f" ({_listed(names)})")

    def named(self, fate: Fate) -> list[str]:
        """Names of the feeds with this fate."""
        return sorted(outcome.feed for outcome in self.outcomes if outcome.fate is fate)

    @property
    def table(self) -> list[dict[str, str]]:
        """A line for each feed that a person may want to look at; those in trouble come first."""
        order = [Fate.TROUBLE, Fate.LEFT, Fate.REJECTED, Fate.IMPORTED, Fate.SKIPPED, Fate.IDLE]
        told = [outcome for outcome in self.outcomes if outcome.fate is not Fate.IDLE or outcome.said]
        told.sort(key=lambda outcome: (order.index(outcome.fate), outcome.feed))
        lines = [{"feed": each.feed, "": each.fate.value, "what": each.said} for each in told[:_MOST_LINES]]
        if len(told) > _MOST_LINES:
            lines.append({"feed": "…", "": "", "what": counted(len(told) - _MOST_LINES, "more feed")})
        return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more

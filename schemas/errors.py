"""The exceptions of the importer: what went wrong outside the data.

    ImporterError
    ├── TransientError          the world is busy: tried again, then left for the next tick
    │   ├── DropZoneBusy        S3 did not answer, or answered with a server's error
    │   │   └── DropZoneSilent  it did not answer at all
    │   ├── StoreBusy           the database is locked, full or gone
    │   └── CountsDisagree      a load did not add up; it was rolled back
    └── PermanentError          a firm no: never tried again as it is
        ├── SettingsError       a setting is wrong
        ├── AccessRefused       a credential or a right is missing
        ├── NotThere            the bucket or the object does not exist
        ├── ObjectChanged       the object is no longer the one that was claimed
        ├── PlaceTaken          another object stands where one was to be written
        ├── LeaseLost           another run has taken over this feed
        └── StoreConflict       the store's tables do not fit the attribute catalogue

Faults in the data are no exceptions: they are values, see `schemas.issues`.
Every class keeps its parts as attributes and renders its own sentence, which names
the place and the cure and never holds a secret or a cell's value.
"""


class ImporterError(Exception):
    """Root of all exceptions that this project raises on purpose."""


class TransientError(ImporterError):
    """The world is busy; the same call may succeed later."""


class PermanentError(ImporterError):
    """A firm no; the same call would fail again."""


class DropZoneBusy(TransientError):
    """S3 could not be reached or answered with a fault of its own."""

    def __init__(self, action: str, place: str, reason: str) -> None:
        """Keep the parts: what was tried, on which `s3://` place, and what came back."""
        super().__init__(f"Could not {action} {place}: {reason}. Nothing is lost; the next tick tries again.")
        self.action, self.place, self.reason = action, place, reason


class DropZoneSilent(DropZoneBusy):
    """S3 gave no answer at all: whoever else asks there waits for nothing, too."""


class StoreBusy(TransientError):
    """The database could not be reached, is locked, or is full."""

    def __init__(self, store: str, reason: str) -> None:
        """Keep the parts: the store's name without credentials, and what it said."""
        super().__init__(f"The store {store} cannot be used: {reason}. Nothing is lost; the next tick tries again.")
        self.store, self.reason = store, reason


class CountsDisagree(TransientError):
    """The counts of a load do not add up to the rows read (rule L3); it was rolled back."""

    def __init__(self, file_name: str, rows: int, counted: int) -> None:
        """Keep the parts: the file, its data rows, and the sum of the load's counts."""
        super().__init__(
            f"{file_name}: {rows} rows were read but {counted} are accounted for after the load; "
            "it was rolled back and nothing of it was loaded. The next tick tries again."
        )
        self.file_name, self.rows, self.counted = file_name, rows, counted


class SettingsError(PermanentError):
    """A setting is wrong (rule S9)."""

    def __init__(self, field: str, problem: str, *, source: str = "") -> None:
        """Keep the parts.

        Args:
            field: dotted name of the field, `destination.channel`; empty where the whole source is meant.
            problem: what is wrong and what to write instead, without a full stop.
            source: the settings file or block document, where known.
        """
        place = ": ".join(part for part in (source, field) if part)
        end = "" if problem.endswith("?") else "."
        super().__init__(f"{place}: {problem}{end}" if place else f"{problem}{end}")
        self.field, self.problem, self.source = field, problem, source


class AccessRefused(PermanentError):
    """The credentials are wrong, expired, or lack a right."""

    def __init__(self, action: str, place: str, reason: str, cure: str) -> None:
        """Keep the parts: what was tried, where, what came back, and what to do."""
        super().__init__(f"Not allowed to {action} {place} ({reason}): {cure}.")
        self.action, self.place, self.reason, self.cure = action, place, reason, cure


class NotThere(PermanentError):
    """A bucket or an object that must exist does not."""

    def __init__(self, place: str, cure: str) -> None:
        """Keep the parts: the `s3://` place and what to do."""
        super().__init__(f"{place} does not exist: {cure}.")
        self.place, self.cure = place, cure


class ObjectChanged(PermanentError):
    """A stored object is gone or is no longer the version that was claimed (rule D6)."""

    def __init__(self, place: str) -> None:
        """Keep the `s3://` place."""
        super().__init__(f"{place} was replaced or removed after it was claimed.")
        self.place = place


class PlaceTaken(PermanentError):
    """Something else already stands where an object was to be written; it was not overwritten (rule P2)."""

    def __init__(self, place: str) -> None:
        """Keep the `s3://` place."""
        super().__init__(f"{place} already holds something else, which was left as it is: move or remove it.")
        self.place = place


class LeaseLost(PermanentError):
    """Another run has taken over this feed; this one must write nothing more (rule R2)."""

    def __init__(self, feed: str) -> None:
        """Keep the feed's name."""
        super().__init__(f"Another run has taken over the feed {feed!r}; this run stops here and has harmed nothing.")
        self.feed = feed


class StoreConflict(PermanentError):
    """The store's tables contradict the attribute catalogue (rule L4)."""

    def __init__(self, place: str, problem: str, cure: str) -> None:
        """Keep the parts: table and column, what contradicts, and what to do."""
        super().__init__(f"{place}: {problem}. Nothing was loaded; {cure}.")
        self.place, self.problem, self.cure = place, problem, cure

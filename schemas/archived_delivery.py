"""An archived delivery as its `status.json` tells of it, and how its folder is laid out once more (rules P1, P4)."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from schemas.drop_zone import ERRORS_CSV, MARKER, STATUS_JSON, STATUS_TEXT, ObjectKind, archived_names, kind_of

_OURS = frozenset({STATUS_TEXT, STATUS_JSON, ERRORS_CSV, MARKER})


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One file of an archived delivery.

    Attributes:
        name: in the folder that was delivered.
        size_bytes: as it was imported.
        sha256: of the stored bytes, in hex; empty for a file that was not read.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArchivedDelivery:
    """What `status.json` says.

    Attributes:
        id: of the delivery.
        feed: name of the feed.
        day: YYYYMMDD of the folder.
        started: when it was claimed; UTC.
        finished: when it was decided; UTC.
        files: those that were judged, in import order.
    """

    id: str
    feed: str
    day: str
    started: datetime
    finished: datetime
    files: tuple[ArchivedFile, ...]

    @classmethod
    def parse(cls, content: bytes) -> "ArchivedDelivery":
        """Read a `status.json`.

        Raises:
            ValueError: it is none.
        """
        try:
            told = json.loads(content)
            files = tuple(ArchivedFile(each["name"], each["size_bytes"], each["sha256"]) for each in told["files"])
            started, finished = (datetime.fromisoformat(told[name]) for name in ("started", "finished"))
            return cls(told["delivery_id"], told["feed"], told["folder"].removeprefix("dt="), started, finished, files)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no status.json of a delivery ({error!r})") from None

    def layout(self, names: Collection[str]) -> dict[str, str]:
        """What is copied back.

        Args:
            names: of the objects in the archive folder.

        Returns:
            Name in the archive folder by the name that it had when it was delivered, without the marker.

        Raises:
            ValueError: a file is missing in the archive; the text names it.
        """
        moved = archived_names(file.name for file in self.files)
        for file in self.files:
            was_gone = kind_of(file.name, file.size_bytes) is ObjectKind.INPUT and not file.sha256
            if moved[file.name] not in names and not was_gone:
                raise ValueError(file.name)
        bookkeeping = {name: name for name in names if name not in _OURS and name not in moved.values()}
        return bookkeeping | {name: archived for name, archived in moved.items() if archived in names}

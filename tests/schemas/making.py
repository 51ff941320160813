"""How the tests of validation make files, and how they look at what became of them."""

import gzip
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from hypothesis import settings

from schemas.catalogue import Catalogue, Entity, default_catalogue
from schemas.issues import Code, FaultPlace, Issue
from schemas.settings import FileSettings
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate

USER = default_catalogue(Entity.USER)
FEED = FileSettings(entity=Entity.USER, destination={"product": "AP-XXXXXXXXXX"}, date_format="yyyyMMdd")

#: Property tests share two slow cores with much else: few examples, and no deadline for each.
modest = settings(max_examples=250, deadline=None)
few = settings(max_examples=40, deadline=None)


def feed(**changes: object) -> FileSettings:
    """The usual settings with some changed; checked as if a person had written them."""
    return FileSettings.model_validate({**FEED.model_dump(), **changes})


def keyed(**changes: object) -> FileSettings:
    """A feed whose product key stands in the column `productKey`."""
    return feed(destination={"product_key_column": "productKey", **changes})


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, 1, mtime=0)


@dataclass(frozen=True)
class Verdict:
    """What became of a file, with its typed rows in memory."""

    outcome: ValidFile | Rejection
    rows: list[dict[str, object]]
    types: dict[str, pa.DataType]

    @property
    def accepted(self) -> ValidFile:
        assert isinstance(self.outcome, ValidFile), self.sentences
        return self.outcome

    @property
    def issues(self) -> tuple[Issue, ...]:
        return self.outcome.issues if isinstance(self.outcome, Rejection) else ()

    @property
    def places(self) -> tuple[FaultPlace, ...]:
        return self.outcome.places if isinstance(self.outcome, Rejection) else ()

    @property
    def sentences(self) -> list[str]:
        return [str(issue) for issue in self.issues]

    @property
    def codes(self) -> list[Code]:
        return [issue.code for issue in self.issues]

    def column(self, name: str) -> list[object]:
        assert self.accepted
        return [row[name] for row in self.rows]


def judged_bytes(stored: bytes, by: FileSettings = FEED, catalogue: Catalogue = USER) -> Verdict:
    """Validate an object of the bucket."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = validate(io.BytesIO(stored), catalogue, by, spool=Path(folder) / "typed.arrow")
        batches = list(outcome.batches()) if isinstance(outcome, ValidFile) else []
        rows = [row for batch in batches for row in batch.to_pylist()]
        types = {column.name: column.type for batch in batches[:1] for column in batch.schema}
    return Verdict(outcome, rows, types)


def judged(text: bytes | str, by: FileSettings = FEED, catalogue: Catalogue = USER) -> Verdict:
    """Validate a CSV text."""
    return judged_bytes(zipped(text.encode() if isinstance(text, str) else text), by, catalogue)

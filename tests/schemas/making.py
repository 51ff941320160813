"""How the tests of validation make files, and how they look at what became of them."""

import csv
import gzip
import io
import json
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import settings

from schemas.catalogue import Catalogue, Entity, default_catalogue
from schemas.cells import Cells
from schemas.issues import Code, FaultPlace, Issue
from schemas.outcome import DeliveryOutcome, FileOutcome, LoadCounts
from schemas.settings import FileSettings
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate

USER = default_catalogue(Entity.USER)
FEED = FileSettings(entity=Entity.USER, destination={"product": "AP-XXXXXXXXXX"}, date_format="yyyyMMdd")

#: Property tests share two slow cores with much else: few examples, and no deadline for each.
modest = settings(max_examples=250, deadline=None)
few = settings(max_examples=40, deadline=None)


#: An attribute of each type.
CATALOGUE = Catalogue.parse(
    [
        {"apiName": "text", "type": "STRING"},
        {"apiName": "number", "type": "NUMBER"},
        {"apiName": "flag", "type": "BOOLEAN"},
        {"apiName": "moment", "type": "DATE_TIME"},
    ]
)


def feed(**changes: object) -> FileSettings:
    """The usual settings with some changed; checked as if a person had written them."""
    return FileSettings.model_validate({**FEED.model_dump(), **changes})


def keyed(**changes: object) -> FileSettings:
    """A feed whose product key stands in the column `productKey`."""
    return feed(destination={"product_key_column": "productKey", **changes})


def zipped(text: bytes) -> bytes:
    return gzip.compress(text, 1, mtime=0)


STARTED = datetime(2021, 12, 25, 3, 0, 0, 123_456, UTC)


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


def written(rows: list[list[str]], line_end: str = "\r\n") -> str:
    """A CSV text as Python writes it, but for a CR, which Python leaves unquoted where lines end in LF."""
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(rows)
    return text.getvalue()


def delivery(*files: FileOutcome) -> DeliveryOutcome:
    return DeliveryOutcome(
        delivery_id="6f1c9a4e-5d0a-5c55-8f4e-2b1f1f0f7c11",
        feed="users",
        entity="user",
        folder="dt=20211225",
        started_at=STARTED,
        finished_at=STARTED + timedelta(seconds=12.5),
        catalogue_hash=USER.hash,
        files=files,
    )


def document(outcome: DeliveryOutcome) -> Any:
    return json.loads(outcome.status_json)


def loaded(name: str = "users.csv.gz", rows: int = 3, repeated: int = 0) -> FileOutcome:
    return FileOutcome(name, 100, "0" * 64, rows, LoadCounts(created=rows - repeated, repeated=repeated), ())


def rejected(name: str = "bad.csv.gz") -> FileOutcome:
    return FileOutcome(name, 100, "0" * 64, 1, None, (Issue(Code.NOT_GZIP, "Not a gzip file"),))


def cell_faults(cells: Cells, *texts: str) -> list[set[Code]]:
    """The faults of each cell of a batch."""
    column = pa.array(texts, pa.string())
    found: list[set[Code]] = [set() for _ in texts]
    for code, check in cells.checks.items():
        for each, right in zip(found, check(column).to_pylist(), strict=True):
            assert isinstance(right, bool)
            if not right:
                each.add(code)
    return found


def cell_values(cells: Cells, *texts: str) -> list[object]:
    """The values of a batch, asked for after the checks and without them."""
    column = pa.array(texts, pa.string())
    alone = replace(cells).typed(column)
    assert cell_faults(cells, *texts) == [set() for _ in texts]
    found = cells.typed(column)
    assert found.equals(alone)
    return list(found.to_pylist())

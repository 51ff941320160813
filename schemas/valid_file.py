"""A file that passed validation: its typed columns, ready to load."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.catalogue import Attribute, AttributeType
from schemas.product_key import ProductKey
from schemas.repeated_ids import IdHashes

#: Name of the product keys' column in the typed file; no attribute can have it.
PRODUCT_KEY = ""

ARROW_TYPES: dict[AttributeType, pa.DataType] = {
    AttributeType.STRING: pa.string(),
    AttributeType.NUMBER: pa.float64(),
    AttributeType.BOOLEAN: pa.bool_(),
    AttributeType.DATE_TIME: pa.timestamp("ms", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class ValidFile:
    """Typed columns of one accepted file, spooled to disk so that memory does not grow with it.

    Attributes:
        path: Arrow IPC stream; a column for each attribute of the file under its api name, of the type in
            `ARROW_TYPES`, null where the cell is blank; `PRODUCT_KEY` holds the full product keys, if a column does.
        attributes: those of the file's columns, `id` among them, in the file's order.
        product_key: of every row; None where the `PRODUCT_KEY` column holds it.
        rows: data rows.
        repeated: rows beyond the first of each id that stands on several rows (rule V8).
        ids: tells those ids.
    """

    path: Path
    attributes: tuple[Attribute, ...]
    product_key: ProductKey | None
    rows: int
    repeated: int
    ids: IdHashes

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in file order, some ten thousand at a time."""
        if not self.rows:
            return
        with pa.OSFile(str(self.path)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader

"""A store in a file of its own for each test, and files that passed validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest

from blocks.sqlite_store import SqliteStore
from schemas.catalogue import Attribute, AttributeType
from schemas.product_key import ProductKey
from schemas.repeated_ids import IdHashes
from schemas.valid_file import ARROW_TYPES, PRODUCT_KEY, ValidFile

TYPES = {
    "id": AttributeType.STRING,
    "name": AttributeType.STRING,
    "score": AttributeType.NUMBER,
    "active": AttributeType.BOOLEAN,
    "since": AttributeType.DATE_TIME,
}


class MakeFile(Protocol):
    def __call__(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        types: Mapping[str, AttributeType] = TYPES,
        batch_rows: int = 2,
        product: str = "AP-FIXED-2-1",
    ) -> ValidFile: ...


def write_valid_file(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    types: Mapping[str, AttributeType] = TYPES,
    batch_rows: int = 2,
    product: str = "AP-FIXED-2-1",
) -> ValidFile:
    """A file with a column for each key of its rows, a missing cell is blank; key `product` wins over the fixed one."""
    names = list(dict.fromkeys(["id", *(name for row in rows for name in row if name != PRODUCT_KEY)]))
    attributes = tuple(Attribute(name, types[name]) for name in names)
    fields = [(attribute.api_name, ARROW_TYPES[attribute.type]) for attribute in attributes]
    if any(PRODUCT_KEY in row for row in rows):
        product = ""
        fields.append((PRODUCT_KEY, pa.string()))
    table = pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in fields})
    ids, path = IdHashes(), folder / f"{len(list(folder.iterdir()))}.arrow"
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        for batch in table.to_batches(max_chunksize=batch_rows):
            writer.write_batch(batch)
            ids.add(batch.column("id"))
    repeated = ids.finish()
    return ValidFile(path, attributes, ProductKey.parse(product) if product else None, len(rows), repeated, ids)


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    folder = tmp_path / "spool"
    folder.mkdir()

    def make(rows: Sequence[Mapping[str, Any]], **how: Any) -> ValidFile:
        return write_valid_file(folder, rows, **how)

    return make


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "px.db", patience_seconds=30)

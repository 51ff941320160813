"""An empty store for each test, and files that passed validation."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest

from blocks.database import Store
from blocks.stores import open_store
from schemas.catalogue import Attribute, AttributeType, Entity
from schemas.outcome import LoadCounts
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


Rows = Sequence[Mapping[str, Any]]


class MakeFile(Protocol):
    def __call__(
        self,
        rows: Rows,
        *,
        types: Mapping[str, AttributeType] = TYPES,
        batch_rows: int = 2,
        product: str = "AP-FIXED-2-1",
    ) -> ValidFile: ...


def write_valid_file(
    folder: Path,
    rows: Rows,
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


def nothing() -> None:
    pass


def load(
    store: Store,
    valid: ValidFile,
    *,
    entity: Entity = Entity.USER,
    clear_blanks: bool = False,
    progress: Callable[[], None] = nothing,
) -> LoadCounts:
    with store.transaction() as tx:
        return tx.upsert(entity, valid, clear_blanks=clear_blanks, progress=progress)


def look(store: Store, sql: str) -> list[tuple[Any, ...]]:
    with store.read() as reader:
        return reader.execute(sql)


def records(store: Store, columns: str = "id, name, score") -> list[tuple[Any, ...]]:
    return look(store, f"SELECT {columns} FROM users ORDER BY id")


def products(store: Store) -> list[tuple[Any, ...]]:
    return look(store, "SELECT user_id, product_key FROM user_products ORDER BY user_id, product_key")


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    folder = tmp_path / "spool"
    folder.mkdir()

    def make(rows: Rows, **how: Any) -> ValidFile:
        return write_valid_file(folder, rows, **how)

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty store, one of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/px.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url)

"""In a process of its own: what the machine and the database can do at best, without any importer.

    gunzip          decompression alone
    parse           decompression, and Arrow's CSV reader making text columns
    sqlite          `executemany` of an upsert, in one transaction, of rows that lie ready in memory
    postgresql      COPY of rows that lie ready in memory, and one INSERT … ON CONFLICT

The tables are those of the importer, without its ledger, its products and its questions (what differs, what is new).
Printed are the CPU seconds of that work alone, the server's included.
"""

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
from isal import igzip

from blocks import postgres_copy, record_tables
from blocks.postgres_tables import TYPES
from schemas.catalogue import Catalogue
from schemas.settings import Destination, FileSettings
from schemas.valid_file import ValidFile
from schemas.validation import validate
from tests.bench.processes import Server

_BLOCK = 4 * 1024**2
_KEY = 'text COLLATE "C"'


def gunzip(path: Path) -> None:
    """To nowhere."""
    with igzip.open(path) as file:
        while file.read(_BLOCK):
            pass


def parse(path: Path) -> None:
    """To text columns, batch by batch."""
    with igzip.open(path) as file:
        names = file.readline().decode().strip().split(",")
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    options = pa.csv.ParseOptions(newlines_in_values=True)
    with igzip.open(path) as file:
        reading = pa.csv.ReadOptions(block_size=_BLOCK)
        for _ in pa.csv.open_csv(file, read_options=reading, parse_options=options, convert_options=text):
            pass


def ready_rows(path: Path, entries: object, scratch: Path) -> ValidFile:
    """The typed rows."""
    settings = FileSettings(destination=Destination(product="AP-XXXXXXXXXX"))
    with path.open("rb") as source:
        valid = validate(source, Catalogue.parse(entries), settings, spool=scratch / "typed.arrow")
    if not isinstance(valid, ValidFile):
        raise SystemExit(f"{path.name}: {valid.issues}")
    return valid


class Stopwatch:
    """CPU seconds of this process, and of a server."""

    def __init__(self, server: Server | None = None) -> None:
        self._server, self.seconds = server, 0.0

    def _now(self) -> float:
        return time.process_time() + (self._server.cpu_seconds() if self._server else 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """What is done within is counted."""
        began = self._now()
        yield
        self.seconds += self._now() - began


def sqlite(store: str, valid: ValidFile, watch: Stopwatch) -> None:
    """Upsert into a file."""
    names = [f'"{attribute.api_name}"' for attribute in valid.attributes]
    columns = ", ".join(record_tables._declared(attribute) for attribute in valid.attributes)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    sql = f"INSERT INTO users VALUES ({', '.join('?' * len(names))}) ON CONFLICT (id) DO UPDATE SET {changes}"
    rows = [row for batch in valid.batches() for row in record_tables._rows(batch, batch.schema.names)]
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
            connection.execute(f"PRAGMA {pragma}")
        with watch.running():
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"CREATE TABLE IF NOT EXISTS users ({columns})")
            connection.executemany(sql, rows)
            connection.execute("COMMIT")


def postgresql(url: str, valid: ValidFile, watch: Stopwatch) -> None:
    """Upsert into a schema `bare`."""
    names = [f'"{attribute.api_name}"' for attribute in valid.attributes]
    kinds = [_KEY, *(TYPES[attribute.type] for attribute in valid.attributes[1:])]
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    parts = [bytes(postgres_copy.rows(batch.columns)) for batch in valid.batches()]
    with watch.running(), psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS bare")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS bare.users ({columns}, PRIMARY KEY (id))")
        cursor.execute(f"CREATE TEMPORARY TABLE ready ({columns})")
        with cursor.copy("COPY ready FROM STDIN (FORMAT BINARY)") as copy:
            for part in (postgres_copy.HEADER, *parts, postgres_copy.TRAILER):
                copy.write(part)
        cursor.execute(f"INSERT INTO bare.users SELECT * FROM ready ON CONFLICT (id) DO UPDATE SET {changes}")
        cursor.execute("DROP TABLE ready")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("limit", choices=["gunzip", "parse", "sqlite", "postgresql"])
    parser.add_argument("file", type=Path)
    parser.add_argument("result", type=Path, help="where the seconds go, as JSON")
    parser.add_argument("--catalogue", type=Path)
    parser.add_argument("--store", default="")
    options = parser.parse_args()
    if options.limit in {"gunzip", "parse"}:
        watch = Stopwatch()
        with watch.running():
            (gunzip if options.limit == "gunzip" else parse)(options.file)
    else:
        watch = Stopwatch(Server.of(options.store) if options.limit == "postgresql" else None)
        with tempfile.TemporaryDirectory() as scratch:
            valid = ready_rows(options.file, json.loads(options.catalogue.read_text()), Path(scratch))
            (sqlite if options.limit == "sqlite" else postgresql)(options.store, valid, watch)
    options.result.write_text(json.dumps(watch.seconds))


if __name__ == "__main__":
    main()

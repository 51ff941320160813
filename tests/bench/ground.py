"""Where it is measured: an S3 server, PostgreSQL and a receiver of callbacks on this machine, and the files."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.bench.files import Layout, write, write_catalogue
from tests.bench.processes import Server

BUCKET = "bench"
SQLITE, POSTGRESQL, DUCKDB = "SQLite", "PostgreSQL", "DuckDB"


@dataclass(frozen=True, slots=True)
class Place:
    """An empty store, of nobody but one contestant.

    Attributes:
        database: what kind it is.
        url: sqlite:///… or postgresql://…, or the path of a file for DuckDB.
        folder: of this machine, empty at first.
        name: of it, unique.
    """

    database: str
    url: str
    folder: Path
    name: str


@dataclass(slots=True)
class Ground:
    """The servers, and places made on them.

    Attributes:
        folder: scratch, gone at the end.
        server: to count what PostgreSQL costs.
    """

    folder: Path
    s3: LocalS3
    postgres: LocalPostgres
    receiver: Receiver
    server: Server
    _numbers: Iterator[int] = field(default_factory=count)

    def file(self, layout: Layout, *, rows: int, changed: float = 0.0, faulty: float = 0.0) -> Path:
        """A file; written when it is first asked for."""
        name = f"{len(layout.columns)}-{layout.names[-1]}-{rows}-{changed}-{faulty}"
        path = self.folder / f"{name}.csv.gz"
        if not path.exists():
            write(path, layout, rows, changed=changed, faulty=faulty)
        return path

    def catalogue(self, layout: Layout) -> Path:
        """The catalogue that knows a layout's columns."""
        path = self.folder / f"{len(layout.columns)}-{layout.names[-1]}.json"
        write_catalogue(path, layout)
        return path

    def put(self, path: Path, key: str) -> None:
        """Upload a file."""
        self.s3.client.upload_file(str(path), BUCKET, key)

    def deliver(self, path: Path, root: str, day: str) -> None:
        """Upload a file into a drop zone, and its marker."""
        self.put(path, f"{root}/current/dt={day}/users.csv.gz")
        self.s3.client.put_object(Bucket=BUCKET, Key=f"{root}/current/dt={day}/_SUCCESS", Body=b"")

    @contextmanager
    def place(self, database: str) -> Iterator[Place]:
        """An empty store; it is gone afterwards."""
        name = f"place_{next(self._numbers)}"
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            folder = Path(scratch)
            if database == POSTGRESQL:
                with self._as_superuser() as connection:
                    connection.execute(f"CREATE DATABASE {name}")
                yield Place(database, urlsplit(self.postgres.url)._replace(path=f"/{name}").geturl(), folder, name)
                with self._as_superuser() as connection:
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            elif database == SQLITE:
                yield Place(database, f"sqlite:///{folder}/px.db", folder, name)
            else:
                yield Place(database, f"{folder}/px.duckdb", folder, name)

    def settle(self) -> None:
        """Let the server write what earlier work has left to write: it is nobody else's cost."""
        with self._as_superuser() as connection:
            connection.execute("CHECKPOINT")

    def settings(self, place: Place, catalogue: Path, **others: object) -> Path:
        """The settings of a feed whose drop zone has the place's name."""
        path = place.folder / "settings.yaml"
        endpoint = {"url": self.receiver.url, "api_key": "bench", "allow_http": True}
        settings = {
            "feed": place.name.replace("_", "-"),
            "bucket": BUCKET,
            "base_folder": place.name,
            "region": self.s3.region,
            "endpoint_url": self.s3.endpoint_url,
            "authorization": {
                "access_key_id": self.s3.access_key_id,
                "secret_access_key": self.s3.secret_access_key,
            },
            "destination": {"product": "AP-XXXXXXXXXX"},
            "store": place.url,
            "catalogue": str(catalogue),
            "status_endpoint": endpoint | {"allowed_networks": ["127.0.0.0/8"]},
            **others,
        }
        path.write_text(json.dumps(settings))
        return path

    @contextmanager
    def _as_superuser(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        with closing(psycopg.connect(self.postgres.url, autocommit=True)) as connection:
            yield connection


@contextmanager
def ground() -> Iterator[Ground]:
    """All of it; nothing is left behind."""
    with (
        tempfile.TemporaryDirectory(prefix="px-import-bench-") as folder,
        LocalS3() as s3,
        LocalPostgres() as postgres,
        Receiver() as receiver,
    ):
        s3.create_bucket(BUCKET)
        postgres.execute("ALTER SYSTEM SET autovacuum = off")  # it comes when it likes, and falls on anybody
        postgres.execute("SELECT pg_reload_conf()")
        yield Ground(Path(folder), s3, postgres, receiver, Server.of(postgres.url))

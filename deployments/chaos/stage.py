"""One scratch place for one case: a folder of the bucket, a store of its own, and a status endpoint."""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from botocore.exceptions import ClientError

from blocks.aws_session import s3_client
from blocks.database import Store
from blocks.feed_settings import SettingsFile
from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.stores import open_store
from deployments.chaos.scenarios import DAY, ENTITIES, PRODUCT, Files, Record
from deployments.receiver import Receiver
from schemas.drop_zone import MARKER, DropZone

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NUMBERED = re.compile(rf"{DAY}\.(\d+)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the cases are played: a bucket and a database, by their settings; every case gets a scratch part of both.

    Attributes:
        settings: of any feed: bucket, base folder, region, endpoint, encryption, authorization and store are used.
        root: scratch prefix below the settings' root, and the beginning of the names of scratch schemas.
    """

    settings: SettingsFile
    root: str = field(default_factory=lambda: f"px-chaos-{secrets.token_hex(4)}")

    @property
    def endpoint_url(self) -> str:
        """Of S3, also where the settings leave it to AWS."""
        region = self.settings.region or "us-east-1"
        return self.settings.endpoint_url or f"https://s3.{region}.amazonaws.com"

    @property
    def database(self) -> str:
        """The scheme of the store's URL."""
        return urlsplit(self.settings.store.get_secret_value()).scheme

    @property
    def zone(self) -> DropZone:
        """Everything that is played lies below this root of the bucket."""
        above = self.settings.zone
        return DropZone.parse(above.bucket, "/".join(filter(None, [above.root, self.root])))

    def schema(self, stage: str) -> str:
        """Name of a stage's scratch tables in PostgreSQL."""
        return f"{self.root}_{stage}".replace("-", "_")

    def left_behind(self) -> list[str]:
        """What should have been removed at the end of each case: keys of objects, names of schemas."""
        with self.client() as client:
            keys = list(keys_below(client, self.zone.bucket, f"{self.zone.root}/"))
        if self.database == "sqlite":
            return keys  # those files go with their folder
        with open_store(self.settings.store.get_secret_value()).read() as reader:
            sql = "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, :beginning)"
            return keys + [name for (name,) in reader.execute(sql, {"beginning": self.schema("")})]

    @contextmanager
    def client(self) -> Iterator["S3Client"]:
        """A client with the settings' rights, around every proxy."""
        settings = ImportSettings.of(self.settings)
        with closing(
            s3_client(
                settings.authorization,
                region=settings.region,
                endpoint_url=settings.endpoint_url,
                sts_endpoint_url=settings.sts_endpoint_url,
            )
        ) as client:
            yield client


@dataclass(slots=True)
class Stage:
    """The scratch place of one case, as customer and operator see it: everything here goes around the importer.

    Attributes:
        ground: where it lies.
        name: of the case, unique on its ground.
        folder: of this machine, for spools and, with SQLite, the store.
        client: of S3.
        receiver: the status endpoint.
    """

    ground: Ground
    name: str
    folder: Path
    client: "S3Client"
    receiver: Receiver
    _store: Store | None = field(default=None, init=False)

    @property
    def temporary(self) -> Path:
        """Where the importer may put what it needs for a while."""
        return self.folder / "tmp"

    @property
    def database_file(self) -> Path:
        """The store, where it is SQLite."""
        return self.folder / "px.db"

    @property
    def store_url(self) -> str:
        """The store's own URL, no proxy before it."""
        if self.ground.database == "sqlite":
            return f"sqlite:///{self.database_file}"
        url = urlsplit(self.ground.settings.store.get_secret_value())
        parameters = {**dict(parse_qsl(url.query)), "schema": self.ground.schema(self.name)}
        return url._replace(query=urlencode(parameters)).geturl()

    @property
    def store(self) -> Store:
        """The store, around every proxy."""
        if self._store is None:
            self._store = open_store(self.store_url)
        return self._store

    @property
    def ledger(self) -> Ledger:
        """The ledger in it."""
        return Ledger(self.store)

    def zone(self, feed: str) -> DropZone:
        """A feed's drop zone."""
        above = self.ground.zone
        return DropZone.parse(above.bucket, "/".join(filter(None, [above.root, self.name, feed])))

    def settings(self, feed: str, *, endpoint_url: str, store_url: str, callback_url: str) -> SettingsFile:
        """Settings of a feed of this stage, with the doors at these addresses."""
        given, zone = self.ground.settings, self.zone(feed)
        return SettingsFile.model_validate(
            {
                "feed": feed,
                "entity": ENTITIES[feed],
                "bucket": zone.bucket,
                "base_folder": zone.root,
                "region": given.region,
                "endpoint_url": endpoint_url,
                "sts_endpoint_url": given.sts_endpoint_url,
                "sse": given.sse,
                "kms_key_id": given.kms_key_id,
                "authorization": given.authorization,
                "store": store_url,
                "destination": {"product": PRODUCT},
                "status_endpoint": {
                    "url": callback_url,
                    "api_key": "of-no-account",
                    "allow_http": True,
                    "allowed_networks": ["127.0.0.0/8"],
                },
            }
        )

    def plain_settings(self, feeds: Sequence[str]) -> list[SettingsFile]:
        """Settings with no proxy before any door."""
        return [
            self.settings(
                feed,
                endpoint_url=self.ground.endpoint_url,
                store_url=self.store_url,
                callback_url=self.receiver.url,
            )
            for feed in feeds
        ]

    def deliver(self, feed: str, files: Files, *, marker: bool = True) -> None:
        """Put files into `current/`, as a customer does, and then the marker."""
        bodies = {name: file.body for name, file in files.items()}
        for name, body in [*bodies.items(), *([(MARKER, b"")] if marker else [])]:
            key = f"{self.zone(feed).current_prefix}dt={DAY}/{name}"
            self.client.put_object(Bucket=self.zone(feed).bucket, Key=key, Body=body)

    def remove(self, feed: str, names: Iterable[str]) -> None:
        """Take objects back out of `current/`, as a customer may."""
        for name in names:
            key = f"{self.zone(feed).current_prefix}dt={DAY}/{name}"
            self.client.delete_object(Bucket=self.zone(feed).bucket, Key=key)

    def rob(self, feed: str, files: Files) -> None:
        """Remove an earlier delivery's files from the latest folder of the archive, if they still lie there."""
        prefix = f"{self.zone(feed).processed_prefix}{DAY}/"
        there = self._below(prefix, feed)
        for name, file in files.items():
            if there.get(name) == file.body:
                self.client.delete_object(Bucket=self.zone(feed).bucket, Key=f"{prefix}{name}")

    def marker_time(self, feed: str) -> datetime | None:
        """When the marker was put, None where there is none; in whole seconds, as S3 has it for everybody."""
        key = f"{self.zone(feed).current_prefix}dt={DAY}/{MARKER}"
        try:
            return self.client.head_object(Bucket=self.zone(feed).bucket, Key=key)["LastModified"].replace(
                microsecond=0
            )
        except ClientError:
            return None

    def current(self, feed: str) -> dict[str, bytes]:
        """What lies in the folder of `current/`, by name."""
        return self._below(f"{self.zone(feed).current_prefix}dt={DAY}/", feed)

    def archive(self, feed: str) -> list[dict[str, bytes]]:
        """What lies in `processed/`, oldest delivery first; one of them may be unfinished.

        Raises:
            AssertionError: something lies there that belongs to no delivery.
        """
        found = self._below(self.zone(feed).processed_prefix, feed)
        folders: dict[float, dict[str, bytes]] = {}
        for key, body in found.items():
            numbered = _NUMBERED.fullmatch(key)
            number, name = (
                (float(numbered[1]), numbered[2]) if numbered else (float("inf"), key.removeprefix(f"{DAY}/"))
            )
            folders.setdefault(number, {})[name] = body
        return [folder for _, folder in sorted(folders.items())]

    def records(self, feed: str) -> dict[str, Record]:
        """The store's records by id, blanks left out; none where nothing was ever loaded."""
        names = {"users": ("id", "email", "score"), "accounts": ("id", "name")}[feed]
        rows = self._rows(feed, names)
        records = [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in rows]
        return {record["id"]: record for record in records}

    def products(self, feed: str) -> list[tuple[str, str]]:
        """Id and product of every record, a pair for each product."""
        entity = ENTITIES[feed].value
        return sorted(self._rows(f"{entity}_products", (f"{entity}_id", "product_key")))

    def stages(self, feed: str) -> dict[str, str]:
        """How far each of a feed's deliveries has come, by its id."""
        rows = self._rows("import_deliveries", ("id", "stage", "feed"))
        return {identifier: reached for identifier, reached, whose in rows if whose == feed}

    def _rows(self, table: str, names: Sequence[str]) -> list[tuple[Any, ...]]:
        if self.ground.database == "sqlite" and not self.database_file.exists():
            return []
        with self.store.read() as reader:
            if not self._has_table(reader, table):
                return []
            columns = ", ".join(f'"{name}"' for name in names)
            return [tuple(row) for row in reader.execute(f"SELECT {columns} FROM {table}")]  # noqa: S608 - our own names

    def _has_table(self, reader: Any, name: str) -> bool:  # noqa: ANN401
        if self.ground.database == "sqlite":
            sql = "SELECT 1 FROM sqlite_master WHERE name = :name"
        else:
            sql = "SELECT 1 FROM pg_tables WHERE tablename = :name AND schemaname = current_schema()"
        return bool(reader.execute(sql, {"name": name}))

    def let_time_pass(self) -> None:
        """Let every lease run out, and every callback that waits be due."""
        with self.store.transaction() as tx:
            if self._has_table(tx, "import_leases"):
                tx.change("UPDATE import_leases SET expires_at_ms = 0")
                tx.change("UPDATE import_callbacks SET next_attempt_at_ms = 0 WHERE received_at_ms IS NULL")

    def leftovers(self) -> list[str]:
        """Temporary files that nobody needs any more."""
        return sorted(path.name for path in self.temporary.iterdir())

    def clean(self) -> None:
        """Remove everything from bucket and database."""
        zone = self.zone("")
        for key in list(keys_below(self.client, zone.bucket, f"{zone.root}/")):
            self.client.delete_object(Bucket=zone.bucket, Key=key)
        if self.ground.database != "sqlite" and self._store:
            with self._store.transaction() as tx:
                tx.change(f'DROP SCHEMA IF EXISTS "{self.ground.schema(self.name)}" CASCADE')

    def _below(self, prefix: str, feed: str) -> dict[str, bytes]:
        bucket = self.zone(feed).bucket
        return {
            key.removeprefix(prefix): self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
            for key in keys_below(self.client, bucket, prefix)
        }


def keys_below(client: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    """Every key that begins so."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", ()))


@contextmanager
def stage(ground: Ground, name: str, folder: Path, client: "S3Client") -> Iterator[Stage]:
    """A stage, and nothing left of it afterwards."""
    with Receiver() as receiver:
        made = Stage(ground, name, folder, client, receiver)
        made.temporary.mkdir(parents=True)
        try:
            yield made
        finally:
            made.clean()

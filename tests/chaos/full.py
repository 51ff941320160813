"""The whole matrix on the servers of the tests, into docs/promises.md: `make chaos`; with --resume it goes on."""

import argparse
import sys
import tempfile
from pathlib import Path

import yaml

from deployments.cli import INTERRUPTED, TERMINATED, main
from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from tests.ministack import MiniStack

_BUCKET = "px-chaos"
_GROUNDS = ("SeaweedFS, SQLite", "SeaweedFS, PostgreSQL", "MiniStack, SQLite")
_DOCS = Path(__file__).parents[2] / "docs"


def full(grounds: list[str], rest: list[str]) -> int:
    """Play the matrix on these grounds, one after the other.

    Args:
        grounds: of `_GROUNDS`.
        rest: further arguments for `px-import chaos`.

    Returns:
        0 all is as promised, 1 a promise was broken, 2 trouble, more if it was stopped.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        LocalS3() as seaweedfs,
        MiniStack() as ministack,
        LocalPostgres(durable=False) as postgres,
    ):
        servers = {"SeaweedFS": seaweedfs, "MiniStack": ministack}
        stores = {"SQLite": "sqlite:////px.db", "PostgreSQL": postgres.url}
        for server in servers.values():
            server.create_bucket(_BUCKET)
        path, results = Path(name) / "feed.yaml", []
        for ground in grounds:
            server, store = ground.split(", ")
            results.append(_play(path, servers[server], stores[store], ground, rest))
            if results[-1] in {INTERRUPTED, TERMINATED}:
                break
        return max(results)


def _play(path: Path, s3: LocalS3 | MiniStack, store: str, ground: str, rest: list[str]) -> int:
    settings = {
        "feed": "users",
        "entity": "user",
        "bucket": _BUCKET,
        "region": s3.region,
        "endpoint_url": s3.endpoint_url,
        "authorization": {"access_key_id": s3.access_key_id, "secret_access_key": s3.secret_access_key},
        "store": store,
        "destination": {"product": "AP-XXXXXXXXXX"},
    }
    (_DOCS / "matrix").mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(settings))
    into = [
        "--into",
        str(_DOCS / "promises.md"),
        "--cases",
        str(_DOCS / "matrix" / f"{ground.lower().replace(', ', '-')}.csv"),
    ]
    return main(["chaos", str(path), "--title", ground, *into, *rest])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ground", action="append", choices=_GROUNDS, help="only this one")
    options, others = parser.parse_known_args()
    sys.exit(full(options.ground or list(_GROUNDS), others))

"""The whole matrix on the servers of the tests, into docs/promises.md: `make chaos`. Takes hours."""

import argparse
import sys
import tempfile
from pathlib import Path

import yaml

from deployments.cli import main
from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3

_BUCKET = "px-chaos"
_DOCS = Path(__file__).parents[2] / "docs"


def full(grounds: list[str], rest: list[str]) -> int:
    """Play the matrix on these grounds, one after the other.

    Args:
        grounds: names of stores.
        rest: further arguments for `px-import chaos`.

    Returns:
        0 all is as promised, 1 a promise was broken, 2 trouble.
    """
    with tempfile.TemporaryDirectory() as name, LocalS3() as s3, LocalPostgres(durable=False) as postgres:
        s3.create_bucket(_BUCKET)
        stores = {"SQLite": "sqlite:///px.db", "PostgreSQL": postgres.url}
        return max(_play(Path(name) / "feed.yaml", s3, stores[ground], ground, rest) for ground in grounds)


def _play(path: Path, s3: LocalS3, store: str, ground: str, rest: list[str]) -> int:
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
    into = ["--into", str(_DOCS / "promises.md"), "--cases", str(_DOCS / "matrix" / f"{ground.lower()}.csv")]
    return main(["chaos", str(path), "--title", f"SeaweedFS, {ground}", *into, *rest])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="append", choices=["SQLite", "PostgreSQL"], help="only on this one")
    options, others = parser.parse_known_args()
    sys.exit(full(options.store or ["SQLite", "PostgreSQL"], others))

"""Who loads the files: the importer, what people would use instead, and the limits that nobody can beat."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.bench.files import Layout
from tests.bench.ground import BUCKET, DUCKDB, POSTGRESQL, SQLITE, Ground, Place
from tests.bench.processes import Cost, cost_of

PEERS = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "px-import-bench"
DAYS = ("20210101", "20210102")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file, in the bucket as well.

    Attributes:
        path: on this machine.
        key: in the bucket, for those who do not look for it themselves.
        layout: its columns.
        day: its folder in a drop zone.
    """

    path: Path
    key: str
    layout: Layout
    day: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one load cost; `steps` are seconds of CPU by the name of the step, where they are known."""

    cost: Cost
    steps: Mapping[str, float] = field(default_factory=dict)


class Contestant(Protocol):
    """Loads deliveries into a place, one after the other."""

    title: str
    database: str

    def load(self, ground: Ground, place: Place, delivery: Delivery) -> Result:
        """Load one."""


@dataclass(frozen=True, slots=True)
class Importer:
    """The importer: from the drop zone to the callback, without Prefect's engine or with it."""

    database: str
    title: str = "px-import"
    engine_environment: Mapping[str, str] | None = None
    others: Mapping[str, object] = field(default_factory=dict)
    state: str = "Imported"

    def load(self, ground: Ground, place: Place, delivery: Delivery) -> Result:
        """Deliver a file, and import it."""
        ground.deliver(delivery.path, place.name, delivery.day)
        settings = ground.settings(place, ground.catalogue(delivery.layout), **self.others)
        return self.tick(ground, place, settings, self.state)

    def tick(self, ground: Ground, place: Place, settings: Path, state: str) -> Result:
        """One tick, whatever waits."""
        steps = place.folder / "steps.json"
        command = [sys.executable, "-m", "tests.bench.importing", str(settings), "--state", state]
        command += ["--steps", str(steps)]
        server = ground.server if self.database == POSTGRESQL else None
        if server:
            command += ["--server-pid", str(server.pid)]
        if self.engine_environment is not None:
            command.append("--engine")
        environment = {**os.environ, "TMPDIR": str(place.folder), **(self.engine_environment or {})}
        log = place.folder / "log"
        return Result(cost_of(command, environment=environment, server=server, log=log), json.loads(steps.read_text()))


@dataclass(frozen=True, slots=True)
class Limit:
    """What is measured by `tests.bench.limits`: only the work itself."""

    title: str
    limit: str
    database: str = ""

    def load(self, ground: Ground, place: Place, delivery: Delivery) -> Result:
        """The least that it takes."""
        result = place.folder / "result.json"
        command = [sys.executable, "-m", "tests.bench.limits", self.limit, str(delivery.path), str(result)]
        if self.database:
            store = place.url if self.database == POSTGRESQL else place.url.removeprefix("sqlite:///")
            command += ["--catalogue", str(ground.catalogue(delivery.layout)), "--store", store]
        cost_of(command, log=place.folder / "log")
        return Result(Cost(json.loads(result.read_text()), 0))


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to load the files, in a Python environment of its own.

    Attributes:
        title: of it.
        database: where it loads to.
        script: in the folder `peers`.
        environments: files of requirements in the folder `peers`; the script runs in the first one.
        slow: whether it takes minutes; it is loaded once.
        is_quick: whether `make bench` has it.
        options: what else its script is told.
    """

    title: str
    database: str
    script: str
    environments: tuple[str, ...]
    slow: bool = False
    is_quick: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self, ground: Ground, place: Place, delivery: Delivery) -> Result:
        """Run its script."""
        order = place.folder / "order.json"
        s3 = {
            "endpoint_url": ground.s3.endpoint_url,
            "region_name": ground.s3.region,
            "aws_access_key_id": ground.s3.access_key_id,
            "aws_secret_access_key": ground.s3.secret_access_key,
        }
        environments = [environment(name) for name in self.environments]
        order.write_text(
            json.dumps(
                {
                    "s3": s3,
                    "bucket": BUCKET,
                    "key": delivery.key,
                    "database": place.url,
                    "folder": str(place.folder),
                    "columns": [(name, str(kind.value)) for name, kind in delivery.layout.columns],
                    "programs": [str(each / "bin") for each in environments],
                    **self.options,
                }
            )
        )
        server = ground.server if self.database == POSTGRESQL else None
        command = [str(environments[0] / "bin" / "python"), str(PEERS / self.script), str(order)]
        quiet = {
            "PATH": os.environ["PATH"],
            "HOME": str(place.folder),
            "DO_NOT_TRACK": "1",
            "TMPDIR": str(place.folder),
        }
        return Result(cost_of(command, environment=quiet, server=server, log=place.folder / "log"))


def environment(name: str) -> Path:
    """A Python environment with what a file of requirements names; made when it is first asked for.

    Raises:
        CalledProcessError: it cannot be installed.
    """
    requirements = PEERS / name
    made = CACHE / f"{requirements.stem}-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
    if not (made / "installed").exists():
        print(f"installing {name} …", flush=True)
        venv.create(made, with_pip=True, clear=True)
        pip = [str(made / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(requirements)], check=True, cwd=made)
        (made / "installed").touch()
    return made


_PARQUET = {"loader_file_format": "parquet", "merge": "delete-insert"}  # it knows no other merge there
_CSV = {"loader_file_format": "csv", "merge": "upsert"}
PEER_LIST = [
    Peer("pandas, Pandera, to_sql", SQLITE, "pandas_pandera.py", ("pandas.txt",), is_quick=True),
    Peer("pandas, Pandera, to_sql", POSTGRESQL, "pandas_pandera.py", ("pandas.txt",), is_quick=True),
    Peer("dlt, Arrow", SQLITE, "dlt_arrow.py", ("dlt.txt",), slow=True, options=_PARQUET),
    Peer("dlt, Arrow", POSTGRESQL, "dlt_arrow.py", ("dlt.txt",), is_quick=True, options=_CSV),
    Peer("hand-written SQL, nothing checked", SQLITE, "plain_sql.py", ("sql.txt",)),
    Peer("hand-written SQL, nothing checked", POSTGRESQL, "plain_sql.py", ("sql.txt",)),
    Peer("hand-written DuckDB, nothing checked", DUCKDB, "duckdb_sql.py", ("duckdb.txt",)),
    Peer("dlt, rows", SQLITE, "dlt_rows.py", ("dlt.txt",), slow=True),
    Peer("dlt, rows", POSTGRESQL, "dlt_rows.py", ("dlt.txt",), slow=True),
    Peer("Singer tap and target", POSTGRESQL, "singer.py", ("singer_tap.txt", "singer_postgres.txt"), slow=True),
    Peer("PyAirbyte", POSTGRESQL, "pyairbyte.py", ("pyairbyte.txt", "airbyte_s3.txt"), slow=True),
]
LIMITS: list[Contestant] = [
    Limit("gunzip", "gunzip"),
    Limit("gunzip, Arrow parse", "parse"),
    Limit("bare upsert", "sqlite", SQLITE),
    Limit("bare upsert", "postgresql", POSTGRESQL),
]

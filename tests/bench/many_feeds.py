"""What a sweep over idle feeds costs as their number grows, and what two workers save: `make bench-many`.

Every sweep is a process of its own, as a worker starts it, on an S3 server, a PostgreSQL server and a Prefect server of
this machine. Counted are seconds of CPU of that process, and those of Prefect's server; what the imports of Python cost
it, and what a sweep of no feed does, are taken off where a cost a feed is shown. The table goes into
docs/performance.md.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from tests.bench import page
from tests.bench.processes import machine
from tests.e2e.processes import ROOT, PrefectServer, eventually


def sweep(prefix: str, shard: str) -> None:
    """In a process of its own: one sweep, and its figures as JSON."""
    from flows.import_feeds import import_feeds

    began, wall = _cpu(), time.monotonic()
    report = asyncio.run(import_feeds(prefix=prefix, shard=shard, return_state=True))
    told = {"cpu": _cpu() - began, "wall": time.monotonic() - wall, "message": report.message}
    print(json.dumps(told | {"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Bench:
    """Servers with feeds saved, and sweeps over them."""

    def __init__(self, server: PrefectServer, s3: LocalS3, stores: dict[str, str], keys: list[tuple[str, str]]) -> None:
        self._server, self._s3, self._stores, self._keys = server, s3, stores, keys

    def save(self, prefix: str, count: int, store: str, *, own_keys: bool = False) -> None:
        """Save feeds of one tenant each, without a word of Prefect's client between: it would take minutes."""
        schema = self._server.ask("GET", "/block_types/slug/px-import-settings")
        [newest] = self._server.ask(
            "POST", "/block_schemas/filter", block_schemas={"block_type_id": {"any_": [schema["id"]]}}, limit=1
        )
        for number in range(count):
            key, secret = self._keys[number] if own_keys else (self._s3.access_key_id, self._s3.secret_access_key)
            name = f"{prefix}{number:05}"
            data = {
                "feed": name,
                "bucket": "many",
                "base_folder": f"{name}/users",
                "region": self._s3.region,
                "endpoint_url": self._s3.endpoint_url,
                "authorization": {"aws_access_key_id": key, "aws_secret_access_key": secret},
                "destination": {"product": "AP-XXXXXXXXXX"},
                "store": self._stores[store],
                "catalogue": {"entries": []},
            }
            body = {"name": name, "data": data, "block_schema_id": newest["id"], "block_type_id": schema["id"]}
            eventually(lambda body=body: self._saved(body))

    def _saved(self, body: dict[str, Any]) -> bool:
        try:
            self._server.ask("POST", "/block_documents/", **body)
        except httpx.HTTPStatusError as error:
            return error.response.status_code == 409  # saved after all; Prefect's SQLite is locked now and then
        return True

    def begin(self, prefix: str, shard: str = "1/1") -> "subprocess.Popen[str]":
        """Begin a sweep."""
        command = [sys.executable, "-m", "tests.bench.many_feeds", "--sweep", prefix, "--shard", shard]
        quiet = {"PREFECT_LOGGING_LEVEL": "ERROR"}
        return subprocess.Popen(
            command, cwd=ROOT, env=self._server.environment | quiet, stdout=subprocess.PIPE, text=True
        )

    def sweep(self, prefix: str, feeds: int, shards: int = 1) -> dict[str, float]:
        """Sweeps side by side, one a shard: the most that one of them cost, and what all of them cost together."""
        began = _server_cpu(self._server.environment["PREFECT_API_URL"])
        sweeps = [self.begin(prefix, f"{number}/{shards}") for number in range(1, shards + 1)]
        told = [json.loads(each.communicate()[0].splitlines()[-1]) for each in sweeps]
        swept = [int(each["message"].partition(" ")[0]) for each in told]
        if sum(swept) != feeds or any("trouble" in each["message"] for each in told):
            raise SystemExit(f"not what was wanted: {[each['message'] for each in told]}")
        return {
            "cpu": max(each["cpu"] for each in told),
            "all": sum(each["cpu"] for each in told),
            "mib": max(each["mib"] for each in told),
            "server": _server_cpu(self._server.environment["PREFECT_API_URL"]) - began,
        }


def _server_cpu(address: str) -> float:
    """Seconds of CPU of the Prefect server that listens there: its command line names the port."""
    port, ticks = address.rpartition(":")[2].partition("/")[0], 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, stat = (process / "cmdline").read_bytes().split(b"\0"), (process / "stat").read_text()
        except OSError:
            continue
        if port.encode() in command:
            ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def bench(most: int) -> Iterator[Bench]:
    """All servers, with the block types registered."""
    keys = [(f"TENANT{number:05}", f"secret-of-tenant-{number:05}") for number in range(most)]
    identities = [
        {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Read", "List"]}
        for key, secret in keys
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalS3(identities=identities) as s3,
        LocalPostgres() as postgres,
        PrefectServer(Path(folder)).started() as server,
    ):
        s3.create_bucket("many")
        done = server.terminal("prefect", "block", "register", "-m", "blocks.import_settings")
        assert done.returncode == 0, done.stderr
        stores = {"PostgreSQL": f"{postgres.url}?schema=px", "SQLite": f"sqlite:///{folder}/px.db"}
        for url in stores.values():
            _make_ledger(url)
        yield Bench(server, s3, stores, keys)


def _make_ledger(url: str) -> None:
    from blocks.ledger import Ledger
    from blocks.stores import open_store

    Ledger(open_store(url)).migrate()


def median(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in figures) for name in figures[0]}


def measure(runs: int, most: int = 1000) -> list[str]:
    """The lines of the page."""
    tenth = most // 10
    cases: list[tuple[str, str, int, int]] = [("none-", "no feed", 0, 1)]
    with bench(most) as prepared:
        prepared.save("pg-", most, "PostgreSQL")
        for size, prefix in ((most // 100, "pg-0000"), (tenth, "pg-000"), (most, "pg-")):
            cases.append((prefix, f"{size:,} feeds, PostgreSQL", size, 1))
        prepared.save("lite-", tenth, "SQLite")
        prepared.save("own-", tenth, "PostgreSQL", own_keys=True)
        cases += [
            ("pg-", f"{most:,} feeds, PostgreSQL, two workers", most, 2),
            ("lite-", f"{tenth:,} feeds, SQLite", tenth, 1),
            ("own-", f"{tenth:,} feeds, PostgreSQL, a key each", tenth, 1),
        ]
        prepared.sweep("none-", 0)
        figures: dict[str, list[dict[str, float]]] = {case[1]: [] for case in cases}
        for _ in range(runs):  # in turn, so that what else the machine does falls on all
            for prefix, title, size, shards in cases:
                figures[title].append(prepared.sweep(prefix, size, shards))
                print(title, {name: round(value, 2) for name, value in figures[title][-1].items()}, flush=True)
    return _table(cases, {title: median(each) for title, each in figures.items()}, runs)


def _table(cases: list[tuple[str, str, int, int]], figures: dict[str, dict[str, float]], runs: int) -> list[str]:
    base, ten = figures["no feed"], figures[cases[2][1]]
    lines = [
        f"{machine('prefect', 'boto3', 'psycopg')};\nmedians of "
        f"{runs} runs. *Ratio* is the cost a feed against {cases[2][2]:,} feeds on PostgreSQL.",
        "",
        "| sweep | CPU s | CPU ms a feed | ratio | Prefect's server, CPU ms a feed | MiB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    per_ten = (ten["cpu"] - base["cpu"]) / cases[2][2]
    for _, title, size, shards in cases:
        each = figures[title]
        if not size:
            lines.append(f"| {title} | {each['cpu']:.2f} | | | | {each['mib']:.0f} |")
            continue
        cost, server = (each["cpu"] - base["cpu"]) / size, (each["server"] - base["server"] * shards) / size
        lines.append(
            f"| {title} | {each['cpu']:.2f} | {cost * 1000:.1f} | {cost / per_ten:.2f} | {server * 1000:.1f} "
            f"| {each['mib']:.0f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="only print the table")
    parser.add_argument("--sweep", metavar="PREFIX", help=argparse.SUPPRESS)
    parser.add_argument("--shard", default="1/1", help=argparse.SUPPRESS)
    options: Any = parser.parse_args()
    if options.sweep:
        sweep(options.sweep, options.shard)
        return
    lines = measure(options.runs)
    print("\n".join(lines))
    if not options.keep:
        page.write("many feeds", lines)


if __name__ == "__main__":
    main()

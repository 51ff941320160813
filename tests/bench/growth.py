"""How the cost of a tick grows: `make bench-growth`.

One thing grows at a time: rows, columns, faults, folders that wait, objects in the archive, records in the store.
Each tick is a process of its own; counted are its seconds of CPU, its start and the database's part included.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tests.bench import page
from tests.bench.contestants import DAYS, Delivery, Importer
from tests.bench.files import LAYOUTS, ROWS, columns_layout, write
from tests.bench.ground import BUCKET, POSTGRESQL, SQLITE, Ground, Place, ground
from tests.bench.processes import machine

_LIMITS = {"limits": {"max_rows": 10**8, "max_decompressed_bytes": 2**40}}
_TWELVE = LAYOUTS["12 columns"]
_FIRST_DAY = date(2010, 1, 1)


@dataclass(frozen=True, slots=True)
class Growth:
    """One thing that grows.

    Attributes:
        name: of the chart.
        title: what is shown.
        label: what grows.
        sizes: what is measured unless fewer are asked for.
        measure: the seconds of CPU by line of the chart.
        log: whether both axes are logarithmic.
    """

    name: str
    title: str
    label: str
    sizes: tuple[float, ...]
    measure: Callable[[Ground, float], Iterator[tuple[str, float]]]
    log: bool = True


def _load(ground: Ground, database: str, path: Path, layout: object, state: str = "Imported") -> float:
    with ground.place(database) as place:
        delivery = Delivery(path, "", layout, DAYS[0])  # type: ignore[arg-type]
        return Importer(database, others=_LIMITS, state=state).load(ground, place, delivery).cost.cpu_seconds


def rows(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """A file of so many rows."""
    path = ground.file(_TWELVE, rows=int(size))
    for database in (SQLITE, POSTGRESQL):
        yield database, _load(ground, database, path, _TWELVE)
    path.unlink()


def columns(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """A file of so many columns and 35,000 rows."""
    layout = columns_layout(int(size))
    path = ground.file(layout, rows=ROWS // 10)
    for database in (SQLITE, POSTGRESQL):
        yield database, _load(ground, database, path, layout)


def faults(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """A file in which so many rows in a hundred are wrong."""
    path = ground.file(_TWELVE, rows=ROWS, faulty=size / 100)
    yield SQLITE, _load(ground, SQLITE, path, _TWELVE, "Rejected" if size else "Imported")


def folders(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """So many folders of ten rows each wait."""
    path = ground.file(_TWELVE, rows=10)
    with ground.place(SQLITE) as place:
        _put_all(ground, path.read_bytes(), (f"{place.name}/current/dt={day}" for day in _days(int(size))))
        yield SQLITE, _tick(ground, place, "Imported")


def archive(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """So many objects lie in `processed/` before the tick."""
    path = ground.file(_TWELVE, rows=10)
    with ground.place(SQLITE) as place:
        _put_all(ground, b"x", (f"{place.name}/processed/{day}" for day in _days(int(size) // 2)))
        _tick(ground, place, "NothingToDo")
        yield "nothing waits", _tick(ground, place, "NothingToDo")
        ground.deliver(path, place.name, "20210101")
        yield "one delivery", _tick(ground, place, "Imported")


def records(ground: Ground, size: float) -> Iterator[tuple[str, float]]:
    """The store holds so many records; 35,000 of them come again."""
    path = ground.file(_TWELVE, rows=ROWS // 10)
    before = ground.folder / "before.csv.gz"
    write(before, _TWELVE, int(size))
    for database in (SQLITE, POSTGRESQL):
        with ground.place(database) as place:
            importer = Importer(database, others=_LIMITS)
            importer.load(ground, place, Delivery(before, "", _TWELVE, DAYS[0]))
            ground.settle()
            yield database, importer.load(ground, place, Delivery(path, "", _TWELVE, DAYS[1])).cost.cpu_seconds


def _tick(ground: Ground, place: Place, state: str) -> float:
    settings = ground.settings(place, ground.catalogue(_TWELVE))
    return Importer(SQLITE).tick(ground, place, settings, state).cost.cpu_seconds


def _days(count: int) -> list[str]:
    return [(_FIRST_DAY + timedelta(days=number)).strftime("%Y%m%d") for number in range(count)]


def _put_all(ground: Ground, body: bytes, folders: Iterator[str]) -> None:
    """Two objects into each folder: a file and then the marker."""

    def put(folder: str) -> None:
        ground.s3.client.put_object(Bucket=BUCKET, Key=f"{folder}/users.csv.gz", Body=body)
        ground.s3.client.put_object(Bucket=BUCKET, Key=f"{folder}/_SUCCESS", Body=b"")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, folders))


GROWTHS = [
    Growth("rows", "Rows of a file", "rows", (35_000, 350_000, 1_000_000, 3_500_000), rows),
    Growth("columns", "Columns of a file of 35,000 rows", "columns", (5, 50, 150, 500), columns),
    Growth("faults", "Rows with faults, of 350,000", "rows in a hundred", (0, 1, 10, 50, 100), faults, log=False),
    Growth("folders", "Folders that wait", "folders", (1, 10, 100, 1_000, 3_000), folders),
    Growth("archive", "Objects in processed/", "objects", (10, 1_000, 10_000, 100_000), archive),
    Growth("records", "Records in the store, 35,000 come again", "records", (100_000, 1_000_000, 10_000_000), records),
]


def measured(ground: Ground, growth: Growth, sizes: Sequence[float]) -> list[str]:
    """Measure one; its lines for the page."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        for name, seconds in growth.measure(ground, size):
            lines.setdefault(name, []).append((size, seconds))
            print(f"{growth.title}: {size:,} {growth.label}, {name}: {seconds:.2f} s", flush=True)
    head = [growth.label, *(f"{size:,.0f}" for size in sizes)]
    table = page.table(head, [[f"{name}, CPU s", *(f"{y:.1f}" for _, y in points)] for name, points in lines.items()])
    image = page.curve(f"growth-{growth.name}", growth.title, growth.label, lines, log=growth.log)
    return [f"### {growth.title}", "", *table, "", image, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=[growth.name for growth in GROWTHS], help="these charts alone")
    parser.add_argument("--most", type=int, help="leave out larger sizes")
    parser.add_argument("--keep", action="store_true", help="only print")
    options = parser.parse_args()
    lines = [machine("pyarrow", "pandas", "pandera", "boto3", "psycopg") + ".", ""]
    with ground() as prepared:
        for growth in GROWTHS:
            if options.only and growth.name not in options.only:
                continue
            sizes = [size for size in growth.sizes if not options.most or size <= options.most]
            lines += measured(prepared, growth, sizes)
            if not options.keep:  # as far as it has come: the whole takes an hour
                page.write("bench-growth", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""The importer beside its limits and beside what people would use instead: `make bench`, `make bench-full`.

Every load is a whole process, from the bucket to what is committed; the importer's goes on to the archive and the
callback. All take turns, round by round, so that what else the machine does falls on all; a ratio is that of two
loads of the same round, and what is shown is the median over the rounds.
"""

import argparse
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.bench import correctness, page
from tests.bench.contestants import DAYS, LIMITS, PEER_LIST, Contestant, Delivery, Importer, Result
from tests.bench.files import LAYOUTS, ROWS, Layout
from tests.bench.ground import DUCKDB, POSTGRESQL, SQLITE, Ground, ground
from tests.bench.importing import REST, START, STEPS
from tests.bench.processes import Failed, machine, median, ratio

_PACKAGES = ("prefect", "pandas", "pandera", "pyarrow", "isal", "boto3", "psycopg")
OURS = [Importer(SQLITE), Importer(POSTGRESQL)]


@dataclass(slots=True)
class Measured:
    """The loads of one contestant: of each round, the first and that of the delivery with some rows changed."""

    contestant: Contestant
    first: list[Result] = field(default_factory=list)
    again: list[Result] = field(default_factory=list)
    trouble: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.contestant.title, self.contestant.database


Table = dict[tuple[str, str], Measured]


def deliveries(ground: Ground, layout: Layout, rows: int) -> list[Delivery]:
    """A file, and the same one with a hundredth of its rows changed."""
    made = []
    for day, changed in zip(DAYS, (0.0, 0.01), strict=True):
        path = ground.file(layout, rows=rows, changed=changed)
        made.append(Delivery(path, f"peers/{path.stem}/users.csv.gz", layout, day))
        ground.put(path, made[-1].key)
    return made


def measure(ground: Ground, contestants: Iterable[Contestant], layout: Layout, rows: int, rounds: int) -> Table:
    """Let all load both files, in turn; a contestant that fails once is out, with the reason."""
    given = deliveries(ground, layout, rows)
    all_of_them = {measured.name: measured for measured in map(Measured, contestants)}
    for number in range(rounds):
        for measured in all_of_them.values():
            if measured.trouble or (number and getattr(measured.contestant, "slow", False)):
                continue  # what takes minutes is loaded once
            _round(ground, measured, given)
    return all_of_them


def _round(ground: Ground, measured: Measured, given: Sequence[Delivery]) -> None:
    title, database = measured.name
    with ground.place(database) as place:
        for delivery, results in zip(given, (measured.first, measured.again), strict=True):
            ground.settle()
            try:
                results.append(measured.contestant.load(ground, place, delivery))
            except Failed as exc:
                measured.trouble = str(exc)
                print(f"{title}, {database}: {exc}", flush=True)
                return
            cost = results[-1].cost
            print(f"{title}, {database}: {cost.cpu_seconds:.2f} s CPU, {cost.peak_mib:.0f} MiB", flush=True)


def loads_table(measured: Table) -> list[str]:
    """What each load cost, and how many times the importer's it is."""
    rows = []
    for (title, database), each in measured.items():
        if not each.again or not each.first[0].cost.wall_seconds:
            continue
        first, again = median([r.cost for r in each.first]), median([r.cost for r in each.again])
        ours = measured.get(("px-import", SQLITE if database == DUCKDB else database))
        ratios = ["", ""]
        if ours and ours is not each:
            ratios = [
                f"{ratio((theirs.cost, mine.cost) for theirs, mine in zip(one, two, strict=False)):.2f}"
                for one, two in ((each.first, ours.first), (each.again, ours.again))
            ]
        rows.append(
            [
                *(title, database, f"{first.cpu_seconds:.1f}", ratios[0], f"{again.cpu_seconds:.1f}", ratios[1]),
                *(f"{first.database_seconds:.1f}", f"{max(first.peak_mib, again.peak_mib):.0f}"),
            ]
        )
    head = ["load", "database", "CPU s", "times ours", "1 % changed, CPU s", "times ours", "database's part", "MiB"]
    return page.table(head, rows)


def steps_table(measured: Table) -> list[str]:
    """Where the importer's seconds go, and the least that each step could take."""
    parse, rows = measured["gunzip, Arrow parse", ""], []
    for database in (SQLITE, POSTGRESQL):
        ours, bare = measured["px-import", database], measured["bare upsert", database]
        for name, results, least in (("first", ours.first, bare.first), ("1 % changed", ours.again, bare.again)):
            seconds = {
                step: statistics.median(r.steps[step] for r in results) for step in (START, *STEPS.values(), REST)
            }
            read = ratio_of_steps(results, "validate", parse.first)
            load = ratio_of_steps(results, "load", least)
            rows.append(
                [
                    f"{database}, {name}",
                    *(f"{seconds[step]:.2f}" for step in seconds),
                    f"{read:.2f}",
                    f"{load:.2f}",
                ]
            )
    head = ["CPU s", START, *STEPS.values(), REST, "validate : gunzip and parse", "load : bare upsert"]
    return page.table(head, rows)


def ratio_of_steps(results: Sequence[Result], step: str, least: Sequence[Result]) -> float:
    """Median of the ratios of a step to what nobody can beat, round by round."""
    pairs = zip(results, least, strict=False)
    return statistics.median(one.steps[step] / two.cost.cpu_seconds for one, two in pairs)


def limits_table(measured: Table) -> list[str]:
    """The limits alone."""
    rows = []
    for title, database in measured:
        each = measured[title, database]
        if each.first and not each.first[0].cost.wall_seconds:
            figures = [f"{median([r.cost for r in results]).cpu_seconds:.2f}" for results in (each.first, each.again)]
            rows.append([f"{title}, {database}".rstrip(", "), *figures])
    return page.table(["limit, CPU s", "first load", "1 % changed"], rows)


def report(
    ground: Ground, contestants: Sequence[Contestant], name: str, rows: int, rounds: int, image: str
) -> list[str]:
    """Measure one layout; the lines of the page."""
    layout = LAYOUTS[name]
    measured = measure(ground, contestants, layout, rows, rounds)
    size = ground.file(layout, rows=rows).stat().st_size / 1e6
    lines = [f"**{rows:,} rows, {name}** ({size:.0f} MB gzipped), {rounds} rounds.", "", *loads_table(measured), ""]
    lines += [f"{title}, {database}: did not do it here." for (title, database), m in measured.items() if m.trouble]
    values = [
        (f"{title}, {database}", *(median([r.cost for r in results]).cpu_seconds for results in (m.first, m.again)))
        for (title, database), m in measured.items()
        if m.again and m.first[0].cost.wall_seconds
    ]
    lines += [page.bars(image, f"{rows:,} rows, {name}", values), ""]
    if ("bare upsert", SQLITE) in measured:
        lines += [*steps_table(measured), "", *limits_table(measured), ""]
    return lines


def quick(ground: Ground, rows: int, rounds: int) -> list[str]:
    """The importer, the limits, pandas and dlt's Arrow form, 12 columns."""
    peers = [peer for peer in PEER_LIST if peer.title in {"pandas, Pandera, to_sql", "dlt, Arrow"}]
    return report(ground, [*OURS, *LIMITS, *peers], "12 columns", rows, rounds, "bench")


def full(ground: Ground, rows: int, rounds: int) -> list[str]:
    """Everything: all peers with 12 and 60 columns, their mistakes, and the importer's other shapes."""
    lines = [*report(ground, [*OURS, *LIMITS, *PEER_LIST], "12 columns", rows, rounds, "bench-full-12")]
    lines += ["What each makes of a file that is right but awkward, and of files that are wrong:", ""]
    lines += [*correctness.report(ground, [*OURS, *PEER_LIST]), ""]
    fast = [peer for peer in PEER_LIST if not peer.slow]
    lines += report(ground, [*OURS, *LIMITS, *fast], "60 columns", rows, rounds, "bench-full-60")
    for name in ("id and one", "all strings", "numbers only"):
        lines += report(ground, [*OURS, *LIMITS], name, rows, rounds, f"bench-full-{name.replace(' ', '-')}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="only print")
    options = parser.parse_args()
    with ground() as prepared:
        lines = [machine(*_PACKAGES) + ".", ""]
        lines += (full if options.full else quick)(prepared, options.rows, options.rounds)
    print("\n".join(lines))
    if not options.keep:
        page.write("bench-full" if options.full else "bench", lines)


if __name__ == "__main__":
    main()

"""The importer beside its limits and beside what people would use instead: `make bench`, `make bench-full`.

Every load is a whole process, from the bucket to what is committed; the importer's goes on to the archive and the
callback. All take turns, round by round, so that what else the machine does falls on all; a ratio is that of two
loads of the same round, and what is shown is the median over the rounds.
"""

import argparse
import statistics
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.bench import correctness, page
from tests.bench.contestants import DAYS, LIMITS, PEER_LIST, Contestant, Delivery, Importer, Peer, Result
from tests.bench.files import LAYOUTS, ROWS, Layout
from tests.bench.ground import DUCKDB, POSTGRESQL, SQLITE, Ground, ground
from tests.bench.importing import REST, START, STEPS
from tests.bench.processes import NO_HYPOTHESIS, Cost, Failed, cost_of, machine, median, ratio
from tests.e2e.processes import PrefectServer

_PACKAGES = ("prefect", "pandas", "pandera", "pyarrow", "isal", "boto3", "psycopg")
OURS = [Importer(SQLITE), Importer(POSTGRESQL)]
ENGINE = "px-import, Prefect's engine"
#: What is done before any work begins.
STARTS = {
    "Python": "pass",
    "pandas, pyarrow": "import pandas, pyarrow",
    "pandas, pyarrow, Pandera": "import pandas, pyarrow, pandera.pandas",
    "Prefect, prefect-aws": "import prefect, prefect_aws",
    "the importer with all of these": "import flows.import_feed",
}


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
        if not is_whole(each):
            continue
        ours = measured["px-import", SQLITE if database == DUCKDB else database]
        line = [title, database]
        for theirs, mine in ((each.first, ours.first), (each.again, ours.again)):
            pairs = [(one.cost, two.cost) for one, two in zip(theirs, mine, strict=False)]
            line.append(f"{median([r.cost for r in theirs]).cpu_seconds:.1f}" if theirs else "not done")
            line.append(f"{ratio(pairs):.2f}" if pairs and ours is not each else "")
        costs = [r.cost for r in (*each.first, *each.again)]
        line += [
            f"{median([r.cost for r in each.first]).database_seconds:.1f}",
            f"{max(c.peak_mib for c in costs):.0f}",
        ]
        rows.append(line)
    head = ["load", "database", "CPU s", "times ours", "1 % changed, CPU s", "times ours", "database's part", "MiB"]
    return page.table(head, rows)


def is_whole(measured: Measured) -> bool:
    """Whether it is a process that loads something, and has done so at least once; no limit."""
    return bool(measured.first) and measured.first[0].cost.wall_seconds > 0


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
        if each.first and not is_whole(each):
            figures = [f"{median([r.cost for r in results]).cpu_seconds:.2f}" for results in (each.first, each.again)]
            rows.append([f"{title}, {database}".rstrip(", "), *figures])
    return page.table(["limit, CPU s", "first load", "1 % changed"], rows)


def report(
    ground: Ground, contestants: Sequence[Contestant], name: str, options: argparse.Namespace, image: str
) -> list[str]:
    """Measure one layout; the lines of the page."""
    layout, rows = LAYOUTS[name], options.rows
    measured = measure(ground, contestants, layout, rows, options.rounds)
    size = ground.file(layout, rows=rows).stat().st_size / 1e6
    lines = [f"**{rows:,} rows, {name}** ({size:.0f} MB gzipped), rounds: {options.rounds}.", ""]
    lines += [*loads_table(measured), ""]
    for (title, database), each in measured.items():
        if each.trouble:
            lines += [f"{title}, {database}: {each.trouble.splitlines()[0]}.", ""]
    values = [
        (f"{title}, {database}", *(median([r.cost for r in results]).cpu_seconds for results in (m.first, m.again)))
        for (title, database), m in measured.items()
        if is_whole(m) and m.again
    ]
    lines += [page.bars(image, f"{rows:,} rows, {name}", values), ""]
    if ("bare upsert", SQLITE) in measured:
        lines += [*steps_table(measured), "", *limits_table(measured), ""]
    return lines


def starts_table(rounds: int) -> list[str]:
    """What starting costs, before there is any work."""
    found: dict[str, list[Cost]] = {name: [] for name in STARTS}
    for _ in range(rounds):
        for name, program in STARTS.items():
            found[name].append(cost_of([sys.executable, "-c", NO_HYPOTHESIS + program]))
    costs = {name: median(each) for name, each in found.items()}
    # what ends before anybody has looked has no peak
    rows = [[name, f"{c.cpu_seconds:.2f}", f"{c.peak_mib:.0f}" if c.peak_mib else ""] for name, c in costs.items()]
    return page.table(["start of", "CPU s", "MiB"], rows)


def quick(ground: Ground, engine: Contestant, options: argparse.Namespace) -> list[str]:
    """The importer, the limits, pandas and dlt's Arrow form, 12 columns."""
    peers = [peer for peer in PEER_LIST if peer.is_quick]
    lines = report(ground, [*OURS, engine, *LIMITS, *peers], "12 columns", options, "bench")
    return [*lines, *starts_table(options.rounds)]


def everybody(ground: Ground, engine: Contestant, options: argparse.Namespace) -> list[str]:
    """All peers, 12 columns."""
    return report(ground, [*OURS, engine, *_chosen(options)], "12 columns", options, "bench-12")


def mistakes(ground: Ground, _engine: Contestant, options: argparse.Namespace) -> list[str]:
    """What each makes of awkward files."""
    return correctness.report(ground, [*OURS, *_chosen(options)])


def wide(ground: Ground, _engine: Contestant, options: argparse.Namespace) -> list[str]:
    """The peers that do not take an hour for it, 60 columns."""
    fast = [peer for peer in _chosen(options) if not peer.slow]
    return report(ground, [*OURS, *LIMITS, *fast], "60 columns", options, "bench-60")


def shapes(ground: Ground, _engine: Contestant, options: argparse.Namespace) -> list[str]:
    """The importer and its limits with other kinds of files."""
    lines: list[str] = []
    for name in ("id and one", "all strings", "numbers only"):
        lines += report(ground, [*OURS, *LIMITS], name, options, f"bench-{name.replace(' ', '-')}")
    return lines


def _chosen(options: argparse.Namespace) -> list[Peer]:
    return [peer for peer in PEER_LIST if not options.only or any(word in peer.title for word in options.only)]


PARTS = {"bench": quick, "bench-12": everybody, "bench-mistakes": mistakes, "bench-60": wide, "bench-shapes": shapes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=["bench"])
    parser.add_argument("--only", nargs="*", help="peers whose title holds one of these words")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="only print")
    options = parser.parse_args()
    with ground() as prepared, ExitStack() as servers:
        engine: Contestant = OURS[0]
        if {"bench", "bench-12"} & set(options.parts):  # it costs a little also where nobody needs it
            server = servers.enter_context(PrefectServer(prepared.folder).started())
            engine = Importer(SQLITE, ENGINE, server.environment)
        for part in options.parts:
            lines = [machine(*_PACKAGES) + ".", "", *PARTS[part](prepared, engine, options)]
            print("\n".join(lines))
            if not options.keep:  # as soon as it is known: all of it takes an hour
                page.write(part, lines)


if __name__ == "__main__":
    main()

"""What hostile and broken files cost against a clean one (rules C7, F5): `make bench-worst`.

Each file is checked by `px-import check` in a process of its own, the clean one in turn with every other (A B A B);
printed are medians of the seconds of CPU and of the peak memory, and their ratio to the clean file's.
"""

import argparse
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.processes import Cost, cost_of, machine, median

ROWS = 350_000
HEADER = "id,accountId,email,firstName,lastName,title,score,numberOfVisits,signUpDate,firstVisitDate,surveys,city\r\n"
SETTINGS = """\
feed: users
bucket: none
destination: {product: AP-XXXXXXXXXX}
store: sqlite:////nowhere/px.db
"""


def row(number: int, title: str = "Analyst", score: str = "12.5", id_: str = "") -> str:
    id_ = id_ or f"u-{number:07d}"
    return (
        f"{id_},a-{number % 999},user{number}@example.com,First{number % 977},Last{number % 1009},{title},{score},"
        f"{number % 1000},2021-06-{number % 28 + 1:02d}T13:55:42Z,2020-02-{number % 28 + 1:02d}T01:02:03Z,"
        "true,Zürich\r\n"
    )


def wrong_row(number: int) -> str:
    return f",x,{number},x,x,x,1_0,NaN,2021-02-30T00:00:00Z,20210101,yes,x\r\n"


def rows(make: Callable[[int], str]) -> Iterator[bytes]:
    yield HEADER.encode()
    for start in range(0, ROWS, 10_000):
        yield "".join(make(number) for number in range(start, start + 10_000)).encode()


def repeated(block: bytes, times: int, head: bytes = b"") -> Iterator[bytes]:
    yield head
    for _ in range(times):
        yield block


CASES: dict[str, Callable[[], Iterator[bytes]]] = {
    "clean": lambda: rows(row),
    "every cell wrong": lambda: rows(wrong_row),
    "every row ragged": lambda: rows(lambda number: row(number).replace(",", "", 1)),
    "a stray quote in every row": lambda: rows(lambda number: row(number, title='5" pipe')),
    "text after a quote in every row": lambda: rows(lambda number: row(number, title='"a"b')),
    "not UTF-8 in every row": lambda: (block.replace("ü".encode(), b"\xfc") for block in rows(row)),
    "one id on every row": lambda: rows(lambda number: row(number, id_="same")),
    "integers of 300 digits": lambda: rows(lambda number: row(number, score="9" * 300)),
    "a quote that is never closed": lambda: rows(lambda number: row(number, title='"' if number == 9 else "x")),
    "a line of 2 GiB": lambda: repeated(b"x" * 2**20, 2048, HEADER.encode()),
    "a million columns": lambda: repeated(b"c," * 1000, 1000),
    "a million fields in a record": lambda: repeated(b"c," * 1000, 1000, HEADER.encode()),
    "10 GiB of zeros": lambda: repeated(b"\0" * 2**20, 10_240, HEADER.encode()),
    "10 GiB of blank lines": lambda: repeated(b"\r\n" * 2**19, 10_240, HEADER.encode()),
}


def write(path: Path, blocks: Iterator[bytes]) -> None:
    packer = zlib.compressobj(6, wbits=31)
    with path.open("wb") as file:
        for block in blocks:
            file.write(packer.compress(block))
        file.write(packer.flush())


def check(path: Path, settings: Path) -> Cost:
    """Check a file in a process of its own."""
    command = [sys.executable, "-m", "deployments.cli", "check", str(path), "--settings", str(settings)]
    return cost_of(command, good=(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    options = parser.parse_args()
    print(machine("pyarrow", "pandas", "pandera", "numpy"))
    print(f"{options.runs} runs each; rows: {ROWS}\n")
    print(f"{'file':34} {'CPU s':>7} {'ratio':>6} {'MiB':>7} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        settings, clean = Path(folder) / "s.yaml", Path(folder) / "clean.csv.gz"
        settings.write_text(SETTINGS)
        write(clean, CASES["clean"]())
        check(clean, settings)
        for name, make in CASES.items():
            if options.only not in name:
                continue
            path = Path(folder) / "case.csv.gz"
            write(path, make())
            pairs = [(check(clean, settings), check(path, settings)) for _ in range(options.runs)]
            base, cost = median([pair[0] for pair in pairs]), median([pair[1] for pair in pairs])
            print(
                f"{name:34} {cost.cpu_seconds:7.2f} {cost.cpu_seconds / base.cpu_seconds:6.2f}"
                f" {cost.peak_mib:7.0f} {cost.peak_mib / base.peak_mib:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

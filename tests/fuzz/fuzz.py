"""Mutates files of a corpus and holds the validator against readers that no one here optimised: `make fuzz`.

For every mutated text: no exception, no hang, accepted if and only if the slow reading below finds nothing wrong,
and then with the very same cells. For every mutated gzip file: accepted only if the standard library reads it, to
the same bytes. What fails is written to a file whose name is printed.
"""

import argparse
import gzip
import io
import random
import re
import resource
import sys
import tempfile
import time
import zlib
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from schemas.catalogue import AttributeType, Entity, default_catalogue
from schemas.settings import FileSettings
from schemas.valid_file import ValidFile
from schemas.validation import Rejection, validate
from tests.schemas import oracles

CORPUS = Path(__file__).parent / "corpus"
CATALOGUE = default_catalogue(Entity.USER)
SETTINGS = FileSettings(destination={"product": "AP-XXXXXXXXXX"})
TYPES = {attribute.api_name: attribute.type for attribute in CATALOGUE.attributes}
LONGEST_SECONDS = 20
MOST_MIB = 300  # more than before
TOKENS = (
    b'"', b'""', b",", b"\r\n", b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff", "ü€😀".encode(), b" ", b"1e309", b"true",
    b"-", b"2021-02-30T00:00:00Z", b"id", b"score", b'"a,b"', b"9007199254740993", b"NaN",
)  # fmt: skip


def mutated(text: bytes, chance: random.Random) -> bytes:
    """The text after one to four small changes."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(text))
        till = min(len(text), at + chance.choice((0, 0, 1, 1, 2, 8)))
        kind = chance.randrange(4)
        if kind == 0:
            text = text[:at] + chance.choice(TOKENS) + text[till:]
        elif kind == 1:
            text = text[:at] + text[till:]
        elif kind == 2:
            text = text[:at] + bytes([chance.randrange(256)]) + text[till:]
        else:
            text = text[:at] + text[max(0, at - chance.randint(1, 40)) : at] + text[at:]
    return text


def judged(body: bytes, folder: Path) -> ValidFile | Rejection:
    return validate(io.BytesIO(body), CATALOGUE, SETTINGS, spool=folder / "typed.arrow")


def is_sound(name: str, cell: str) -> bool:
    """Whether one cell is right, by other means than ours."""
    if cell == "":
        return name != "id"
    match TYPES[name]:
        case AttributeType.NUMBER:
            return _is_number(cell)
        case AttributeType.BOOLEAN:
            return cell.isascii() and cell.lower() in {"true", "false"}
        case AttributeType.DATE_TIME:
            return _moment(cell) is not None
        case AttributeType.STRING:
            return True


def _is_number(cell: str) -> bool:
    if not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", cell):
        return False
    value = float(cell)
    if value in (float("inf"), float("-inf")):
        return False
    return not re.fullmatch("[+-]?[0-9]+", cell) or Fraction(value) == Fraction(Decimal(cell))


def _moment(cell: str) -> datetime | None:
    shape = r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
    match = re.fullmatch(shape, cell)
    if not match:
        return None
    offset = timedelta(hours=int(match[4] or 0), minutes=int(match[5] or 0))
    if offset > timedelta(hours=18) or int(match[5] or 0) > 59:
        return None
    try:
        local = datetime.fromisoformat(match[1])
        return local + offset if match[3] == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def expected_rows(text: bytes) -> list[list[str]] | None:
    """The rows of a text without any fault; None where there is one."""
    table = oracles.table(text)
    if not isinstance(table.header, list) or table.faults:
        return None
    names = table.header
    if "id" not in names or len(set(names)) != len(names) or not set(names) <= set(TYPES):
        return None
    cells = [row for _, _, row in table.rows]
    return cells if all(is_sound(name, cell) for row in cells for name, cell in zip(names, row, strict=True)) else None


def check_text(text: bytes, folder: Path) -> None:
    """Raise AssertionError where the validator and the slow reading differ."""
    expected = expected_rows(text)
    verdict = judged(gzip.compress(text, 1, mtime=0), folder)
    assert isinstance(verdict, ValidFile) == (expected is not None), f"{verdict}\nexpected {expected}"
    if isinstance(verdict, ValidFile) and expected is not None:
        strings = [a.api_name for a in verdict.attributes if a.type is AttributeType.STRING]
        names = [a.api_name for a in verdict.attributes]
        got = [[row[name] for name in strings] for batch in verdict.batches() for row in batch.to_pylist()]
        wanted = [[row[names.index(name)] or None for name in strings] for row in expected]
        assert got == wanted, f"{got}\nexpected {wanted}"


def check_gzip(body: bytes, folder: Path) -> None:
    """Raise AssertionError where a damaged gzip file is accepted."""
    if isinstance(judged(body, folder), Rejection):
        return
    try:
        text = gzip.decompress(body)
    except (EOFError, OSError, zlib.error) as exc:
        raise AssertionError(f"accepted, but {exc}") from exc
    check_text(text, folder)


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(seconds: float, seed: int, rounds: int = sys.maxsize) -> int:
    """Run for so long or so many rounds; how many files were tried."""
    chance, began, tried, before = random.Random(seed), time.monotonic(), 0, peak_mib()
    corpus = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() - began < seconds and tried < rounds:
            text = mutated(chance.choice(corpus), chance)
            as_gzip = chance.random() < 0.2
            body = mutated(gzip.compress(text, mtime=0), chance) if as_gzip else text
            started = time.monotonic()
            try:
                (check_gzip if as_gzip else check_text)(body, Path(folder))
                assert time.monotonic() - started < LONGEST_SECONDS, "it took too long"
                assert peak_mib() - before < MOST_MIB, "it took too much memory"
            except BaseException:
                kept = Path(tempfile.gettempdir()) / f"px-import-fuzz-{seed}-{tried}.{'gz' if as_gzip else 'csv'}"
                kept.write_bytes(body)
                print(f"seed {seed}, round {tried}: {kept}", file=sys.stderr)
                raise
            tried += 1
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    print(f"seed {options.seed}: {fuzz(options.seconds, options.seed)} files, nothing found")


if __name__ == "__main__":
    main()

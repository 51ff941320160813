"""Files as customers deliver them, made from a seed: the same bytes every time, and quickly."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip

from schemas.catalogue import AttributeType, Entity, default_catalogue

ROWS = 350_000
_PART = 50_000
_SEED = 20_210_228

_TWELVE = [
    *("id", "accountId", "email", "firstName", "lastName", "title"),
    *("score", "numberOfVisits", "signUpDate", "firstVisitDate", "surveys", "city"),
]
#: Beyond PX's own attributes; `bench_07` may be of any type.
_CUSTOM = [*["STRING"] * 10, *["NUMBER"] * 8, *["DATE_TIME"] * 4, *["BOOLEAN"] * 3]

_FIRST = [
    *("Ada", "Bjørn", "Chloé", "Dario", "Émile", "Fatima", "Grażyna", "Håkon", "İpek", "Jürgen", "小林", "Kwame"),
    *("Łukasz", "María", "Nguyễn", "Ólafur", "Дмитрий", "Νίκος"),
]
_LAST = [
    *("Müller", "Smith", "O'Brien", "García", "Nowak", "Żak", "Øster", "Kowalska", "Šimić", "Ferreira", "Özdemir"),
    *("Петров", "王", "Tanaka", "D’Angelo"),
]
_CITIES = ["Zürich", "São Paulo", "Kraków", "Springfield, IL", "Málaga", "Tokyo", "Saint-Étienne", "Washington, D.C."]
_TITLES = [
    *("Analyst", "Engineer", "Chief Information Officer", "Büroleiterin", "Développeur", "Account Manager"),
    *(
        "VP, Sales",
        "Owner, Founder",
        'Head of "Growth"',
        '5" display buyer',
        "Support\r\nsecond level",
        "QA\nand release",
    ),
]
_WORDS = [
    "north",
    "süd",
    "east, upper",
    "ouest",
    'the "inner" part',
    "first line\nsecond line",
    "plain",
    "テスト",
    "x" * 40,
]


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file: api names and types, `id` first."""

    columns: tuple[tuple[str, AttributeType], ...]

    @property
    def names(self) -> list[str]:
        """The header."""
        return [name for name, _ in self.columns]

    def entries(self) -> list[dict[str, str]]:
        """A catalogue that knows all of it."""
        return [{"apiName": name, "type": str(kind.value)} for name, kind in self.columns]


def _layouts() -> dict[str, Layout]:
    known = {a.api_name: a.type for a in default_catalogue(Entity.USER).attributes}
    custom = {f"bench_{number:02}": AttributeType(kind) for number, kind in enumerate(_CUSTOM)}
    text, number = AttributeType.STRING, AttributeType.NUMBER
    return {
        "12 columns": Layout(tuple((name, known[name]) for name in _TWELVE)),
        "60 columns": Layout(tuple({"id": text, **known, **custom}.items())),
        "id and one": Layout((("id", text), ("score", number))),
        "all strings": Layout((("id", text), *((f"text_{at:02}", text) for at in range(11)))),
        "numbers only": Layout((("id", text), *((f"number_{at:02}", number) for at in range(11)))),
    }


def columns_layout(count: int) -> Layout:
    """A layout of so many columns, all types in turn."""
    kinds = [AttributeType(kind) for kind in ("STRING", "NUMBER", "STRING", "DATE_TIME", "BOOLEAN")]
    rest = tuple((f"bench_{at:03}", kinds[at % len(kinds)]) for at in range(count - 1))
    return Layout((("id", AttributeType.STRING), *rest))


def write(
    path: Path, layout: Layout, rows: int = ROWS, *, changed: float = 0.0, faulty: float = 0.0, first: int = 0
) -> None:
    """Write a gzipped file.

    Args:
        path: of the file.
        layout: its columns.
        rows: how many; their ids are `first` and those after it, in random order.
        changed: share of the rows in which a column is another one than in the file with 0.
        faulty: share of the rows in which every cell that can be wrong is.
        first: number of the first id.
    """
    numbers = np.random.default_rng(_SEED).permutation(rows) + first
    with igzip.open(path, "wb", compresslevel=2) as file:
        file.write((",".join(layout.names) + "\r\n").encode())
        for part, start in enumerate(range(0, rows, _PART)):
            ids = numbers[start : start + _PART]
            file.write(_lines(layout, ids, np.random.default_rng([_SEED, part]), changed, faulty))


def write_catalogue(path: Path, layout: Layout) -> None:
    """Write the catalogue for a layout."""
    path.write_text(json.dumps(layout.entries()))


def _lines(layout: Layout, ids: np.ndarray, random: np.random.Generator, changed: float, faulty: float) -> bytes:
    """The lines of some rows."""
    size = len(ids)
    cells = [_id(ids)] + [_MAKERS[kind](name, size, random) for name, kind in layout.columns[1:]]
    # by the id, not by the generator: what is not changed or faulty is the same in every file
    other = (ids * 2_654_435_761) % 10_000
    if changed:
        name, kind = layout.columns[-1]
        cells[-1] = pc.if_else(pa.array(other < changed * 10_000), _MAKERS[kind](name, size, random), cells[-1])
    if faulty:
        wrong = pa.array(other < faulty * 10_000)
        for at, (_, kind) in enumerate(layout.columns):
            if kind is not AttributeType.STRING:
                cells[at] = pc.if_else(wrong, "no such value", cells[at])
    lines = pc.binary_join_element_wise(*(_quoted(cell) for cell in cells), ",", null_handling="replace")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, size], pa.int32()), lines), "\r\n")
    return bytes(joined[0].as_buffer()) + b"\r\n"


def _quoted(column: pa.Array) -> pa.Array:
    """The cells, in quotes where RFC 4180 needs them."""
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(column, '[",\r\n]'), quoted, column)


def _id(ids: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("u-", pc.utf8_lpad(pa.array(ids).cast(pa.string()), 9, "0"), "")


def _picked(words: Sequence[str], size: int, random: np.random.Generator) -> pa.Array:
    return pa.array(words).take(pa.array(random.integers(0, len(words), size)))


def _blanked(column: pa.Array, random: np.random.Generator, share: float = 0.05) -> pa.Array:
    return pc.if_else(pa.array(random.random(len(column)) < share), pa.scalar(None, pa.string()), column)


def _text(name: str, size: int, random: np.random.Generator) -> pa.Array:
    number = pa.array(random.integers(0, 5_000_000, size)).cast(pa.string())
    if name == "accountId":
        return pc.binary_join_element_wise("a-", pa.array(random.integers(0, 9_999, size)).cast(pa.string()), "")
    if name == "email":
        return pc.binary_join_element_wise("user", number, "@example.com", "")
    words = {"firstName": _FIRST, "lastName": _LAST, "title": _TITLES, "city": _CITIES}.get(name)
    if words:
        return _blanked(_picked(words, size, random), random)
    # one cell in ten of the others is long-winded
    plain = pc.binary_join_element_wise(name[:4], number, "-")
    return _blanked(pc.if_else(pa.array(random.random(size) < 0.1), _picked(_WORDS, size, random), plain), random)


def _number(name: str, size: int, random: np.random.Generator) -> pa.Array:
    if name == "numberOfVisits" or name.endswith("3"):
        return _blanked(pa.array(random.integers(0, 100_000, size)).cast(pa.string()), random)
    return _blanked(pa.array(np.round(random.normal(50, 20, size), 2)).cast(pa.string()), random)


def _date(_name: str, size: int, random: np.random.Generator) -> pa.Array:
    seconds = random.integers(1_262_304_000, 1_640_995_200, size)  # 2010 to 2021
    text = pa.array(seconds).cast(pa.timestamp("s")).cast(pa.string())
    text = pc.binary_join_element_wise(pc.utf8_replace_slice(text, 10, 11, "T"), "Z", "")
    return _blanked(text, random)


def _boolean(_name: str, size: int, random: np.random.Generator) -> pa.Array:
    return _blanked(_picked(["true", "false", "TRUE"], size, random), random)


_MAKERS: dict[AttributeType, Callable[[str, int, np.random.Generator], pa.Array]] = {
    AttributeType.STRING: _text,
    AttributeType.NUMBER: _number,
    AttributeType.DATE_TIME: _date,
    AttributeType.BOOLEAN: _boolean,
}

LAYOUTS = _layouts()

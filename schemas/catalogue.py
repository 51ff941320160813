"""The attribute catalogue: which attributes an entity has (rules G1, G3)."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from json import loads
from typing import Any

from schemas.errors import SettingsError
from schemas.issues import one_line, shown

ID = "id"

#: PostgreSQL cuts longer names off, so that two of them may become one.
LONGEST_NAME_BYTES = 63
#: Columns that every table of PostgreSQL has already; the case of their names counts.
_TAKEN_NAMES = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


class Entity(StrEnum):
    """What a feed imports (rule S1)."""

    USER = "user"
    ACCOUNT = "account"


class AttributeType(StrEnum):
    """Type of an attribute, as PX names it."""

    STRING = "STRING"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    DATE_TIME = "DATE_TIME"


class State(StrEnum):
    """State of an attribute, as PX names it; only what is enabled is known to an import (rule G3)."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One enabled attribute: its api name (case counts) and its type."""

    api_name: str
    type: AttributeType


@dataclass(frozen=True, slots=True)
class CatalogueFault:
    """Something wrong with a catalogue; an empty place means the whole of it."""

    place: str
    problem: str

    def __str__(self) -> str:
        """Place and cure."""
        return f"{self.place}: {self.problem}" if self.place else self.problem


@dataclass(frozen=True, slots=True)
class Examination:
    """A catalogue as it is listed, and everything that is wrong with it.

    Attributes:
        enabled: the attributes that a file may bring, in their order; `id` only where it is listed.
        counts: how many sound entries there are of each type and state.
        faults: in the order of their places; with any of them the catalogue is of no use.
    """

    enabled: tuple[Attribute, ...]
    counts: Counter[tuple[AttributeType, State]]
    faults: tuple[CatalogueFault, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The enabled attributes of one entity, `id` first, the others in the order of their source."""

    attributes: tuple[Attribute, ...]

    @property
    def by_name(self) -> dict[str, Attribute]:
        """The attributes by api name."""
        return {attribute.api_name: attribute for attribute in self.attributes}

    @property
    def hash(self) -> str:
        """Hex SHA-256 of names and types, whatever their order; each import remembers it (rule G3)."""
        lines = sorted(f"{attribute.type}\t{attribute.api_name}" for attribute in self.attributes)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @classmethod
    def parse(cls, entries: object, *, source: str = "") -> "Catalogue":
        """Read PX's exchange format: an array of `{"apiName", "type", "state"?, …}` (rule G1).

        A DISABLED or DELETED attribute is left out. `id` is put in where it is not listed.

        Args:
            entries: the decoded JSON.
            source: named in errors.

        Raises:
            SettingsError: the first fault, by its place, and how many more there are.
        """
        examination = examine(entries)
        if examination.faults:
            first, *more = examination.faults
            problem = f"{first.problem} (and {len(more)} more)" if more else first.problem
            raise SettingsError(first.place, problem, source=source)
        others = (attribute for attribute in examination.enabled if attribute.api_name != ID)
        return cls((Attribute(ID, AttributeType.STRING), *others))


def examine(entries: object) -> Examination:
    """Look at every entry of the exchange format, whatever is wrong with the others."""
    if not isinstance(entries, list):
        fault = CatalogueFault("", 'an attribute catalogue is a JSON array of {"apiName": …, "type": …}')
        return Examination((), Counter(), (fault,))
    if not entries:
        fault = CatalogueFault("", "no attribute is listed; for PX's own attributes name no catalogue at all")
        return Examination((), Counter(), (fault,))
    listed: list[tuple[Attribute, State]] = []
    faults: list[CatalogueFault] = []
    names = _Names()
    for position, entry in enumerate(entries):
        found = list(_entry_faults(entry, f"[{position}]", names))
        faults += found
        if not found:
            attribute = Attribute(entry["apiName"], AttributeType(entry["type"]))
            listed.append((attribute, State(entry.get("state", State.ENABLED))))
    enabled = tuple(attribute for attribute, state in listed if state is State.ENABLED)
    return Examination(enabled, Counter((attribute.type, state) for attribute, state in listed), tuple(faults))


class _Names:
    """The names seen so far: no two may be the same, nor two enabled ones be the same to a store."""

    def __init__(self) -> None:
        self._listed: set[str] = set()
        self._enabled = {folded(ID): ID}

    def faults(self, name: str, *, enabled: bool) -> Iterator[str]:
        """What is wrong with the next name."""
        if name in self._listed:
            yield f"{shown(name)} is listed twice; keep one"
            return
        self._listed.add(name)
        if not enabled:  # never reaches a store
            return
        if problem := _not_carried(name):
            yield problem
        elif (other := self._enabled.setdefault(folded(name), name)) != name:
            problem = f"only upper and lower case tell {shown(name)} from {shown(other)}, too little for SQLite"
            yield f"{problem}; disable one"


def _entry_faults(entry: object, place: str, names: _Names) -> Iterator[CatalogueFault]:
    """Everything that is wrong with one entry."""
    if not isinstance(entry, dict):
        yield CatalogueFault(place, 'write an object like {"apiName": "score", "type": "NUMBER"}')
        return
    name, kind, state = entry.get("apiName"), entry.get("type"), entry.get("state", State.ENABLED)
    enabled = state not in (State.DISABLED, State.DELETED)
    if isinstance(name, str) and name:
        for problem in names.faults(name, enabled=enabled):
            yield CatalogueFault(f"{place}.apiName", problem)
        place = f"{place} ({one_line(name)})"
    else:
        yield CatalogueFault(f"{place}.apiName", "a name is needed here")
    if kind not in [*AttributeType]:
        yield CatalogueFault(f"{place}.type", f"write one of {', '.join(AttributeType)}")
    elif name == ID and kind != AttributeType.STRING and enabled:
        yield CatalogueFault(f"{place}.type", f"the type of {ID!r} is always {AttributeType.STRING}")
    if state not in [*State]:
        yield CatalogueFault(f"{place}.state", f"write one of {', '.join(State)}")


def _not_carried(name: str) -> str:
    """Why a store, or a file's header, could not carry a name; empty if it can."""
    if "\0" in name:
        return "a name cannot hold a NUL character; disable the attribute"
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, written as an escape
        return "the name is not valid Unicode; disable the attribute"
    if size_bytes > LONGEST_NAME_BYTES:
        return f"a name has at most {LONGEST_NAME_BYTES} bytes in UTF-8, {shown(name)} has {size_bytes}; disable it"
    if name in _TAKEN_NAMES:
        return f"PostgreSQL keeps the name {name!r} for itself; disable the attribute"
    return ""


def folded(name: str) -> bytes:
    """What SQLite compares of a column's name: the case of ASCII letters does not count, that of others does."""
    return name.encode().lower()


def default_catalogue_json(entity: Entity) -> str:
    """PX's default attributes of an entity in the exchange format, as shipped with this package."""
    return resources.files("schemas").joinpath(_shipped(entity)).read_text(encoding="utf-8")


def catalogue_of(entries: list[Any], entity: Entity, source: str = "") -> Catalogue:
    """The catalogue of such entries; PX's default attributes where there are none.

    Raises:
        SettingsError: see `Catalogue.parse`.
    """
    return Catalogue.parse(entries, source=source) if entries else default_catalogue(entity)


@cache
def default_catalogue(entity: Entity) -> Catalogue:
    """PX's default attributes of an entity."""
    return Catalogue.parse(loads(default_catalogue_json(entity)), source=_shipped(entity))


def _shipped(entity: Entity) -> str:
    return f"px_{entity.value}_attributes.json"

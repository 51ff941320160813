"""The attribute catalogue: which attributes an entity has (rules G1, G3)."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from schemas.errors import SettingsError

ID = "id"


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


@dataclass(frozen=True, slots=True)
class Attribute:
    """One enabled attribute: its api name (case counts) and its type."""

    api_name: str
    type: AttributeType


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
            SettingsError: the first entry that is wrong, by its place.
        """
        if not isinstance(entries, list):
            raise SettingsError(
                "", 'an attribute catalogue is a JSON array of {"apiName": …, "type": …}', source=source
            )
        found: dict[str, Attribute] = {}
        seen: set[str] = set()
        for position, entry in enumerate(entries):
            name, attribute = _entry(entry, f"[{position}]", source)
            if name in seen:
                raise SettingsError(f"[{position}].apiName", f"{name!r} is listed twice; keep one", source=source)
            seen.add(name)
            if attribute:
                found[name] = attribute
        identifier = found.pop(ID, Attribute(ID, AttributeType.STRING))
        if identifier.type is not AttributeType.STRING:
            raise SettingsError(ID, f"the type of {ID!r} is always STRING", source=source)
        return cls((identifier, *found.values()))


def _entry(entry: object, place: str, source: str) -> tuple[str, Attribute | None]:
    """Name and, where enabled, attribute of one entry of the catalogue."""
    if not isinstance(entry, dict):
        raise SettingsError(place, 'write an object like {"apiName": "score", "type": "NUMBER"}', source=source)
    name = entry.get("apiName")
    if not isinstance(name, str) or not name:
        raise SettingsError(f"{place}.apiName", "a name is needed here", source=source)
    place = f"{place} ({name})"
    kind = _choice(entry.get("type"), [*AttributeType], f"{place}.type", source)
    state = _choice(entry.get("state", "ENABLED"), ["ENABLED", "DISABLED", "DELETED"], f"{place}.state", source)
    return name, Attribute(name, AttributeType(kind)) if state == "ENABLED" else None


def _choice(value: object, choices: Iterable[str], place: str, source: str) -> str:
    """The value, if it is one of the choices."""
    allowed = [str(choice) for choice in choices]
    if value not in allowed:
        raise SettingsError(place, f"write one of {', '.join(allowed)}", source=source)
    return str(value)


@cache
def default_catalogue(entity: Entity) -> Catalogue:
    """PX's default attributes of an entity, as shipped with this package."""
    name = f"px_{entity.value}_attributes.json"
    text = resources.files("schemas").joinpath(name).read_text(encoding="utf-8")
    return Catalogue.parse(json.loads(text), source=name)

"""docs/settings.md, made from the models of the settings: `make docs`."""

import inspect
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from prefect.blocks.core import Block
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from blocks import import_settings
from blocks.feed_settings import SettingsFile

PAGE = Path(__file__).parents[2] / "docs/settings.md"
_INTRODUCTION = """\
# Settings

Made by `make docs` from the models that read the settings. A settings file holds one feed; the README has
[an example](../README.md#import-your-own-feed). `${NAME}` in any value is taken from the environment. A setting that
is not listed here is refused. In Prefect the same settings are fields of a block's form, under the title in the second
column.

Bold settings have no default. Secrets are never shown again, nor written to a log.
"""
_WORDS = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", SecretStr: "secret text"}
_BOUNDS = {
    "gt": "more than {}",
    "ge": "at least {}",
    "lt": "less than {}",
    "le": "at most {}",
    "max_length": "at most {} characters",
}
_ESCAPED = str.maketrans({"|": r"\|", "<": r"\<"})


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "## The settings file", "", *_table(SettingsFile, "")]
    for place, model in _inner(SettingsFile, ""):
        parts += ["", f"## {place}", "", _first_line(model), "", *_table(model, place)]
    parts += [
        "",
        "## Blocks in Prefect",
        "",
        "`px-import apply` saves them. Fields that are not as in the settings file:",
    ]
    for block in _blocks():
        parts += [
            "",
            f"### {block.get_block_type_name()}",
            "",
            _first_line(block),
            "",
            *_table(block, "", SettingsFile),
        ]
    return "\n".join(parts) + "\n"


def _blocks() -> list[type[Block]]:
    """Those of the module that `prefect block register` is given, which are ours."""
    found = [each for _, each in inspect.getmembers(import_settings, inspect.isclass) if issubclass(each, Block)]
    return [each for each in found if each.__module__.startswith("blocks.")]


def _inner(model: type[BaseModel], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models inside a model, with the names that lead to them."""
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            path = f"{place}.{name}".lstrip(".")
            yield path, inner
            yield from _inner(inner, path)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _table(model: type[BaseModel], place: str, known: type[BaseModel] | None = None) -> list[str]:
    """A row for each field that the other model does not have in the same form."""
    others = known.model_fields if known else {}
    fields = {n: f for n, f in model.model_fields.items() if n not in others or others[n].annotation != f.annotation}
    lines = ["| setting | title | what | default | meaning |", "|---|---|---|---|---|"]
    for name, field in fields.items():
        shown = f"**`{name}`**" if field.is_required() else f"`{name}`"
        cells = [shown, field.title or "", _what(f"{place}.{name}", field), _default(field), field.description or ""]
        lines.append(f"| {' | '.join(cell.translate(_ESCAPED) for cell in cells)} |")
    return lines


def _what(path: str, field: FieldInfo) -> str:
    inner = [model for model in _models(field.annotation) if not issubclass(model, Block)]
    kind = f"[{path.lstrip('.')}](#{path.replace('.', '')})" if inner else _kind(field.annotation)
    return "; ".join([kind, *_bounds(field.metadata)])


def _kind(annotation: Any) -> str:
    """A type in words."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{each.value}`" for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return f"block {annotation.get_block_type_name()}"
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(part) for part in parts if part is not type(None))
    if origin is list:
        return f"list of {_kind(parts[0])}"
    if origin is dict:
        return "mapping" if parts[1] is Any else f"{_kind(parts[0])} to {_kind(parts[1])}"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _kind(parts[0])
    return _WORDS.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _bounds(metadata: list[Any]) -> Iterator[str]:
    """What the values may be, as far as it can be told in numbers; pydantic keeps the bounds in several forms."""
    for each in metadata:
        for name, words in _BOUNDS.items():
            if (value := getattr(each, name, None)) is not None:
                yield words.format(value)


def _default(field: FieldInfo) -> str:
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    match value:
        case SecretStr():
            value = value.get_secret_value()
        case Enum():
            value = value.value
        case bool():
            value = str(value).lower()
        case dict():
            value = ", ".join(f"{key}: {part}" for key, part in value.items())
    if isinstance(value, BaseModel) or value in ("", None, []):
        return ""
    return f"`{value}`"


def _first_line(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

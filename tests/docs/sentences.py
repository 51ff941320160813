"""Every sentence that the importer can say to a person, found in its source.

A sentence is given to somebody who says it: an exception, an issue, a finding, a warning, standard error. From there
its words are followed through names, choices and the functions of the module to where they stand as text.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import schemas.errors
from tests.docs.pages import ROOT

ROOMS = ("schemas", "blocks", "tasks", "flows", "deployments")
#: What says its arguments, beside the exceptions of the importer.
_SPEAKERS = {
    *(name for name, each in vars(schemas.errors).items() if isinstance(each, type) and issubclass(each, Exception)),
    *("ValueError", "RuntimeError", "Unreadable", "Issue", "Finding", "NotChecked", "Answer"),
    *("warning", "error", "_Refused", "CellFault", "CatalogueFault", "Trial"),
}
#: Functions and properties all of whose text is said.
_SPOKEN = {
    "why_not_ready",
    "_left_alone",
    "_deliveries",
    "summary",
    "_wording",
    "wording",
    "note",
    "notes",
    "why_not_told",
}
#: Calls whose result holds the words of what they are given.
_PASSING_ON = {"join", "filter", "get", "items", "values", "format", "rstrip", "plain", "str"}
_LEAST_WORDS = 2


@dataclass(frozen=True, slots=True, order=True)
class Words:
    """A piece of a sentence as it stands in the source; `…` for what is filled in.

    Attributes:
        place: file and line.
        text: the words.
    """

    text: str
    place: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"

    @property
    def pattern(self) -> str:
        """What a page may show for it: the words, and an example for what is filled in."""
        return ".+?".join(re.escape(part) for part in self.text.split("…"))


@cache
def said() -> tuple[Words, ...]:
    """All of them, each once."""
    files = [path for room in ROOMS for path in sorted((ROOT / room).glob("*.py"))]
    return tuple(sorted({words for path in files for words in _Module(path).said() if _is_speech(words.text)}))


def _is_speech(text: str) -> bool:
    return len(re.findall(r"(?<!\S)\W*[A-Za-z]{2}", text)) >= _LEAST_WORDS


class _Module:
    """One file of the source."""

    def __init__(self, path: Path) -> None:
        self._name = path.relative_to(ROOT).as_posix()
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._functions = [each for each in ast.walk(self._tree) if isinstance(each, ast.FunctionDef)]
        self._followed: set[tuple[str, int]] = set()

    def said(self) -> Iterator[Words]:
        for scope in [self._tree, *self._functions]:
            for node in _own_nodes(scope):
                for expression in _spoken_in(node):
                    yield from self._words(expression, scope)
            if isinstance(scope, ast.FunctionDef) and scope.name in _SPOKEN:
                yield from self._results(scope)

    def _results(self, function: ast.FunctionDef) -> Iterator[Words]:
        """What a function returns or yields."""
        for node in _own_nodes(function):
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value:
                yield from self._words(node.value, function)

    def _words(self, node: ast.AST, scope: ast.AST) -> Iterator[Words]:
        """The text that an expression can be."""
        match node:
            case ast.Constant(value=str(text)):
                yield self._piece(text, node)
            case ast.JoinedStr():
                pieces = [str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values]
                yield self._piece("".join(pieces), node)
            case ast.Name(id=name):
                yield from self._named(name, scope)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if self._is_new(name):
                for function in self._functions:
                    if function.name == name:
                        yield from self._results(function)
        for part in _parts(node):
            yield from self._words(part, scope)

    def _piece(self, text: str, node: ast.expr) -> Words:
        text = re.sub(r"\{\w*\}|%[sdg]", "…", text.partition("\n")[0])
        return Words(re.sub("…+", "…", text).strip(), f"{self._name}:{node.lineno}")

    def _is_new(self, name: str) -> bool:
        """Whether it is a function of this module that was not followed before."""
        if (name, 0) in self._followed or name not in {each.name for each in self._functions}:
            return False
        self._followed.add((name, 0))
        return True

    def _named(self, name: str, scope: ast.AST) -> Iterator[Words]:
        """What a name stands for: in its function, else in the module."""
        key = (f"{name} in", id(scope))
        if key in self._followed:
            return
        self._followed.add(key)
        for place in dict.fromkeys([scope, self._tree]):
            values = [value for node in _own_nodes(place) for value in _assigned(node, name)]
            for value in values:
                yield from self._words(value, place)
            if values:
                return


def _parts(node: ast.AST) -> list[ast.AST]:
    """The parts of an expression that hold text of its own."""
    match node:
        case ast.JoinedStr():
            return [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name not in _PASSING_ON:
            return []
        case ast.Compare() | ast.Lambda() | ast.Attribute(value=ast.Name(id="self")):
            return []
        case ast.IfExp():  # its condition is not said
            return [node.body, node.orelse]
    return [*ast.iter_child_nodes(node)]


@cache
def _own_nodes(scope: ast.AST) -> tuple[ast.AST, ...]:
    """Everything in it but what is in functions inside; of a module, of its classes too."""
    found: list[ast.AST] = []
    waiting = [*ast.iter_child_nodes(scope)]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef):
            found.append(node)
            waiting += ast.iter_child_nodes(node)
    return tuple(found)


def _spoken_in(node: ast.AST) -> Iterator[ast.AST]:
    """The expressions of a node that are said."""
    match node:
        case ast.Call(func=ast.Name(id="Finding"), args=[_, ast.Attribute(attr="OK"), _]):
            return  # nothing to cure
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _SPEAKERS:
            yield from [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")):
            yield from node.args
        case ast.Call(func=ast.Name(id="print"), keywords=[ast.keyword(arg="file")]):
            yield from node.args
        case ast.Yield(value=ast.Tuple(elts=[state, sentence])) | ast.Return(value=ast.Tuple(elts=[state, sentence])):
            if _is_state(state):
                yield sentence


def _is_state(node: ast.AST) -> bool:
    """Whether it is how a check ended, and there may be something to cure."""
    match node:
        case ast.Attribute(value=ast.Name(id="State"), attr=name) | ast.Name(id="state" as name):
            return name != "OK"
    return False


def _assigned(node: ast.AST, name: str) -> Iterator[ast.AST]:
    match node:
        case ast.Assign(targets=targets, value=value):
            names = [each for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
        case (
            ast.AnnAssign(target=target, value=value)
            | ast.AugAssign(target=target, value=value)
            | ast.NamedExpr(target=target, value=value)
        ):
            names = [target] if isinstance(target, ast.Name) else []
        case ast.For(target=target, iter=value):
            names = [each for each in ast.walk(target) if isinstance(each, ast.Name)]
        case _:
            return
    if value and name in {each.id for each in names}:
        yield value

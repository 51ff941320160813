"""status.json against its published description, and the description against documents that are wrong."""

import copy
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.issues import Code, Issue
from schemas.outcome import FileOutcome, LoadCounts
from tests.schemas.making import (
    delivery,
    document,
    few,
    loaded,
    rejected,
)

SCHEMA = json.loads(resources.files("schemas").joinpath("status.schema.json").read_text(encoding="utf-8"))


def valid(document: object) -> bool:
    validator = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    return bool(validator.is_valid(document))


@pytest.mark.rule("P4")
def test_the_schema_is_one_and_ships_with_the_project() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


issues = st.builds(
    Issue,
    st.sampled_from(Code),
    st.text(min_size=1),
    st.integers(0, 10**6),
    st.lists(st.integers(1), max_size=5).map(tuple),
    st.text(),
)
counts = st.builds(LoadCounts, *[st.integers(0, 10**6)] * 4)
names, sizes, hashes = st.text(min_size=1), st.integers(0), st.just("a" * 64)
file_outcomes = st.builds(
    FileOutcome, names, sizes, hashes, sizes, st.none(), st.lists(issues, min_size=1, max_size=3).map(tuple)
) | st.builds(FileOutcome, names, sizes, hashes, sizes, counts, st.just(()))


@pytest.mark.rule("P4")
@few
@given(st.lists(file_outcomes, max_size=4))
def test_what_is_produced_is_what_the_schema_says(files: list[FileOutcome]) -> None:
    assert valid(document(delivery(*files)))


def set_at(*path: str | int, to: object) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


PATHS: list[tuple[str | int, ...]] = [
    *[(name,) for name in ("version", "verdict", "delivery_id", "feed", "entity", "folder")],
    *[(name,) for name in ("started", "finished", "catalogue_hash", "files")],
    *[("files", 0, name) for name in ("name", "size_bytes", "sha256", "rows")],
    *[("files", 0, name) for name in ("created", "updated", "unchanged", "repeated", "faults")],
    *[("files", 1, "faults", 0, name) for name in ("code", "column", "rows", "message")],
]


def removed(*path: str | int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return change


@pytest.mark.rule("P4")
@pytest.mark.parametrize(
    "change",
    [
        *[pytest.param(removed(*path), id=f"without {path}") for path in PATHS],
        *[pytest.param(set_at(*path, to=None), id=f"null {path}") for path in PATHS],
        *[
            pytest.param(set_at(*path, "more", to=1), id=f"more at {path}")
            for path in [(), ("files", 0), ("files", 1, "faults", 0)]
        ],
        pytest.param(set_at("version", to=2), id="another version"),
        pytest.param(set_at("verdict", to="SUCCESS"), id="success with faults"),
        pytest.param(set_at("files", 1, "faults", to=[]), id="error without faults"),
        pytest.param(set_at("files", 1, "created", to=1), id="loaded with faults"),
        pytest.param(set_at("files", 0, "rows", to=-1), id="fewer than no rows"),
        pytest.param(set_at("files", 0, "sha256", to="x"), id="no hash"),
        pytest.param(set_at("started", to="2021-12-25T03:00:00"), id="no zone"),
    ],
)
def test_a_document_that_was_changed_is_not_what_the_schema_says(change: Callable[[Any], None]) -> None:
    sound = document(delivery(loaded(), rejected()))
    assert valid(sound)
    changed = copy.deepcopy(sound)
    change(changed)
    assert not valid(changed)

"""Our Prefect blocks as forms: every field says what it is for, and no secret can be read (rules S9, S10)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.blocks.core import Block

from blocks.import_settings import AttributeCatalogue, ImportSettings
from blocks.store_blocks import PostgresDatabase, SqliteFile

OURS: list[type[Block]] = [ImportSettings, AttributeCatalogue, SqliteFile, PostgresDatabase]
DROP_DOWNS = {"entity": 2, "blank_cells": 2, "sse": 4, "ssl_mode": 6}
SECRET = re.compile("secret|password|api_key$|token")


def fields(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of the form and of its parts, what it refers to filled in; not those of blocks that are chosen."""
    for name, field in schema["properties"].items():
        part = schema.get("definitions", {}).get(field.get("$ref", "").rpartition("/")[2], {})
        yield name, part | field
        if "properties" in part and "block_type_slug" not in part:
            yield from fields(part)


@pytest.mark.rule("S9")
@pytest.mark.rule("S10")
@pytest.mark.parametrize("block", OURS)
def test_a_form_that_people_like_to_fill_in(block: type[Block]) -> None:
    schema = block.model_json_schema()
    assert (block.get_description() or "").endswith(".")
    assert f'{block.__name__}.load("BLOCK_NAME")' in (block.get_code_example() or "")
    places = [field["position"] for field in schema["properties"].values()]
    assert places == list(range(len(places)))
    for name, field in fields(schema):
        assert field["title"], name
        assert field["description"].endswith("."), name
        assert {"type": "null"} not in field.get("anyOf", []), f"{name} would get a tab called null"
        assert len(field.get("enum", [])) == DROP_DOWNS.get(name, 0), name
        assert (field.get("format") == "password") == bool(SECRET.search(name)), name
        if field.get("type") in {"integer", "number"}:
            assert {"minimum", "exclusiveMinimum"} & field.keys(), f"{name} has no bound in the browser"


def test_the_store_is_picked_from_documents() -> None:
    store = ImportSettings.model_json_schema()["properties"]["store"]
    assert store["anyOf"] == [{"$ref": f"#/definitions/{block.__name__}"} for block in (SqliteFile, PostgresDatabase)]

"""The house stands where it should: our packages, and nobody else's of the same name."""

import importlib.util
from importlib import metadata
from pathlib import Path

import pytest

ROOMS = ["schemas", "blocks", "tasks", "flows", "deployments"]
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_from_this_repository(room: str):
    spec = importlib.util.find_spec(room)
    assert spec
    assert Path(spec.origin).parent == ROOT / room


def test_no_other_distribution_brings_a_package_of_the_same_name():
    providers = metadata.packages_distributions()
    assert {room: set(providers.get(room, [])) - {"px-import"} for room in ROOMS} == {room: set() for room in ROOMS}


@pytest.mark.parametrize(("file", "at_least"), [("constraints.txt", 100), ("tests/ministack.txt", 10)])
def test_every_version_is_pinned_and_no_index_address_is_given(file: str, at_least: int):
    lines = (ROOT / file).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > at_least
    assert [pin for pin in pins if "==" not in pin or "/" in pin or "@" in pin] == []

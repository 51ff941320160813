"""What prefect.yaml says, in words that Prefect knows: it ignores any other without a sound."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig
from pydantic import BaseModel

from tests.e2e.processes import ROOT

OURS = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))


def unknown(document: dict[str, Any]) -> Iterator[str]:
    """The keys that Prefect would pass over."""
    yield from _unknown(document, PrefectYamlModel, "definitions")  # the place for YAML anchors
    for deployment in document["deployments"]:
        yield from _unknown(deployment, DeploymentConfig)
        yield from _unknown(deployment["work_pool"], WorkPoolConfig)
        for schedule in deployment["schedules"]:
            yield from _unknown(schedule, RawScheduleConfig)


def _unknown(part: dict[str, Any], model: type[BaseModel], *more: str) -> Iterator[str]:
    known = {field.alias or name for name, field in model.model_fields.items()}
    yield from set(part) - known - set(more)


def test_every_word_is_prefects_own() -> None:
    assert not list(unknown(OURS))


@pytest.mark.parametrize("place", [OURS, OURS["deployments"][0], OURS["deployments"][0]["schedules"][0]])
def test_a_word_that_prefect_would_pass_over_is_found(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(place, "entry_point", "flows")
    assert "entry_point" in set(unknown(OURS))


def test_the_deployments_differ_in_their_feed_only() -> None:
    for deployment in OURS["deployments"]:
        name = deployment["name"]
        assert deployment["parameters"] == {"settings": {"$ref": {"block_document_slug": f"px-import-settings/{name}"}}}
        assert deployment["tags"] == ["px-import", name]
    same = [{k: d[k] for k in ("entrypoint", "schedules", "work_pool")} for d in OURS["deployments"]]
    assert same[0] == same[1]

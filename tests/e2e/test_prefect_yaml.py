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


FEEDS = [deployment for deployment in OURS["deployments"] if deployment["schedules"]]


def test_the_deployments_differ_in_their_feed_only() -> None:
    assert len(FEEDS) == 2
    for deployment in FEEDS:
        name = deployment["name"]
        assert deployment["parameters"] == {"settings": {"$ref": {"block_document_slug": f"px-import-settings/{name}"}}}
        assert deployment["tags"] == ["px-import", name]
    same = [{k: d[k] for k in ("entrypoint", "schedules", "work_pool")} for d in FEEDS]
    assert same[0] == same[1]


def test_the_check_is_a_button_for_any_feed() -> None:
    [button] = [deployment for deployment in OURS["deployments"] if deployment not in FEEDS]
    assert button["entrypoint"] == "flows.check_connection.check_connection"
    assert "parameters" not in button, "whoever presses it chooses the feed"
    assert button["work_pool"] == FEEDS[0]["work_pool"]

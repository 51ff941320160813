"""What prefect.yaml and its variants say, in words that Prefect knows: it ignores any other without a sound."""

import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel, RawScheduleConfig, WorkPoolConfig
from pydantic import BaseModel

from tests.e2e.prefect_files import DEFAULT, EVERY, VARIANTS, PrefectFile
from tests.e2e.processes import ROOT

OURS = DEFAULT.content
every_file = pytest.mark.parametrize("file", EVERY, ids=lambda file: file.pool_type)


def unknown(document: dict[str, Any], template: dict[str, Any]) -> Iterator[str]:
    """The keys that Prefect would pass over."""
    yield from _unknown(document, PrefectYamlModel, "definitions")  # the place for YAML anchors
    for deployment in document["deployments"]:
        yield from _unknown(deployment, DeploymentConfig)
        yield from _unknown(deployment["work_pool"], WorkPoolConfig)
        yield from set(deployment["work_pool"]["job_variables"]) - set(template["variables"]["properties"])
        for schedule in deployment["schedules"]:
            yield from _unknown(schedule, RawScheduleConfig)


def _unknown(part: dict[str, Any], model: type[BaseModel], *more: str) -> Iterator[str]:
    known = {field.alias or name for name, field in model.model_fields.items()}
    yield from set(part) - known - set(more)


def test_there_is_a_file_for_each_kind_of_pool() -> None:
    assert {file.pool_type for file in EVERY} == {"process", "docker", "kubernetes", "ecs"}


@every_file
def test_every_word_is_prefects_own(file: PrefectFile) -> None:
    assert not list(unknown(file.content, file.template))


@pytest.mark.parametrize(
    "place",
    [
        OURS,
        OURS["deployments"][0],
        OURS["deployments"][0]["schedules"][0],
        OURS["definitions"]["pool"]["job_variables"],
    ],
)
def test_a_word_that_prefect_would_pass_over_is_found(place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(place, "entry_point", "flows")
    assert "entry_point" in set(unknown(OURS, DEFAULT.template))


@every_file
def test_the_job_variables_are_what_the_pool_takes(file: PrefectFile) -> None:
    jsonschema.validate(file.content["definitions"]["pool"]["job_variables"], file.template["variables"])


@pytest.mark.parametrize("file", VARIANTS, ids=lambda file: file.pool_type)
def test_a_variant_differs_in_its_pool_only(file: PrefectFile) -> None:
    variant = file.content
    pool = variant["definitions"].pop("pool")
    assert pool["name"] == f"px-import-{file.pool_type}"
    assert [deployment.pop("work_pool") for deployment in variant["deployments"]] == [pool] * len(OURS["deployments"])
    default = DEFAULT.content
    del default["definitions"]["pool"]
    for deployment in default["deployments"]:
        del deployment["work_pool"]
    assert variant == default


@pytest.mark.parametrize("file", VARIANTS, ids=lambda file: file.pool_type)
def test_a_variant_runs_the_image_of_this_version_with_a_home_that_it_may_write(file: PrefectFile) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    variables = file.content["definitions"]["pool"]["job_variables"]
    dockerfile = (ROOT / "deployments" / "Dockerfile").read_text()
    assert variables["image"] == f"px-import:{version}"
    assert f"--tag {variables['image']} " in dockerfile
    assert f"PREFECT_HOME={variables['env']['PREFECT_HOME']} " in dockerfile


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
    [button] = [deployment for deployment in OURS["deployments"] if deployment["name"] == "any-feed"]
    assert not button["schedules"]
    assert button["entrypoint"] == "flows.check_connection.check_connection"
    assert "parameters" not in button, "whoever presses it chooses the feed"
    assert button["work_pool"] == FEEDS[0]["work_pool"]


def test_the_sweep_is_switched_on_by_whoever_wants_it_in_place_of_the_others() -> None:
    [sweep] = [deployment for deployment in OURS["deployments"] if deployment["name"] == "all-feeds"]
    assert sweep["entrypoint"] == "flows.import_feeds.import_feeds"
    assert not sweep["schedules"]
    assert sweep["work_pool"] == FEEDS[0]["work_pool"]

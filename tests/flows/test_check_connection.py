"""The check as a Prefect flow: a page for whoever pressed the button, and one sentence where something fails."""

import asyncio
import json
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from blocks.import_settings import ImportSettings
from flows.check_connection import check_connection
from tests.flows.conftest import Feed


def checked(feed: Feed, **changes: Any) -> tuple[Any, Any]:
    """State of a run, and the artifact that it left."""
    feed.configure(**changes)

    async def run() -> Any:
        state = await check_connection(ImportSettings.from_file(feed.settings_file), return_state=True)
        async with get_client() as client:
            wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"check-{feed.name}"]))
            artifacts = await client.read_artifacts(artifact_filter=wanted)
        return state, next(each for each in artifacts if each.flow_run_id == state.state_details.flow_run_id)

    return asyncio.run(run())


@pytest.mark.rule("R5")
def test_a_check_shows_its_findings_and_changes_nothing(feed: Feed) -> None:
    feed.drop("20210228", users_csv_gz="id\n1\n")
    before = feed.objects()
    state, artifact = checked(feed)
    assert (state.type.value, state.message) == ("COMPLETED", "Nothing has failed.")
    lines = artifact.data.splitlines()
    assert "| ✓ ok | folders | dt=20210228 is ready \\(1 file, 25 bytes\\) |" in lines
    assert feed.objects() == before
    assert not (feed.folder / "px.db").exists()
    assert feed.callbacks == []


@pytest.mark.rule("S10")
def test_a_check_that_fails_says_so_in_one_sentence_without_a_secret(feed: Feed) -> None:
    keys = {"access_key_id": feed.s3.access_key_id, "secret_access_key": "wrong-secret-7f1e"}
    state, artifact = checked(feed, authorization=keys)
    assert state.type.value == "FAILED"
    assert state.message.startswith("1 check failed: bucket: not allowed to list s3://")
    assert "| ✗ **failed** | bucket |" in artifact.data
    assert "wrong-secret" not in json.dumps([artifact.model_dump(mode="json"), state.message])


def test_hostile_names_are_text_on_the_page(feed: Feed) -> None:
    feed.put("current/<script>|x|`y`/users.csv.gz")
    _, artifact = checked(feed)
    (line,) = [line for line in artifact.data.splitlines() if "script" in line]
    assert "&lt;script&gt;\\|x\\|\\`y\\`" in line
    assert line.count(" | ") == 2

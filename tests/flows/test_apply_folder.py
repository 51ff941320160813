"""A folder of settings files, and a deployment for each, on a real Prefect server."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import get_client

from blocks import saved_feeds as reading
from blocks.saved_feeds import saved_feeds, subscription_of
from deployments.apply import apply
from schemas.errors import SettingsError
from tests.e2e.test_prefect_yaml import OURS

# Prefect leaves its client's connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SECRET = "store-password-9d3e"


def write(folder: Path, feed: str, **changes: Any) -> Path:
    settings = {
        "feed": feed, "entity": "user", "bucket": "b", "destination": {"product": "AP-XXXXXXXXXX"},
        "store": f"postgresql://px:{SECRET}@127.0.0.1/px",
    }  # fmt: skip
    path = folder / f"{feed}.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


@pytest.fixture(scope="module")
def folder(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three feeds that are saved and deployed."""
    folder = tmp_path_factory.mktemp("settings")
    for feed in ("folder-a", "folder-b", "folder-c"):
        write(folder, feed)
    (folder / "notes.txt").write_text("no settings")
    with pytest.raises(
        SettingsError, match=r"^--deploy: the deployment of folder-a was refused; is there a work pool px-import"
    ):
        apply([folder], deploy=True)
    with get_client(sync_client=True) as client:
        client.request("POST", "/work_pools/", json={"name": "px-import", "type": "process", "base_job_template": {}})
    apply([folder], deploy=True)
    return folder


def deployment(feed: str) -> Any:
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(f"import-feed/{feed}")


def test_the_deployments_are_those_of_prefect_yaml(folder: Path) -> None:
    [ours] = [each for each in OURS["deployments"] if each["name"] == "users"]
    made = deployment("folder-a")
    [schedule], [planned] = made.schedules, ours["schedules"]
    assert made.entrypoint == ours["entrypoint"]
    assert made.description == ours["description"]
    assert made.tags == [tag.replace("users", "folder-a") for tag in ours["tags"]]
    assert made.parameters == {"settings": {"$ref": {"block_document_slug": "px-import-settings/folder-a"}}}
    assert (made.work_pool_name, made.job_variables) == (ours["work_pool"]["name"], ours["work_pool"]["job_variables"])
    assert schedule.slug == planned["slug"]
    assert schedule.schedule.interval.total_seconds() == planned["interval"]
    assert schedule.schedule.anchor_date.isoformat() == planned["anchor_date"]
    assert schedule.schedule.timezone == planned["timezone"]
    assert (made.path, made.pull_steps) == (None, [])
    assert SECRET not in made.model_dump_json()


def test_a_second_time_changes_nothing_and_what_has_no_file_any_more_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = deployment("folder-b")
    with get_client(sync_client=True) as client:
        path = f"/deployments/{before.id}/schedules/{before.schedules[0].id}"
        client.request("PATCH", path, json={"active": False})
    (folder / "folder-c.yaml").unlink()
    apply([folder], deploy=True)
    after = deployment("folder-b")
    assert (after.id, len(after.schedules)) == (before.id, 1)
    assert not after.schedules[0].active, "switched off by hand, and still off"
    assert deployment("folder-a").schedules[0].active
    said = capsys.readouterr().out
    assert "note: px-import-settings/folder-c has no settings file here" in said
    assert "note: import-feed/folder-c has no settings file here" in said
    assert "folder-a has no" not in said
    assert deployment("folder-c").schedules[0].active, "nothing is removed"


def test_two_files_of_one_feed_and_a_folder_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no file in it ends in \.yaml"):
        apply([tmp_path])
    write(tmp_path, "one").rename(tmp_path / "other.yaml")
    write(tmp_path, "one")
    with pytest.raises(SettingsError, match=r"other\.yaml: feed: .*one\.yaml has the same name"):
        apply([tmp_path])


def test_feeds_are_read_a_page_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    asked = []
    real = reading._documents
    monkeypatch.setattr(reading, "_documents", lambda client, *which: real(_Counting(client, asked), *which))
    assert [feed.name for feed in saved_feeds(prefix="folder-")] == ["folder-a", "folder-b", "folder-c"]
    assert len(asked) == 2
    assert [feed.name for feed in saved_feeds(["folder-c", "folder-a", "folder-b"])] == [
        "folder-a", "folder-c", "folder-b"
    ]  # fmt: skip
    settings = next(iter(saved_feeds(["folder-a"]))).usable
    assert SECRET in settings.store_url.get_secret_value()
    [missing] = saved_feeds(["folder-x"])
    with pytest.raises(SettingsError, match=r"^px-import-settings/folder-x: there is no such block document"):
        missing.usable  # noqa: B018


class _Counting:
    def __init__(self, client: Any, asked: list[str]) -> None:
        self._client, self._asked = client, asked

    def request(self, method: str, path: str, **body: Any) -> Any:
        self._asked.append(path)
        return self._client.request(method, path, **body)


ROLE = {"assume_role_arn": "arn:aws:iam::123456789012:role/r", "assume_role_kwargs": {"ExternalId": "acme"}}


@pytest.mark.parametrize(
    ("content", "subscription"),
    [
        ({"bucket": "b/acme", "base_folder": "users"}, "s3://b/acme"),
        ({"bucket": "/b/acme//", "base_folder": "/accounts/"}, "s3://b/acme"),
        ({"bucket": "b", "base_folder": "acme/users"}, "s3://b/acme"),
        ({"bucket": "b", "base_folder": "other/users"}, "s3://b/other"),
        ({"bucket": "b"}, "s3://b/"),
        ({"bucket": "b", "base_folder": "x", "authorization": ROLE}, "external id acme"),
        ({"bucket": 7, "authorization": "none", "base_folder": None}, "feed me"),
        ({"bucket": "/", "authorization": {"assume_role_kwargs": []}}, "feed me"),
        ({}, "feed me"),
    ],
)
def test_what_tells_a_subscription(content: dict[str, Any], subscription: str) -> None:
    assert subscription_of("me", content) == subscription

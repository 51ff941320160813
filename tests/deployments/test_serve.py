"""`px-import serve` refuses what it cannot serve, before anything is deployed; tests/e2e shows it at work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.cli import TROUBLE, main
from deployments.feed_deployments import every_quarter_hour
from tests.receiver import unused_port

PREFECT_YAML = Path(__file__).resolve().parents[2] / "prefect.yaml"


@pytest.fixture
def nobody_there() -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{unused_port()}/api"}):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "users.yaml"
    text = {"feed": "users", "bucket": "b-export", "base_folder": "users", "destination": {"product": "AP-X"}}
    path.write_text(yaml.safe_dump({**text, "region": "us-east-1", "store": f"sqlite:///{tmp_path}/px.db"}))
    return str(path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == TROUBLE
    return capsys.readouterr().err.strip()


def test_nothing_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys) == "px-import: name a settings file, or a feed with --feed."


def test_no_server_is_named(capsys: pytest.CaptureFixture[str], settings: str) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        said = refusal(capsys, settings)
    assert said == "px-import: PREFECT_API_URL: name the Prefect server that keeps the schedule."


def test_a_wrong_file(capsys: pytest.CaptureFixture[str], settings: str, nobody_there: None) -> None:
    Path(settings).write_text("feed: users\nbuckett: x\n")
    assert "users.yaml: buckett: " in refusal(capsys, settings)


def test_a_feed_named_twice(capsys: pytest.CaptureFixture[str], settings: str, nobody_there: None) -> None:
    assert refusal(capsys, settings, settings) == "px-import: feed: 'users' is named 2 times; serve it once."


def test_the_server_is_not_there(capsys: pytest.CaptureFixture[str], settings: str, nobody_there: None) -> None:
    assert refusal(capsys, settings).startswith("px-import: PREFECT_API_URL: the Prefect server cannot be reached")


def test_the_schedule_is_that_of_prefect_yaml() -> None:
    ours = every_quarter_hour()
    assert yaml.safe_load(PREFECT_YAML.read_text())["definitions"]["every_quarter_hour"] == {
        "interval": ours.interval.total_seconds(),
        "anchor_date": ours.anchor_date.isoformat(),
        "timezone": ours.timezone,
        "slug": ours.slug,
    }

"""What stands in the pages holds: links, examples, and what is made from the code."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from blocks.feed_settings import SettingsFile, read_settings_file
from tests.docs import settings_page
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, links

EXAMPLES = [block for page in PAGES for block in blocks(page)]
#: Makes a whole feed of an example that shows a part.
LEAST = {"feed": "users", "bucket": "b", "destination": {"product": "AP-XXXXXXXXXX"}, "store": "sqlite:////tmp/px.db"}


def test_the_settings_page_is_what_the_models_say() -> None:
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.page(), "the models have changed: make docs"


def test_every_page_is_led_to() -> None:
    led_to = {"README.md"}
    for page in PAGES:
        places = (link.partition("#")[0] for link in links(page) if "://" not in link)
        led_to |= {_path(page, place) for place in places if place}
    lost = [page for page in PAGES if page not in led_to and not any(page.startswith(f"{each}/") for each in led_to)]
    assert not lost, "no page leads to these: add them to the list in README.md"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if ":" in link:  # https, mailto: not asked here
            continue
        place, _, anchor = link.partition("#")
        target = _path(page, place) if place else page
        assert (ROOT / target).exists(), f"{page} leads to {link}, and there is no {target}: correct the link"
        if anchor:
            assert unquote(anchor) in anchors(target), f"{page} leads to {link}: no heading of {target} makes #{anchor}"


def _path(page: str, place: str) -> str:
    return (ROOT / page).parent.joinpath(place).resolve().relative_to(ROOT).as_posix()


@pytest.mark.parametrize("block", [each for each in EXAMPLES if each.language in {"yaml", "json"}], ids=str)
def test_an_example_of_settings_is_taken(block: Block, tmp_path: Path) -> None:
    """One that begins with a setting of a feed is read as a settings file; any other must be YAML or JSON."""
    if block.language == "json":
        json.loads(block.text)
        return
    example: dict[str, Any] = yaml.safe_load(block.text)
    if next(iter(example)) not in SettingsFile.model_fields:
        return
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump(LEAST | example), encoding="utf-8")
    secrets = dict.fromkeys(["PX_SECRET", "PX_CALLBACK_KEY", "PX_DB_PASSWORD"], "something")
    read_settings_file(path, secrets)


@pytest.mark.parametrize("block", [each for each in EXAMPLES if each.language == "python"], ids=str)
def test_an_example_in_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {})

"""Names that a customer may give to objects: nothing is lost, nothing is forged, nothing reaches a screen as it is."""

import asyncio
import json
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from deployments.cli import main
from tests.flows.conftest import Feed

GOOD = "id,email\n1,a@example.com\n"
NAMES = {
    "forged line": "a\nSUCCESS\n9 records were uploaded.csv.gz",
    "carriage return": "a\rb.csv.gz",
    "escape sequence": "\x1b[2J\x1b]0;title\x07.csv.gz",
    "right to left": "\u202egz.vsc.csv.gz",
    "zero width": "users\u200b.csv.gz",
    "dash": "-rf.csv.gz",
    "percent": "%2e%2e%2f100%25.csv.gz",
    "formula": "=cmd|' /C calc'!A0.csv.gz",
    "html": "<script>alert(1)</script>.csv.gz",
    "markdown": "[x](javascript:alert(1))|`y`|**z**.csv.gz",
    "markup": "[red]x[/red][link=file:///etc].csv.gz",
    "template": "{settings.authorization}{{7*7}}${HOME}.csv.gz",
    "dots": "x...csv.gz",
    "deeper dots": "../../../etc/passwd.csv.gz",
    "emoji": "\U0001f4a9.csv.gz",
    "a kilobyte": "x" * 180 + ".csv.gz",
    "no file type": "a\nb",
}
UNSAFE = [*map(chr, [*range(0x09), 0x0B, 0x0C, 0x0D, *range(0x0E, 0x20), 0x7F]), "\u202e", "\u200b"]


async def page(feed: Feed) -> str:
    async with get_client() as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"feed-{feed.name}"]))
        return max(await client.read_artifacts(artifact_filter=wanted), key=lambda each: each.created).data


@pytest.mark.rule("P1")
@pytest.mark.rule("P3")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_only_a_name(feed: Feed, capsys, caplog, name: str):
    feed.drop("20210228", marker=False, users_csv_gz=GOOD)
    good = feed.objects()["current/dt=20210228/users.csv.gz"]
    with suppress(ClientError):  # what the server refuses no customer can give either
        feed.put(f"current/dt=20210228/{name}", b"no gzip")
    feed.put("current/dt=20210228/_SUCCESS")
    delivered = {key.removeprefix("current/dt=20210228/") for key in feed.objects()}

    state = feed.tick()

    assert state.is_completed(), state.message
    after = feed.objects()
    assert not [key for key in after if key.startswith("current/")]
    archived = {key.removeprefix("processed/20210228/") for key in after}
    assert delivered <= archived
    assert after["processed/20210228/users.csv.gz"] == good
    status = feed.text("processed/20210228/status.txt")
    hostile = len(delivered) > 2
    assert status.startswith("ERROR\n" if hostile else "SUCCESS\n")
    assert len(status.splitlines()) == (3 if hostile else 2)
    assert json.loads(feed.text("processed/20210228/status.json"))["files"][0]["name"] in delivered
    assert main(["deliveries", "show", "", str(feed.settings_file)]) == 0
    markdown = asyncio.run(page(feed))
    errors = feed.text("processed/20210228/errors.csv") if hostile else ""
    shown = {"status": status, "page": markdown, "state": state.message, "errors.csv": errors.replace("\r\n", "\n")}
    shown |= {"terminal": capsys.readouterr().out, "log": caplog.text}
    assert [(where, mark) for where, text in shown.items() for mark in UNSAFE if mark in text] == []
    assert "<script>" not in markdown
    assert "](javascript" not in markdown
    assert "\n=cmd" not in errors
    [callback] = feed.callbacks
    assert json.loads(callback.body)["message"] == status.partition("\n")[2].rstrip("\n")

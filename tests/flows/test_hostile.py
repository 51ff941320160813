"""Names that a customer may give to objects: nothing is lost, nothing is forged, nothing reaches a screen as it is."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from blocks.import_settings import ImportSettings
from blocks.s3_drop_zone import S3DropZone
from deployments.cli import main
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from flows.import_feed import tick
from schemas.drop_zone import LONGEST_KEY
from schemas.errors import AccessRefused
from tests.flows.conftest import Feed
from tests.servers import AnsweringServer, forwarded, xml_error

GOOD = "id,email\n1,a@example.com\n"
ROOT = "export/users"


def fitting(length: int, day: str) -> str:
    """A name whose waiting key has so many bytes; it lies deep, for a store on a disk takes 255 for each part."""
    name = f"{'d' * 200}/" * 4
    return name + "z" * (length - len(f"{ROOT}/current/dt={day}/{name}"))


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
    "markup": "[red]x[/red][link=file:etc].csv.gz",
    "template": "{settings.authorization}{{7*7}}${HOME}.csv.gz",
    "dots": "x...csv.gz",
    "emoji": "\U0001f4a9.csv.gz",
    "a kilobyte": fitting(LONGEST_KEY, "20210228"),
    "no file type": "a\nb",
}
#: SeaweedFS refuses the first three and stores the last one elsewhere.
PATHS = {
    "deeper dots": "../../../etc/passwd.csv.gz",
    "another's folder": "../../../accounts/current/dt=20210228/users.csv.gz",
    "dots at the end": "x/..",
    "doubled slash": "a//b.csv.gz",
}
UNSAFE = [*map(chr, [*range(0x09), 0x0B, 0x0C, 0x0D, *range(0x0E, 0x20), 0x7F]), "\u202e", "\u200b"]


@pytest.fixture(params=["local_s3", "ministack"])
def hostile(
    request: pytest.FixtureRequest, prefect_server: None, tmp_path: Path
) -> Iterator[tuple[Feed, dict[str, bytes]]]:
    """A feed, and the files of its hostile delivery with all that stands in them."""
    s3 = request.getfixturevalue(request.param)
    bucket = f"hostile-{uuid4().hex[:12]}"
    s3.create_bucket(bucket)
    names = [*NAMES.values(), *(PATHS.values() if request.param == "ministack" else ())]
    with Receiver() as receiver:
        feed = Feed(s3, bucket, tmp_path, receiver)
        feed.configure()
        yield feed, {name: f"no gzip {number}".encode() for number, name in enumerate(names)}


@pytest.mark.rule("P1")
@pytest.mark.rule("P3")
def test_a_name_is_only_a_name(hostile: tuple[Feed, dict[str, bytes]], capsys, caplog):
    feed, files = hostile
    feed.drop("20210228", marker=False, users_csv_gz=GOOD)
    files["users.csv.gz"] = feed.objects()["current/dt=20210228/users.csv.gz"]
    for name, content in files.items():
        feed.put(f"current/dt=20210228/{name}", content)
    feed.put("current/dt=20210228/_SUCCESS")
    assert set(feed.objects()) == {f"current/dt=20210228/{name}" for name in (*files, "_SUCCESS")}

    state = feed.tick()

    assert state.is_completed(), state.message
    after = feed.objects()
    own = {"_SUCCESS", "status.txt", "status.json", "errors.csv"}
    assert set(after) == {f"processed/20210228/{name}" for name in (*files, *own)}
    assert {name: after[f"processed/20210228/{name}"] for name in files} == files
    status = feed.text("processed/20210228/status.txt")
    assert status.startswith("ERROR\n")
    judged = {name for name in files if not name.startswith(".")}
    assert len(status.splitlines()) == 1 + len(judged)
    assert {each["name"] for each in json.loads(feed.text("processed/20210228/status.json"))["files"]} == judged
    assert main(["deliveries", "show", "", str(feed.settings_file)]) == 0
    artifacts = {each.key: each.data for each in feed.artifacts(state)}
    markdown = artifacts["feed-users"] + artifacts["delivery-users"]
    errors = feed.text("processed/20210228/errors.csv")
    shown = {
        "status": status,
        "page": markdown,
        "table": artifacts["files-users"],
        "state": state.message,
        "errors.csv": errors.replace("\r\n", "\n"),
    }
    shown |= {"terminal": capsys.readouterr().out, "log": caplog.text}
    assert [(where, mark) for where, text in shown.items() for mark in UNSAFE if mark in text] == []
    assert "<script>" not in markdown
    assert "](javascript" not in markdown
    assert "\n=cmd" not in errors
    [callback] = feed.callbacks
    assert json.loads(callback.body)["message"] == status.partition("\n")[2].rstrip("\n")


@pytest.fixture
def alone(local_s3: LocalS3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """A feed that needs no Prefect server; what its runs keep for the next one goes with the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with Receiver() as receiver:
        feed = Feed(local_s3, bucket, tmp_path, receiver)
        feed.configure()
        yield feed


@pytest.mark.rule("D5")
@pytest.mark.rule("P2")
def test_a_key_too_long_for_the_archive_keeps_its_folder_waiting_and_no_other(alone: Feed):
    settings = ImportSettings.from_file(alone.settings_file)
    too_long, longest = fitting(LONGEST_KEY + 1, "20210227"), fitting(LONGEST_KEY, "20210228")
    assert len(settings.zone.processed_folder("20210228", 999) + "/" + longest) == 1_024
    alone.put(f"current/dt=20210227/{too_long}")
    alone.drop("20210227", users_csv_gz=GOOD)
    alone.put(f"current/dt=20210228/{longest}", b"x")
    for content in (GOOD, GOOD * 2):  # the second delivery moves the first aside
        alone.drop("20210228", users_csv_gz=content)
        report = asyncio.run(tick(settings, []))
        assert [each.delivery.day for each in report.deliveries] == ["20210228"]
        [waiting] = [each for each in report.remarks if each.startswith("waiting: ")]
        assert re.fullmatch(r"waiting: dt=20210227 \(the key of 'd+…' has more than 1021 bytes, .*\)", waiting)
    assert alone.objects()[f"processed/20210228.1/{longest}"] == b"x"
    with pytest.raises(AccessRefused, match=r"KeyTooLong.*: shorten it: .* 1,024 bytes"):
        S3DropZone(alone.s3.client, settings.zone).put("d/" * 513, b"", content_type="text/plain")


def test_a_name_is_only_a_name_where_something_is_refused(alone: Feed, capsys):
    name = "".join(NAMES[each] for each in ("forged line", "escape sequence", "right to left"))
    alone.put(f"current/dt=20210228/{name}")
    alone.put("current/dt=20210228/_SUCCESS")

    def refuse(request):
        if request.method == "GET" and "%0ASUCCESS" in request.path and "list-type" not in request.path:
            return xml_error(403, "AccessDenied", f"{UNSAFE[-1]}no")
        return forwarded(request, alone.s3.endpoint_url)

    with AnsweringServer(refuse) as s3:
        alone.configure(endpoint_url=s3.url)
        with pytest.raises(AccessRefused, match="AccessDenied") as refused:
            asyncio.run(tick(ImportSettings.from_file(alone.settings_file), []))
    assert str(refused.value).isprintable()
    assert r"a\nSUCCESS\n9 records" in str(refused.value)

"""How a sweep keeps what hangs, and what is slow, from the feeds that are well."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import blocks.shared_clients
import tasks.search
from blocks.import_settings import ImportSettings
from blocks.saved_feeds import SavedFeed
from deployments.local_s3 import LocalS3
from schemas.sweep_report import Fate, FeedOutcome
from tasks.search import Search
from tests.servers import Answer, AnsweringServer, Request

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "x" * 40}
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


def saved(name: str, endpoint_url: str, folder: Path, **changes: Any) -> SavedFeed:
    settings = ImportSettings.model_validate({
        "feed": name, "bucket": "b", "base_folder": name, "region": "us-east-1", "endpoint_url": endpoint_url,
        "authorization": KEYS, "destination": {"product": "AP-XXXXXXXXXX"}, "catalogue": {"entries": []}, "store": f"sqlite:///{folder}/px.db",
    } | changes)  # fmt: skip
    return SavedFeed(name, name, settings)


def searched(feeds: list[SavedFeed]) -> dict[str, FeedOutcome | None]:
    async def search() -> dict[str, FeedOutcome | None]:
        searching = Search(feeds)
        found = await asyncio.gather(*(searching.idle(feed) for feed in feeds))
        return {feed.name: outcome for feed, outcome in zip(feeds, found, strict=True)}

    return asyncio.run(search())


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


def test_an_address_that_gives_no_answer_is_given_up_and_no_other_waits_for_it(tmp_path: Path) -> None:
    def respond(request: Request) -> Answer:
        return Answer(reset=True) if "hanging" in request.path else Answer(body=EMPTY)

    with AnsweringServer(respond) as silent, AnsweringServer(respond) as well:
        hanging = [saved(f"hanging-{n}", silent.url, tmp_path) for n in range(20)]
        found = searched([*hanging, saved("well", well.url, tmp_path)])
        asked = {request.path for request in silent.requests}
    assert found.pop("well") == FeedOutcome("well", Fate.IDLE)
    at_once = tasks.search._AT_ONE_ADDRESS
    assert at_once <= len(asked) < 2 * at_once, "those that are under way, and those that begin while the first end"
    said = [outcome.said for outcome in found.values() if outcome and outcome.fate is Fate.TROUBLE]
    assert len(said) == 20
    assert sum("gave no answer to other feeds" in each for each in said) == 20 - len(asked)


def test_an_answer_in_between_shows_that_the_address_is_well(tmp_path: Path) -> None:
    def respond(request: Request) -> Answer:
        return Answer(reset=True) if "hanging" in request.path else Answer(body=EMPTY)

    async def one_by_one(feeds: list[SavedFeed]) -> list[Fate]:
        search = Search(feeds)
        return [outcome.fate for feed in feeds if (outcome := await search.idle(feed))]

    with AnsweringServer(respond) as server:
        names = ["hanging"] * 7 + ["well"] + ["hanging"] * 7 + ["well"]
        feeds = [saved(f"{name}-{n}", server.url, tmp_path) for n, name in enumerate(names)]
        found = asyncio.run(one_by_one(feeds))
    assert found == [Fate.TROUBLE if name == "hanging" else Fate.IDLE for name in names]


def test_feeds_with_the_same_credentials_share_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(
        blocks.shared_clients, "s3_client", lambda *who, **where: made.append(_client(*who, **where)) or made[-1]
    )
    _client = blocks.aws_session.s3_client
    other = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "x" * 40}
    other_secret = {**KEYS, "aws_secret_access_key": "y" * 40}
    with AnsweringServer(lambda _: Answer(body=EMPTY)) as server:
        feeds = [saved(f"feed-{n}", server.url, tmp_path) for n in range(5)]
        feeds += [saved(f"other-{n}", server.url, tmp_path, authorization=other) for n in range(3)]
        feeds += [saved("secret", server.url, tmp_path, authorization=other_secret)]
        found = searched(feeds)
        keys = {request.headers["authorization"].partition("=")[2][:11] for request in server.requests}
    assert set(found.values()) == {FeedOutcome(feed.name, Fate.IDLE) for feed in feeds}
    assert len(made) == 3
    assert {key.partition("/")[0] for key in keys} == {"AKIAEXAMPLE", "AKIAOTHER"[:11]}


def test_a_store_in_trouble_is_its_own_feeds_alone_and_is_asked_once(
    local_s3: LocalS3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database at all, and long enough to be looked at" * 99)
    asked = []
    real = tasks.search.backlog_of
    monkeypatch.setattr(tasks.search, "backlog_of", lambda store: asked.append(store) or real(store))
    keys = {"aws_access_key_id": local_s3.access_key_id, "aws_secret_access_key": local_s3.secret_access_key}
    feeds = [
        saved(name, local_s3.endpoint_url, tmp_path, bucket=bucket, authorization=keys, **changes)
        for name, changes in [
            ("one", {"store": f"sqlite:///{tmp_path}/broken.db"}), ("two", {"store": f"sqlite:///{tmp_path}/broken.db"}),
            ("three", {}), ("four", {}),
        ]
    ]  # fmt: skip
    found = searched(feeds)
    assert [(outcome and outcome.fate) for outcome in found.values()] == [Fate.TROUBLE] * 2 + [Fate.IDLE] * 2
    assert found["one"]
    assert "file is not a database" in found["one"].said
    assert len(asked) == 2


def test_a_mistake_of_ours_is_one_feeds_trouble_and_its_text_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(settings: ImportSettings) -> str:
        raise ValueError("secret-of-a-feed")

    monkeypatch.setattr(tasks.search, "address_of", mistaken)
    found = searched([saved("one", "http://127.0.0.1:1", tmp_path)])
    assert found["one"] == FeedOutcome("one", Fate.TROUBLE, "An unexpected ValueError; see the log of this run.")

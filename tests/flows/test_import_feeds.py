"""One sweep over feeds of every kind, on real servers: what it starts, what it leaves alone, and what it says."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterStartTime
from prefect.settings import PREFECT_API_URL

import flows.import_feed
import tasks.search
from blocks.import_settings import ImportSettings
from deployments.apply import apply
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from flows.import_feed import tick
from flows.import_feeds import import_feeds
from schemas.errors import StoreBusy
from tests.flows.conftest import Feed
from tests.receiver import SilentListener

# Prefect leaves its client's connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

GOOD = "id\r\n1\r\n2\r\n"
KEYS = {"access_key_id": "AKIAUNKNOWN", "secret_access_key": "secret-of-locked-5c1f"}


@dataclass(frozen=True)
class Swept:
    """One sweep, and what it left in Prefect."""

    state: Any
    runs: list[Any]
    table: Any
    feeds: dict[str, Feed]


async def _sweep(**parameters: Any) -> tuple[Any, list[Any], Any]:
    """State of a run, the runs that it started, and its table."""
    async with get_client() as client:
        state = await import_feeds(**parameters, return_state=True)
        run_id = state.state_details.flow_run_id
        began = (await client.read_flow_run(run_id)).start_time
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(start_time=FlowRunFilterStartTime(after_=began)), limit=50
        )
        wanted = ArtifactFilter(key=ArtifactFilterKey(like_="all-feeds%"))
        tables = [each for each in await client.read_artifacts(artifact_filter=wanted) if each.flow_run_id == run_id]
        return state, [run for run in runs if run.id != run_id], tables[0] if tables else None


async def _page(feed: str) -> str:
    async with get_client() as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[f"feed-{feed}"]))
        [page] = await client.read_artifacts(artifact_filter=wanted)
        return str(page.data)


async def _break(feed: str) -> None:
    async with get_client() as client:
        document = await client.read_block_document_by_name(feed, "px-import-settings")
        wrong = {"lease_seconds": 1}  # the server takes anything
        await client.request("PATCH", f"/block_documents/{document.id}", json={"data": wrong})


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def swept(
    prefect_server: None, local_s3: LocalS3, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Swept]:
    """A sweep over eight feeds of three subscriptions."""
    folder = tmp_path_factory.mktemp("feeds")
    local_s3.create_bucket("sweep")
    names = ["acme-accounts", "acme-users", "idle", "locked", "hanging", "broken", "killed", "wrong"]
    feeds = {name: Feed(local_s3, "sweep", folder, receiver, name) for name in names}
    with SilentListener() as silent, pytest.MonkeyPatch.context() as patched:
        patched.setattr(tasks.search, "_CALL_SECONDS", 1.0)
        for feed in feeds.values():
            feed.configure()
        feeds["acme-accounts"].configure(entity="account")
        feeds["locked"].configure(authorization=KEYS)
        feeds["hanging"].configure(endpoint_url=f"http://127.0.0.1:{silent.port}")
        for name in ("acme-accounts", "acme-users", "locked", "broken"):
            feeds[name].drop("20210228", users_csv_gz=GOOD)
        feeds["wrong"].drop("20210228", users_csv_gz="id,nonsense\r\n1,2\r\n")
        feeds["idle"].drop("20210301", marker=False, users_csv_gz=GOOD)
        _kill_at_the_end(feeds["killed"])
        apply([feed.settings_file for feed in feeds.values()])
        asyncio.run(_break("broken"))
        yield Swept(*asyncio.run(_sweep(feeds=names)), feeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _kill_at_the_end(feed: Feed) -> None:
    """Leave a delivery whose folder is cleared already: only the ledger knows that it is not finished."""
    feed.drop("20210227", users_csv_gz=GOOD)

    async def killed(*_: object) -> None:
        raise StoreBusy("x", "killed")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(flows.import_feed, "finish", killed)
        with pytest.raises(StoreBusy):
            asyncio.run(tick(ImportSettings.from_file(feed.settings_file), []))
    assert not [key for key in feed.objects() if key.startswith("current/")]


@pytest.mark.rule("R3")
def test_the_state_counts_and_names_the_feeds(swept: Swept) -> None:
    assert swept.state.type.value == "FAILED"
    assert swept.state.message == (
        "8 feeds: 3 imported (acme-accounts, acme-users, killed); 1 rejected (wrong); 1 nothing to do; "
        "3 in trouble (broken, hanging, locked)"
    )


@pytest.mark.rule("R5")
def test_the_table_has_a_line_for_each_feed_that_a_person_may_want_to_look_at(swept: Swept) -> None:
    lines = {line["feed"]: (line[""], line["what"]) for line in swept.state.data.result.table}
    assert str(swept.state.data.result.table[0]["feed"]) in swept.table.data
    assert list(lines)[:3] == ["broken", "hanging", "locked"], "what is in trouble comes first"
    assert lines["broken"][1].startswith("px-import-settings/broken: lease_seconds: ")
    assert lines["hanging"][1].startswith(
        "Could not list s3://sweep/export/hanging/current/: it was not done within 1 "
    )
    assert "correct authorization.access_key_id" in lines["locked"][1]
    assert lines["wrong"] == ("rejected", "1 folder, 0 records; with errors: dt=20210228")
    assert lines["killed"] == ("imported", "1 folder, 2 records")
    assert lines["idle"] == ("nothing to do", "waiting: dt=20210301 (no _SUCCESS yet)")
    assert "no \\_SUCCESS yet" in asyncio.run(_page("idle"))


@pytest.mark.rule("S10")
def test_only_feeds_with_work_have_a_run_and_its_parameter_is_a_name(swept: Swept) -> None:
    found = {run.name.split()[0]: run.parameters for run in swept.runs}
    assert len(swept.runs) == 4
    assert found == {
        name: {"settings": {"$ref": {"block_document_slug": f"px-import-settings/{name}"}}}
        for name in ("acme-accounts", "acme-users", "killed", "wrong")
    }
    assert all(run.parent_task_run_id for run in swept.runs), "shown under the sweep"


def test_accounts_are_finished_before_users_of_the_same_subscription_are_begun(swept: Swept) -> None:
    with closing(sqlite3.connect(swept.feeds["idle"].folder / "px.db")) as connection:
        sql = "SELECT feed, claimed_at_ms, finished_at_ms FROM import_deliveries WHERE feed LIKE 'acme-%'"
        times = {feed: (claimed, finished) for feed, claimed, finished in connection.execute(sql)}
    assert times["acme-accounts"][1] <= times["acme-users"][0]


def test_a_feed_with_nothing_to_do_leaves_no_trace(swept: Swept) -> None:
    state, runs, table = asyncio.run(_sweep(feeds=["acme-accounts", "acme-users"]))
    assert (state.type.value, state.name, state.message) == ("COMPLETED", "NothingToDo", "2 feeds: 2 nothing to do")
    assert runs == []
    assert table.data == "[]"


def test_a_prefix_and_a_shard_choose_feeds_and_a_name_without_a_document_is_trouble(swept: Swept) -> None:
    state, _, _ = asyncio.run(_sweep(prefix="acme-"))
    assert state.message == "2 feeds: 2 nothing to do"
    state, _, _ = asyncio.run(_sweep(feeds=["acme-users", "nobody"]))
    assert state.message == "2 feeds: 1 nothing to do; 1 in trouble (nobody)"
    halves = [asyncio.run(_sweep(prefix="acme-", shard=shard))[0].message for shard in ("1/2", "2/2")]
    assert sorted(halves) == ["0 feeds: none is saved", "2 feeds: 2 nothing to do"], "a subscription is not torn apart"
    state, _, _ = asyncio.run(_sweep(shard="3/2"))
    assert state.message == "shard: write it like 3/8, for the third of eight shards."


@pytest.mark.rule("R2")
def test_two_processes_that_sweep_at_once_do_no_harm(swept: Swept, receiver: Receiver) -> None:
    twins = [Feed(swept.feeds["idle"].s3, "sweep", swept.feeds["idle"].folder, receiver, f"twin-{n}") for n in range(2)]
    for feed in twins:
        feed.configure()
        feed.drop("20210228", users_csv_gz=GOOD)
    apply([feed.settings_file for feed in twins])
    told = len(receiver.received)

    code = "import asyncio; from flows.import_feeds import import_feeds; asyncio.run(import_feeds(prefix='twin-'))"
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PREFECT_LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2]
    with ExitStack() as stack:
        sweeps = [stack.enter_context(subprocess.Popen(command, env=environment, cwd=root)) for _ in range(2)]
        for sweep in sweeps:
            stack.callback(sweep.kill)
        assert [sweep.wait() for sweep in sweeps] == [0, 0]

    assert all(feed.text("processed/20210228/status.txt").startswith("SUCCESS") for feed in twins)
    assert not [key for feed in twins for key in feed.objects() if not key.startswith("processed/20210228/")]
    assert len(receiver.received) - told == len(twins), "each delivery was told once"

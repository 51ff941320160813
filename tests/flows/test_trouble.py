"""Trouble in the world: one sentence for a person, all is kept, and the next tick goes on as if nothing had been."""

import asyncio
import gzip
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import blocks.ledger
import blocks.sqlite_store
from blocks.connections import Connections, take_lease
from blocks.import_settings import ImportSettings
from blocks.ledger import Lease, Ledger
from blocks.spool import Spool
from blocks.sqlite_store import SqliteStore
from deployments.chaos.exchange import RESET, Door, Exchange, Reply
from deployments.chaos.http_proxy import HttpProxy
from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from flows.import_feed import tick
from schemas.errors import (
    AccessRefused,
    DropZoneBusy,
    ImporterError,
    LeaseLost,
    NotThere,
    SettingsError,
    StoreBusy,
    StoreConflict,
)
from schemas.report import FeedReport
from tasks.claim import abandon, claim
from tasks.discover import discover
from tests.blocks.test_s3_drop_zone import RIGHTS, user_with
from tests.flows.conftest import Feed
from tests.receiver import ScriptedReceiver, SilentListener, raw, status, unused_port
from tests.servers import Answer, AnsweringServer, Request, forwarded

GOOD = "id,email,score\r\n1,a@example.com,1.5\r\n2,b@example.com,\r\n"
DAY = "20210228"
FOLDER, ARCHIVE = f"current/dt={DAY}", f"processed/{DAY}"

#: Where it matters, by the request that a person would name.
STEPS = {
    "list": "LIST current/",
    "probe": "PUT processed/.px-import-probe",
    "read": f"GET {FOLDER}/users.csv.gz",
    "decide": f"LIST {ARCHIVE}/",
    "look before the copy": f"HEAD {ARCHIVE}/users.csv.gz",
    "copy": f"PUT {ARCHIVE}/users.csv.gz",
    "status.txt": f"PUT {ARCHIVE}/status.txt",
    "look before the delete": f"HEAD {FOLDER}/_SUCCESS",
    "clear": f"DELETE {FOLDER}/users.csv.gz",
}


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    for module in ("s3_content", "s3_drop_zone"):
        monkeypatch.setattr(f"blocks.{module}.pause", lambda _: None)
    monkeypatch.setattr("tasks.notify.within_run", lambda *_: False)


@pytest.fixture(scope="module")
def one_bucket(local_s3: LocalS3) -> str:
    """For all feeds: the first object of a bucket takes its time."""
    local_s3.create_bucket("trouble")
    return "trouble"


@pytest.fixture
def feed(local_s3: LocalS3, one_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """Without Prefect; one delivery waits."""
    for name in ("store", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with Receiver() as receiver:
        feed = Feed(local_s3, one_bucket, tmp_path / "store", receiver, f"users-{uuid.uuid4().hex[:12]}")
        feed.configure()
        feed.drop(DAY, users_csv_gz=GOOD)
        yield feed


def run(feed: Feed) -> FeedReport:
    return asyncio.run(tick(ImportSettings.from_file(feed.settings_file), []))


#: What is one case of several on the page, and what else may stand there.
VARIED = {
    r"\(\w+: …\)": r"\(.+\)", "s3://bucket": r"s3://\S+", r"s3:\w+Object": r"s3:\w+", "eu-west-1": r"\S+",
    r"\d+": r"[\d.]+", "No space left on device|file is not a database|ServiceUnavailable": ".+", "slow": "(slow|fast)",
}  # fmt: skip


def on_the_page(sentence: str) -> list[str]:
    """The lines of docs/troubles.md that say a sentence."""
    lines = (Path(__file__).parents[2] / "docs/troubles.md").read_text().splitlines()
    rows = {line: shown[1] for line in lines if (shown := re.fullmatch(r"\| [^|]+ \| [^|`]*`([^`]+)` \| .*", line))}
    varied = re.compile("|".join(f"({form})" for form in VARIED) + "|(…)")
    may = [*VARIED.values(), ".*"]
    found = []
    for line, shown in rows.items():
        parts, end = [], 0
        for each in varied.finditer(shown):
            parts += [re.escape(shown[end : each.start()]), may[(each.lastindex or 0) - 1]]
            end = each.end()
        if re.fullmatch("".join([*parts, re.escape(shown[end:])]), sentence):
            found.append(line)
    return found


def trouble(feed: Feed, meaning: type[ImporterError], *words: str) -> str:
    """One run that must fail with one sentence, in which these words stand; everything delivered is still there."""
    delivered = gzip.compress(GOOD.encode(), mtime=0)
    with pytest.raises(ImporterError) as raised:
        run(feed)
    sentence = str(raised.value)
    assert isinstance(raised.value, meaning), sentence
    assert not [word for word in words if word not in sentence], sentence
    assert "\n" not in sentence
    assert on_the_page(sentence), sentence
    assert feed.s3.secret_access_key not in sentence
    objects = feed.objects()
    kept = {name: body for name, body in objects.items() if name.endswith("/users.csv.gz")}
    assert set(kept.values()) == {delivered}
    if f"{FOLDER}/_SUCCESS" in objects:
        assert f"{FOLDER}/users.csv.gz" in objects
    else:
        assert objects[f"{ARCHIVE}/status.txt"] == b"SUCCESS\n2 records were uploaded\n"
    return sentence


def untouched(feed: Feed) -> bool:
    """Whether the delivery lies where it was put, and nothing else."""
    return set(feed.objects()) == {f"{FOLDER}/users.csv.gz", f"{FOLDER}/_SUCCESS"}


def goes_on(feed: Feed, rows: Callable[[str], list[tuple[Any, ...]]] | None = None) -> None:
    """The trouble is over: one tick, and all is as if nothing had been."""
    rows = rows or feed.rows
    assert run(feed).state == "Imported"
    objects = feed.objects()
    assert set(objects) == {f"{ARCHIVE}/{name}" for name in ("_SUCCESS", "status.txt", "status.json", "users.csv.gz")}
    assert objects[f"{ARCHIVE}/users.csv.gz"] == gzip.compress(GOOD.encode(), mtime=0)
    assert objects[f"{ARCHIVE}/status.txt"] == b"SUCCESS\n2 records were uploaded\n"
    assert rows("SELECT id, email FROM users ORDER BY id") == [("1", "a@example.com"), ("2", "b@example.com")]
    assert rows("SELECT count(*), min(verdict), max(verdict) FROM import_deliveries") == [(1, "SUCCESS", "SUCCESS")]
    assert rows("SELECT outcome, created, updated FROM import_files WHERE kind = 'input'") == [("loaded", 2, 0)]
    assert rows("SELECT owner FROM import_leases") == [("",)]
    assert [json.loads(each.body)["success"] for each in feed.callbacks] == [True]
    assert list((feed.folder.parent / "tmp").iterdir()) == []


@dataclass
class Before:
    """Stands before S3 and lets something happen at one call, once, or from then on at each."""

    feed: Feed
    at: str
    act: Callable[[Exchange], Reply]
    lasting: bool = False
    calls: list[str] = field(default_factory=list)
    struck: bool = False

    def __call__(self, exchange: Exchange) -> Reply:
        self.calls.append(exchange.call.what)
        strikes = self.struck if self.lasting else False
        if exchange.call.what == self.at and not self.struck:
            self.struck = strikes = True
        return self.act(exchange) if strikes else exchange.forward()

    @contextmanager
    def stand(self, **changes: Any) -> Iterator[None]:
        above = f"{self.feed.bucket}/export/{self.feed.name}/"
        with HttpProxy(Door.S3, self.feed.s3.endpoint_url, self, above=above) as proxy:
            self.feed.configure(endpoint_url=proxy.url, **changes)
            yield
        self.feed.configure(**changes)
        assert self.struck, f"no such call: {self.calls}"


def refused(code: str, status: int, *inside: str, headers: Sequence[str] = ()) -> Callable[[Exchange], Reply]:
    """AWS's answer; that to a HEAD has no body."""

    def act(exchange: Exchange) -> Reply:
        text = f"<Error><Code>{code}</Code><Message>As AWS says it.</Message>{''.join(inside)}</Error>"
        head = exchange.call.what.startswith("HEAD ")
        return whole(b"" if head else text.encode(), status, *headers)

    return act


def whole(body: bytes, status: int = 200, *headers: str) -> Reply:
    lines = [f"HTTP/1.1 {status} As it is", "Content-Type: application/xml", f"Content-Length: {len(body)}", *headers]
    return Reply("\r\n".join([*lines, "", ""]).encode() + body)


# S3 says no

SKEWED = refused(
    "RequestTimeTooSkewed",
    403,
    "<RequestTime>20210228T000000Z</RequestTime>",
    f"<ServerTime>{(datetime.now(UTC) + timedelta(minutes=90)):%Y-%m-%dT%H:%M:%SZ}</ServerTime>",
    "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
)
ELSEWHERE = refused("PermanentRedirect", 301, headers=["x-amz-bucket-region: eu-west-1"])
NO_S3 = {
    "the bucket is gone": (refused("NoSuchBucket", 404), NotThere, "create the bucket"),
    "the clock is wrong": (SKEWED, AccessRefused, "the clock of this machine is "),
    "the bucket lies elsewhere": (ELSEWHERE, SettingsError, "give the bucket's region, eu-west-1"),
    "every request is redirected": (refused("", 301), SettingsError, "endpoint_url: "),
    "rights are taken away": (refused("AccessDenied", 403), AccessRefused, "grant s3:"),
    "S3 is down": (refused("ServiceUnavailable", 503), DropZoneBusy, "the next tick tries again"),
}
AT = {"the bucket is gone": ["list", "read", *list(STEPS)[4:]]}
CASES = [
    pytest.param(*NO_S3[name], step, id=f"{name}, {step}")
    for name in NO_S3
    for step in AT.get(name, ["list", "look before the delete"])
]


@pytest.mark.rule("R3")
@pytest.mark.parametrize(("answer", "meaning", "words", "step"), CASES)
def test_s3_says_no_from_one_call_on(feed: Feed, answer, meaning, words, step):
    with Before(feed, STEPS[step], answer, lasting=True).stand():
        trouble(feed, meaning, words, f"s3://{feed.bucket}")
    if step in {"list", "probe"}:
        assert untouched(feed)
        assert feed.rows("SELECT count(*) FROM import_deliveries") == [(0,)]
    elif step in {"read", "decide"}:
        assert untouched(feed)
        assert feed.rows("SELECT stage, verdict FROM import_deliveries") == [("claimed", None)]
    assert feed.callbacks == []
    goes_on(feed)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("status", [400, 403, 404], ids=str)
def test_a_look_that_is_refused_while_all_else_is_allowed(feed: Feed, status):
    """A HEAD cannot say why. Where nothing else is wrong the right to read is meant, and a 404 is not believed."""
    looked = f"HEAD {FOLDER}/_SUCCESS"
    with Before(feed, looked, lambda e: refused("", status)(e) if e.call.what == looked else e.forward(), True).stand():
        if status == 404:
            trouble(feed, DropZoneBusy, "it is listed, and yet S3 says that it is not there")
        else:
            trouble(feed, AccessRefused, "fresh keys" if status == 400 else "grant s3:GetObject")
    assert feed.rows("SELECT stage FROM import_deliveries") == [("archived",)]
    goes_on(feed)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("missing", RIGHTS)
def test_a_right_that_is_taken_away(feed: Feed, bucket: str, missing):
    feed = replace(feed, bucket=bucket)
    feed.drop(DAY, users_csv_gz=GOOD)
    rights = [right for right in RIGHTS if right != missing]
    key, secret = user_with(feed.s3, feed.bucket, rights)
    feed.configure(authorization={"access_key_id": key, "secret_access_key": secret})
    assert secret not in trouble(feed, AccessRefused, f"grant {missing} on s3://{feed.bucket}")
    assert untouched(feed)
    feed.configure()
    goes_on(feed)


# somebody tidies up the archive


def removed(feed: Feed, key: str) -> None:
    feed.s3.client.delete_object(Bucket=feed.bucket, Key=f"export/{feed.name}/{key}")


def renewed(feed: Feed, key: str) -> None:
    feed.put(key, feed.objects()[key])


def replaced(feed: Feed, key: str) -> None:
    feed.put(key, b"another content of " + key.encode())


@pytest.mark.rule("P2")
@pytest.mark.parametrize("happens", [removed, renewed, replaced])
def test_what_shall_make_way_goes_from_the_archive_first(feed: Feed, happens):
    """After the decision; and S3 is down for a while when one object has been copied, so that another run resumes."""
    run(feed)
    earlier = feed.objects()
    feed.drop(DAY, users_csv_gz="id,email\n9,z@example.com\n")
    moved = {name.replace(ARCHIVE, f"{ARCHIVE}.1"): body for name, body in earlier.items()}
    first, broken = f"HEAD {ARCHIVE}.1/_SUCCESS", f"DELETE {ARCHIVE}/status.txt"

    def act(exchange: Exchange) -> Reply:
        if exchange.call.what == first:
            for key in earlier:
                happens(feed, key)
        return refused("ServiceUnavailable", 503)(exchange) if exchange.call.what == broken else exchange.forward()

    with Before(feed, first, act, lasting=True).stand():
        if happens is removed:
            run(feed)
        else:
            with pytest.raises(DropZoneBusy):
                run(feed)
            assert f"{ARCHIVE}.1/status.txt" in feed.objects()
            assert feed.rows("SELECT stage FROM import_deliveries WHERE finished_at_ms IS NULL") == [("decided",)]
    if happens is not removed:
        assert run(feed).state == "Imported"
    found = feed.objects()
    aside = {name: body for name, body in found.items() if name in moved}
    assert (
        aside
        == {
            removed: {},
            renewed: moved,
            replaced: {name: b"another content of " + name.replace(".1/", "/").encode() for name in moved},
        }[happens]
    )
    assert set(found) == set(aside) | set(earlier)
    assert found[f"{ARCHIVE}/status.txt"] == b"SUCCESS\n1 records were uploaded\n"
    assert feed.rows("SELECT count(*) FROM import_steps WHERE name = 'not moved'") == [(4 * (happens is removed),)]
    assert len(feed.callbacks) == 2


@pytest.mark.rule("R5")
def test_what_could_not_be_archived_is_told(feed: Feed):
    """Replaced after the load, and this machine has lost its copy: the store holds what nobody can archive."""
    feed.drop(DAY, _note=b"x", _list=b"y")

    def act(exchange: Exchange) -> Reply:
        feed.put(f"{FOLDER}/.note", b"newer")
        feed.put(f"{FOLDER}/users.csv.gz", b"newer")
        for folder in (feed.folder.parent / "tmp").iterdir():
            shutil.rmtree(folder)
        return exchange.forward()

    with Before(feed, f"HEAD {ARCHIVE}/.list", act).stand():
        report = run(feed)
    assert report.remarks == (f"not archived: dt={DAY} '.note', 'users.csv.gz' (replaced or removed after the claim)",)
    assert feed.rows("SELECT detail FROM import_steps WHERE name = 'not archived'") == [(".note",), ("users.csv.gz",)]
    names = [f"{FOLDER}/{name}" for name in (".note", "users.csv.gz")]
    names += [f"{ARCHIVE}/{name}" for name in (".list", "_SUCCESS", "status.json", "status.txt")]
    assert sorted(feed.objects()) == sorted(names)


# the customer takes it back


def customer_removes(feed: Feed, *names: str) -> Callable[[Exchange], Reply]:
    def act(exchange: Exchange) -> Reply:
        for name in names:
            removed(feed, f"{FOLDER}/{name}")
        return exchange.forward()

    return act


@pytest.mark.rule("D6")
def test_a_folder_that_vanishes_before_it_is_read_is_given_up(feed: Feed):
    with Before(feed, STEPS["read"], customer_removes(feed, "users.csv.gz", "_SUCCESS")).stand():
        assert run(feed).state == "NothingToDo"
    assert feed.objects() == {}
    assert feed.rows("SELECT count(*) FROM import_deliveries") == [(0,)]
    assert feed.rows("SELECT name FROM import_steps") == [("claimed",), ("abandoned",)]
    assert list((feed.folder.parent / "tmp").iterdir()) == feed.callbacks == []
    feed.drop(DAY, users_csv_gz=GOOD)
    goes_on(feed)


@pytest.mark.rule("D6")
def test_a_file_that_vanishes_before_any_was_judged_makes_it_another_delivery(feed: Feed):
    feed.drop(DAY, a_csv_gz=GOOD.replace("example", "elsewhere"))
    with Before(feed, f"GET {FOLDER}/a.csv.gz", customer_removes(feed, "a.csv.gz")).stand():
        assert run(feed).state == "NothingToDo"
    assert untouched(feed)
    goes_on(feed)


@pytest.mark.rule("D6")
@pytest.mark.rule("F1")
def test_a_file_that_vanishes_after_another_was_judged_is_a_fault(feed: Feed):
    feed.drop(DAY, z_csv_gz="id,email\n9,z@example.com\n")
    with Before(feed, f"GET {FOLDER}/z.csv.gz", customer_removes(feed, "z.csv.gz")).stand():
        assert run(feed).state == "Rejected"
    found = feed.objects()
    names = ("_SUCCESS", "status.txt", "status.json", "errors.csv", "users.csv.gz")
    assert set(found) == {f"{ARCHIVE}/{name}" for name in names}
    status_txt = found[f"{ARCHIVE}/status.txt"].decode()
    assert status_txt.startswith("ERROR\nusers.csv.gz: 2 records were uploaded\nz.csv.gz: ")
    assert "was removed before it was imported" in status_txt
    assert feed.rows("SELECT id FROM users ORDER BY id") == [("1",), ("2",)]


@pytest.mark.rule("R2")
def test_a_run_that_gives_up_too_late_takes_nothing_from_its_successor(feed: Feed):
    settings = ImportSettings.from_file(feed.settings_file)
    with closing(Connections.open(settings)) as doors:
        held = take_lease(doors)
        assert held
        [folder] = asyncio.run(discover(doors)).ready
        delivery = asyncio.run(claim(doors, held, folder))
        assert delivery
        doors.ledger.release(held.lease)
        heir = doors.ledger.acquire(feed.name, "successor", 60)
        assert heir
        reading = Spool.of(delivery.id, heir.fence)
        with pytest.raises(LeaseLost):
            asyncio.run(abandon(doors, held, delivery))
        assert reading.folder.exists()
        doors.ledger.release(heir)
    goes_on(feed)


@pytest.mark.rule("R2")
def test_a_run_outlived_between_its_last_look_and_the_load_says_so(feed: Feed, monkeypatch):
    """Its successor has removed the files by then."""
    look, states = blocks.ledger.outcomes_of, list[str]()

    def outlived(*asked: Any) -> Any:
        seen = look(*asked)
        monkeypatch.setattr("blocks.ledger.outcomes_of", look)
        with closing(sqlite3.connect(feed.folder / "px.db")) as connection, connection:
            connection.execute("UPDATE import_leases SET expires_at_ms = 0")
        states.append(run(feed).state)
        return seen

    monkeypatch.setattr("blocks.ledger.outcomes_of", outlived)
    assert run(feed).state == "Skipped"
    assert states == ["Imported"]
    assert feed.rows("SELECT outcome, created, updated FROM import_files WHERE kind = 'input'") == [("loaded", 2, 0)]


# S3 is there and does not come to an end


@pytest.mark.rule("R3")
@pytest.mark.parametrize("step", ["list", "read", "look before the copy", "copy", "clear"])
def test_s3_hangs(feed: Feed, monkeypatch, step):
    over = threading.Event()

    def hang(_: Exchange) -> Reply:
        over.wait(60)
        return RESET

    with monkeypatch.context() as patch, Before(feed, STEPS[step], hang, lasting=True).stand():
        patch.setattr("blocks.s3_patience.CALL_SECONDS", 1.5)
        try:
            place = "/".join(STEPS[step].split(" ")[1].split("/")[:2])
            trouble(feed, DropZoneBusy, place, "it was not done within 1.5 seconds; check the network and endpoint_url")
        finally:
            over.set()
    goes_on(feed)


@pytest.fixture
def own_s3() -> Iterator[LocalS3]:
    with LocalS3() as server:
        server.create_bucket("own")
        yield server


@pytest.mark.rule("R3")
def test_an_s3_server_that_is_killed_in_mid_run_and_comes_back(own_s3: LocalS3, feed: Feed):
    """At once, and the run goes on; later, and the next one does."""
    deaths = list[str]()

    def killed(exchange: Exchange) -> Reply:
        step = exchange.call.what
        if step in {STEPS["read"], STEPS["status.txt"]} - set(deaths):
            deaths.append(step)
            own_s3.stop()
            if step == STEPS["read"]:
                own_s3.start()
                return RESET
        return exchange.forward()

    feed = replace(feed, s3=own_s3, bucket="own")
    feed.drop(DAY, users_csv_gz=GOOD)
    before = Before(feed, STEPS["read"], killed, lasting=True)
    with before.stand(), pytest.raises(DropZoneBusy, match=r"^Could not \w+ s3://own/.* did not answer") as raised:
        run(feed)
    assert deaths == [STEPS["read"], STEPS["status.txt"]]
    assert on_the_page(str(raised.value))
    own_s3.start()
    assert f"{ARCHIVE}/status.txt" not in feed.objects()
    assert feed.callbacks == []
    goes_on(feed)


@pytest.mark.rule("R3")
@pytest.mark.parametrize(
    ("method", "words"),
    [
        pytest.param("GET /{bucket}?", "it was not done within 1.5 seconds", id="a listing"),
        pytest.param("GET /{bucket}/", "bytes had come", id="a content"),
    ],
)
def test_s3_drips(feed: Feed, monkeypatch, method, words):
    """A byte now and then: no time limit of a socket ever passes."""
    method = method.format(bucket=feed.bucket)

    def drip(request: Request) -> Answer:
        answer = forwarded(request, feed.s3.endpoint_url)
        drips = f"{request.method} {request.path}".startswith(method)
        return Answer(answer.status, answer.body, answer.headers, answer.said_length, drip_seconds=0.1 * drips)

    with monkeypatch.context() as patch, AnsweringServer(drip) as server:
        patch.setattr("blocks.s3_patience.CALL_SECONDS", 1.5)
        feed.configure(endpoint_url=server.url)
        trouble(feed, DropZoneBusy, words, "check the network and endpoint_url")
        assert untouched(feed)
    feed.configure()
    goes_on(feed)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("token", ["the same", "another each time", "none"])
def test_a_listing_without_an_end(feed: Feed, monkeypatch, token):
    pages = iter(range(10**6))

    def page(_: Exchange) -> Reply:
        tokens = {"the same": "t", "another each time": str(next(pages)), "none": ""}
        next_page = tokens[token] and f"<NextContinuationToken>{tokens[token]}</NextContinuationToken>"
        return whole(f"<ListBucketResult><IsTruncated>true</IsTruncated>{next_page}</ListBucketResult>".encode())

    before = Before(feed, STEPS["list"], page, lasting=True)
    with monkeypatch.context() as patch, before.stand():
        patch.setattr("blocks.s3_drop_zone.MOST_PAGES", 5)
        trouble(feed, DropZoneBusy, "current/", "its listing has no end; check endpoint_url")
    assert before.calls == [STEPS["list"]] * {"the same": 2, "another each time": 5, "none": 1}[token]
    goes_on(feed)


# this machine


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """What a full disk does to a write, for whoever runs the tests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN  # Python's own choice: an OSError instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.rule("R1")
@pytest.mark.parametrize("full_at", ["the stored bytes", "the typed columns"])
def test_no_room_for_the_spool(feed: Feed, full_at):
    chance = random.Random(1)
    text = chance.randbytes if full_at == "the stored bytes" else bytes  # the one is hard to compress, the other easy
    rows = "".join(f"{n},{text(30).hex()}\n" for n in range(9000))
    feed.drop(DAY, users_csv_gz=f"id,email\n{rows}")
    run_alone = {name: body for name, body in feed.objects().items() if name.startswith("current/")}
    with files_of_at_most(200_000), pytest.raises(DropZoneBusy) as raised:
        run(feed)
    assert str(feed.folder.parent / "tmp") in str(raised.value)
    assert "File too large" in str(raised.value)
    assert "make room there, or name another folder in TMPDIR" in str(raised.value)
    assert on_the_page(str(raised.value))
    assert feed.objects() == run_alone
    assert feed.rows("SELECT stage, verdict FROM import_deliveries") == [("claimed", None)]
    assert run(feed).state == "Imported"
    assert feed.rows("SELECT count(*) FROM users") == [(9000,)]
    assert list((feed.folder.parent / "tmp").iterdir()) == []


def test_no_folder_for_the_spool(feed: Feed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(feed.folder / "not-there"))
        trouble(feed, DropZoneBusy, "not-there", "No such file or directory", "TMPDIR")
        assert untouched(feed)
    goes_on(feed)


def test_only_what_surely_nobody_needs_is_cleared_up(feed: Feed):
    """After a week: not what another feed's open delivery has kept, with or without a ledger of its own."""
    place = feed.folder.parent / "tmp"
    others = [replace(feed, name=f"{feed.name}-{n}") for n in range(2)]
    for other, store in zip(others, ("px.db", "own.db"), strict=True):
        other.drop(DAY, users_csv_gz=GOOD)
        with Before(other, STEPS["copy"], refused("ServiceUnavailable", 503), lasting=True).stand(
            store=f"sqlite:///{feed.folder}/{store}"
        ):
            trouble(other, DropZoneBusy)
    run(feed)
    [(finished,)] = feed.rows("SELECT id FROM import_deliveries WHERE finished_at_ms IS NOT NULL")
    kept = set(place.iterdir())
    assert len(kept) == 2
    gone = Spool.of(finished, 1).folder
    for path in place.rglob("*"):
        os.utime(path, (0, 0))
    for folder in place.iterdir():
        os.utime(folder, (0, 0))
    assert gone in place.iterdir()
    run(feed)
    assert set(place.iterdir()) == kept


# the store in a file


@dataclass
class SqliteTrouble:
    """What happens to the file at the call, and how it is mended."""

    meaning: type[ImporterError]
    words: tuple[str, ...]
    happen: Callable[[Path, pytest.MonkeyPatch], Callable[[], None]]


def locked(path: Path, _: pytest.MonkeyPatch) -> Callable[[], None]:
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other.close


def full(_: Path, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    patch.setattr("blocks.sqlite_store._PRAGMAS", (*blocks.sqlite_store._PRAGMAS, "max_page_count = 1"))
    return patch.undo


def overwritten(path: Path, _: pytest.MonkeyPatch) -> Callable[[], None]:
    sound = path.read_bytes()
    path.write_bytes(b"\xff" * 100 + sound[100:])
    return lambda: path.write_bytes(sound) and None


def corrupt(path: Path, _: pytest.MonkeyPatch) -> Callable[[], None]:
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xff" * (len(sound) - 4096))
    return lambda: path.write_bytes(sound) and None


def gone(path: Path, _: pytest.MonkeyPatch) -> Callable[[], None]:
    away = path.with_name("away.db")
    path.rename(away)
    return lambda: away.rename(path) and None


def folder_gone(path: Path, _: pytest.MonkeyPatch) -> Callable[[], None]:
    away = path.parent.with_name("away")
    path.parent.rename(away)

    def mend() -> None:
        shutil.copytree(path.parent, away, dirs_exist_ok=True) if path.parent.exists() else None
        away.rename(path.parent)

    return mend


SQLITE = {
    "locked": SqliteTrouble(StoreBusy, ("database is locked", "another process is writing to it"), locked),
    "full": SqliteTrouble(StoreBusy, ("database or disk is full", "make room on its disk"), full),
    "overwritten": SqliteTrouble(StoreConflict, ("not a database", "put back a backup"), overwritten),
    "corrupt": SqliteTrouble(StoreConflict, ("malformed", "put back a backup"), corrupt),
    "gone": SqliteTrouble(SettingsError, ("px.db",), gone),
    "its folder gone": SqliteTrouble(SettingsError, ("does not exist",), folder_gone),
}


@pytest.mark.rule("R3")
@pytest.mark.parametrize("step", ["read", "status.txt"])
@pytest.mark.parametrize("name", SQLITE)
def test_the_store_fails_in_mid_run(feed: Feed, monkeypatch, caplog, name, step):
    if (name, step) == ("full", "status.txt"):
        step = "probe"  # once all is loaded, nothing grows any more
    monkeypatch.setattr("blocks.stores.SqliteStore", lambda path, _: SqliteStore(path, patience_seconds=0.2))
    case, mend = SQLITE[name], list[Callable[[], None]]()
    with pytest.MonkeyPatch.context() as patch:

        def act(exchange: Exchange) -> Reply:
            mend.append(case.happen(feed.folder / "px.db", patch))
            return exchange.forward()

        with Before(feed, STEPS[step], act).stand():
            # the folder of the store holds the settings too, and they are read before it goes
            trouble(feed, case.meaning, *case.words, str(feed.folder))
            mend[0]()
    assert feed.callbacks == []
    assert "stays taken for up to 300 seconds" in caplog.text or name == "full"
    with closing(sqlite3.connect(feed.folder / "px.db")) as connection, connection:
        connection.execute("UPDATE import_leases SET expires_at_ms = 0")  # it would run out by itself
    goes_on(feed)


@pytest.mark.rule("R3")
def test_a_lease_that_cannot_be_given_back_spoils_no_run(feed: Feed, monkeypatch, caplog):
    def fails(*_: object) -> None:
        raise StoreBusy("px.db", "the test says so")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "release", fails)
        assert run(feed).state == "Imported"
    assert f"The feed {feed.name} stays taken for up to 300 seconds. The store px.db cannot be used" in caplog.text


@pytest.mark.rule("R2")
def test_a_run_whose_lease_was_taken_without_an_answer_takes_it_again(feed: Feed, monkeypatch):
    acquire, answers = Ledger.acquire, [False, True]

    def lost(*args: Any) -> Lease | None:
        lease = acquire(*args)
        if not answers.pop(0):
            raise StoreBusy("px.db", "the test says so")
        return lease

    with closing(Connections.open(ImportSettings.from_file(feed.settings_file))) as doors:
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "acquire", lost)
            with pytest.raises(StoreBusy):
                take_lease(doors)
            held = take_lease(doors)
        assert held
        assert held.lease.fence == 2
        with closing(Connections.open(ImportSettings.from_file(feed.settings_file))) as others:
            assert take_lease(others) is None
        doors.ledger.release(held.lease)
    goes_on(feed)


# the store on a server


@pytest.fixture
def own_postgres() -> Iterator[LocalPostgres]:
    with LocalPostgres(durable=False) as server:
        yield server


@pytest.mark.rule("R3")
@pytest.mark.rule("S10")
def test_a_postgresql_that_stops_in_mid_run(own_postgres: LocalPostgres, feed: Feed):
    def stop(exchange: Exchange) -> Reply:
        own_postgres.stop()
        return exchange.forward()

    for step in ("read", "status.txt", "clear"):
        with Before(feed, STEPS[step], stop).stand(store=own_postgres.url):
            said = trouble(feed, StoreBusy, "postgresql://127.0.0.1", "Connection refused. Nothing", "the next tick")
        assert own_postgres.url.split(":")[2].split("@")[0] not in said
        own_postgres.start()
        own_postgres.execute("UPDATE import_leases SET expires_at_ms = 0")
    goes_on(feed, own_postgres.execute)


class SmallDisk:
    """A database on a disk of its own, too small for anything more once it is filled."""

    def __init__(self, server: LocalPostgres, folder: Path) -> None:
        self.url, self._filler = f"{server.url.rpartition('/')[0]}/small", folder / "filler"

    def fill(self) -> None:
        with suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def clear(self) -> None:
        self._filler.unlink()

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()


@pytest.fixture
def small_disk(local_postgres: LocalPostgres) -> Iterator[SmallDisk]:
    folder = Path(tempfile.mkdtemp(prefix="px-import-small-disk-", dir="/tmp"))  # where the server's account may enter
    mounted = False
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=16m,uid=nobody,mode=700", "px-import-small-disk", str(folder)]
        if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("a disk of a few megabytes can be mounted only by root, and not in every container")
        mounted = True
        local_postgres.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        local_postgres.execute("CREATE DATABASE small TABLESPACE small")
        yield SmallDisk(local_postgres, folder)
    finally:
        if mounted:
            local_postgres.execute("DROP DATABASE IF EXISTS small WITH (FORCE)")
            local_postgres.execute("DROP TABLESPACE IF EXISTS small")
            subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.rule("R3")
def test_a_postgresql_whose_disk_is_full(feed: Feed, small_disk: SmallDisk):
    full = (StoreBusy, "No space left on device", "; make room on its disk. Nothing is lost; the next tick")

    def fill(exchange: Exchange) -> Reply:
        small_disk.fill()
        return exchange.forward()

    small_disk.fill()
    feed.configure(store=small_disk.url)
    trouble(feed, *full)
    small_disk.clear()
    with Before(feed, STEPS["read"], fill).stand(store=small_disk.url):
        trouble(feed, *full)
    assert untouched(feed)
    assert small_disk.execute("SELECT stage, verdict FROM import_deliveries") == [("claimed", None)]
    assert feed.callbacks == []
    small_disk.clear()
    goes_on(feed, small_disk.execute)


@pytest.mark.rule("R3")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("place", "meaning", "words"),
    [
        pytest.param("postgres:wr0ng-pass@127.0.0.1:{port}/postgres", AccessRefused, "and password", id="password"),
        pytest.param("postgres:{password}@127.0.0.1:{port}/nothing", SettingsError, "no such database", id="database"),
        pytest.param("postgres:wr0ng-pass@127.0.0.1:{unused}/postgres", StoreBusy, "Connection refused", id="nobody"),
    ],
)
def test_a_postgresql_that_cannot_be_used(feed: Feed, local_postgres: LocalPostgres, place, meaning, words):
    password, port = local_postgres.url.split(":")[2].split("@")[0], local_postgres.url.split(":")[-1].split("/")[0]
    feed.configure(store="postgresql://" + place.format(password=password, port=port, unused=unused_port()))
    said = trouble(feed, meaning, words, "127.0.0.1")
    assert "wr0ng-pass" not in said
    assert password not in said
    assert untouched(feed)
    feed.configure()
    goes_on(feed)


# the status endpoint


def endpoint(url: str, timeout: float = 10) -> dict[str, Any]:
    networks = ["127.0.0.0/8"]
    return {"url": url, "allow_http": True, "allowed_networks": networks, "timeout_seconds": timeout}


def attempts(feed: Feed) -> list[int]:
    return [n for (n,) in feed.rows("SELECT attempts FROM import_callbacks ORDER BY attempts DESC")]


def let_time_pass(feed: Feed) -> None:
    with closing(sqlite3.connect(feed.folder / "px.db")) as connection, connection:
        connection.execute("UPDATE import_callbacks SET next_attempt_at_ms = 0")


@pytest.mark.rule("N2")
@pytest.mark.parametrize("how", ["hangs", "refuses connections", "hangs up"])
def test_an_endpoint_that_gives_no_answer_is_tried_once_in_a_run(feed: Feed, how):
    feed.drop("20210301", users_csv_gz=GOOD)
    with SilentListener() as silent, ScriptedReceiver(raw(b"")) as rude:
        port = {"hangs": silent.port, "refuses connections": unused_port(), "hangs up": rude.port}[how]
        feed.configure(status_endpoint=endpoint(f"http://127.0.0.1:{port}/", 0.3))
        report = run(feed)
        assert report.state == "Imported"
        assert len(report.unreceived) == 1
        assert "127.0.0.1 could not be told" in report.unreceived[0]
        assert attempts(feed) == [1, 0]
        let_time_pass(feed)
        assert run(feed).state == "NothingToDo"
        assert sum(attempts(feed)) == 2
    feed.configure()
    let_time_pass(feed)
    run(feed)
    assert len(feed.callbacks) == 2


@pytest.mark.rule("N2")
def test_a_delivery_that_keeps_failing_holds_up_no_callback_of_another(feed: Feed):
    feed.configure(status_endpoint=endpoint(f"http://127.0.0.1:{unused_port()}/"))
    run(feed)
    let_time_pass(feed)
    feed.drop("20210301", users_csv_gz=GOOD)
    with Before(feed, "PUT processed/20210301/users.csv.gz", refused("AccessDenied", 403), lasting=True).stand():
        for _ in range(2):
            with pytest.raises(AccessRefused):
                run(feed)
    assert [json.loads(each.body)["folder_path"][-8:] for each in feed.callbacks] == [DAY]
    with SilentListener() as silent:  # asked once, before the delivery is finished, and not again
        feed.configure(status_endpoint=endpoint(f"http://127.0.0.1:{silent.port}/", 0.3))
        with closing(sqlite3.connect(feed.folder / "px.db")) as connection, connection:
            connection.execute("UPDATE import_callbacks SET received_at_ms = NULL, next_attempt_at_ms = 0")
        assert len(run(feed).unreceived) == 1
    assert attempts(feed) == [3, 0]


@pytest.mark.rule("N2")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(status(400), [True, True]), (status(500), [True, False]), (status(429, Retry_After="3600"), [True, False])],
    ids=["this one is not taken", "it is not well", "it has enough"],
)
def test_an_endpoint_that_takes_none_now_is_told_no_more_in_a_run(feed: Feed, answer, expected: list[bool]):
    feed.drop("20210301", users_csv_gz=GOOD)
    with ScriptedReceiver(answer) as receiver:
        feed.configure(status_endpoint=endpoint(receiver.url))
        assert run(feed).unreceived
    assert [tries > 0 for tries in attempts(feed)] == expected


@pytest.mark.rule("N2")
def test_when_a_callback_is_due_does_not_depend_on_this_machines_clock(feed: Feed, monkeypatch):
    class Slow(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr("tasks.notify.datetime", Slow)
    feed.configure(status_endpoint=endpoint(f"http://127.0.0.1:{unused_port()}/"))
    run(feed)
    [(waits,)] = feed.rows(
        "SELECT c.next_attempt_at_ms >= d.finished_at_ms FROM import_callbacks c JOIN import_deliveries d"
    )
    assert waits == 1


# an impatient person


@pytest.mark.rule("R1")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_hangs_in_s3_can_be_ended(feed: Feed, number):
    code = (
        "import asyncio, signal, sys; from pathlib import Path; from blocks.import_settings import ImportSettings;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # which a shell's `&` has a process ignore
        "from flows.import_feed import tick; asyncio.run(tick(ImportSettings.from_file(Path(sys.argv[1])), []))"
    )
    asked, over = threading.Event(), threading.Event()

    def hang(_: Exchange) -> Reply:
        asked.set()
        over.wait(60)
        return RESET

    with Before(feed, STEPS["read"], hang, lasting=True).stand():
        command, folder = [sys.executable, "-c", code, str(feed.settings_file)], str(feed.folder.parent / "tmp")
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder})
        try:
            assert asked.wait(60)
            process.send_signal(number)
            process.wait(30)  # the call itself would take minutes
        finally:
            over.set()
            process.kill()
            process.wait()
    assert untouched(feed)
    if number is signal.SIGTERM:  # nobody gave the lease back
        with closing(sqlite3.connect(feed.folder / "px.db")) as connection, connection:
            connection.execute("UPDATE import_leases SET expires_at_ms = 0")
    goes_on(feed)

"""The door to the bucket, on two real S3 servers; faults come from a server of our own before them."""

import hashlib
import json
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from blocks.s3_drop_zone import S3DropZone
from deployments.local_s3 import LocalS3
from schemas.drop_zone import DropZone, StoredObject
from schemas.errors import (
    AccessRefused,
    DropZoneBusy,
    DropZoneSilent,
    ImporterError,
    LeaseLost,
    NotThere,
    ObjectChanged,
    PlaceTaken,
    SettingsError,
)
from tests.ministack import MiniStack
from tests.servers import Answer, AnsweringServer, Request, forwarded, xml_error

KEY = "root/current/dt=20210228/users.csv.gz"
TARGET = "root/processed/20210228/users.csv.gz"
CONTENT = b"id,name\n1,Ada\n" * 1000
HERE = datetime(2026, 1, 1, tzinfo=UTC)


def door(url: str, bucket: str, keys: tuple[str, str] = ("key", "secret"), **more: str) -> S3DropZone:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 2},
            connect_timeout=2,
            read_timeout=2,
        ),
    )
    return S3DropZone(client, DropZone(bucket, "root"), **more)


S3Server = LocalS3 | MiniStack

#: Conditions that a server does not look at; the importer must be right there all the same.
IGNORED = {(MiniStack, "If-None-Match of a copy")}


@pytest.fixture(params=["local_s3", "ministack"], ids=["SeaweedFS", "MiniStack"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Each real server in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(name)
    return name


def keys_of(server: S3Server) -> tuple[str, str]:
    return server.access_key_id, server.secret_access_key


@pytest.fixture
def zone(s3: S3Server, bucket: str) -> S3DropZone:
    return S3DropZone(s3.client, DropZone(bucket, "root"))


@pytest.fixture
def write(s3: S3Server, bucket: str) -> Callable[..., None]:
    def put(key: str, body: bytes = CONTENT, **more: str) -> None:
        s3.client.put_object(Bucket=bucket, Key=key, Body=body, **more)

    return put


@pytest.fixture
def read(s3: S3Server, bucket: str) -> Callable[[str], bytes]:
    return lambda key: s3.client.get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture
def before(s3: S3Server, bucket: str) -> Iterator[Callable[..., tuple[S3DropZone, AnsweringServer]]]:
    """A door whose requests pass a function first, which may answer in the server's place or spoil its answer."""
    running: list[AnsweringServer] = []

    def start(spoil: Callable[[Request, Callable[[], Answer]], Answer]) -> tuple[S3DropZone, AnsweringServer]:
        server = AnsweringServer(lambda request: spoil(request, lambda: forwarded(request, s3.endpoint_url)))
        running.append(server.__enter__())
        return door(server.url, bucket, keys_of(s3)), server

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture(autouse=True)
def _botocore_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("s3_content", "s3_drop_zone"):
        monkeypatch.setattr(f"blocks.{module}.pause", lambda _: None)


def seen(zone: S3DropZone, key: str) -> StoredObject:
    found = zone.head(key)
    assert found is not None
    return found


def only(method: str, spoiled: list[Answer]) -> Callable[[Request, Callable[[], Answer]], Answer]:
    """Give these answers to the first requests of a method; the server sees the others only."""
    return lambda request, ask: spoiled.pop(0) if request.method == method and spoiled else ask()


# the servers themselves


@pytest.mark.parametrize(
    ("condition", "call", "conditions"),
    [
        ("If-None-Match of a put", "put_object", {"IfNoneMatch": "*"}),
        ("If-None-Match of a copy", "copy_object", {"IfNoneMatch": "*"}),
        ("If-Match of a copy's source", "copy_object", {"CopySourceIfMatch": '"another"'}),
        ("If-Match of a get", "get_object", {"IfMatch": '"another"'}),
        ("If-Match of a delete", "delete_object", {"IfMatch": '"another"'}),
    ],
)
def test_what_conditions_a_server_honours(s3, bucket, write, condition, call, conditions):
    write(KEY)
    write(TARGET)
    source = {"CopySource": {"Bucket": bucket, "Key": KEY}} if call == "copy_object" else {}
    ignored = (type(s3), condition) in IGNORED
    with nullcontext() if ignored else pytest.raises(ClientError, match="PreconditionFailed"):
        getattr(s3.client, call)(Bucket=bucket, Key=TARGET, **source, **conditions)


# list and head


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("with blank", id="a blank"),
        pytest.param("ends with blank ", id="a blank at the end"),
        pytest.param("ünï/日本.csv.gz", id="letters beyond ASCII"),
        pytest.param("two\nlines", id="a line break"),
        pytest.param("100%25 + more%2F", id="percent and plus"),
        pytest.param("q?x#y&z=1;'\"<>", id="punctuation of URLs and XML"),
    ],
)
def test_any_key_is_listed_read_copied_and_deleted(zone, write, read, tmp_path, name):
    write(f"root/current/{name}")

    (listed,) = zone.list("root/current/")

    assert listed == zone.head(f"root/current/{name}")
    assert zone.download(listed, tmp_path / "file") == hashlib.sha256(CONTENT).hexdigest()
    zone.copy(listed, f"root/processed/{name}")
    assert read(f"root/processed/{name}") == CONTENT
    assert zone.delete(listed) is True
    assert list(zone.list("root/current/")) == []


def test_a_listing_goes_on_over_pages_and_folders(zone, write):
    names = [f"root/current/dt=20210228/{number:04}" for number in range(1003)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: write(name, b""), [*names, "root/current/dt=20210301/deep/er", "root/other"]))

    assert [stored.key for stored in zone.list("root/current/")] == [*names, "root/current/dt=20210301/deep/er"]


def test_a_listed_object_shows_etag_size_and_whole_seconds(zone, write):
    write(KEY)

    (listed,) = zone.list("root/")

    assert listed.key == KEY
    assert listed.etag == hashlib.md5(CONTENT).hexdigest()
    assert listed.size_bytes == len(CONTENT)
    assert listed.modified_at.tzinfo is UTC
    assert listed.modified_at.microsecond == 0
    assert abs((datetime.now(UTC) - listed.modified_at).total_seconds()) < 60


def test_milliseconds_in_a_listing_are_cut():
    entry = (
        "<Contents><Key>a</Key><LastModified>2026-01-01T00:00:00.987Z</LastModified>"
        "<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
    )
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>"
    with AnsweringServer(lambda _: Answer(body=page.encode())) as server:
        assert list(door(server.url, "bucket").list("")) == [StoredObject("a", "e", 1, HERE)]


def test_head_of_nothing_is_none(zone):
    assert zone.head("root/nothing") is None


# download


def test_a_download_is_for_this_user_only_and_replaces_a_left_over(zone, write, tmp_path):
    write(KEY)
    path = tmp_path / "file"
    path.write_bytes(b"left over from a crash" * 10_000)
    path.chmod(0o644)

    zone.download(seen(zone, KEY), path)

    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o600


def test_content_encoding_is_not_unpacked_on_the_way(zone, write, tmp_path):
    write(KEY, b"\x1f\x8b, and then no gzip", ContentEncoding="gzip")
    zone.download(seen(zone, KEY), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"\x1f\x8b, and then no gzip"


def test_an_empty_object_is_an_empty_file(zone, write, tmp_path):
    write(KEY, b"")
    assert zone.download(seen(zone, KEY), tmp_path / "file") == hashlib.sha256().hexdigest()
    assert (tmp_path / "file").read_bytes() == b""


def test_progress_is_told_at_every_mebibyte(zone, write, tmp_path):
    write(KEY, bytes(3 * 1024**2 + 1))
    told: list[None] = []
    zone.download(seen(zone, KEY), tmp_path / "file", lambda: told.append(None))
    assert len(told) == 4


def test_progress_that_raises_ends_the_download(zone, write, tmp_path):
    def lost() -> None:
        raise LeaseLost("users")

    write(KEY)
    with pytest.raises(LeaseLost):
        zone.download(seen(zone, KEY), tmp_path / "file", lost)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.rule("D6")
@pytest.mark.parametrize("fate", ["replaced", "removed"])
def test_another_version_than_the_claimed_is_not_read(zone, write, tmp_path, fate):
    write(KEY)
    claimed = seen(zone, KEY)
    zone.delete(claimed)
    if fate == "replaced":
        write(KEY, b"newer")

    with pytest.raises(ObjectChanged, match=KEY):
        zone.download(claimed, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_another_version_from_a_store_that_ignores_conditions_is_not_read(tmp_path):
    newer = Answer(body=b"newer", headers={"ETag": '"new"'})
    with AnsweringServer(lambda _: newer) as server, pytest.raises(ObjectChanged):
        door(server.url, "bucket").download(StoredObject("a", "old", 5, HERE), tmp_path / "file")


def spoiled_body(answer: Answer, how: str) -> Answer:
    if how == "half":
        return Answer(answer.status, answer.body[:5000], answer.headers, said_length=len(answer.body))
    if how == "short":
        etag = next(value for name, value in answer.headers.items() if name.lower() == "etag")
        return Answer(answer.status, answer.body[:5000], {"ETag": etag})
    return Answer(answer.status, b"\0" + answer.body[1:], answer.headers)


@pytest.mark.rule("R1")
@pytest.mark.parametrize("how", ["half", "short", "one byte wrong"])
def test_a_broken_body_starts_over(zone, write, before, tmp_path, how):
    write(KEY)
    broken = iter(range(2))

    def spoil(request: Request, ask: Callable[[], Answer]) -> Answer:
        spoiling = request.method == "GET" and next(broken, None) is not None
        return spoiled_body(ask(), how) if spoiling else ask()

    faulty, server = before(spoil)

    assert faulty.download(seen(zone, KEY), tmp_path / "file") == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(server.requests) == 3


@pytest.mark.usefixtures("no_pause")
def test_a_body_that_always_breaks_is_given_up_after_five_times(zone, write, before, tmp_path):
    write(KEY)
    faulty, server = before(lambda _, ask: spoiled_body(ask(), "half"))

    with pytest.raises(DropZoneBusy, match="broke off 5 times"):
        faulty.download(seen(zone, KEY), tmp_path / "file")

    assert len(server.requests) == 5
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_delivery_for_the_next_tick(zone, write, tmp_path):
    write(KEY)
    with pytest.raises(DropZoneBusy, match=r"cannot be written \(No such file or directory"):
        zone.download(seen(zone, KEY), tmp_path / "nowhere" / "file")


# put


@pytest.mark.parametrize("as_file", [False, True], ids=["bytes", "a file"])
@pytest.mark.rule("P5")
def test_a_put_repeated_is_one_put(zone, read, s3, bucket, tmp_path, as_file):
    (tmp_path / "file").write_bytes(b"SUCCESS\n")
    body = tmp_path / "file" if as_file else b"SUCCESS\n"

    zone.put(TARGET, body, content_type="text/plain; charset=utf-8")
    first = seen(zone, TARGET)
    zone.put(TARGET, body, content_type="text/plain; charset=utf-8")

    assert read(TARGET) == b"SUCCESS\n"
    assert seen(zone, TARGET) == first
    assert s3.client.head_object(Bucket=bucket, Key=TARGET)["ContentType"] == "text/plain; charset=utf-8"


@pytest.mark.rule("P2")
@pytest.mark.parametrize("there", [b"ERROR!!\n", b"SUCCESS\nand more"], ids=["same size", "other size"])
def test_a_put_overwrites_nothing(zone, write, read, there):
    write(TARGET, there)
    with pytest.raises(PlaceTaken, match=TARGET):
        zone.put(TARGET, b"SUCCESS\n", content_type="text/plain")
    assert read(TARGET) == there


def test_something_that_came_between_look_and_write_is_not_overwritten(write, read, before):
    def spoil(request: Request, ask: Callable[[], Answer]) -> Answer:
        if request.method == "PUT":
            write(TARGET, b"first come")
        return ask()

    faulty, _ = before(spoil)
    with pytest.raises(PlaceTaken):
        faulty.put(TARGET, b"SUCCESS\n", content_type="text/plain")
    assert read(TARGET) == b"first come"


def lost_answers(times: int, method: str = "PUT") -> Callable[[Request, Callable[[], Answer]], Answer]:
    """The request takes effect, and the connection is cut before the answer."""
    left = iter(range(times))

    def spoil(request: Request, ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        lost = request.method == method and next(left, None) is not None
        return Answer(reset=True) if lost else answer

    return spoil


@pytest.mark.rule("R1")
def test_a_write_whose_answer_was_lost_is_found_done(zone, write, read, before):
    faulty, server = before(lost_answers(1))
    faulty.put(TARGET, b"SUCCESS\n", content_type="text/plain")
    assert read(TARGET) == b"SUCCESS\n"
    assert [request.method for request in server.requests] == ["HEAD", "PUT", "PUT", "HEAD", "GET"]


@pytest.mark.rule("R1")
def test_a_copy_whose_answer_was_lost_is_found_done(s3, zone, write, read, before):
    write(KEY)
    faulty, server = before(lost_answers(1))
    faulty.copy(seen(zone, KEY), TARGET)
    assert read(TARGET) == CONTENT
    look_again = [] if (type(s3), "If-None-Match of a copy") in IGNORED else ["HEAD"]
    assert [request.method for request in server.requests] == ["HEAD", "PUT", "PUT", *look_again]


@pytest.mark.rule("R1")
def test_a_delete_whose_answer_was_lost_is_found_done(zone, write, before):
    write(KEY)
    faulty, _ = before(lost_answers(1, "DELETE"))
    assert faulty.delete(seen(zone, KEY)) is True
    assert zone.head(KEY) is None


WRITES = [
    pytest.param("PUT", lambda zone, _: zone.put(TARGET, CONTENT, content_type="text/plain"), id="put"),
    pytest.param("PUT", lambda zone, stored: zone.copy(stored, TARGET), id="copy"),
    pytest.param("DELETE", lambda zone, stored: zone.delete(stored), id="delete"),
]


@pytest.mark.parametrize(("method", "verb"), WRITES)
def test_a_conflict_is_tried_again(zone, write, before, method, verb):
    write(KEY)
    conflict = xml_error(409, "ConditionalRequestConflict")
    faulty, server = before(only(method, [conflict] * 2))
    verb(faulty, seen(zone, KEY))
    assert [request.method for request in server.requests].count(method) == 3
    assert zone.head(KEY if method == "DELETE" else TARGET) is None or method == "PUT"


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(("method", "verb"), WRITES)
def test_a_conflict_without_end_is_left_for_the_next_tick(zone, write, before, method, verb):
    write(KEY)
    faulty, _ = before(only(method, [xml_error(409, "ConditionalRequestConflict")] * 20))
    with pytest.raises(DropZoneBusy, match="conflict 5 times"):
        verb(faulty, seen(zone, KEY))


# copy


def test_a_copy_repeated_is_one_copy_and_keeps_what_the_object_says_of_itself(zone, write, s3, bucket):
    write(KEY, ContentType="application/gzip", ContentEncoding="gzip")

    zone.copy(seen(zone, KEY), TARGET)
    first = seen(zone, TARGET)
    zone.copy(seen(zone, KEY), TARGET)

    assert seen(zone, TARGET) == first
    shown = s3.client.head_object(Bucket=bucket, Key=TARGET)
    assert (shown["ContentType"], shown["ContentEncoding"]) == ("application/gzip", "gzip")


@pytest.mark.rule("D6")
@pytest.mark.parametrize("fate", ["replaced", "removed"])
def test_another_version_than_the_claimed_is_not_copied(zone, write, fate):
    write(KEY)
    claimed = seen(zone, KEY)
    zone.delete(claimed)
    if fate == "replaced":
        write(KEY, b"newer")

    with pytest.raises(ObjectChanged, match=KEY):
        zone.copy(claimed, TARGET)
    assert zone.head(TARGET) is None


def test_a_source_replaced_between_look_and_copy_is_not_copied(zone, write, before):
    write(KEY)
    claimed = seen(zone, KEY)

    def spoil(request: Request, ask: Callable[[], Answer]) -> Answer:
        if request.method == "PUT":
            write(KEY, b"newer")
        return ask()

    faulty, _ = before(spoil)
    with pytest.raises(ObjectChanged):
        faulty.copy(claimed, TARGET)
    assert zone.head(TARGET) is None


@pytest.mark.rule("P2")
@pytest.mark.parametrize("there", [b"other", bytes(len(CONTENT))], ids=["other size", "same size"])
def test_a_copy_overwrites_nothing(zone, write, read, there):
    write(KEY)
    write(TARGET, there)
    with pytest.raises(PlaceTaken, match=TARGET):
        zone.copy(seen(zone, KEY), TARGET)
    assert read(TARGET) == there


def test_a_copy_with_another_etag_is_known_by_its_content(zone, write, read, s3, bucket):
    """Encryption with KMS and multipart uploads give one content different ETags."""
    client, place = s3.client, {"Bucket": bucket, "Key": TARGET}
    upload = client.create_multipart_upload(**place)["UploadId"]
    part = client.upload_part(**place, UploadId=upload, PartNumber=1, Body=CONTENT)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    write(KEY)
    source = seen(zone, KEY)
    assert source.etag != seen(zone, TARGET).etag

    zone.copy(source, TARGET)

    zone.delete(source)
    zone.copy(source, TARGET)  # an earlier attempt came as far as the delete
    assert read(TARGET) == CONTENT


# delete


def test_a_delete_repeated_is_one_delete(zone, write):
    write(KEY)
    stored = seen(zone, KEY)
    assert zone.delete(stored) is True
    assert zone.delete(stored) is True


@pytest.mark.rule("D6")
def test_a_newer_version_is_kept(zone, write, read):
    write(KEY)
    claimed = seen(zone, KEY)
    write(KEY, b"newer")
    assert zone.delete(claimed) is False
    assert read(KEY) == b"newer"


@pytest.mark.rule("D6")
def test_a_newer_marker_is_kept_though_it_has_the_same_content(zone, write):
    write("root/_SUCCESS", b"")
    claimed = seen(zone, "root/_SUCCESS")
    time.sleep(1.1)
    write("root/_SUCCESS", b"")
    assert zone.delete(claimed) is False
    assert seen(zone, "root/_SUCCESS").etag == claimed.etag


@pytest.mark.rule("D6")
def test_a_version_that_came_between_look_and_delete_is_kept(zone, write, read, before):
    write(KEY)
    claimed = seen(zone, KEY)

    def spoil(request: Request, ask: Callable[[], Answer]) -> Answer:
        if request.method == "DELETE":
            write(KEY, b"newer")
        return ask()

    faulty, _ = before(spoil)
    assert faulty.delete(claimed) is False
    assert read(KEY) == b"newer"


# what is gone


@pytest.mark.rule("D6")
@pytest.mark.parametrize(
    "verb",
    [
        pytest.param(lambda zone, stored: zone.find(stored.key), id="find"),
        pytest.param(lambda zone, stored: zone.delete(stored), id="delete"),
        pytest.param(lambda zone, stored: zone.copy(stored, TARGET), id="copy"),
    ],
)
def test_an_object_is_not_gone_because_its_bucket_is(local_s3, verb):
    """A HEAD is answered alike in both cases."""
    nowhere = door(local_s3.endpoint_url, "no-such-bucket", keys_of(local_s3))
    assert nowhere.head(KEY) is None
    with pytest.raises(NotThere, match="create the bucket"):
        verb(nowhere, StoredObject(KEY, "e", 1, HERE))


def test_a_source_that_is_gone_is_looked_for_in_a_listing(zone, write, before):
    """Where a store answers 404 to whatever it cannot do, a copy must not be given up for it."""
    write(KEY)
    faulty, _ = before(lambda request, ask: Answer(404) if request.method in {"HEAD", "PUT"} else ask())
    with pytest.raises(DropZoneBusy, match="it is listed, and yet S3 says that it is not there"):
        faulty.copy(seen(zone, KEY), TARGET)


def test_only_what_seems_gone_costs_a_listing(zone, write, before):
    write(KEY)
    watched, server = before(lambda _, ask: ask())
    assert watched.delete(seen(zone, KEY)) is True
    assert [request.method for request in server.requests] == ["HEAD", "DELETE"]
    assert watched.find(KEY) is None
    assert [request.method for request in server.requests][2:] == ["HEAD", "GET"]


# probe and rights


def test_a_probe_leaves_nothing(zone):
    zone.probe()
    assert list(zone.list("")) == []


RIGHTS = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


def user_with(server: S3Server, bucket: str, rights: list[str]) -> tuple[str, str]:
    """Keys of a new user who may do this in the bucket and nothing else."""
    iam = boto3.client(
        "iam",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    places = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": rights, "Resource": places}]}
    iam.create_user(UserName=bucket)
    iam.put_user_policy(UserName=bucket, PolicyName="rights", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def every_verb(zone: S3DropZone, path: Path) -> None:
    zone.probe()
    (stored,) = zone.list("root/current/")
    zone.download(stored, path)
    zone.copy(stored, TARGET)
    zone.put("root/processed/20210228/status.txt", b"SUCCESS\n", content_type="text/plain")
    zone.delete(stored)


@pytest.mark.rule("R4")
def test_four_rights_suffice(s3, bucket, write, tmp_path):
    write(KEY, Tagging="owner=someone")
    every_verb(door(s3.endpoint_url, bucket, user_with(s3, bucket, RIGHTS)), tmp_path / "file")


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_missing_right_is_named(zone, s3, bucket, write, tmp_path, missing):
    write(KEY)
    rights = [right for right in RIGHTS if right != missing]
    poor = door(s3.endpoint_url, bucket, user_with(s3, bucket, rights))
    with pytest.raises(AccessRefused, match=f"grant .*{missing} on s3://{bucket} ") as refusal:
        every_verb(poor, tmp_path / "file")
    assert "secret" not in str(refusal.value).lower()
    assert [stored.key for stored in zone.list("root/processed/.px")] == []


@pytest.mark.rule("R4")
def test_each_request_says_its_conditions_and_no_other_right_is_called_for(tmp_path):
    """Real servers forgive a missing condition or directive here and there; AWS need not."""
    stored = StoredObject("a", "e", 1, HERE)
    shown = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}

    def respond(request: Request) -> Answer:
        if request.path == "/bucket/a":
            length = 1 if request.method == "HEAD" else None
            return Answer(body=b"1" if request.method == "GET" else b"", headers=shown, said_length=length)
        return Answer(404) if request.method == "HEAD" else Answer(body=b"<CopyObjectResult/>")

    with AnsweringServer(respond) as server:
        zone = door(server.url, "bucket")
        zone.download(stored, tmp_path / "file")
        zone.copy(stored, "b")
        zone.put("c", b"1", content_type="text/plain")
        zone.delete(stored)

    wanted = ("if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-tagging-directive")
    said = [
        (request.method, request.path, {name: request.headers[name] for name in wanted if name in request.headers})
        for request in server.requests
    ]
    assert said == [
        ("GET", "/bucket/a", {"if-match": '"e"'}),
        ("HEAD", "/bucket/b", {}),
        (
            "PUT",
            "/bucket/b",
            {"if-none-match": "*", "x-amz-copy-source-if-match": '"e"', "x-amz-tagging-directive": "REPLACE"},
        ),
        ("HEAD", "/bucket/c", {}),
        ("PUT", "/bucket/c", {"if-none-match": "*"}),
        ("HEAD", "/bucket/a", {}),
        ("DELETE", "/bucket/a", {"if-match": '"e"'}),
    ]


# what a no means


@pytest.mark.parametrize(
    ("answer", "meaning", "words"),
    [
        pytest.param(xml_error(503, "SlowDown"), DropZoneBusy, "SlowDown", id="too many requests"),
        pytest.param(xml_error(500, "InternalError"), DropZoneBusy, "InternalError", id="a server's fault"),
        pytest.param(xml_error(400, "RequestTimeout"), DropZoneBusy, "RequestTimeout", id="a slow request"),
        pytest.param(Answer(502, b"<html>Bad Gateway</html>"), DropZoneBusy, "502", id="a gateway's page"),
        pytest.param(Answer(reset=True), DropZoneSilent, "endpoint_url", id="a cut connection"),
        pytest.param(Answer(200, b"<half"), DropZoneBusy, "500", id="half an XML document"),
        pytest.param(Answer(200, b"<html></html>"), DropZoneBusy, "not S3's", id="a web page"),
        pytest.param(Answer(403, b"no & no"), AccessRefused, "grant s3:ListBucket", id="no XML"),
        pytest.param(xml_error(403, "AccessDenied"), AccessRefused, "grant s3:ListBucket", id="a missing right"),
        pytest.param(xml_error(403, "InvalidAccessKeyId"), AccessRefused, "authorization.access_key_id", id="the key"),
        pytest.param(xml_error(403, "SignatureDoesNotMatch"), AccessRefused, "secret_access_key", id="the secret"),
        pytest.param(xml_error(400, "ExpiredToken"), AccessRefused, "fresh keys", id="an expired token"),
        pytest.param(xml_error(403, "RequestTimeTooSkewed"), AccessRefused, "clock", id="a wrong clock"),
        pytest.param(Answer(403), AccessRefused, "grant s3:ListBucket", id="no error part"),
        pytest.param(xml_error(403, "AccessDenied", ""), AccessRefused, "grant s3:ListBucket", id="no message"),
        pytest.param(xml_error(404, "NoSuchBucket"), NotThere, "setting bucket", id="no such bucket"),
        pytest.param(xml_error(400, "AuthorizationHeaderMalformed"), SettingsError, "region", id="another region"),
        pytest.param(xml_error(400, "KMS.NotFoundException"), AccessRefused, "kms_key_id", id="no such KMS key"),
    ],
)
def test_what_an_answer_means(answer, meaning, words):
    with AnsweringServer(lambda _: answer) as server, pytest.raises(ImporterError, match=words) as raised:
        list(door(server.url, "bucket").list("root/"))
    assert type(raised.value) is meaning


@pytest.mark.parametrize(
    ("status", "meaning"), [(403, AccessRefused), (400, AccessRefused), (503, DropZoneBusy), (500, DropZoneBusy)]
)
def test_what_a_head_without_a_body_means(status, meaning):
    with AnsweringServer(lambda _: Answer(status)) as server, pytest.raises(meaning):
        door(server.url, "bucket").head("a")


def test_a_missing_bucket_of_a_real_server(s3):
    with pytest.raises(NotThere, match="s3://no-such-bucket does not exist: create the bucket"):
        list(door(s3.endpoint_url, "no-such-bucket", keys_of(s3)).list(""))


def test_nobody_listens():
    with pytest.raises(DropZoneBusy, match=r"http://127.0.0.1:1 did not answer .*check the network and endpoint_url"):
        list(door("http://127.0.0.1:1", "bucket").list(""))


@pytest.mark.rule("S9")
def test_a_bucket_name_that_cannot_be():
    with pytest.raises(SettingsError, match="bucket: "):
        list(door("http://127.0.0.1:1", "No Bucket").list(""))


@pytest.mark.rule("S10")
def test_a_token_with_a_line_break_is_refused_without_being_shown():
    token = "FwoGZXIvYXdzEXAMPLE\nTOKEN"
    client = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:1",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        aws_session_token=token,
    )
    with pytest.raises(AccessRefused, match="remove blanks and line breaks") as refusal:
        S3DropZone(client, DropZone("bucket", "")).head("a")
    assert "FwoGZX" not in "".join(traceback.format_exception(refusal.value))


# encryption


@pytest.mark.rule("S7")
def test_every_write_asks_for_the_encryption_that_is_set():
    def respond(request: Request) -> Answer:
        copied = b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
        return Answer(404) if request.method == "HEAD" else Answer(body=copied)

    with AnsweringServer(respond) as server:
        zone = door(server.url, "bucket", sse="aws:kms", kms_key_id="alias/px")
        zone.probe()
        zone.put("a", b"1", content_type="text/plain")
        zone.copy(StoredObject("a", "e", 1, HERE), "b")

    writes = [request.headers for request in server.requests if request.method == "PUT"]
    assert len(writes) == 3
    assert {each["x-amz-server-side-encryption"] for each in writes} == {"aws:kms"}
    assert {each["x-amz-server-side-encryption-aws-kms-key-id"] for each in writes} == {"alias/px"}


@pytest.mark.rule("S7")
def test_an_encrypted_archive_on_a_real_server(s3, bucket, write, read):
    write(KEY)
    zone = S3DropZone(s3.client, DropZone(bucket, "root"), sse="AES256")
    zone.copy(seen(zone, KEY), TARGET)
    zone.copy(seen(zone, KEY), TARGET)
    assert read(TARGET) == CONTENT
    assert s3.client.head_object(Bucket=bucket, Key=TARGET)["ServerSideEncryption"] == "AES256"

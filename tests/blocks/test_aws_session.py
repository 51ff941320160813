"""Signing in to AWS: the keys that are used, the role that is assumed and renewed, and what is refused."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ClientError
from prefect_aws import AwsCredentials

from blocks.aws_session import Attempt, _sts_parameters, answer_of, fault_of, s3_client
from blocks.s3_drop_zone import S3DropZone
from schemas.drop_zone import DropZone
from schemas.errors import AccessRefused, DropZoneBusy, ImporterError, SettingsError
from tests.servers import Answer, AnsweringServer, Request, xml_error

ROLE = "arn:aws:iam::123456789012:role/px-import"


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """A machine with no AWS settings of its own and nobody to ask for them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def s3() -> Iterator[AnsweringServer]:
    """Says that nothing is there, and remembers who asked."""
    with AnsweringServer(lambda _: Answer(404)) as server:
        yield server


class Sts:
    """Assumes any role: each time with the next key, good for `lifetime`."""

    def __init__(self, lifetime: timedelta) -> None:
        self.lifetime = lifetime
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(parse_qs(request.body.decode()))
        until = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = (
            f"<AccessKeyId>ROLE{len(self.asked)}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>"
            f"<SessionToken>role-token</SessionToken><Expiration>{until}</Expiration>"
        )
        result = f"<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>"
        return Answer(body=f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode())


def ask(authorization: AwsCredentials, endpoint_url: str, region: str = "eu-central-1", times: int = 1) -> None:
    client = s3_client(authorization, region=region, endpoint_url=endpoint_url)
    for _ in range(times):
        assert S3DropZone(client, DropZone("bucket", "")).head("key") is None


def signed_by(server: AnsweringServer) -> list[tuple[str, str]]:
    """Access key and region of each request."""
    found = [
        re.search(r"Credential=(\w+)/\d+/([\w-]+)/s3", request.headers["authorization"]) for request in server.requests
    ]
    return [(match[1], match[2]) for match in found if match]


def keys(**more: object) -> AwsCredentials:
    return AwsCredentials(aws_access_key_id="GIVEN", aws_secret_access_key="given-secret", **more)


# keys


@pytest.mark.rule("S3")
def test_given_keys_sign(s3):
    ask(keys(), s3.url)
    assert signed_by(s3) == [("GIVEN", "eu-central-1")]
    assert "x-amz-security-token" not in s3.requests[0].headers


@pytest.mark.rule("S3")
def test_a_session_token_goes_along(s3):
    ask(keys(aws_session_token="given-token"), s3.url)
    assert s3.requests[0].headers["x-amz-security-token"] == "given-token"


@pytest.mark.rule("S3")
def test_the_machines_own_credentials_sign_where_none_are_given(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "MACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "machine-secret")
    ask(AwsCredentials(), s3.url)
    assert signed_by(s3) == [("MACHINE", "eu-central-1")]


@pytest.mark.rule("S3")
def test_a_profile_signs_in_its_region(s3, tmp_path):
    (tmp_path / "credentials").write_text("[px]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile px]\nregion = eu-west-3\n")
    ask(AwsCredentials(profile_name="px"), s3.url, region="")
    assert signed_by(s3) == [("PROFILE", "eu-west-3")]


@pytest.mark.rule("S7")
@pytest.mark.parametrize(
    ("setting", "block", "machine", "expected"),
    [
        ("eu-central-1", "eu-west-1", "eu-north-1", "eu-central-1"),
        ("", "eu-west-1", "eu-north-1", "eu-west-1"),
        ("", None, "eu-north-1", "eu-north-1"),
        ("", None, "", "us-east-1"),
    ],
    ids=["the setting", "the block", "the machine", "nobody says"],
)
def test_the_region(s3, monkeypatch, setting, block, machine, expected):
    if machine:
        monkeypatch.setenv("AWS_DEFAULT_REGION", machine)
    ask(keys(region_name=block), s3.url, region=setting)
    assert signed_by(s3) == [("GIVEN", expected)]


@pytest.mark.rule("S7")
def test_an_endpoint_is_addressed_by_path_whatever_the_machine_prefers(s3, tmp_path):
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    ask(keys(), s3.url.replace("127.0.0.1", "localhost"))
    assert s3.requests[0].path == "/bucket/key"


def test_how_long_and_how_often_is_asked():
    config = s3_client(keys(), region="eu-central-1", endpoint_url="").meta.config
    assert (config.connect_timeout, config.read_timeout, config.tcp_keepalive) == (5, 60, True)
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}


def test_the_blocks_client_parameters_count():
    block = keys(aws_client_parameters={"endpoint_url": "http://localhost:1", "config": {"read_timeout": 7}})
    client = s3_client(block, region="", endpoint_url="")
    assert client.meta.endpoint_url == "http://localhost:1"
    assert (client.meta.config.read_timeout, client.meta.config.connect_timeout) == (7, 5)


# roles


@pytest.mark.rule("S3")
def test_a_role_is_assumed_with_the_external_id(s3, monkeypatch):
    sts = Sts(timedelta(hours=1))
    with AnsweringServer(sts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        ask(keys(assume_role_arn=ROLE, assume_role_kwargs={"ExternalId": "subscription-1"}), s3.url, times=3)

    assert signed_by(s3) == [("ROLE1", "eu-central-1")] * 3
    assert s3.requests[0].headers["x-amz-security-token"] == "role-token"
    (asked,) = sts.asked
    assert (asked["RoleArn"], asked["ExternalId"], asked["RoleSessionName"]) == (
        [ROLE],
        ["subscription-1"],
        ["px-import"],
    )
    assert "Credential=GIVEN/" in server.requests[0].headers["authorization"]


@pytest.mark.rule("S3")
def test_a_role_is_renewed_while_one_client_is_used(s3, monkeypatch):
    with AnsweringServer(Sts(timedelta(minutes=1))) as server:  # so short that it is renewed at every request
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        ask(keys(assume_role_arn=ROLE), s3.url, times=3)

    assert [key for key, _ in signed_by(s3)] == ["ROLE1", "ROLE2", "ROLE3"]


@pytest.mark.rule("S3")
def test_a_role_is_assumed_with_the_machines_own_credentials(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "MACHINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "machine-secret")
    with AnsweringServer(Sts(timedelta(hours=1))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        ask(AwsCredentials(assume_role_arn=ROLE), s3.url)
    assert "Credential=MACHINE/" in server.requests[0].headers["authorization"]


def test_sts_is_asked_at_the_blocks_endpoint_unless_the_machine_names_one(s3, monkeypatch):
    with AnsweringServer(Sts(timedelta(hours=1))) as of_block, AnsweringServer(Sts(timedelta(hours=1))) as of_machine:
        block = keys(
            assume_role_arn=ROLE, aws_client_parameters={"endpoint_url": of_block.url, "api_version": "2006-03-01"}
        )
        ask(block, s3.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", of_machine.url)
        ask(block, s3.url)
    assert (len(of_block.requests), len(of_machine.requests)) == (1, 1)


# refusals


@pytest.mark.parametrize(
    ("answer", "meaning", "words"),
    [
        pytest.param(xml_error(403, "AccessDenied"), AccessRefused, "authorization.role_arn", id="not trusted"),
        pytest.param(xml_error(403, "ExpiredToken"), AccessRefused, "authorization.role_arn", id="expired keys"),
        pytest.param(xml_error(503, "ServiceUnavailable"), DropZoneBusy, "503|ServiceUnavailable", id="down"),
        pytest.param(Answer(reset=True), DropZoneBusy, "check the network", id="cut off"),
    ],
)
@pytest.mark.rule("S3")
def test_a_role_that_cannot_be_assumed(s3, monkeypatch, answer, meaning, words):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with AnsweringServer(lambda _: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        with pytest.raises(ImporterError, match=words) as raised:
            ask(keys(assume_role_arn=ROLE), s3.url)
    assert isinstance(raised.value, meaning)
    assert "given-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("authorization", "endpoint_url", "field"),
    [
        pytest.param(
            lambda: AwsCredentials(profile_name="nobody"), "", "authorization: .*'nobody'", id="no such profile"
        ),
        pytest.param(lambda: AwsCredentials(aws_access_key_id="A"), "", "authorization: .*together", id="half a key"),
        pytest.param(keys, "s3.example.com", "endpoint_url: ", id="an endpoint without its scheme"),
        pytest.param(
            lambda: keys(assume_role_arn=ROLE, assume_role_kwargs={"SerialNumber": "arn:aws:iam::1:mfa/x"}),
            "",
            "authorization: .*MFA",
            id="a role that wants a person",
        ),
    ],
)
@pytest.mark.rule("S9")
def test_a_wrong_setting_is_named(authorization, endpoint_url, field):
    with pytest.raises(SettingsError, match=field):
        s3_client(authorization(), region="eu-central-1", endpoint_url=endpoint_url)


def test_a_region_that_cannot_be():
    with pytest.raises(SettingsError, match="region: "):
        s3_client(keys(), region="eu central", endpoint_url="")


def test_no_credentials_anywhere(s3):
    with pytest.raises(AccessRefused, match=r"NoCredentialsError\): give keys or a role in authorization"):
        ask(AwsCredentials(), s3.url)


def test_no_credentials_to_assume_a_role_with(s3):
    with pytest.raises(AccessRefused, match="give keys or a role in authorization"):
        s3_client(AwsCredentials(assume_role_arn=ROLE), region="eu-central-1", endpoint_url=s3.url)


@pytest.mark.parametrize(
    ("minutes", "fault", "words"),
    [
        (-90, {}, "is 90 min 0 s slow"),
        (16, {}, "is 16 min 0 s fast"),
        (16, {"ServerTime": "2026-01-01T00:00:00Z"}, "is 0 min 0 s slow"),
        (None, {}, "is wrong: set it"),
        (None, {"ServerTime": "noon"}, "is wrong: set it"),
    ],
)
def test_how_wrong_the_clock_is(monkeypatch, minutes, fault, words):
    class Noon(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, tzinfo=tz)

    monkeypatch.setattr("blocks.aws_session.datetime", Noon)
    date = {} if minutes is None else {"date": format_datetime(Noon.now(UTC) - timedelta(minutes=minutes), usegmt=True)}
    told = {"HTTPStatusCode": 403, "HTTPHeaders": date}
    answer = {"Error": {"Code": "RequestTimeTooSkewed", **fault}, "ResponseMetadata": told}
    said = fault_of(ClientError(answer, "ListObjectsV2"), Attempt("list", "s3://b/a", "s3:ListBucket"))
    assert type(said) is AccessRefused
    assert f"the clock of this machine {words}" in str(said)


def test_how_long_and_how_often_sts_is_asked():
    config = _sts_parameters(keys(aws_client_parameters={"config": {"read_timeout": 7}}), "")["config"]
    assert (config.connect_timeout, config.read_timeout) == (5, 7)
    assert config.retries == {"mode": "standard", "total_max_attempts": 4}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({}, (0, "0", "")),
        ({"Error": None, "ResponseMetadata": None}, (0, "0", "")),
        ({"Error": {"Message": None}, "ResponseMetadata": {"HTTPStatusCode": 503}}, (503, "503", "")),
        ({"Error": {"Code": "X", "Message": " two\n lines. "}}, (0, "X", "two lines")),
        ({"Error": {"Code": "X", "Message": "x" * 1000}}, (0, "X", "x" * 300)),
    ],
    ids=["nothing", "nulls", "no code", "line breaks", "long"],
)
def test_an_answer_may_lack_anything(response, expected):
    error = ClientError({"Error": {}}, "ListObjectsV2")
    error.response = response
    assert answer_of(error) == expected
    assert isinstance(fault_of(error, Attempt("list", "s3://b/a", "s3:ListBucket")), ImporterError)


def test_importing_it_is_cheap():
    heavy = "{'boto3', 'prefect', 'prefect_aws'} & set(sys.modules)"
    code = f"import sys, blocks.aws_session, blocks.s3_drop_zone; sys.exit(bool({heavy}))"
    subprocess.run([sys.executable, "-c", code], check=True)

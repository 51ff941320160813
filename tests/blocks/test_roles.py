"""Every shape of the authorization on a server that judges keys, roles and policies (rule S3)."""

import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from prefect_aws import AwsCredentials

from blocks.aws_session import s3_client
from blocks.feed_settings import SettingsFile
from blocks.import_settings import ImportSettings
from blocks.s3_drop_zone import S3DropZone
from schemas.drop_zone import DropZone
from schemas.errors import AccessRefused, ImporterError, SettingsError
from tests.ministack import MiniStack
from tests.servers import Answer, AnsweringServer

EXTERNAL_ID = "subscription-1"


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


class Account:
    """An AWS account with a bucket, made anew for each test."""

    def __init__(self, server: MiniStack) -> None:
        self.server, self.name, self.iam = server, f"t-{uuid.uuid4().hex[:10]}", server.service("iam")
        server.create_bucket(self.name)
        self.reading = document(Action=["s3:*"], Resource=[f"arn:aws:s3:::{self.name}", f"arn:aws:s3:::{self.name}/*"])

    def user(self, policy: str) -> dict[str, str]:
        """Keys of a new user, as the settings name them."""
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        self.iam.create_user(UserName=name)
        self.iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.user_arn = f"arn:aws:iam::{self.server.account}:user/{name}"
        return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}

    def role(self, name: str, trusted: dict[str, Any], action: str = "sts:AssumeRole", **condition: Any) -> str:
        trust = document(Principal=trusted, Action=action, **condition)
        arn = self.iam.create_role(RoleName=f"{self.name}-{name}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=f"{self.name}-{name}", PolicyName="rights", PolicyDocument=self.reading)
        return str(arn)

    def sts(self, keys: dict[str, str]) -> Any:
        return boto3.client(
            "sts",
            endpoint_url=self.server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            config=Config(parameter_validation=False),  # the server takes sessions of a second, botocore does not
        )

    def settings(self, authorization: dict[str, str]) -> ImportSettings:
        """As a settings file makes them."""
        return ImportSettings.of(
            SettingsFile.model_validate(
                {
                    "feed": "users",
                    "bucket": self.name,
                    "region": "us-east-1",
                    "endpoint_url": self.server.endpoint_url,
                    "sts_endpoint_url": self.server.endpoint_url,
                    "destination": {"product": "AP-X"},
                    "store": "sqlite:////tmp/unused.db",
                    "authorization": authorization,
                }
            )
        )

    def zone(self, authorization: dict[str, str] | AwsCredentials) -> S3DropZone:
        if isinstance(authorization, dict):
            authorization = self.settings(authorization).authorization
        url = self.server.endpoint_url
        client = s3_client(authorization, region="us-east-1", endpoint_url=url, sts_endpoint_url=url)
        return S3DropZone(client, DropZone(self.name, "root"))


ASSUME = document(Action="sts:AssumeRole", Resource="*")


@pytest.fixture
def account(ministack: MiniStack) -> Account:
    return Account(ministack)


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ministack: MiniStack) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    # Roles that a profile or a web identity asks for, not the settings:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ministack.endpoint_url)


def refusal(zone: S3DropZone) -> str:
    with pytest.raises(AccessRefused) as raised:
        zone.probe()
    assert "\n" not in str(raised.value)
    return str(raised.value)


# keys


@pytest.mark.rule("S3")
def test_keys_and_keys_with_a_session_token(account):
    keys = account.user(account.reading)
    account.zone(keys).probe()
    given = account.sts(keys).get_session_token()["Credentials"]
    session = {"access_key_id": given["AccessKeyId"], "secret_access_key": given["SecretAccessKey"]}
    account.zone({**session, "session_token": given["SessionToken"]}).probe()
    refusal(account.zone(session))


@pytest.mark.rule("S3")
def test_a_session_that_expires_in_mid_run(account):
    keys = account.user(ASSUME)
    role = account.role("r", {"AWS": account.user_arn})
    given = account.sts(keys).assume_role(RoleArn=role, RoleSessionName="px", DurationSeconds=0)["Credentials"]
    expired = {
        "access_key_id": given["AccessKeyId"],
        "secret_access_key": given["SecretAccessKey"],
        "session_token": given["SessionToken"],
    }
    assert "give fresh keys in authorization" in refusal(account.zone(expired))


# roles


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("given", "admitted"), [(EXTERNAL_ID, True), ("another", False), ("", False)], ids=["right", "wrong", "missing"]
)
def test_the_external_id(account, given, admitted):
    keys = account.user(ASSUME)
    role = account.role("r", {"AWS": account.user_arn}, Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}})
    zone = account.zone({**keys, "role_arn": role, "external_id": given})
    if admitted:
        zone.probe()
    else:
        assert "check authorization.role_arn and external_id" in refusal(zone)


@pytest.mark.rule("S3")
def test_a_role_that_trusts_somebody_else(account):
    account.user(ASSUME)
    role = account.role("r", {"AWS": account.user_arn})
    assert "the role's trust policy admits these credentials" in refusal(
        account.zone({**account.user(ASSUME), "role_arn": role})
    )


@pytest.mark.rule("S3")
def test_a_session_policy_narrows_the_role(account):
    keys = account.user(ASSUME)
    block = AwsCredentials(
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        assume_role_arn=account.role("r", {"AWS": account.user_arn}),
        assume_role_kwargs={"Policy": document(Action="s3:ListBucket", Resource="*")},
    )
    zone = account.zone(block)
    assert list(zone.list("")) == []
    assert "grant s3:DeleteObject" in refusal(zone)


@pytest.mark.rule("S3")
def test_a_chain_of_roles_by_a_profile(account, tmp_path):
    keys = account.user(ASSUME)
    first = account.role("first", {"AWS": account.user_arn})
    account.iam.put_role_policy(RoleName=f"{account.name}-first", PolicyName="rights", PolicyDocument=ASSUME)
    second = account.role("second", {"AWS": first}, Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}})
    (tmp_path / "credentials").write_text(
        f"[own]\naws_access_key_id={keys['access_key_id']}\naws_secret_access_key={keys['secret_access_key']}\n"
    )
    (tmp_path / "config").write_text(f"[profile first]\nrole_arn={first}\nsource_profile=own\n")

    chained = {"role_arn": second, "external_id": EXTERNAL_ID}
    account.zone({"profile": "first", **chained}).probe()
    refusal(account.zone({"profile": "own", **chained}))


@pytest.mark.rule("S3")
def test_a_role_is_renewed_in_a_long_run_until_it_is_revoked(account, monkeypatch):
    keys = account.user(ASSUME)
    zone = account.zone({**keys, "role_arn": account.role("r", {"AWS": account.user_arn})})
    zone.probe()
    credentials = zone._client._client._request_signer._credentials._credentials

    def used() -> str:
        zone.probe()
        return credentials.access_key

    first = used()
    assert used() == first
    later = datetime.now(UTC) + timedelta(minutes=55)
    monkeypatch.setattr(credentials, "_time_fetcher", lambda: later)
    monkeypatch.setattr("botocore.credentials._local_now", lambda: later)
    assert used() != first

    account.iam.delete_role_policy(RoleName=f"{account.name}-r", PolicyName="rights")
    assert "grant s3:DeleteObject" in refusal(zone)


@pytest.mark.rule("S3")
def test_keys_revoked_in_mid_run(account):
    keys = account.user(account.reading)
    zone = account.zone(keys)
    zone.probe()
    user = account.user_arn.rpartition("/")[2]
    account.iam.delete_access_key(UserName=user, AccessKeyId=keys["access_key_id"])
    assert "correct authorization.access_key_id" in refusal(zone)


# the machine's own


def of_machine(keys: dict[str, str], account: Account, minutes: int = 60) -> bytes:
    """What the endpoints of instance and container tell; session credentials as these have a token always."""
    given = account.sts(keys).get_session_token()["Credentials"]
    return json.dumps(
        {
            "Code": "Success",
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    ).encode()


def instance(told: bytes) -> Callable[[Any], Answer]:
    def respond(request: Any) -> Answer:
        if request.path.endswith("/api/token"):
            return Answer(body=b"token")
        return Answer(body=b"px-role" if request.path.endswith("/security-credentials/") else told)

    return respond


@pytest.mark.rule("S3")
def test_an_instances_role(account, monkeypatch):
    told = of_machine(account.user(account.reading), account)
    with AnsweringServer(instance(told)) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        account.zone({}).probe()
    assert server.requests


@pytest.mark.rule("S3")
def test_a_containers_role_and_one_that_answers_with_what_has_expired(account, monkeypatch):
    keys = account.user(account.reading)
    told = [of_machine(keys, account)]
    with AnsweringServer(lambda _: Answer(body=told[0])) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/role")
        account.zone({}).probe()
        told[0] = of_machine(keys, account, minutes=-1)
        assert "see to the credentials of this machine" in refusal(account.zone({}))
        told[0] = b"no JSON"
        with pytest.raises(ImporterError, match="see to the credentials of this machine"):
            account.zone({}).probe()


def web_identity(issuer: str) -> str:
    part = base64.urlsafe_b64encode(json.dumps({"iss": issuer, "sub": "pod"}).encode()).decode().rstrip("=")
    return f"{part}.{part}.x"


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("token", "cure"),
    [
        (web_identity("https://oidc.example.com/px"), ""),
        (web_identity("https://other.example.com/px"), "see to the credentials of this machine"),
        (None, "see to the credentials of this machine"),
    ],
    ids=["trusted", "not trusted", "no token file"],
)
def test_a_web_identity(account, monkeypatch, tmp_path, token, cure):
    provider = f"arn:aws:iam::{account.server.account}:oidc-provider/oidc.example.com/px"
    role = account.role("r", {"Federated": provider}, action="sts:AssumeRoleWithWebIdentity")
    if token:
        (tmp_path / "token").write_text(token)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    zone = account.zone({})
    if cure:
        assert cure in refusal(zone)
    else:
        zone.probe()


# the block


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            {"assume_role_arn": "arn:aws:iam::123456789012:role/x", "assume_role_kwargs": {"ExternalID": "x"}},
            "authorization: there is no ExternalID in assume_role_kwargs; did you mean 'ExternalId'",
        ),
        ({"assume_role_am": "x"}, "authorization: there is no assume_role_am; did you mean 'assume_role_arn'"),
        (AwsCredentials(profile="x"), "authorization: there is no profile; did you mean 'profile_name'"),
        ({"assume_role_kwargs": {"ExternalId": "x"}}, "authorization: ExternalId needs assume_role_arn"),
        ({"aws_access_key_id": "A"}, "authorization: give aws_access_key_id and aws_secret_access_key together"),
        ({"aws_session_token": "t"}, "authorization: aws_session_token needs"),
        ({"assume_role_arn": "role/x"}, "authorization: assume_role_arn is written like"),
    ],
)
def test_a_block_that_cannot_be_meant_so(block, words):
    settings = {
        "feed": "users",
        "bucket": "b",
        "destination": {"product": "AP-X"},
        "store": "sqlite:////tmp/unused.db",
        "authorization": block,
    }
    with pytest.raises(SettingsError, match=words):
        ImportSettings.model_validate(settings)


@pytest.mark.rule("S9")
def test_a_profile_beside_keys_is_refused(account):
    with pytest.raises(ValueError, match="give a profile or an access key, not both"):
        account.settings({"access_key_id": "A", "secret_access_key": "s", "profile": "x"})

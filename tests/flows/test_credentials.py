"""Credentials that end in mid-run, on a server that judges each request by them: none of it is scripted."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from deployments.chaos.exchange import Exchange, Reply
from deployments.receiver import Receiver
from schemas.errors import AccessRefused
from tests.blocks.test_roles import ASSUME, EXTERNAL_ID, Account
from tests.flows.conftest import Feed
from tests.flows.test_trouble import DAY, GOOD, STEPS, Before, goes_on, trouble, untouched
from tests.ministack import MiniStack


@pytest.fixture(scope="module")
def account(ministack: MiniStack) -> Account:
    return Account(ministack)


@pytest.fixture
def feed(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """One delivery waits; without Prefect."""
    for name in ("store", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    with Receiver() as receiver:
        feed = Feed(account.server, account.name, tmp_path / "store", receiver, f"users-{uuid.uuid4().hex[:12]}")
        feed.drop(DAY, users_csv_gz=GOOD)
        yield feed


def session(account: Account) -> dict[str, str]:
    """Keys that end by themselves."""
    given = account.sts(account.user(account.reading)).get_session_token()["Credentials"]
    names = {"access_key_id": "AccessKeyId", "secret_access_key": "SecretAccessKey", "session_token": "SessionToken"}
    return {ours: given[theirs] for ours, theirs in names.items()}


def revoked(account: Account) -> tuple[dict[str, str], Callable[[], None]]:
    keys = account.user(account.reading)
    user = account.user_arn.rpartition("/")[2]
    return keys, lambda: account.iam.delete_access_key(UserName=user, AccessKeyId=keys["access_key_id"])


def expired(account: Account) -> tuple[dict[str, str], Callable[[], None]]:
    return session(account), account.server.expire_sessions


def stripped(account: Account) -> tuple[dict[str, str], Callable[[], None]]:
    keys = account.user(account.reading)
    user = account.user_arn.rpartition("/")[2]
    return keys, lambda: account.iam.delete_user_policy(UserName=user, PolicyName="rights")


def role_revoked(account: Account) -> tuple[dict[str, str], Callable[[], None]]:
    keys, name = account.user(ASSUME), uuid.uuid4().hex[:6]
    role = account.role(name, {"AWS": account.user_arn})
    revoke = {"RoleName": f"{account.name}-{name}", "PolicyName": "rights"}
    return {**keys, "role_arn": role}, lambda: account.iam.delete_role_policy(**revoke)


ENDS = {
    revoked: "correct authorization.access_key_id",
    expired: "give fresh keys in authorization",
    stripped: "grant s3:",
    role_revoked: "grant s3:",
}
CASES = [(end, step) for end in (revoked, expired) for step in STEPS]
CASES += [(end, step) for end in (stripped, role_revoked) for step in ("read", "clear")]


@pytest.mark.rule("R3")
@pytest.mark.parametrize(("end", "step"), [pytest.param(*case, id=f"{case[0].__name__}, {case[1]}") for case in CASES])
def test_credentials_that_end_in_mid_run(feed: Feed, account: Account, end, step):
    """One sentence, all is kept, and with others the next tick goes on."""
    authorization, strike = end(account)

    def act(exchange: Exchange) -> Reply:
        strike()
        return exchange.forward()

    with Before(feed, STEPS[step], act).stand(authorization=authorization, sts_endpoint_url=feed.s3.endpoint_url):
        sentence = trouble(feed, AccessRefused, ENDS[end], f"s3://{feed.bucket}")
    assert not [secret for name, secret in authorization.items() if name.startswith("se") and secret in sentence]
    assert untouched(feed) == (step in {"list", "probe", "read", "decide", "look before the copy", "copy"})
    assert feed.callbacks == []
    feed.configure(authorization=session(account))
    goes_on(feed)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("step", STEPS)
def test_a_secret_that_is_wrong_from_one_call_on(feed: Feed, account: Account, step):
    def signed_with_another(exchange: Any) -> Reply:
        """What it would have made of the signature is as good as this."""
        headers = [re.sub(rb"(?<=Signature=).{8}", b"01234567", header) for header in exchange._request.headers]
        exchange._request = replace(exchange._request, headers=tuple(headers))
        return exchange.forward()

    authorization = account.user(account.reading)
    before = Before(feed, STEPS[step], signed_with_another, lasting=True)
    with before.stand(authorization=authorization):
        trouble(feed, AccessRefused, "correct authorization.secret_access_key", f"s3://{feed.bucket}")
    assert feed.callbacks == []
    feed.configure(authorization=authorization)
    goes_on(feed)


@pytest.mark.rule("S3")
def test_a_role_that_expires_in_mid_run_is_renewed(feed: Feed, account: Account, monkeypatch):
    keys = account.user(ASSUME)
    role = account.role(
        "renewed", {"AWS": account.user_arn}, Condition={"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
    )
    authorization = {**keys, "role_arn": role, "external_id": EXTERNAL_ID}
    passed = timedelta()

    def clock() -> datetime:
        return datetime.now(UTC) + passed

    monkeypatch.setattr("botocore.credentials._local_now", clock)
    monkeypatch.setattr(
        RefreshableCredentials, "_seconds_remaining", lambda self: (self._expiry_time - clock()).total_seconds()
    )

    def act(exchange: Exchange) -> Reply:
        """An hour passes: the server's sessions are over, and the client's clock says so."""
        nonlocal passed
        reply, passed = exchange.forward(), timedelta(minutes=55)
        account.server.expire_sessions()
        return reply

    with Before(feed, STEPS["read"], act).stand(authorization=authorization, sts_endpoint_url=feed.s3.endpoint_url):
        goes_on(feed)

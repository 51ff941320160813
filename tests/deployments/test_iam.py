"""`px-import iam`: the documents, and that a delivery runs under them and goes no further."""

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.import_settings import ImportSettings
from deployments.cli import main
from flows.import_feed import tick
from schemas.drop_zone import DropZone
from schemas.errors import AccessRefused
from schemas.iam import Access
from tests.ministack import MiniStack

FEED = {
    "feed": "users",
    "bucket": "my-bucket/export",
    "base_folder": "users",
    "region": "eu-central-1",
    "destination": {"product": "AP-X"},
    "store": "sqlite:////tmp/unused.db",
    "authorization": {
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "${PX_UNSET_SECRET}",
        "role_arn": "arn:aws:iam::123456789012:role/s3-import",
        "external_id": "subscription-1",
    },
}
TRUSTED = "arn:aws:iam::210987654321:user/importer"


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "users.yaml"
    path.write_text(yaml.safe_dump({**FEED, **changes}))
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["iam", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.rule("R4")
def test_the_three_documents(tmp_path, capsys):
    path = write(tmp_path, sse="aws:kms", kms_key_id="1234abcd")
    out = printed(capsys, str(path), "--trust", TRUSTED)
    role = "arn:aws:iam::123456789012:role/s3-import"
    prefixes = ["export/users/current/*", "export/users/processed/*"]
    listing = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::my-bucket"}
    listing |= {"Condition": {"StringLike": {"s3:prefix": prefixes}}}
    moving = {
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": [f"arn:aws:s3:::my-bucket/{prefix}" for prefix in prefixes],
    }
    encryption = {
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd",
    }

    def statements(*parts: tuple[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
        all_of_them = [{"Sid": sid, "Effect": "Allow", **more, **part} for sid, part in parts]
        return {"Version": "2012-10-17", "Statement": all_of_them}

    assert json.loads(out) == {
        "rolePolicy": statements(("ListFeed", listing), ("TransferFeed", moving), ("Encryption", encryption)),
        "trustRelationship": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": TRUSTED},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"sts:ExternalId": "subscription-1"}},
                }
            ],
        },
        "bucketPolicy": statements(("ListFeed", listing), ("TransferFeed", moving), Principal={"AWS": role}),
    }
    assert out.count("subscription-1") == 1
    assert "PX_UNSET_SECRET" not in out
    assert "AKIAEXAMPLE" not in out


@pytest.mark.parametrize(
    ("key", "resource", "condition"),
    [
        ("arn:aws:kms:eu-west-1:1:key/k", "arn:aws:kms:eu-west-1:1:key/k", None),
        ("alias/px", "arn:aws:kms:*:ACCOUNT:key/*", {"StringEquals": {"kms:RequestAlias": "alias/px"}}),
    ],
)
def test_how_a_key_may_be_named(key, resource, condition):
    statement = Access(DropZone("b", ""), kms_key_id=key).role_policy()["Statement"][-1]
    assert (statement["Resource"], statement.get("Condition")) == (resource, condition)


def test_a_star_in_a_folder_is_no_pattern():
    (listing, moving) = Access(DropZone("b", "a*")).role_policy()["Statement"]
    assert moving["Resource"][0] == "arn:aws:s3:::b/a${*}/current/*"
    assert listing["Condition"]["StringLike"]["s3:prefix"][0] == "a${*}/current/*"


def test_terraform_says_the_same(tmp_path, capsys):
    """What stands in `jsonencode(…)` is JSON but for `$${`; the rest is these lines."""
    role = "arn:aws:iam::123456789012:role/service/deep/s3-import"
    authorization = {"role_arn": role, "external_id": "a-${b}-%{c}-1"}
    encryption = {"sse": "aws:kms", "kms_key_id": "alias/px"}
    path = str(write(tmp_path, base_folder="a*/%{b}", authorization=authorization, **encryption))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("b", "${b}")
        documents = json.loads(printed(capsys, path))
        text = printed(capsys, path, "--terraform")
    inner = r"jsonencode\((\{\n.*?\n  \})\)"
    encoded = [json.loads(re.sub(r"([$%])\1\{", r"\1{", each)) for each in re.findall(inner, text, re.DOTALL)]
    assert encoded == [documents["trustRelationship"], documents["rolePolicy"], documents["bucketPolicy"]]
    assert "a${*}/%{b}/current/*" in json.dumps(documents)
    assert re.findall(r"(?<![$%])[$%]\{", text) == []
    assert re.sub(inner, "…", text, flags=re.DOTALL) == TERRAFORM


TERRAFORM = """\
resource "aws_iam_role" "px_import_users" {
  name               = "s3-import"
  path               = "/service/deep/"
  assume_role_policy = …
}

resource "aws_iam_role_policy" "px_import_users" {
  name   = "px-import"
  role   = aws_iam_role.px_import_users.id
  policy = …
}

# One bucket has one policy: merge these statements into it where there is one.
resource "aws_s3_bucket_policy" "px_import_users" {
  bucket = "my-bucket"
  policy = …
}
"""


@pytest.mark.parametrize(
    ("feed", "name"),
    [
        ("2-users-eu", "px_import_2_users_eu"),
        ("${PX_FEED}", "px_import_eu"),
        ("${PX_UNSET}", "px_import"),
        ("A B", "px_import"),
        ("any", "px_import_any"),
        ("x" * 101, "px_import"),
    ],
)
def test_two_feeds_have_resources_of_their_own(tmp_path, monkeypatch, capsys, feed, name):
    monkeypatch.setenv("PX_FEED", "eu")
    text = printed(capsys, str(write(tmp_path, feed=feed)), "--terraform")
    assert re.findall(r'^resource "\w+" "(.+)" \{$', text, re.MULTILINE) == [name] * 3
    assert f"role   = aws_iam_role.{name}.id\n" in text


@pytest.mark.parametrize("trusted", ["*", 'junk"', "arn:aws:iam::*:user/x", "arn:aws:iam::210987654321:user/*"])
def test_who_is_nobody_in_particular_is_not_trusted(tmp_path, capsys, trusted):
    assert main(["iam", str(write(tmp_path)), "--trust", trusted]) == 2
    assert "--trust: name a user, a role or a whole account" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"status_endpoint": {"url": "${PX_UNSET}", "signing_secret": "${PX_UNSET}"}}, 0),
        ({"store": "postgresql://px:${PX_UNSET}@db:${PX_UNSET}/px"}, 0),
        ({"bucket": "${PX_UNSET}/export"}, 2),
        ({"base_folder": "${PX_UNSET}"}, 2),
        ({"authorization": {"role_arn": "${PX_UNSET}"}}, 2),
        ({"base_foldr": "users"}, 2),
        ({"authorization": {"rolearn": "x"}}, 2),
    ],
)
def test_only_what_decides_the_rights_must_be_there(tmp_path, capsys, changes, code):
    assert main(["iam", str(write(tmp_path, **changes))]) == code
    said = capsys.readouterr().err
    assert bool(re.search("PX_UNSET is not set|did you mean", said)) == bool(code)


@pytest.mark.rule("R4")
def test_a_delivery_runs_under_the_documents_and_a_neighbour_is_out_of_reach(ministack: MiniStack, tmp_path, capsys):
    bucket, iam = f"iam-{tmp_path.name[-20:].replace('_', '-').lower()}", ministack.service("iam")
    ministack.create_bucket(bucket)
    iam.create_user(UserName=bucket)
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.put_user_policy(
        UserName=bucket, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [assume]})
    )
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    role = f"arn:aws:iam::{ministack.account}:role/{bucket}"
    keys = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    changes = {
        "bucket": f"{bucket}/export",
        "endpoint_url": ministack.endpoint_url,
        "sts_endpoint_url": ministack.endpoint_url,
        "store": f"sqlite:///{tmp_path}/px.db",
        "authorization": {**keys, "role_arn": role, "external_id": "subscription-1"},
    }
    path = write(tmp_path, **changes)
    trusted = f"arn:aws:iam::{ministack.account}:user/{bucket}"
    documents = json.loads(printed(capsys, str(path), "--trust", trusted))
    iam.create_role(RoleName=bucket, AssumeRolePolicyDocument=json.dumps(documents["trustRelationship"]))
    iam.put_role_policy(RoleName=bucket, PolicyName="p", PolicyDocument=json.dumps(documents["rolePolicy"]))
    ministack.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(documents["bucketPolicy"]))

    assert main(["doctor", str(path)]) == 0, capsys.readouterr().out  # nothing was ever delivered
    assert "neither current/ nor processed/ is in" in capsys.readouterr().out

    folder = "export/users/current/dt=20210228"
    for content in (b"id\n1\n", b"id\n2\n"):  # the second one moves the first aside
        body = gzip.compress(content, mtime=0)
        ministack.client.put_object(Bucket=bucket, Key=f"{folder}/users.csv.gz", Body=body)
        ministack.client.put_object(Bucket=bucket, Key=f"{folder}/_SUCCESS", Body=b"")
        report = asyncio.run(tick(ImportSettings.from_file(path), []))
        assert report.state == "Imported"
    keys_now = [each["Key"] for each in ministack.client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert "export/users/processed/20210228/status.txt" in keys_now
    assert "export/users/processed/20210228.1/status.txt" in keys_now
    assert not [each for each in keys_now if "/current/" in each]
    assert main(["doctor", str(path)]) == 0
    assert "is empty: nothing waits" in capsys.readouterr().out

    neighbour = ImportSettings.from_file(write(tmp_path, **changes, base_folder="accounts"))
    with pytest.raises(AccessRefused, match="grant s3:"):
        asyncio.run(tick(neighbour, []))

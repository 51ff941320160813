"""Every kind of request that the importer makes, under the role policy of the S3 import's documentation (rule R4)."""

import asyncio
import gzip
import json
import re
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import yaml

from blocks.import_settings import ImportSettings
from deployments.cli import main
from deployments.local_s3 import LocalS3
from flows.import_feed import tick
from schemas.errors import DropZoneBusy
from tests.servers import Answer, AnsweringServer, Request, forwarded, xml_error

#: Method and what marks the kind of the request, with the right that it takes. Another kind may take another right.
KNOWN = {
    ("GET", "bucket+list-type"): "s3:ListBucket",
    ("HEAD", ""): "s3:GetObject",
    ("GET", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("PUT", "copy"): "s3:GetObject and s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
}
#: The doctor looks at the bucket itself, and asks STS who it is, for which nobody needs a right.
OF_THE_DOCTOR = {("HEAD", "bucket"): "s3:ListBucket", ("POST", ""): ""}
_PLAIN = {"prefix", "encoding-type", "continuation-token", "x-id"}


def kind(request: Request) -> tuple[str, str]:
    marks = set(parse_qs(urlsplit(request.path).query, keep_blank_values=True)) - _PLAIN
    rights = {name for name in request.headers if name.startswith(("x-amz-acl", "x-amz-grant", "x-amz-object-lock"))}
    rights |= {"x-amz-tagging"} & request.headers.keys()
    copies = {"copy"} if "x-amz-copy-source" in request.headers else set()
    of_bucket = {"bucket"} if re.fullmatch("/[^/]+", urlsplit(request.path).path) else set()
    return request.method, "+".join(sorted(marks | rights | copies | of_bucket))


@pytest.fixture
def keys(local_s3: LocalS3, bucket: str) -> dict[str, str]:
    """Of a user who has the rights of the documentation's policy, word for word, and no others."""
    iam = boto3.client(
        "iam",
        endpoint_url=local_s3.endpoint_url,
        region_name=local_s3.region,
        aws_access_key_id=local_s3.access_key_id,
        aws_secret_access_key=local_s3.secret_access_key,
    )
    place = f"arn:aws:s3:::{bucket}"
    objects = ["s3:PutObject", "s3:DeleteObject", "s3:GetObject"]
    statements = [
        {"Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Effect": "Allow", "Resource": place},
        {"Effect": "Allow", "Action": objects, "Resource": f"{place}/*"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.create_user(UserName=bucket)
    iam.put_user_policy(UserName=bucket, PolicyName="rights", PolicyDocument=policy)
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


@pytest.mark.rule("R4")
def test_nothing_new_is_called_for(local_s3: LocalS3, bucket: str, keys, tmp_path, monkeypatch):
    """By a delivery, one that was stopped and is resumed, a repetition, a rejection, a replay and the doctor."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    busy: list[str] = []

    def respond(request: Request) -> Answer:
        if request.method == "PUT" and busy and request.path.endswith(busy[0]):
            return xml_error(503, "ServiceUnavailable")
        return forwarded(request, local_s3.endpoint_url)

    def drop(content: bytes) -> None:
        for name, body in [("users.csv.gz", gzip.compress(content, mtime=0)), ("_SUCCESS", b"")]:
            local_s3.client.put_object(Bucket=bucket, Key=f"users/current/dt=20210228/{name}", Body=body)

    def import_all() -> str:
        return asyncio.run(tick(ImportSettings.from_file(file), [])).state

    file = tmp_path / "users.yaml"
    with AnsweringServer(respond) as between:
        settings = {
            "feed": "users",
            "bucket": bucket,
            "base_folder": "users",
            "region": local_s3.region,
            "endpoint_url": between.url,
            "authorization": keys,
            "destination": {"product": "AP-X"},
            "store": f"sqlite:///{tmp_path}/px.db",
        }
        file.write_text(yaml.safe_dump(settings))
        drop(b"id\n1\n")
        busy.append("/status.txt")
        with pytest.raises(DropZoneBusy):
            import_all()
        busy.clear()
        assert import_all() == "Imported"
        assert main(["replay", "20210228", str(file)]) == 0
        assert import_all() == "Imported"  # what is there is moved aside
        drop(b"id\n\xff\n")
        assert import_all() == "Rejected"  # with an errors.csv
        assert {kind(request) for request in between.requests} == set(KNOWN)
        between.requests.clear()
        assert main(["doctor", str(file)]) == 0
        asked = {kind(request) for request in between.requests}
        assert asked - set(KNOWN) == set(OF_THE_DOCTOR)

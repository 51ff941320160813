"""Every kind of request that an import makes, under the role policy of the S3 import's documentation (rule R4)."""

import asyncio
import gzip
import json
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from blocks.feed_settings import SettingsFile
from blocks.import_settings import ImportSettings
from deployments.local_s3 import LocalS3
from flows.import_feed import tick
from tests.servers import AnsweringServer, Request, forwarded

#: Method and what marks the kind of the request, with the right that it takes. Another kind may take another right.
KNOWN = {
    ("GET", "list-type"): "s3:ListBucket",
    ("HEAD", ""): "s3:GetObject",
    ("GET", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("PUT", "copy"): "s3:GetObject and s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
}
_PLAIN = {"prefix", "encoding-type", "continuation-token", "x-id"}


def kind(request: Request) -> tuple[str, str]:
    marks = set(parse_qs(urlsplit(request.path).query, keep_blank_values=True)) - _PLAIN
    rights = {name for name in request.headers if name.startswith(("x-amz-acl", "x-amz-grant", "x-amz-object-lock"))}
    rights |= {"x-amz-tagging"} & request.headers.keys()
    copies = {"copy"} if "x-amz-copy-source" in request.headers else set()
    return request.method, "+".join(sorted(marks | rights | copies))


@pytest.mark.rule("R4")
def test_a_delivery_and_its_repetition_call_for_nothing_new(local_s3: LocalS3, bucket: str, tmp_path):
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

    with AnsweringServer(lambda request: forwarded(request, local_s3.endpoint_url)) as between:
        settings = ImportSettings.of(
            SettingsFile.model_validate(
                {
                    "feed": "users",
                    "bucket": bucket,
                    "base_folder": "users",
                    "region": local_s3.region,
                    "endpoint_url": between.url,
                    "authorization": {
                        "access_key_id": key["AccessKeyId"],
                        "secret_access_key": key["SecretAccessKey"],
                    },
                    "destination": {"product": "AP-X"},
                    "store": f"sqlite:///{tmp_path}/px.db",
                }
            )
        )
        for content, state in [(b"id\n1\n", "Imported"), (b"id\n\xff\n", "Rejected")]:  # moved aside, and errors.csv
            for name, body in [("users.csv.gz", gzip.compress(content, mtime=0)), ("_SUCCESS", b"")]:
                local_s3.client.put_object(Bucket=bucket, Key=f"users/current/dt=20210228/{name}", Body=body)
            assert asyncio.run(tick(settings, [])).state == state

    assert {kind(request) for request in between.requests} == set(KNOWN)

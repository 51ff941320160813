"""Imported by the process that runs are forked from: what each run would else import for itself, half of its time."""

import gc
import gzip
import io
import os
from pathlib import Path

import requests  # noqa: F401 - which the importer imports where it needs it
from prefect_aws import AwsCredentials

import blocks.postgres_store  # noqa: F401 - likewise
from blocks.aws_session import s3_client
from deployments.chaos import importer  # noqa: F401 - what is forked
from schemas.catalogue import Entity, default_catalogue
from schemas.settings import FileSettings
from schemas.validation import validate

validate(
    io.BytesIO(gzip.compress(b"id\nu1\n")),
    default_catalogue(Entity.USER),
    FileSettings.model_validate({"destination": {"product": "AP-XXXXXXXXXX"}}),
    spool=Path(os.devnull),
)
nobody = AwsCredentials(aws_access_key_id="nobody", aws_secret_access_key="nothing")  # noqa: S106 - asks nobody
s3_client(nobody, region="us-east-1", endpoint_url="").close()
gc.collect()
gc.freeze()  # else the collector of each run touches, and so copies, all this memory

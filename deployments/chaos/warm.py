"""Imported by the process that runs are forked from: what each run would else import for itself, half of its time."""

import functools
import gc
import gzip
import io
import os
from pathlib import Path

import boto3
import botocore.session
import requests  # noqa: F401 - which the importer imports where it needs it
from botocore.loaders import create_loader

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
botocore.session.create_loader = functools.cache(create_loader)  # of files that never change
boto3.Session("of", "no", region_name="account").client("s3").close()
gc.collect()
gc.freeze()  # else the collector of each run touches, and so copies, all this memory

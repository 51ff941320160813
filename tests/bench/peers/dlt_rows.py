"""dlt as its page about files in a bucket shows it: `filesystem | read_csv`, merged by the primary key."""

import json
import os
import sys
from pathlib import Path

order = json.loads(Path(sys.argv[1]).read_text())
os.environ["DLT_DATA_DIR"] = order["folder"]
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt  # noqa: E402
from dlt.common.configuration.specs import AwsCredentials  # noqa: E402
from dlt.sources.filesystem import filesystem, read_csv  # noqa: E402

s3 = order["s3"]
credentials = AwsCredentials(
    aws_access_key_id=s3["aws_access_key_id"],
    aws_secret_access_key=s3["aws_secret_access_key"],
    endpoint_url=s3["endpoint_url"],
    region_name=s3["region_name"],
)
folder, _, name = order["key"].rpartition("/")
files = filesystem(bucket_url=f"s3://{order['bucket']}/{folder}", file_glob=name, credentials=credentials)
reader = (files | read_csv()).with_name("users")
reader.apply_hints(write_disposition="merge", primary_key="id")
if order["database"].startswith("postgresql"):
    destination, dataset = dlt.destinations.postgres(order["database"]), "bench"
else:
    destination, dataset = dlt.destinations.sqlalchemy(order["database"]), "main"
pipeline = dlt.pipeline("bench", destination=destination, dataset_name=dataset, pipelines_dir=order["folder"])
pipeline.run(reader).raise_on_failed_jobs()

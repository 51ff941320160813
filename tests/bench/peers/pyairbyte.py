"""PyAirbyte with its S3 source, into its cache in PostgreSQL, as its docs show it."""

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

order = json.loads(Path(sys.argv[1]).read_text())
os.environ |= {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_ENABLE_UNSAFE_CODE": "false"}
os.chdir(order["folder"])

import airbyte as ab  # noqa: E402
from airbyte.caches import PostgresCache  # noqa: E402

parts, s3 = urlsplit(order["database"]), order["s3"]
cache = PostgresCache(
    host=parts.hostname,
    port=parts.port,
    username=parts.username,
    password=parts.password,
    database=parts.path.strip("/"),
    schema_name="bench",
)
stream = {
    "name": "users",
    "globs": [order["key"]],
    "format": {"filetype": "csv", "strings_can_be_null": True},
    "validation_policy": "Emit Record",
}
config = {
    "bucket": order["bucket"],
    "aws_access_key_id": s3["aws_access_key_id"],
    "aws_secret_access_key": s3["aws_secret_access_key"],
    "endpoint": s3["endpoint_url"],
    "region_name": s3["region_name"],
    "streams": [stream],
}
source = ab.get_source(
    "source-s3", config=config, local_executable=Path(order["programs"][1]) / "source-s3", streams=["users"]
)
source.set_primary_key("users", "id")
source.read(cache=cache, write_strategy="merge", force_full_refresh=True)

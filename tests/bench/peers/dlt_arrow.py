"""dlt in the form that its page about performance calls the fastest: Arrow tables, typed by Arrow's CSV reader."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

order = json.loads(Path(sys.argv[1]).read_text())
os.environ["DLT_DATA_DIR"] = order["folder"]
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import boto3  # noqa: E402
import dlt  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.csv  # noqa: E402

kinds = {"STRING": pa.string(), "NUMBER": pa.float64(), "BOOLEAN": pa.bool_(), "DATE_TIME": pa.timestamp("ms", "UTC")}


@dlt.resource(name="users", primary_key="id", write_disposition={"disposition": "merge", "strategy": order["merge"]})
def users() -> Iterator[pa.Table]:
    """The file's rows."""
    body = boto3.client("s3", **order["s3"]).get_object(Bucket=order["bucket"], Key=order["key"])["Body"]
    types = {name: kinds[kind] for name, kind in order["columns"]}
    reader = pa.csv.open_csv(
        pa.CompressedInputStream(pa.PythonFile(body, "r"), "gzip"),
        read_options=pa.csv.ReadOptions(block_size=16 * 1024**2),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch])


if order["database"].startswith("postgresql"):
    destination, dataset = dlt.destinations.postgres(order["database"]), "bench"
else:
    destination, dataset = dlt.destinations.sqlalchemy(order["database"]), "main"
pipeline = dlt.pipeline("bench", destination=destination, dataset_name=dataset, pipelines_dir=order["folder"])
pipeline.run(users(), loader_file_format=order["loader_file_format"]).raise_on_failed_jobs()

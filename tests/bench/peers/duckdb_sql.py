"""Hand-written DuckDB: its CSV reader straight into a table with a key, nothing checked."""

import json
import sys
from pathlib import Path

import boto3
import duckdb

order = json.loads(Path(sys.argv[1]).read_text())
kinds = {"STRING": "VARCHAR", "NUMBER": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE_TIME": "TIMESTAMPTZ"}
columns = {name: kinds[kind] for name, kind in order["columns"]}

path = Path(order["folder"]) / "users.csv.gz"
boto3.client("s3", **order["s3"]).download_file(order["bucket"], order["key"], str(path))
with duckdb.connect(order["database"]) as database:
    declared = ", ".join(f'"{name}" {kind}' + " PRIMARY KEY" * (name == "id") for name, kind in columns.items())
    database.execute(f"CREATE TABLE IF NOT EXISTS users ({declared})")
    database.execute(
        "INSERT OR REPLACE INTO users SELECT * FROM read_csv(?, header = true, auto_detect = false, "
        f"delim = ',', quote = '\"', escape = '\"', columns = {columns}, compression = 'gzip', parallel = false)",
        [str(path)],
    )

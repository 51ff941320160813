"""pandas reads, Pandera checks, `to_sql` replaces the table: what most people write first."""

import json
import sys
from pathlib import Path

import boto3
import pandas as pd
import pandera.pandas as pa
from sqlalchemy import create_engine

order = json.loads(Path(sys.argv[1]).read_text())
kinds = {"STRING": str, "NUMBER": float, "BOOLEAN": "boolean", "DATE_TIME": pd.DatetimeTZDtype("ms", "UTC")}
columns = dict(order["columns"])

s3 = boto3.client("s3", **order["s3"])
body = s3.get_object(Bucket=order["bucket"], Key=order["key"])["Body"]
frame = pd.read_csv(
    body,
    compression="gzip",
    dtype={name: str for name, kind in columns.items() if kind == "STRING"},
    parse_dates=[name for name, kind in columns.items() if kind == "DATE_TIME"],
)
checked = {name: pa.Column(kinds[kind], nullable=name != "id", unique=name == "id") for name, kind in columns.items()}
frame = pa.DataFrameSchema(checked, coerce=True, strict=True).validate(frame, lazy=True)
engine = create_engine(order["database"].replace("postgresql://", "postgresql+psycopg://"))
with engine.begin() as connection:
    frame.to_sql("users", connection, if_exists="replace", index=False)

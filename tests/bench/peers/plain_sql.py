"""Hand-written SQL that checks nothing: COPY and an upsert in PostgreSQL, Python's csv and an upsert in SQLite."""

import csv
import gzip
import io
import json
import sqlite3
import sys
from pathlib import Path

import boto3
import psycopg

order = json.loads(Path(sys.argv[1]).read_text())
columns = dict(order["columns"])
body = boto3.client("s3", **order["s3"]).get_object(Bucket=order["bucket"], Key=order["key"])["Body"]
content = gzip.GzipFile(fileobj=body)
names = [f'"{name}"' for name in columns]
changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])


def declared(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name} {kinds[kind]}" for name, kind in zip(names, columns.values(), strict=True))


if order["database"].startswith("postgresql"):
    kinds = {"STRING": "text", "NUMBER": "double precision", "BOOLEAN": "boolean", "DATE_TIME": "timestamptz"}
    with psycopg.connect(order["database"]) as database, database.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS users ({declared(kinds)}, PRIMARY KEY (id))")
        cursor.execute(f"CREATE TEMPORARY TABLE new ({declared(kinds)})")
        with cursor.copy("COPY new FROM STDIN (FORMAT csv, HEADER)") as copy:
            while block := content.read(1024**2):
                copy.write(block)
        cursor.execute(f"INSERT INTO users SELECT * FROM new ON CONFLICT (id) DO UPDATE SET {changes}")
else:
    kinds = {"STRING": "TEXT", "NUMBER": "REAL", "BOOLEAN": "TEXT", "DATE_TIME": "TEXT"}
    database = sqlite3.connect(order["database"].removeprefix("sqlite:///"))
    database.execute(f"CREATE TABLE IF NOT EXISTS users ({declared(kinds)}, PRIMARY KEY (id))")
    rows = csv.reader(io.TextIOWrapper(content, "utf-8", newline=""))
    next(rows)
    row = ", ".join("?" * len(columns))
    with database:
        database.executemany(f"INSERT INTO users VALUES ({row}) ON CONFLICT (id) DO UPDATE SET {changes}", rows)

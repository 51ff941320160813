"""The ledger's tables: what was claimed, what became of it, and what is still to be done (rules L2, P5, R1, R2).

They lie in the store's database, beside the records. To look at them: `sqlite3 px.db`, then for example

    SELECT day, stage, verdict, datetime(claimed_at_ms / 1000, 'unixepoch') FROM import_deliveries ORDER BY day;
    SELECT name, outcome, rows, created, updated, unchanged, repeated FROM import_files;

    import_schema      one row: the version of these tables
    import_leases      a row a feed: which run may write for it; `fence` grows whenever another takes over
    import_deliveries  a row a claim of a folder: how far it has come, then its verdict and status files as they
                       were or will be written; `finished_at_ms` is empty while there is work to do
    import_files       a row for each object that was claimed, as it was then: name, key, etag, size, time;
                       `outcome` is `loaded` or `rejected`, with the counts of the load or the faults
    import_moves       what an earlier delivery left in the archive folder and where it makes way to
    import_callbacks   the outbox: what the status endpoint is told, and when it is tried again
    import_steps       a row for each thing that a run did to a delivery; nothing here is ever changed or removed
    import_feeds       a row a feed: the place in S3 that it imported last

Times are milliseconds since 1970 in UTC, by the database's clock; those of stored objects by S3's.
Not here: settings, credentials, any cell of any file.
"""

from collections.abc import Sequence

from blocks.database import Reader, Store
from schemas.errors import StoreConflict

_FIRST = (
    """
    CREATE TABLE import_leases (
        feed TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        fence BIGINT NOT NULL,
        expires_at_ms BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE import_deliveries (
        id TEXT NOT NULL PRIMARY KEY,
        feed TEXT NOT NULL,
        entity TEXT NOT NULL,
        day TEXT NOT NULL,
        claimed_at_ms BIGINT NOT NULL,
        stage TEXT NOT NULL,
        verdict TEXT,
        status_txt TEXT,
        status_json TEXT,
        errors_csv TEXT,
        catalogue_hash TEXT,
        finished_at_ms BIGINT
    )
    """,
    # one claim at a time of a folder
    "CREATE UNIQUE INDEX import_deliveries_open ON import_deliveries (feed, day) WHERE finished_at_ms IS NULL",
    "CREATE INDEX import_deliveries_latest ON import_deliveries (feed, claimed_at_ms)",
    """
    CREATE TABLE import_files (
        delivery_id TEXT NOT NULL REFERENCES import_deliveries (id) ON DELETE CASCADE,
        position BIGINT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        etag TEXT NOT NULL,
        size_bytes BIGINT NOT NULL,
        modified_at_ms BIGINT NOT NULL,
        outcome TEXT,
        read_bytes BIGINT,
        sha256 TEXT,
        rows BIGINT,
        created BIGINT,
        updated BIGINT,
        unchanged BIGINT,
        repeated BIGINT,
        issues TEXT,
        fault_places TEXT,
        PRIMARY KEY (delivery_id, name)
    )
    """,
    """
    CREATE TABLE import_moves (
        delivery_id TEXT NOT NULL REFERENCES import_deliveries (id) ON DELETE CASCADE,
        position BIGINT NOT NULL,
        key TEXT NOT NULL,
        etag TEXT NOT NULL,
        size_bytes BIGINT NOT NULL,
        modified_at_ms BIGINT NOT NULL,
        target_key TEXT NOT NULL,
        PRIMARY KEY (delivery_id, position)
    )
    """,
    """
    CREATE TABLE import_callbacks (
        id TEXT NOT NULL PRIMARY KEY,
        delivery_id TEXT NOT NULL UNIQUE REFERENCES import_deliveries (id) ON DELETE CASCADE,
        feed TEXT NOT NULL,
        body TEXT NOT NULL,
        attempts BIGINT NOT NULL,
        next_attempt_at_ms BIGINT NOT NULL,
        last_answer TEXT NOT NULL,
        received_at_ms BIGINT,
        gave_up_at_ms BIGINT
    )
    """,
    # the outbox stays small however many callbacks were received
    """
    CREATE INDEX import_callbacks_waiting ON import_callbacks (feed, next_attempt_at_ms)
        WHERE received_at_ms IS NULL AND gave_up_at_ms IS NULL
    """,
)
_SECOND = (
    # no reference to the delivery: a claim that is given up leaves its steps behind
    """
    CREATE TABLE import_steps (
        delivery_id TEXT NOT NULL,
        position BIGINT NOT NULL,
        at_ms BIGINT NOT NULL,
        owner TEXT NOT NULL,
        fence BIGINT NOT NULL,
        name TEXT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (delivery_id, position)
    )
    """,
    "CREATE TABLE import_feeds (feed TEXT NOT NULL PRIMARY KEY, place TEXT NOT NULL)",
)
#: What makes version N of version N - 1. What has been released is never changed, only followed by another.
VERSIONS = (_FIRST, _SECOND)


def migrate(store: Store) -> None:
    """Make the ledger's tables, or bring older ones up to date; where they are, this only reads.

    Raises:
        StoreConflict: the tables were made by a newer version of this program.
    """
    if store.has("import_schema"):
        with store.read() as reader:
            if not _missing(reader, store.name):
                return
    with store.transaction() as tx:
        tx.lock_schema()
        tx.execute("CREATE TABLE IF NOT EXISTS import_schema (version BIGINT NOT NULL)")
        for statements in _missing(tx, store.name):
            for sql in statements:
                tx.execute(sql)
        tx.execute("DELETE FROM import_schema")
        tx.execute("INSERT INTO import_schema (version) VALUES (:version)", {"version": len(VERSIONS)})


def _missing(reader: Reader, store: str) -> Sequence[Sequence[str]]:
    """The versions that the tables do not have yet."""
    [(version,)] = reader.execute("SELECT coalesce(max(version), 0) FROM import_schema")
    if version > len(VERSIONS):
        problem = f"the ledger's tables are of version {version}, this program knows {len(VERSIONS)}"
        raise StoreConflict(store, problem, "update this program")
    return VERSIONS[version:]

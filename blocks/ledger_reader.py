"""Questions to the ledger: they need no lease and wait for nobody."""

from blocks.database import Parameters, Reader, Store
from blocks.ledger_rows import (
    FILE_COLUMNS,
    OUTCOME_COLUMNS,
    Decision,
    delivery_file,
    fault_places,
    file_outcome,
    moment,
    stored_object,
)
from schemas.delivery import Delivery, Move, Stage
from schemas.delivery_record import DeliveryRecord
from schemas.issues import FaultPlace
from schemas.outcome import FileOutcome

_FEW_FILES = 8


class LedgerReader:
    """All verbs that only read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_deliveries(self, feed: str) -> list[Delivery]:
        """Deliveries with work left to do, oldest day first: a run resumes them before it looks for new ones."""
        with self._store.read() as reader:
            return deliveries_where(reader, "feed = :feed AND finished_at_ms IS NULL ORDER BY day", {"feed": feed})

    def feeds_at(self, place: str) -> list[str]:
        """Names of the feeds that import from a place or did so last, `s3://bucket/root`."""
        with self._store.read() as reader:
            rows = reader.execute("SELECT feed FROM import_feeds WHERE place = :place ORDER BY feed", {"place": place})
            return [feed for (feed,) in rows]

    def file_outcomes(self, delivery: Delivery) -> dict[str, FileOutcome]:
        """What became of the files judged so far, by name, in import order."""
        with self._store.read() as reader:
            return outcomes_of(reader, delivery.id)

    def fault_places(self, delivery: Delivery, most: int) -> list[tuple[str, FaultPlace]]:
        """File name and place of the first noted faults, in the order of `errors.csv` (rule F4).

        A few files at a time are read: hundreds of rejected ones would fill the memory with what is then left out.
        """
        sql = """
            SELECT position, name, fault_places FROM import_files
            WHERE delivery_id = :id AND outcome IS NOT NULL AND position > :after ORDER BY position LIMIT :few
        """
        found: list[tuple[str, FaultPlace]] = []
        after = -1
        with self._store.read() as reader:
            while len(found) < most:
                rows = reader.execute(sql, {"id": delivery.id, "after": after, "few": _FEW_FILES})
                found += [(name, place) for _, name, text in rows for place in fault_places(text)]
                if len(rows) < _FEW_FILES:
                    break
                after = rows[-1][0]
        return found[:most]

    def decision(self, delivery: Delivery) -> Decision:
        """What was decided.

        Raises:
            ValueError: nothing was yet.
        """
        with self._store.read() as reader:
            decided = reader.execute(
                """
                SELECT verdict, status_txt, status_json, errors_csv, catalogue_hash FROM import_deliveries
                WHERE id = :id AND stage <> 'claimed'
                """,
                {"id": delivery.id},
            )
        if not decided:
            raise ValueError(f"delivery {delivery.id} is not decided")
        [(verdict, status_txt, status_json, errors_csv, catalogue_hash)] = decided
        return Decision(
            verdict,
            status_txt.encode(),
            status_json.encode(),
            None if errors_csv is None else errors_csv.encode(),
            catalogue_hash,
            self.moves(delivery.id),
        )

    def moves(self, delivery_id: str) -> tuple[Move, ...]:
        """What an earlier delivery of the date had left, and where it makes way to; none before the decision."""
        sql = """
            SELECT target_key, key, etag, size_bytes, modified_at_ms FROM import_moves
            WHERE delivery_id = :id ORDER BY position
        """
        with self._store.read() as reader:
            rows = reader.execute(sql, {"id": delivery_id})
        return tuple(Move(stored_object(*source), target_key) for target_key, *source in rows)

    def deliveries(self, feed: str = "", limit: int = 20) -> list[DeliveryRecord]:
        """The latest claims, newest first; of all feeds if none is named. None where nothing was ever imported."""
        condition = "feed = :feed OR :feed = '' ORDER BY claimed_at_ms DESC, day DESC LIMIT :limit"
        return self._records(condition, {"feed": feed, "limit": limit})

    def record(self, delivery_id: str) -> DeliveryRecord | None:
        """One delivery; None where there is none, or where its claim was given up."""
        return next(iter(self._records("id = :id", {"id": delivery_id})), None)

    def ids(self, beginning: str) -> list[str]:
        """The deliveries whose ids begin so, with those whose claim was given up."""
        sql = """
            SELECT id FROM (SELECT id FROM import_deliveries UNION SELECT delivery_id FROM import_steps) AS known
            WHERE substr(id, 1, length(:beginning)) = :beginning ORDER BY id
        """
        with self._store.read() as reader:
            return [id_ for (id_,) in reader.execute(sql, {"beginning": beginning})]

    def is_over(self, delivery_id: str) -> bool:
        """Whether a delivery was finished or its claim given up; not where this ledger has never seen it."""
        sql = """
            SELECT 1 FROM import_steps WHERE delivery_id = :id AND NOT EXISTS
                (SELECT 1 FROM import_deliveries WHERE id = :id AND finished_at_ms IS NULL)
        """
        with self._store.read() as reader:
            return bool(reader.execute(sql, {"id": delivery_id}))

    def _records(self, condition: str, parameters: Parameters) -> list[DeliveryRecord]:
        sql = (
            "SELECT id, feed, entity, day, stage, coalesce(verdict, ''), claimed_at_ms, finished_at_ms, "  # noqa: S608 - our own
            f"coalesce(catalogue_hash, '') FROM import_deliveries WHERE {condition}"
        )
        with self._store.read() as reader:
            return [
                DeliveryRecord(
                    id=id_,
                    feed=name,
                    entity=entity,
                    day=day,
                    stage=Stage(stage),
                    verdict=verdict,
                    claimed_at=moment(claimed),
                    finished_at=None if finished is None else moment(finished),
                    catalogue_hash=catalogue_hash,
                    files=tuple(outcomes_of(reader, id_).values()),
                )
                for id_, name, entity, day, stage, verdict, claimed, finished, catalogue_hash in reader.execute(
                    sql, parameters
                )
            ]


def deliveries_where(reader: Reader, condition: str, parameters: Parameters) -> list[Delivery]:
    """The deliveries that a condition selects, with their objects in byte order of the keys."""
    sql = f"SELECT id, feed, day, claimed_at_ms, stage FROM import_deliveries WHERE {condition}"  # noqa: S608 - our own
    files = f"SELECT {FILE_COLUMNS} FROM import_files WHERE delivery_id = :id ORDER BY position"  # noqa: S608 - a constant
    return [
        Delivery(
            id_,
            feed,
            day,
            moment(claimed_at_ms),
            Stage(stage),
            tuple(delivery_file(row) for row in reader.execute(files, {"id": id_})),
        )
        for id_, feed, day, claimed_at_ms, stage in reader.execute(sql, parameters)
    ]


def outcomes_of(reader: Reader, delivery_id: str) -> dict[str, FileOutcome]:
    """What became of a delivery's files judged so far, by name, in import order."""
    sql = (
        f"SELECT {OUTCOME_COLUMNS} FROM import_files "  # noqa: S608 - a constant
        "WHERE delivery_id = :id AND outcome IS NOT NULL ORDER BY position"
    )
    return {row[0]: file_outcome(row) for row in reader.execute(sql, {"id": delivery_id})}

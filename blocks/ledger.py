"""The ledger: how far each delivery has come, in the database that holds the records (rules L2, P5, R1, R2).

Each verb is one transaction. Those that write take the feed's lease and raise LeaseLost where another run
has taken over; called again after a crash, they find what was written and change nothing.
`blocks.ledger_schema` describes the tables.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from blocks.database import Parameters, Transaction
from blocks.feed_places import settle
from blocks.history import History, StepName, note
from blocks.leases import Lease, Leases, confirm, hold, writing
from blocks.ledger_reader import LedgerReader, deliveries_where, outcomes_of
from blocks.ledger_rows import Decision, outcome_row, stored_row
from blocks.ledger_schema import migrate
from blocks.outbox import Outbox, put_callback
from schemas.catalogue import Entity
from schemas.delivery import Delivery, DeliveryFile, Move, Stage, delivery_id, manifest
from schemas.drop_zone import Folder, StoredObject, kind_of
from schemas.errors import CountsDisagree
from schemas.issues import FaultPlace
from schemas.outcome import FileOutcome, LoadCounts, verdict_of

if TYPE_CHECKING:
    from schemas.valid_file import ValidFile

__all__ = ["Decision", "Lease", "Ledger"]


class Ledger(Leases, LedgerReader, History, Outbox):
    """All verbs of the ledger over one store."""

    def migrate(self) -> None:
        """Make the tables where they are missing; see `ledger_schema.migrate`."""
        migrate(self._store)

    def claim(self, lease: Lease, entity: Entity, folder: Folder) -> Delivery | None:
        """Fix what is imported: the folder's objects as they are listed (rule D6).

        Returns:
            The delivery, the same one if it was claimed before and is still open. None if the folder has another
            open delivery, or if these very objects under this very marker were imported and finished before:
            put back unchanged within the same second, they cannot be told from those.

        Raises:
            LeaseLost: another run has taken over.
        """
        key = {"id": delivery_id(lease.feed, folder)}
        with writing(self._store, lease) as tx:
            sql = """
                INSERT INTO import_deliveries (id, feed, entity, day, claimed_at_ms, stage)
                VALUES (:id, :feed, :entity, :day, :now, :stage) ON CONFLICT DO NOTHING
            """
            now, stage = tx.now_ms(), Stage.CLAIMED.value
            row = {"feed": lease.feed, "entity": entity.value, "day": folder.day, "now": now, "stage": stage}
            if tx.change(sql, {**key, **row}):
                files = manifest(folder)
                for position, file in enumerate(files):
                    _put_file(tx, key["id"], position, file)
                note(tx, lease, key["id"], StepName.CLAIMED, f"dt={folder.day}, {len(files)} objects")
            return next(iter(deliveries_where(tx, "id = :id AND finished_at_ms IS NULL", key)), None)

    def resume(self, lease: Lease, entity: Entity, place: str) -> list[Delivery]:
        """Deliveries with work left to do, oldest day first: a run goes on with them before it looks for new ones.

        Args:
            lease: the feed's.
            entity: what the feed brings.
            place: what the settings call the feed's root, `s3://bucket/root`.

        Raises:
            SettingsError: the open deliveries lie in another place or are of another entity, or another feed has
                open ones in this place or is at work there.
            LeaseLost: another run has taken over.
        """
        with writing(self._store, lease) as tx:
            found = deliveries_where(tx, "feed = :feed AND finished_at_ms IS NULL ORDER BY day", {"feed": lease.feed})
            settle(tx, lease.feed, entity, place, found)
            for delivery in found:
                note(tx, lease, delivery.id, StepName.RESUMED, delivery.stage.value)
            return found

    def abandon(self, lease: Lease, delivery: Delivery) -> bool:
        """Give up a claim of which nothing was loaded yet; False where something was, and nothing is given up.

        Raises:
            LeaseLost: another run has taken over.
        """
        sql = """
            DELETE FROM import_deliveries WHERE id = :id AND stage = 'claimed' AND NOT EXISTS
                (SELECT 1 FROM import_files WHERE delivery_id = :id AND outcome = 'loaded')
        """
        with self._writing(lease, delivery) as tx:
            given_up = tx.change(sql, {"id": delivery.id}) > 0
            if given_up:
                note(tx, lease, delivery.id, StepName.ABANDONED, "its files are gone")
            return given_up

    def adopt(self, lease: Lease, delivery: Delivery, name: str, stored: StoredObject) -> Delivery:
        """Claim a file's new version in place of the one that went before it was judged.

        Raises:
            LeaseLost: another run has taken over.
        """
        sql = """
            UPDATE import_files SET kind = :kind, key = :key, etag = :etag, size_bytes = :size_bytes,
                modified_at_ms = :modified_at_ms
            WHERE delivery_id = :id AND name = :name AND outcome IS NULL
        """
        row = {"id": delivery.id, "name": name, "kind": kind_of(name, stored.size_bytes).value, **stored_row(stored)}
        with self._writing(lease, delivery) as tx:
            if tx.change(sql, row):
                note(tx, lease, delivery.id, StepName.ADOPTED, name)
            [adopted] = deliveries_where(tx, "id = :id", {"id": delivery.id})
            return adopted

    def reject(self, lease: Lease, delivery: Delivery, outcome: FileOutcome, places: Sequence[FaultPlace]) -> None:
        """Note a file's faults; a file that was judged before keeps that (rule F1).

        Raises:
            LeaseLost: another run has taken over.
        """
        with self._writing(lease, delivery) as tx:
            if outcome.name not in outcomes_of(tx, delivery.id):
                _judge(tx, lease, delivery, outcome, places)

    @property
    def shared(self) -> bool:
        """Whether other runs may write to the ledger while a load goes on."""
        return self._store.shared

    def load(
        self,
        lease: Lease,
        delivery: Delivery,
        valid: "ValidFile",
        *,
        entity: Entity,
        name: str,
        size_bytes: int,
        sha256: str,
        clear_blanks: bool,
        progress: Callable[[], None] = lambda: None,
    ) -> FileOutcome:
        """Load a file's records and note it, in one transaction: exactly once, whatever crashes (rules L2, L3).

        Args:
            lease: the feed's; it is renewed at the end.
            delivery: the claim that the file belongs to.
            valid: the file.
            entity: what its rows are.
            name: its name in the folder.
            size_bytes: as stored.
            sha256: of the stored bytes.
            clear_blanks: whether a blank cell empties the attribute (rule V1).
            progress: called now and then; what it raises undoes the load. It may write to the ledger only
                where the store is `shared`: elsewhere the ledger waits for this transaction.

        Returns:
            What became of the file; where it was judged before, what became of it then.

        Raises:
            CountsDisagree: rows are not accounted for; nothing was loaded.
            StoreConflict: the tables do not fit the attributes; nothing was loaded.
            LeaseLost: another run has taken over; nothing was loaded.
        """
        # Only looked at, and in a view of its own: what is locked for as long as a load takes holds up its successor.
        with self._store.read() as reader:
            confirm(reader, lease)
            if judged := outcomes_of(reader, delivery.id).get(name):
                return judged
        with self._store.transaction() as tx:
            counts = tx.upsert(entity, valid, clear_blanks=clear_blanks, progress=progress)
            _reconcile(name, valid, counts)
            hold(tx, lease)
            outcome = FileOutcome(name, size_bytes, sha256, valid.rows, counts, ())
            _judge(tx, lease, delivery, outcome, [])
        return outcome

    def decide(
        self,
        lease: Lease,
        delivery: Delivery,
        *,
        success: bool,
        status_txt: bytes,
        status_json: bytes,
        errors_csv: bytes | None,
        catalogue_hash: str,
        moves: Sequence[Move],
        callback_body: bytes | None,
    ) -> None:
        """Freeze what is written, moved and told; a delivery that was decided before keeps that (rule P5).

        One with nothing to move has moved it.

        Raises:
            LeaseLost: another run has taken over.
        """
        sql = """
            UPDATE import_deliveries SET stage = :stage, verdict = :verdict, status_txt = :status_txt,
                status_json = :status_json, errors_csv = :errors_csv, catalogue_hash = :catalogue_hash
            WHERE id = :id AND stage = 'claimed'
        """
        verdict = verdict_of(success)
        row = {
            "id": delivery.id,
            "stage": (Stage.DECIDED if moves else Stage.MOVED_ASIDE).value,
            "verdict": verdict,
            "status_txt": status_txt.decode(),
            "status_json": status_json.decode(),
            "errors_csv": None if errors_csv is None else errors_csv.decode(),
            "catalogue_hash": catalogue_hash,
        }
        with self._writing(lease, delivery) as tx:
            if not tx.change(sql, row):
                return
            note(tx, lease, delivery.id, StepName.DECIDED, verdict)
            for position, move in enumerate(moves):
                _put_move(tx, delivery, position, move)
            if callback_body is not None:
                put_callback(tx, delivery, callback_body)

    def advance(
        self, lease: Lease, delivery: Delivery, stage: Stage, beside: Iterable[tuple[StepName, str]] = ()
    ) -> None:
        """Note that a decided delivery has come to its next stage; nothing happens where it has come further.

        Args:
            lease: the feed's.
            delivery: which.
            stage: the next one.
            beside: what else to note of the way there, with its detail.

        Raises:
            LeaseLost: another run has taken over.
            ValueError: the stage is not the next one.
        """
        stages = list(Stage)
        with self._writing(lease, delivery) as tx:
            [(reached,)] = tx.execute("SELECT stage FROM import_deliveries WHERE id = :id", {"id": delivery.id})
            steps = stages.index(stage) - stages.index(Stage(reached))
            if steps > 1 or (steps == 1 and stage is Stage.DECIDED):
                raise ValueError(f"a delivery that is {reached} cannot be {stage} next")
            if steps == 1:
                sql = "UPDATE import_deliveries SET stage = :stage WHERE id = :id"
                tx.execute(sql, {"id": delivery.id, "stage": stage.value})
                for name, detail in (*beside, (StepName(stage.value), "")):
                    note(tx, lease, delivery.id, name, detail)

    def finish(self, lease: Lease, delivery: Delivery) -> None:
        """Close a delivery whose folder is cleared; what its callback still needs is in the outbox.

        Raises:
            LeaseLost: another run has taken over.
            ValueError: the folder is not cleared.
        """
        sql = """
            UPDATE import_deliveries SET finished_at_ms = :now
            WHERE id = :id AND stage = 'cleared' AND finished_at_ms IS NULL
        """
        with self._writing(lease, delivery) as tx:
            if tx.change(sql, {"id": delivery.id, "now": tx.now_ms()}):
                note(tx, lease, delivery.id, StepName.FINISHED)
            elif not tx.execute(
                "SELECT 1 FROM import_deliveries WHERE id = :id AND stage = 'cleared'", {"id": delivery.id}
            ):
                raise ValueError(f"delivery {delivery.id} is not cleared")

    def note_step(self, lease: Lease, delivery_id: str, name: StepName, detail: str = "") -> None:
        """Note what changes nothing in the ledger; whether or not this ledger knows the delivery.

        Raises:
            LeaseLost: another run has taken over.
        """
        with writing(self._store, lease) as tx:
            note(tx, lease, delivery_id, name, detail)

    @contextmanager
    def _writing(self, lease: Lease, delivery: Delivery) -> Iterator[Transaction]:
        """A transaction in which the lease of the delivery's feed is held."""
        if lease.feed != delivery.feed:
            raise ValueError(f"a lease of {lease.feed!r} says nothing about {delivery.feed!r}")
        with writing(self._store, lease) as tx:
            yield tx


def _put_file(tx: Transaction, delivery_id: str, position: int, file: DeliveryFile) -> None:
    sql = """
        INSERT INTO import_files (delivery_id, position, name, kind, key, etag, size_bytes, modified_at_ms)
        VALUES (:delivery_id, :position, :name, :kind, :key, :etag, :size_bytes, :modified_at_ms)
    """
    key: Parameters = {"delivery_id": delivery_id, "position": position, "name": file.name, "kind": file.kind.value}
    tx.execute(sql, {**stored_row(file.stored), **key})


def _put_move(tx: Transaction, delivery: Delivery, position: int, move: Move) -> None:
    sql = """
        INSERT INTO import_moves (delivery_id, position, key, etag, size_bytes, modified_at_ms, target_key)
        VALUES (:delivery_id, :position, :key, :etag, :size_bytes, :modified_at_ms, :target_key)
    """
    key: Parameters = {"delivery_id": delivery.id, "position": position, "target_key": move.target_key}
    tx.execute(sql, {**stored_row(move.source), **key})


def _judge(
    tx: Transaction, lease: Lease, delivery: Delivery, outcome: FileOutcome, places: Sequence[FaultPlace]
) -> None:
    """Write the outcome of a file that has none yet."""
    sql = """
        UPDATE import_files SET outcome = :outcome, read_bytes = :read_bytes, sha256 = :sha256, rows = :rows,
            created = :created, updated = :updated, unchanged = :unchanged, repeated = :repeated,
            issues = :issues, fault_places = :fault_places
        WHERE delivery_id = :delivery_id AND name = :name AND outcome IS NULL
            AND EXISTS (SELECT 1 FROM import_deliveries WHERE id = :delivery_id AND stage = 'claimed')
    """
    key = {"delivery_id": delivery.id, "name": outcome.name}
    if not tx.change(sql, {**key, **outcome_row(outcome, places)}):
        raise ValueError(f"{outcome.name} is no undecided file of delivery {delivery.id}")
    note(tx, lease, delivery.id, StepName.LOADED if outcome.counts else StepName.REJECTED, outcome.name)


def _reconcile(name: str, valid: "ValidFile", counts: LoadCounts) -> None:
    """See that every row is accounted for, with the repeated ids as validation and as the load counted them."""
    records = counts.created + counts.updated + counts.unchanged
    for repeated in (valid.repeated, counts.repeated):
        if records + repeated != valid.rows:
            raise CountsDisagree(name, valid.rows, records + repeated)

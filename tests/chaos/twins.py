"""Importers with one thing done wrong: the matrix must notice each of them. Applied in the importer's own process."""

import hashlib
import io
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from blocks import leases, ledger, outbox, postgres_load, record_tables
from blocks.s3_drop_zone import S3DropZone
from blocks.status_endpoint import StatusEndpoint
from flows import import_feed as flow
from schemas.delivery import Stage
from schemas.drop_zone import STATUS_JSON, STATUS_TEXT, ObjectKind
from schemas.outcome import DeliveryOutcome, FileOutcome
from tasks import archive as archiving
from tasks import claim
from tasks import decide as verdict
from tasks.connect import Unfinished
from tasks.notify import Told


def status_before_the_copies():
    right = flow.archive

    async def archive(feed, held, delivery, decision):
        folder = feed.settings.zone.processed_folder(delivery.day)
        feed.drop_zone.put(f"{folder}/{STATUS_TEXT}", decision.status_txt, content_type="text/plain; charset=utf-8")
        await right(feed, held, delivery, decision)

    flow.archive = archive


def marker_deleted_last():
    async def clear(feed, held, delivery):
        for file in sorted(delivery.files, key=lambda file: file.kind is ObjectKind.MARKER):
            feed.drop_zone.delete(file.stored)
        feed.ledger.advance(held.lease, delivery, Stage.CLEARED)

    flow.clear = clear


def deleted_without_looking():
    def delete(self, stored):
        self._client.delete_object(Bucket=self.zone.bucket, Key=stored.key)
        return True

    S3DropZone.delete = delete


def nothing_makes_way():
    async def move_aside(feed, held, delivery, decision):
        feed.ledger.advance(held.lease, delivery, Stage.MOVED_ASIDE)

    flow.move_aside = move_aside


def nothing_is_resumed():
    async def unfinished(feed, held):
        return Unfinished([], callbacks_due=False)

    flow.unfinished = unfinished


def deleted_under_no_condition():
    def delete(self, stored):
        if found := self.head(stored.key) == stored:
            self._client.delete_object(Bucket=self.zone.bucket, Key=stored.key)
        return found

    S3DropZone.delete = delete


def read_whatever_is_there():
    def body(self, stored):
        return self._client.get_object(Bucket=self.zone.bucket, Key=stored.key)["Body"]

    def download(self, stored, path, progress):
        content = body(self, stored).read()
        path.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    S3DropZone.download = download


def archive_overwritten():
    nothing_makes_way()

    def put(self, key, body, *, content_type):
        content = io.BytesIO(body) if isinstance(body, bytes) else body.open("rb")
        self._client.put_object(Bucket=self.zone.bucket, Key=key, Body=content, ContentType=content_type)

    def copy(self, source, target_key):
        origin = {"Bucket": self.zone.bucket, "Key": source.key}
        self._client.copy_object(Bucket=self.zone.bucket, Key=target_key, CopySource=origin)

    S3DropZone.put, S3DropZone.copy = put, copy


def no_fence():
    leases._MINE = "feed = :feed"


def ledger_beside_the_transaction():
    def load(self, lease, delivery, valid, *, entity, name, size_bytes, sha256, clear_blanks, progress):
        with self._store.transaction() as tx:
            counts = tx.upsert(entity, valid, clear_blanks=clear_blanks, progress=progress)
        with self._writing(lease, delivery) as tx:
            outcome = FileOutcome(name, size_bytes, sha256, valid.rows, counts, ())
            ledger._judge(tx, lease, delivery, outcome, [])
        return outcome

    ledger.Ledger.load = load


def callback_under_new_ids():
    right = StatusEndpoint.send

    def send(self, callback, *, now):
        return right(self, replace(callback, id=str(uuid.uuid4())), now=now)

    StatusEndpoint.send = send


def callback_ticked_off_first():
    async def notify(feed, held):
        for callback in feed.ledger.due_callbacks(feed.settings.feed):
            feed.ledger.record_answer(held.lease, callback.id, received=True, next_attempt_at=None, answer="")
            feed.settings.status_endpoint.send(callback, now=datetime.now(UTC))
        return Told()

    flow.notify = notify


def callback_before_the_archive():
    right, told = flow.archive, flow.notify
    outbox._FINISHED = "1 = 1"

    async def archive(feed, held, delivery, decision):
        await told(feed, held)
        await right(feed, held, delivery, decision)

    flow.archive = archive


def spools_left_behind():
    claim.remove_spools = lambda delivery_id: None


def probes_under_new_names():
    def probe(self):
        key = f"{self.zone.processed_prefix}.{uuid.uuid4()}"
        self._client.put_object(Bucket=self.zone.bucket, Key=key, Body=b"")
        self._client.delete_object(Bucket=self.zone.bucket, Key=key)

    S3DropZone.probe = probe


def record_without_product():
    record_tables._add_products = lambda *_: None
    postgres_load._add_products = lambda *_: None


def callback_of_another_verdict():
    right = DeliveryOutcome.callback_body

    def callback_body(self, folder):
        return json.dumps({**json.loads(right(self, folder)), "success": not self.success}).encode()

    DeliveryOutcome.callback_body = callback_body


def callback_of_another_folder():
    right = DeliveryOutcome.callback_body
    DeliveryOutcome.callback_body = lambda self, folder: right(self, "/nowhere")


def told_in_json(**wrong):
    right = DeliveryOutcome.status_json.fget

    def status_json(self):
        told = json.loads(right(self))
        told["files"] = [
            {**file, **{name: wrong[name] for name in wrong.keys() & file.keys()}} for file in told["files"]
        ]
        return json.dumps({**told, **{name: wrong[name] for name in wrong.keys() & told.keys()}}).encode()

    DeliveryOutcome.status_json = property(status_json)


def another_digest():
    told_in_json(sha256="0" * 64)


def other_counts():
    told_in_json(created=999)


def another_delivery():
    told_in_json(delivery_id=str(uuid.uuid4()))


def another_status():
    DeliveryOutcome.status_txt = property(lambda _: b"SUCCESS\nfine\n")


def other_fault_places():
    verdict.errors_csv = lambda places, most: b"none"


def a_draft_of_the_status():
    right = S3DropZone.put

    def put(self, key, body, *, content_type):
        if key.endswith(STATUS_TEXT):
            self._client.put_object(Bucket=self.zone.bucket, Key=key, Body=b"SUCCESS\nsoon\n")
            self._client.delete_object(Bucket=self.zone.bucket, Key=key)
        right(self, key, body, content_type=content_type)

    S3DropZone.put = put


def callback_written_anew():
    right = StatusEndpoint.send

    def send(self, callback, *, now):
        return right(self, replace(callback, body=callback.body + b" " * callback.attempts), now=now)

    StatusEndpoint.send = send


def rejected_row_loaded():
    right = ledger.Ledger.reject

    def reject(self, lease, delivery, outcome, places):
        with self._store.transaction() as tx:
            tx.change("INSERT INTO users (id, email, score) VALUES ('u7', 'lea@example.com', 7)")
        right(self, lease, delivery, outcome, places)

    ledger.Ledger.reject = reject


def record_lost():
    right = ledger.Ledger.load

    def load(self, *parts, **named):
        outcome = right(self, *parts, **named)
        with self._store.transaction() as tx:
            tx.change("DELETE FROM users")
            tx.change("DELETE FROM user_products")
        return outcome

    ledger.Ledger.load = load


def status_before_its_companion():
    right, held = S3DropZone.put, []

    def put(self, key, body, *, content_type):
        if key.endswith(STATUS_JSON):
            held.append((key, body, content_type))
            return
        right(self, key, body, content_type=content_type)
        for late, content, kind in held if key.endswith(STATUS_TEXT) else []:
            right(self, late, content, content_type=kind)

    S3DropZone.put = put


def cleared_before_the_status():
    right = flow.archive

    async def archive(feed, held, delivery, decision):
        for file in delivery.files:
            feed.drop_zone.delete(file.stored)
        await right(feed, held, delivery, decision)

    flow.archive = archive


def marker_not_archived():
    archiving._archive_marker = lambda *_: None


def nothing_is_finished():
    nothing_is_resumed()
    ledger.Ledger.finish = lambda *_: None


def deliveries_forgotten():
    right = ledger.Ledger.finish

    def finish(self, lease, delivery):
        right(self, lease, delivery)
        with self._store.transaction() as tx:
            tx.change("DELETE FROM import_deliveries")

    ledger.Ledger.finish = finish


def copied_whatever_is_there():
    def copy(self, source, target_key):
        origin = {"Bucket": self.zone.bucket, "Key": source.key}
        self._client.copy_object(Bucket=self.zone.bucket, Key=target_key, CopySource=origin, IfNoneMatch="*")

    S3DropZone.copy = copy


def crashes():
    async def archive(*_):
        raise ZeroDivisionError

    flow.archive = archive

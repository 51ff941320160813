"""Importers with one thing done wrong: the matrix must notice each of them. Applied in the importer's own process."""

import hashlib
import io
import uuid
from dataclasses import replace
from datetime import UTC, datetime

from blocks import leases, ledger
from blocks.s3_drop_zone import S3DropZone
from blocks.status_endpoint import StatusEndpoint
from flows import import_feed as flow
from schemas.delivery import Stage
from schemas.drop_zone import STATUS_TEXT, ObjectKind
from schemas.outcome import FileOutcome
from tasks import claim
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
    async def move_aside(feed, held, decision):
        pass

    flow.move_aside = move_aside


def nothing_is_resumed():
    async def unfinished(feed, held):
        return []

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
    right, told = flow.move_aside, flow.notify

    async def move_aside(feed, held, decision):
        await told(feed, held)
        await right(feed, held, decision)

    flow.move_aside = move_aside


def spools_left_behind():
    claim.remove_spools = lambda delivery_id: None


def probes_under_new_names():
    def probe(self):
        key = f"{self.zone.processed_prefix}.{uuid.uuid4()}"
        self._client.put_object(Bucket=self.zone.bucket, Key=key, Body=b"")
        self._client.delete_object(Bucket=self.zone.bucket, Key=key)

    S3DropZone.probe = probe

"""Importers with one thing done wrong: the matrix must notice each of them. Applied in the importer's own process."""

from blocks.s3_drop_zone import S3DropZone
from flows import import_feed as flow
from schemas.delivery import Stage
from schemas.drop_zone import STATUS_TEXT, ObjectKind


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
    async def unfinished(feed):
        return []

    flow.unfinished = unfinished

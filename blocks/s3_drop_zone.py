"""The door to one feed's bucket: every request to S3 is made here, and every refusal translated.

Four rights suffice: ListBucket, GetObject, PutObject and DeleteObject (rule R4). Each verb is harmless when
it is repeated, by botocore after a lost answer or by a later run after a crash (rule R1): a write creates
or finds its own earlier work, a delete takes only the version it is given.
"""

import contextlib
import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from blocks.aws_session import Attempt, answer_of, fault_of
from blocks.s3_content import TRIES, made_anew, pause, read_whole
from blocks.s3_patience import patient
from schemas.drop_zone import DropZone, StoredObject
from schemas.errors import DropZoneBusy, DropZoneSilent, ObjectChanged, PlaceTaken, SettingsError

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_LIST, _GET, _PUT, _DELETE = "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
_GONE = {"404", "NoSuchKey"}
_UNMET = {"412", "PreconditionFailed"}
_COLLISION = {"409", "ConditionalRequestConflict"}
_CONFLICTS = f"S3 reported a conflict {TRIES} times"
#: Statuses without a body: they do not say whether it is the keys, the clock, the region or a right.
_MUTE = {"301", "400", "403"}
#: A million objects. A listing that goes on may have no end, and all of it is kept in memory.
MOST_PAGES = 1000


class S3DropZone:
    """One feed's bucket and the verbs on it.

    Attributes:
        zone: which bucket, and where in it.
    """

    def __init__(
        self,
        client: "S3Client",
        zone: DropZone,
        *,
        sse: str = "",
        kms_key_id: str = "",
        call_seconds: float | None = None,
    ) -> None:
        """Keep the parts; nothing is asked yet.

        Args:
            client: see `aws_session.s3_client`.
            zone: the feed's bucket and root.
            sse: mode of server-side encryption for every write, `AES256` or `aws:kms`; empty leaves it to the bucket.
            kms_key_id: key for `aws:kms`; empty means the account's default key.
            call_seconds: how long one request may take, all its tries together; None for the usual time.
        """
        self.zone = zone
        self._client = patient(client, call_seconds)
        self._encryption: dict[str, Any] = {}
        if sse:
            self._encryption["ServerSideEncryption"] = sse
        if kms_key_id:
            self._encryption["SSEKMSKeyId"] = kms_key_id

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object below a prefix, however deep, a page at a time.

        Raises:
            DropZoneBusy: S3 does not answer, or the listing has no end.
            AccessRefused: the credentials or the right s3:ListBucket are missing.
            NotThere: there is no such bucket.
            SettingsError: the bucket's name or region cannot be right.
        """
        asked: dict[str, Any] = {"Bucket": self.zone.bucket, "Prefix": prefix}
        for _ in range(MOST_PAGES):
            with self._asking("list", prefix, _LIST):
                page = self._client.list_objects_v2(**asked)
            if "IsTruncated" not in page:  # a web page reads like an empty listing
                raise DropZoneBusy("list", self.zone.url(prefix), "the answer is not S3's; check endpoint_url")
            for entry in page.get("Contents", ()):
                yield _stored(entry["Key"], entry["ETag"], entry["Size"], entry["LastModified"])
            if not page["IsTruncated"]:
                return
            if page.get("NextContinuationToken") in {None, asked.get("ContinuationToken")}:
                break
            asked["ContinuationToken"] = page["NextContinuationToken"]
        reason = "its listing has no end; check endpoint_url, and that fewer than a million objects lie there"
        raise DropZoneBusy("list", self.zone.url(prefix), reason)

    def head(self, key: str) -> StoredObject | None:
        """The object as it is now, None where none is seen: perhaps there is no such bucket either, see `find`.

        Raises:
            DropZoneBusy, AccessRefused, NotThere, SettingsError: as for `list`, with the right s3:GetObject.
        """
        with self._asking("look at", key, _GET):
            try:
                seen = self._client.head_object(Bucket=self.zone.bucket, Key=key)
            except ClientError as error:
                if _code(error) in _GONE:
                    return None
                if _code(error) in _MUTE:
                    self._is_listed(key)  # that answer says what is wrong; where nothing is, the right is missing
                raise
        return _stored(key, seen["ETag"], seen["ContentLength"], seen["LastModified"])

    def find(self, key: str) -> StoredObject | None:
        """The object as it is now, None only where it is surely gone: what follows from that cannot be undone.

        A look has the same answer for a missing object and a missing bucket; a listing has not.

        Raises:
            DropZoneBusy: also where the object is listed and yet not seen.
            AccessRefused, NotThere, SettingsError: as for `list`, with the right s3:GetObject.
        """
        for attempt in range(TRIES):
            pause(attempt)
            found = self.head(key)
            if found or not self._is_listed(key):
                return found
        raise DropZoneBusy("look at", self.zone.url(key), "it is listed, and yet S3 says that it is not there")

    def _is_listed(self, key: str) -> bool:
        return any(stored.key == key for stored in itertools.islice(self.list(key), 1))

    def download(self, stored: StoredObject, path: Path, progress: Callable[[], None] = lambda: None) -> str:
        """Bring exactly this version of an object to a file that only this user can read; its SHA-256 in hex.

        A body that breaks off starts over, five times at most: botocore repeats requests, not bodies.
        Where this raises, no file is left.

        Args:
            stored: the version that was claimed.
            path: made anew.
            progress: called at every MiB, to keep a lease alive; what it raises ends the download.

        Raises:
            ObjectChanged: the object is gone or is another version (rule D6).
            DropZoneBusy: S3 does not answer, the body broke off each time, or the file cannot be written.
            AccessRefused, NotThere, SettingsError: as for `list`, with the right s3:GetObject.
        """
        try:
            with made_anew(path) as file:
                return self._read(stored, file, progress)
        except OSError as error:
            said = error.strerror or type(error).__name__
            reason = f"{path} cannot be written ({said}); make room there, or name another folder in TMPDIR"
            raise DropZoneBusy("download", self.zone.url(stored.key), reason) from error

    def read(self, stored: StoredObject) -> bytes:
        """The content of exactly this version, for small objects. Raises like `download`."""
        content = io.BytesIO()
        self._read(stored, content, lambda: None)
        return content.getvalue()

    def sha256(self, stored: StoredObject) -> str:
        """SHA-256 of exactly this version, in hex. Raises like `download`."""
        return self._read(stored, None, lambda: None)

    def put(self, key: str, body: bytes | Path, *, content_type: str) -> None:
        """Create an object; one that is there already with the same content is success.

        Raises:
            PlaceTaken: something else is there; it is left as it is.
            DropZoneBusy, AccessRefused, NotThere, SettingsError: as for `list`, with the rights s3:PutObject
                and s3:GetObject.
        """
        with body.open("rb") if isinstance(body, Path) else io.BytesIO(body) as content:
            size_bytes = content.seek(0, os.SEEK_END)

            def is_same(found: StoredObject) -> bool:
                content.seek(0)
                same_size = found.size_bytes == size_bytes
                return same_size and self.sha256(found) == hashlib.file_digest(content, "sha256").hexdigest()

            def send() -> None:
                content.seek(0)
                self._client.put_object(
                    Bucket=self.zone.bucket,
                    Key=key,
                    Body=content,
                    ContentType=content_type,
                    IfNoneMatch="*",
                    **self._encryption,
                )

            self._create(key, is_same, send)

    def copy(self, source: StoredObject, target_key: str) -> None:
        """Create a copy of exactly this version within the bucket; one that is there already is success.

        Where the source is gone and something of its size stands at the target, an earlier attempt has moved it.

        Raises:
            ObjectChanged: the source is gone or is another version, and has not been copied before (rule D6).
            PlaceTaken: something else is at the target; it is left as it is.
            DropZoneBusy, AccessRefused, NotThere, SettingsError: as for `list`, with the rights s3:GetObject
                and s3:PutObject.
        """

        def is_same(found: StoredObject) -> bool:
            if found.size_bytes != source.size_bytes:
                return False
            # Encryption with KMS and multipart uploads give one content different ETags.
            if found.etag == source.etag or self.find(source.key) is None:
                return True
            return self.sha256(found) == self.sha256(source)

        def send() -> None:
            self._client.copy_object(
                Bucket=self.zone.bucket,
                Key=target_key,
                CopySource={"Bucket": self.zone.bucket, "Key": source.key},
                CopySourceIfMatch=_quoted(source),
                IfNoneMatch="*",
                TaggingDirective="REPLACE",  # with no tags: reading the source's would take one more right
                **self._encryption,
            )

        self._create(target_key, is_same, send, source)

    def delete(self, stored: StoredObject) -> bool:
        """Delete exactly this version; False where something newer is there, which stays (rule D6).

        A marker is empty and so has the same ETag for ever: its time tells a newer one, which is why the
        object is looked at first. Some stores ignore the condition on a delete, too.

        Raises:
            DropZoneBusy, AccessRefused, NotThere, SettingsError: as for `list`, with the rights s3:GetObject
                and s3:DeleteObject.
        """
        for attempt in range(TRIES):
            pause(attempt)
            found = self.find(stored.key)
            if found != stored:
                return found is None
            with self._asking("delete", stored.key, _DELETE):
                try:
                    self._client.delete_object(Bucket=self.zone.bucket, Key=stored.key, IfMatch=_quoted(stored))
                except ClientError as error:
                    if _code(error) not in _GONE | _UNMET | _COLLISION:
                        raise
                    continue  # and look again: it is gone, it is newer, or the store was busy with it
                return True
        raise DropZoneBusy("delete", self.zone.url(stored.key), _CONFLICTS)

    def probe(self) -> None:
        """Make sure that the archive can be written: without that, a delivery could be loaded but never reported.

        The delete is asked for first: where it is not granted, no litter is left. The name is always the same, so that
        what a killed run left behind goes with the next probe.

        Raises:
            DropZoneBusy, AccessRefused, NotThere, SettingsError: as for `list`, with the rights s3:PutObject
                and s3:DeleteObject.
        """
        key = f"{self.zone.processed_prefix}.px-import-probe"
        with self._asking("delete below", self.zone.processed_prefix, _DELETE):
            self._client.delete_object(Bucket=self.zone.bucket, Key=key)
        with self._asking("write below", self.zone.processed_prefix, _PUT):
            self._client.put_object(Bucket=self.zone.bucket, Key=key, Body=b"", **self._encryption)
        with self._asking("delete below", self.zone.processed_prefix, _DELETE):
            self._client.delete_object(Bucket=self.zone.bucket, Key=key)

    def _create(
        self,
        key: str,
        is_same: Callable[[StoredObject], bool],
        send: Callable[[], None],
        source: StoredObject | None = None,
    ) -> None:
        """Look, write, and after a refused condition look again.

        The condition may be refused because an earlier try of this very write took effect and its answer got
        lost. Looking first is for the stores that ignore the condition.
        """
        for attempt in range(TRIES):
            pause(attempt)
            found = self.head(key)
            if found is not None:
                if is_same(found):
                    return
                raise PlaceTaken(self.zone.url(key))
            if attempt and source is not None:
                self._must_still_be(source)
            with self._asking("write", key, f"{_PUT} and {_GET}" if source else _PUT):
                try:
                    send()
                except ClientError as error:
                    if _code(error) not in _GONE | _UNMET | _COLLISION:
                        raise
                else:
                    return
        raise DropZoneBusy("write", self.zone.url(key), _CONFLICTS)

    def _must_still_be(self, source: StoredObject) -> None:
        found = self.find(source.key)
        if found is None or (found.etag, found.size_bytes) != (source.etag, source.size_bytes):
            raise ObjectChanged(self.zone.url(source.key))

    def _read(self, stored: StoredObject, file: BinaryIO | None, progress: Callable[[], None]) -> str:
        return read_whole(lambda: self._body(stored), stored.size_bytes, self.zone.url(stored.key), file, progress)

    def _body(self, stored: StoredObject) -> "StreamingBody":
        """The opened content of exactly this version."""
        with self._asking("download", stored.key, _GET):
            try:
                answer = self._client.get_object(Bucket=self.zone.bucket, Key=stored.key, IfMatch=_quoted(stored))
            except ClientError as error:
                if _code(error) in _GONE | _UNMET:
                    raise ObjectChanged(self.zone.url(stored.key)) from None
                raise
        if answer["ETag"].strip('"') != stored.etag:  # some stores ignore the condition
            answer["Body"].close()
            raise ObjectChanged(self.zone.url(stored.key))
        return answer["Body"]

    @contextlib.contextmanager
    def _asking(self, action: str, key: str, right: str) -> Iterator[None]:
        """Around every request: what the library raises becomes one of our exceptions."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            # The cause is cut off: its text may show a header with a token in it (rule S10).
            raise fault_of(error, Attempt(action, self.zone.url(key), right)) from None
        except RecursionError:  # botocore asks where the bucket lies, is sent elsewhere, and asks where the bucket lies
            problem = f"{self.zone.url(key)} is not there, every request is redirected; write where that leads"
            raise SettingsError("endpoint_url", problem) from None
        except TimeoutError as error:
            reason = f"{error}; check the network and endpoint_url"
            raise DropZoneSilent(action, self.zone.url(key), reason) from None


def _stored(key: str, etag: str, size_bytes: int, modified_at: datetime) -> StoredObject:
    return StoredObject(key, etag.strip('"'), size_bytes, modified_at.astimezone(UTC).replace(microsecond=0))


def _quoted(stored: StoredObject) -> str:
    return f'"{stored.etag}"'


def _code(error: ClientError) -> str:
    return answer_of(error)[1]

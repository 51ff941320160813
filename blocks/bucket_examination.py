"""Looks at a feed's bucket and tries each right on a probe, without touching anything else (rules S3, S7, R4).

The probe and its copy have fixed names below `processed/`, so that what a killed check left goes with the next one.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from blocks.aws_session import Attempt, answer_of, fault_of, s3_client, sts_client
from blocks.conditional_requests import Trial, copy_probe, trials
from blocks.import_settings import ImportSettings
from blocks.s3_drop_zone import S3DropZone
from schemas.diagnosis import NotChecked, Remark, State, clock_remarks
from schemas.drop_zone import StoredObject, Survey, survey
from schemas.errors import AccessRefused, ImporterError, NotThere, SettingsError
from schemas.feed_findings import folder_remarks
from schemas.issues import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from prefect_aws import AwsCredentials

PROBE, PROBE_COPY = ".px-import-doctor", ".px-import-doctor-copy"
#: A check is no import: it says soon that nobody answers.
IMPATIENCE = {"connect_timeout": 3, "read_timeout": 6, "retries": {"mode": "standard", "total_max_attempts": 2}}
_LIST, _GET, _PUT, _DELETE = "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
_ANOTHER_CHECK = "another check of this feed is at work; repeat this one"
_SHOWN_NAMES = 5
_MOST_LISTED = 50_000


class BucketExamination:
    """The checks of one feed's bucket, to be made in the order in which they stand here: each builds on others."""

    def __init__(self, settings: ImportSettings) -> None:
        """Keep the settings; nobody is asked yet."""
        self._settings, self._zone = settings, settings.zone
        self._client: S3Client | None = None
        self._stopped = "it is not clear who asks"
        self._dates: tuple[float, float] | None = None  # S3's clock and ours
        self._survey: Survey | None = None
        self._existing: StoredObject | None = None
        self._probe = b""  # its content once it stands there
        self._reads = False

    def identity(self) -> Iterator[Remark]:
        """Who the importer is; a store that has no STS does not say."""
        authorization = _impatient(self._settings.authorization)
        settings = self._settings
        place = {"region": settings.region, "endpoint_url": settings.endpoint_url}
        place |= {"sts_endpoint_url": settings.sts_endpoint_url}
        self._client = s3_client(authorization, **place)
        host = urlsplit(self._client.meta.endpoint_url).hostname or ""
        is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        key = authorization.aws_access_key_id or ""
        try:
            sts = sts_client(authorization, **(place if not is_aws else {**place, "endpoint_url": ""}))
            with contextlib.closing(sts):
                yield State.OK, str(sts.get_caller_identity()["Arn"])
        except (ClientError, BotoCoreError, KeyError) as error:
            if not isinstance(error, KeyError):
                self._refuse(error, is_aws=is_aws)
            signed = f"with the key that ends in {key[-4:]}" if len(key) > 8 else "with this machine's credentials"
            yield State.OK, f"requests are signed {signed}; {host} has no STS that would say who that is"
        self._stopped = ""

    def bucket(self) -> Iterator[Remark]:
        """Whether the bucket is there, and where."""
        client, url = self._asked(), self._zone.url()
        self._stopped = "the bucket cannot be used, see bucket"
        try:
            answer: Any = client.head_bucket(Bucket=self._zone.bucket)
        except ClientError as error:
            answer = error.response
            self._note_date(answer)
            if answer_of(error)[0] == 404:
                raise NotThere(url, "create the bucket or correct the setting bucket") from None
            self._find_out_why(error)
        except BotoCoreError as error:
            raise fault_of(error, Attempt("reach", url, _LIST)) from None
        self._note_date(answer)
        self._stopped = ""
        yield self._region(_region_of(answer))

    def s3_clock(self) -> Iterator[Remark]:
        """Whether S3's clock and this machine's agree: signatures carry the time."""
        if not self._dates:
            raise NotChecked("S3 did not tell its time")
        yield from clock_remarks("S3's clock", self._dates[0] - self._dates[1], "S3 refuses beyond 15 minutes")

    def list(self) -> Iterator[Remark]:
        """Whether the bucket may be listed, and whether the feed's folders are there."""
        door = self._door()
        found = list(islice(door.list(self._zone.current_prefix), _MOST_LISTED + 1))
        self._existing = next((stored for stored in found if stored.size_bytes), None)
        where = self._zone.url(self._zone.current_prefix)
        if len(found) > _MOST_LISTED:
            problem = f"{where} holds more than {_MOST_LISTED:,} objects: each tick lists them all"
            yield State.WARNING, f"{problem}; take away what is no delivery"
            return
        self._survey = survey(self._zone, found)
        if found:
            yield State.OK, f"{where} holds {len(found)} object{'s' * (len(found) != 1)}"
            return
        if any(True for _ in door.list(self._zone.processed_prefix)):
            yield State.OK, f"{where} is empty: nothing waits"
            return
        problem = f"neither current/ nor processed/ is in {self._zone.url(self._zone.key(''))}{self._what_is_there()}"
        yield State.WARNING, f"{problem}; correct bucket and base_folder, unless nothing was ever delivered"

    def _what_is_there(self) -> str:
        """What lies beside the folders that are missed, in brackets; empty where the rights end at these folders."""
        root = self._zone.key("")
        try:
            with self._asking("list", root, _LIST):
                beside = self._asked().list_objects_v2(Bucket=self._zone.bucket, Prefix=root, Delimiter="/")
        except AccessRefused:
            return ""
        names = [str(part["Prefix"]).removeprefix(root) for part in beside.get("CommonPrefixes", [])]
        names += [str(part["Key"]).removeprefix(root) for part in beside.get("Contents", [])]
        there = ", ".join(shown(name) for name in names[:_SHOWN_NAMES] if name) or "nothing"
        return f" (there is: {there})"

    def folders(self) -> Iterator[Remark]:
        """What waits, and whether it is ready."""
        if self._survey is None:
            raise NotChecked("current/ could not be listed")
        yield from folder_remarks(self._survey)

    def write(self) -> Iterator[Remark]:
        """Whether an object can be put below `processed/`, encrypted as the settings say."""
        client = self._asked()
        try:
            self._remove()
        except AccessRefused:
            raise NotChecked(f"without {_DELETE} a probe would stay, see delete") from None
        content = secrets.token_hex(16).encode()
        key = self._zone.key("processed", PROBE)
        with self._asking("write", key, _PUT):
            client.put_object(Bucket=self._zone.bucket, Key=key, Body=content, **self._encryption)
        self._probe = content
        sse = self._settings.sse
        yield State.OK, f"a probe was put below {self._zone.url(self._zone.processed_prefix)}{sse and f', {sse}'}"

    def read(self) -> Iterator[Remark]:
        """Whether an object can be read."""
        door = self._door()
        if self._probe:
            if not self._reads_back():
                raise NotChecked(_ANOTHER_CHECK)
            self._reads = True
            yield State.OK, "the probe reads as it was written"
        elif self._existing:
            door.head(self._existing.key)
            yield State.OK, f"{self._zone.url(self._existing.key)} can be read"
        else:
            raise NotChecked("there is no object to read")

    def conditions(self) -> Iterator[Remark]:
        """Whether the store honours conditional requests; one that it ignores is a warning."""
        client = self._asked()
        if not self._reads:
            raise NotChecked("it takes a probe that can be written and read")
        probe, copy = (self._object(name) for name in (PROBE, PROBE_COPY))
        with self._asking("copy to", copy["Key"], f"{_PUT} and {_GET}"):
            copy_probe(client, probe, copy, **self._encryption, IfNoneMatch="*")
        honoured = []
        for trial in trials(client, probe, copy, self._probe, self._encryption):
            if self._is_refused(trial):
                honoured.append(trial.condition)
            else:
                yield State.WARNING, f"this store ignores {trial.condition}: {trial.otherwise}"
        if not self._reads_back():
            raise NotChecked(_ANOTHER_CHECK)
        if honoured:
            yield State.OK, f"honoured: {', '.join(honoured)}"

    def delete(self) -> Iterator[Remark]:
        """Whether objects can be deleted: the probe goes."""
        self._asked()
        self._remove()
        yield State.OK, "the probe is removed" if self._probe else "allowed"

    def close(self) -> None:
        """Let go of the connections."""
        if self._client:
            self._client.close()

    @property
    def _encryption(self) -> dict[str, Any]:
        chosen = {"ServerSideEncryption": self._settings.sse, "SSEKMSKeyId": self._settings.kms_key_id}
        return {name: value for name, value in chosen.items() if value}

    def _object(self, name: str) -> dict[str, Any]:
        """What names a probe to boto3."""
        return {"Bucket": self._zone.bucket, "Key": self._zone.key("processed", name)}

    def _asked(self) -> "S3Client":
        """The client, where it makes sense to ask."""
        if self._stopped or self._client is None:
            raise NotChecked(self._stopped)
        return self._client

    def _door(self) -> S3DropZone:
        return S3DropZone(self._asked(), self._zone)

    @contextlib.contextmanager
    def _asking(self, action: str, key: str, right: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise fault_of(error, Attempt(action, self._zone.url(key), right)) from None

    def _refuse(self, error: ClientError | BotoCoreError, *, is_aws: bool) -> None:
        """Raise what STS's answer means, where it is more than that there is no STS."""
        fault = fault_of(error, Attempt("sign in to", "AWS", "sts:GetCallerIdentity"))
        assumed = isinstance(error, ClientError) and error.operation_name == "AssumeRole"
        if is_aws or assumed or (isinstance(error, BotoCoreError) and isinstance(fault, AccessRefused)):
            self._stopped = "nobody is signed in, see identity"
            raise fault from None

    def _find_out_why(self, refusal: ClientError) -> None:
        """Let a listing say what a HEAD, which has no body, could not; the right to list has a check of its own.

        Raises:
            ImporterError: nothing else can be done in this bucket, either.
        """
        try:
            self._client.list_objects_v2(Bucket=self._zone.bucket, MaxKeys=1) if self._client else None
        except ClientError as error:
            _, code, _ = answer_of(error)
            if code in {"AccessDenied", "403"}:
                return
            raise self._named(fault_of(error, Attempt("list", self._zone.url(), _LIST)), refusal) from None
        except BotoCoreError as error:
            raise fault_of(error, Attempt("list", self._zone.url(), _LIST)) from None

    def _named(self, fault: ImporterError, refusal: ClientError) -> ImporterError:
        """The fault, with the bucket's region where S3 told it."""
        region = _region_of(refusal.response)
        if isinstance(fault, SettingsError) and fault.field == "region" and region:
            return SettingsError("region", f"{self._zone.url()} lies in {region}; write region: {region}")
        return fault

    def _region(self, told: str) -> Remark:
        chosen = self._client.meta.region_name if self._client else ""
        if told and told != chosen:
            problem = f"{self._zone.url()} lies in {told}, requests are made for {chosen}"
            return State.WARNING, f"{problem}; write region: {told}"
        where = f"in {told}" if told else "its region was not told"
        return State.OK, f"{self._zone.url()} is there, {where}"

    def _note_date(self, answer: Any) -> None:  # noqa: ANN401 - as botocore types it
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        with contextlib.suppress(ValueError):
            self._dates = (parsedate_to_datetime(date).timestamp(), time.time())

    def _reads_back(self) -> bool:
        """Whether the probe is there and as it was written."""
        key = self._zone.key("processed", PROBE)
        with self._asking("read", key, _GET):
            try:
                body = self._asked().get_object(Bucket=self._zone.bucket, Key=key)["Body"]
            except ClientError as error:
                if answer_of(error)[0] == 404:
                    return False
                raise
        with contextlib.closing(body):
            return body.read(len(self._probe) + 1) == self._probe

    def _is_refused(self, trial: Trial) -> bool:
        """Whether the store honours the condition."""
        with self._asking("try conditional requests below", self._zone.processed_prefix, "all four rights"):
            try:
                trial.request()
            except ClientError as error:
                status = answer_of(error)[0]
                if status in {404, 409}:
                    raise NotChecked(_ANOTHER_CHECK) from None
                if status != 412:
                    raise
                return True
        return False

    def _remove(self) -> None:
        """Delete probe and copy, whether or not they are there."""
        for name in (PROBE, PROBE_COPY):
            key = self._zone.key("processed", name)
            with self._asking("delete", key, _DELETE):
                self._asked().delete_object(Bucket=self._zone.bucket, Key=key)


def _impatient(authorization: "AwsCredentials") -> "AwsCredentials":
    """The same credentials for clients that soon give up."""
    chosen = authorization.aws_client_parameters
    quick = chosen.model_copy(update={"config": {**(chosen.config or {}), **IMPATIENCE}})
    return authorization.model_copy(update={"aws_client_parameters": quick})


def _region_of(answer: Any) -> str:  # noqa: ANN401 - as botocore types it
    """The bucket's region, which S3 tells in a header, also with a refusal."""
    return str(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", ""))

"""Who the importer is to AWS, and what AWS's refusals mean (rule S3).

prefect-aws's block holds the secrets. The session is built here, because the block's own one never
renews the credentials of an assumed role and asks STS without the block's client parameters.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from botocore import exceptions as aws

from schemas.errors import AccessRefused, DropZoneBusy, DropZoneSilent, ImporterError, NotThere, SettingsError
from schemas.issues import one_line

if TYPE_CHECKING:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient
    from prefect_aws import AwsCredentials

_BUSY = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "OperationAborted"}
_OTHER_REGION = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect", "301"}
_ROLE_CURE = "check authorization.role_arn and external_id, and that the role's trust policy admits these credentials"
_FRESH_KEYS = "give fresh keys in authorization, session_token included, or a role, which renews itself"
_KEYS_CURE = "give keys or a role in authorization, or this machine credentials of its own"
_MACHINE_CURE = "see to the credentials of this machine: its profile, role, or the token file of its web identity"
_CURES = {
    "InvalidAccessKeyId": "correct authorization.access_key_id",
    "SignatureDoesNotMatch": "correct authorization.secret_access_key",
    "InvalidToken": "correct authorization.session_token",
    "ExpiredToken": _FRESH_KEYS,
    "TokenRefreshRequired": _FRESH_KEYS,
    "400": _FRESH_KEYS,  # a HEAD has no body to say ExpiredToken in
    "KeyTooLongError": "shorten it: a key has at most 1,024 bytes, folders included",
    "InvalidObjectState": "restore the object from its archive storage class",
}
_SKEWED = {"RequestTimeTooSkewed", "RequestExpired"}
_NO_CREDENTIALS = (aws.NoCredentialsError, aws.PartialCredentialsError)
_MACHINES_OWN = (
    aws.MetadataRetrievalError,
    aws.CredentialRetrievalError,
    aws.ConfigNotFound,
    aws.ConfigParseError,
    aws.InvalidConfigError,
    aws.NoAuthTokenError,
    aws.TokenRetrievalError,
    aws.SSOError,
)


def sts_client(
    authorization: "AwsCredentials", *, region: str, endpoint_url: str, sts_endpoint_url: str = ""
) -> "STSClient":
    """A client to ask who the importer is. Arguments and exceptions as for `s3_client`."""
    at = sts_endpoint_url or endpoint_url
    client: STSClient = _client("sts", authorization, region, at, sts_endpoint_url)
    return client


def s3_client(
    authorization: "AwsCredentials", *, region: str, endpoint_url: str, sts_endpoint_url: str = ""
) -> "S3Client":
    """A client that stays signed in however long a run takes.

    Args:
        authorization: keys, a profile, or nothing, which means the machine's own credentials; and perhaps a role.
        region: empty means the block's, then the machine's.
        endpoint_url: of an S3-compatible store; empty means the block's, then AWS.
        sts_endpoint_url: where a role is assumed; empty means the machine's, then the block's, then AWS.

    Raises:
        SettingsError: a part of the authorization, the region or the endpoint cannot be used.
        AccessRefused: the machine's own credentials are needed, to assume a role with, and cannot be had.
    """
    client: S3Client = _client("s3", authorization, region, endpoint_url, sts_endpoint_url)
    return client


def _client(
    service: Literal["s3", "sts"],
    authorization: "AwsCredentials",
    region: str,
    endpoint_url: str,
    sts_endpoint_url: str,
) -> Any:  # noqa: ANN401
    """The client of a service; its exceptions translated."""
    chosen = authorization.aws_client_parameters.get_params_override()
    if endpoint_url:
        chosen["endpoint_url"] = endpoint_url
    config = _config(chosen, s3={"addressing_style": "path"} if chosen.get("endpoint_url") else None)
    try:
        session = _session(authorization, region or authorization.region_name or None, sts_endpoint_url)
        return session.client(service, **{**chosen, "config": config})
    except aws.ProfileNotFound:
        raise SettingsError("authorization", f"this machine has no profile {authorization.profile_name!r}") from None
    except aws.BotoCoreError as error:
        raise fault_of(error, Attempt("sign in to", "AWS", "")) from None
    except ValueError:
        raise SettingsError("endpoint_url", "is no address; write it like https://s3.example.com") from None


def _config(chosen: dict[str, Any], **more: Any) -> "Config":  # noqa: ANN401
    """How long and how often AWS is asked, where the block's client parameters do not say otherwise."""
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": 4}
    config = Config(connect_timeout=5, read_timeout=60, tcp_keepalive=True, retries=retries, **more)
    return config.merge(chosen["config"]) if "config" in chosen else config


def _session(authorization: "AwsCredentials", region: str | None, sts_endpoint_url: str) -> "boto3.Session":
    """The session of the given keys, or of the role assumed with them; STS is asked at the first request."""
    import boto3

    secret = authorization.aws_secret_access_key
    if bool(authorization.aws_access_key_id) != bool(secret):
        # boto3 would sign in as somebody else, with what it finds on this machine.
        raise SettingsError("authorization", "give access_key_id and secret_access_key together")
    own = boto3.Session(
        aws_access_key_id=authorization.aws_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        aws_session_token=authorization.aws_session_token,
        botocore_session=_core(authorization),
        region_name=region,
    )
    if secret and not authorization.assume_role_arn:
        return own  # given keys never change
    credentials = (
        _role(authorization, own, sts_endpoint_url) if authorization.assume_role_arn else own.get_credentials()
    )
    if credentials is None:
        return own  # which says so at the first request
    core = _core(authorization)
    core.register_component("credential_provider", _Renewing(credentials))
    return boto3.Session(botocore_session=core, region_name=own.region_name)


def _core(authorization: "AwsCredentials") -> "botocore.session.Session":
    """A session that knows nothing of other sessions' credentials, but shares what all read of AWS's services."""
    import botocore.session

    core = botocore.session.Session(profile=authorization.profile_name)
    core.register_component("data_loader", _descriptions())
    return core


@cache
def _descriptions() -> "Loader":
    """AWS's services as botocore's files describe them, read once a process: that is most of what a client costs."""
    from botocore.loaders import create_loader

    return create_loader()


def _role(authorization: "AwsCredentials", own: "boto3.Session", sts_endpoint_url: str) -> "Credentials":
    """Credentials of the role, renewed before they expire."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    source = own.get_credentials()
    if source is None:
        raise aws.NoCredentialsError
    request = {"RoleSessionName": "px-import", **authorization.assume_role_kwargs.get_params_override()}
    if "SerialNumber" in request:
        raise SettingsError("authorization", "a role that asks for an MFA code cannot be assumed unattended")
    chosen = _sts_parameters(authorization, sts_endpoint_url)
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **keys: own.client(service, **{**chosen, **keys}),
        source_credentials=source,
        role_arn=str(authorization.assume_role_arn),
        extra_args=request,
        cache={},
    )
    return DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")


class _Renewing:
    """In the place of botocore's chain of credential providers: these credentials, and a fault of its own if they fail.

    botocore itself lets a RuntimeError through where what it fetched anew has expired already,
    and an OSError where the file of a web identity's token cannot be read.
    """

    def __init__(self, credentials: "Credentials") -> None:
        self._credentials = credentials

    def load_credentials(self) -> Self:
        """What botocore asks of its chain."""
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._credentials, name)

    def get_frozen_credentials(self) -> "ReadOnlyCredentials":
        """What a request is signed with."""
        try:
            return self._credentials.get_frozen_credentials()
        except (RuntimeError, OSError) as error:
            raise aws.CredentialRetrievalError(provider=self._credentials.method, error_msg="") from error


def _sts_parameters(authorization: "AwsCredentials", endpoint_url: str) -> dict[str, Any]:
    """The block's client parameters as far as they can be meant for STS."""
    chosen = authorization.aws_client_parameters.get_params_override()
    chosen.pop("api_version", None)
    if endpoint_url:
        chosen["endpoint_url"] = endpoint_url
    elif os.environ.get("AWS_ENDPOINT_URL_STS"):
        chosen.pop("endpoint_url", None)  # it names this very service, the block's endpoint any
    return {**chosen, "config": _config(chosen)}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried when AWS said no, for the sentence that a person reads.

    Attributes:
        action: a verb, "list".
        place: the `s3://` place.
        right: the IAM action that it takes, "s3:ListBucket".
    """

    action: str
    place: str
    right: str

    @property
    def bucket(self) -> str:
        """The bucket's own place."""
        return "/".join(self.place.split("/")[:3])


def fault_of(error: aws.ClientError | aws.BotoCoreError, attempt: Attempt) -> ImporterError:
    """The exception of ours that says what a library's exception means.

    Nothing of a `BotoCoreError` but its class is repeated: its text may show a header with a token in it (rule S10).
    """
    if isinstance(error, aws.ClientError):
        return _fault_of_answer(error, attempt)
    if isinstance(error, _NO_CREDENTIALS):
        return AccessRefused(attempt.action, attempt.place, type(error).__name__, _KEYS_CURE)
    if isinstance(error, _MACHINES_OWN):
        return AccessRefused(attempt.action, attempt.place, type(error).__name__, _MACHINE_CURE)
    if isinstance(error, aws.ParamValidationError):
        return SettingsError("bucket", f"S3 cannot be asked to {attempt.action} {attempt.place}; correct the name")
    if isinstance(error, (aws.InvalidRegionError, aws.NoRegionError)):
        return SettingsError("region", "give the bucket's region, like eu-central-1")
    if isinstance(error, aws.HTTPClientError) and isinstance(error.kwargs.get("error"), ValueError):
        cure = "remove blanks and line breaks from the keys in authorization"
        return AccessRefused(attempt.action, attempt.place, "the request cannot be signed", cure)
    host = urlsplit(str(error.kwargs.get("endpoint_url") or ""))
    named = f"{host.scheme}://{host.netloc.rpartition('@')[2]}" if host.netloc else "S3"
    reason = f"{named} did not answer as it should ({type(error).__name__}); check the network and endpoint_url"
    kind = DropZoneSilent if isinstance(error, aws.HTTPClientError) else DropZoneBusy
    return kind(attempt.action, attempt.place, reason)


def _fault_of_answer(error: aws.ClientError, attempt: Attempt) -> ImporterError:
    status, code, message = answer_of(error)
    reason = f"{code}: {message}" if message else code
    if status >= 500 or status == 429 or code in _BUSY:
        return DropZoneBusy(attempt.action, attempt.place, reason)
    if code in _SKEWED:
        return AccessRefused(attempt.action, attempt.place, reason, f"the clock of this machine {_skew(error)}: set it")
    if error.operation_name == "AssumeRole":
        return AccessRefused("assume the role for", attempt.bucket, reason, _role_cure(code))
    if error.operation_name in {"AssumeRoleWithWebIdentity", "GetRoleCredentials"}:
        return AccessRefused("sign in for", attempt.bucket, reason, _MACHINE_CURE)
    if code == "NoSuchBucket":
        return NotThere(attempt.bucket, "create the bucket or correct the setting bucket")
    if code in _OTHER_REGION:
        region = _region(error)
        return SettingsError("region", f"{attempt.bucket} lies elsewhere ({reason}); give the bucket's region{region}")
    cure = _CURES.get(code) or (
        f"grant {attempt.right} on {attempt.bucket} to these credentials"
        if status in {401, 403}
        else "check endpoint_url, sse and kms_key_id"
    )
    return AccessRefused(attempt.action, attempt.place, reason, cure)


def _region(error: aws.ClientError) -> str:
    """The bucket's region, as the end of a sentence, if the answer names one."""
    region = _header(error, "x-amz-bucket-region") or str((error.response.get("Error") or {}).get("Region") or "")
    return f", {region}" if re.fullmatch("[a-z0-9-]{1,30}", region) else ""


def _header(error: aws.ClientError, name: str) -> str:
    told: dict[str, Any] = dict(error.response.get("ResponseMetadata") or {})
    return str((told.get("HTTPHeaders") or {}).get(name) or "")


def _skew(error: aws.ClientError) -> str:
    """How wrong this machine's clock is, as the end of a sentence; botocore does not make up for it."""
    said = str((error.response.get("Error") or {}).get("ServerTime") or "")
    date = _header(error, "date")
    try:
        theirs = datetime.fromisoformat(said) if said else parsedate_to_datetime(date)
        seconds = round((datetime.now(UTC) - theirs).total_seconds())
    except (ValueError, TypeError):
        return "is wrong"
    minutes = f"{abs(seconds) // 60} min {abs(seconds) % 60} s"
    return f"is {minutes} {'fast' if seconds > 0 else 'slow'}"


def _role_cure(code: str) -> str:
    """What to do where a role is not assumed: it may be for the keys it was asked with."""
    if code in {"InvalidClientTokenId", "SignatureDoesNotMatch"}:
        return "correct access_key_id and secret_access_key in authorization"
    if code in {"ExpiredToken", "ExpiredTokenException"}:
        return "the keys that authorization.role_arn is assumed with have expired; give fresh ones"
    return _ROLE_CURE


def answer_of(error: aws.ClientError) -> tuple[int, str, str]:
    """Status, code and message of an answer; stores leave out any of them, the whole `Error` part included."""
    fault: dict[str, Any] = dict(error.response.get("Error") or {})
    told: dict[str, Any] = dict(error.response.get("ResponseMetadata") or {})
    status = int(told.get("HTTPStatusCode") or 0)
    code = str(fault.get("Code") or status)
    message = one_line(" ".join(str(fault.get("Message") or "").split())).rstrip(".")[:300]
    return status, one_line(code)[:100], message

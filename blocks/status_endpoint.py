"""The status endpoint: tells a receiver what became of a delivery (rules S6, N1 to N5)."""

import base64
import hashlib
import hmac
import ssl
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from blocks.deadline import begun
from blocks.public_address import Line, is_allowed, literal_address, session_over
from schemas.delivery import Callback
from schemas.settings import Strict

MAX_RESPONSE_BYTES = 64 * 1024
_GRACE_SECONDS = 1.0  # for the exchange to notice that its line was cut


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try to deliver a callback; trouble is a value here, for it never fails an import.

    Attributes:
        received: any 2xx.
        gone: 410, the receiver wants no more tries.
        status_code: None where no answer came.
        retry_after_seconds: how long the receiver asks to wait, None where it does not.
        reason: a sentence for a person; holds no secret, no path and nothing of the response.
    """

    received: bool
    gone: bool
    status_code: int | None
    retry_after_seconds: float | None
    reason: str


def _network(text: str) -> str:
    """The text, if it is a network."""
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("a network is written like 10.20.0.0/16 or fd00:1234::/32, with no host bits set") from None
    return text


def _header_value(secret: SecretStr) -> SecretStr:
    """The secret, if it can stand in a header."""
    text = secret.get_secret_value()
    if text != text.strip() or not (text.isascii() and text.isprintable()):
        raise ValueError("an API key is plain ASCII with no blanks or line breaks around it: copy it again")
    return secret


def _signing_key(secret: SecretStr) -> SecretStr:
    """The secret, if it is empty or the key of a signature."""
    if secret.get_secret_value() and not 24 <= len(_key_bytes(secret)) <= 64:
        raise ValueError("a signing secret is whsec_ and the base64 of 24 to 64 bytes: copy it again")
    return secret


def _key_bytes(secret: SecretStr) -> bytes:
    """The key inside a signing secret; empty where the secret does not have the form."""
    prefix, _, encoded = secret.get_secret_value().partition("_")
    if prefix != "whsec":
        return b""
    encoded = encoded.rstrip("=")  # secrets are handed out with and without their padding
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return b""


def _split(url: str) -> SplitResult:
    """The parts of a URL, its port checked."""
    if any(mark <= " " or mark in "\\\x7f" for mark in url):
        raise ValueError("url must hold no blank, backslash or control character: write them as %20 and so on")
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("url must have a real host and port: write it like https://example.com:8443/import")
    return parts


class StatusEndpoint(Strict):
    """Where a finished delivery is told of, and how (rule S6). An empty URL means nowhere."""

    url: str = Field(
        "",
        title="URL",
        description="Gets one POST per finished delivery; empty for none.",
        json_schema_extra={"pattern": r"^(https?://\S+)?$"},  # for the form; see _refuse_url for what it comes to
    )
    api_key: Annotated[SecretStr, AfterValidator(_header_value)] = Field(
        SecretStr(""), title="API key", description="Sent as x-api-key."
    )
    signing_secret: Annotated[SecretStr, AfterValidator(_signing_key)] = Field(
        SecretStr(""),
        title="Signing secret",
        description="Optional, whsec_ and base64. Every callback is then signed as Standard Webhooks 1.0 says.",
    )
    allow_http: bool = Field(
        False, title="Allow http", description="Takes a URL without TLS; key and message are then open to read."
    )
    allowed_networks: list[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list,
        title="Allowed networks",
        description="Networks that are not public and yet may be called, like 10.20.0.0/16.",
    )
    ca_file: str = Field(
        "", title="CA file", description="PEM file on the worker with the private CA that signs the endpoint."
    )
    timeout_seconds: float = Field(
        10.0, gt=0, le=60, title="Time limit", description="Most seconds for one try, from name look-up to the end."
    )

    @model_validator(mode="after")
    def _url_can_be_called(self) -> "StatusEndpoint":
        if self.url:
            self._refuse_url(_split(self.url))
        return self

    def _refuse_url(self, parts: SplitResult) -> None:
        """Raise the sentence of the first thing that is wrong with the URL; it repeats nothing but an address."""
        address = literal_address(parts.hostname or "")
        private = address and not is_allowed(address, map(ip_network, self.allowed_networks))
        for refused, sentence in (
            (parts.scheme not in ("https", "http"), "url must begin with https://"),
            (parts.scheme == "http" and not self.allow_http, "url must begin with https://, or allow_http must be set"),
            (not parts.hostname, "url must name a host: write it like https://example.com/import"),
            ("@" in parts.netloc, "url must hold no user or password: put the key into api_key"),
            ("#" in self.url, "url must end before the #: what follows it is never sent"),
            (private, f"url leads to {address}, no public address: add its network to allowed_networks if it is right"),
        ):
            if refused:
                raise ValueError(sentence)

    @property
    def host(self) -> str:
        """Host of the URL; the rest of it may be confidential and is left out of sentences."""
        return urlsplit(self.url).hostname or ""

    def send(self, callback: Callback, *, now: datetime) -> Answer:
        """POST a callback once; whatever becomes of it is in the answer (rules N1, N3, N4).

        Args:
            callback: its body is sent byte for byte.
            now: for the timestamp, and for a `Retry-After` that is a date.
        """
        if not self.url:
            return _trouble("No status endpoint is set.")
        if self.ca_file and not Path(self.ca_file).is_file():
            return _trouble(f"The file {self.ca_file} (ca_file of the status endpoint) is not there.")
        line = Line(map(ip_network, self.allowed_networks), self.timeout_seconds)
        try:
            exchange = begun(self._attempt, callback, now, line)
            wait([exchange], self.timeout_seconds)
            line.cut()
            return exchange.result(_GRACE_SECONDS)
        except TimeoutError:  # a name server that does not answer cannot be cut
            return self._untold(self._too_late)
        finally:
            line.cut()

    def _attempt(self, callback: Callback, now: datetime, line: Line) -> Answer:
        """The exchange with its troubles turned into an answer."""
        from urllib3.exceptions import HTTPError

        try:
            return self._exchange(callback, now, line)
        except (OSError, HTTPError, ValueError) as error:
            late = line.is_cut or any(isinstance(link, TimeoutError) for link in _chain(error))
            return self._untold(self._too_late if late else why_not_told(error))

    def _untold(self, why: str) -> Answer:
        return _trouble(f"The status endpoint {self.host} could not be told: {why}.")

    @property
    def _too_late(self) -> str:
        return f"it did not answer within {self.timeout_seconds:g} seconds"

    def _exchange(self, callback: Callback, now: datetime, line: Line) -> Answer:
        """One request and its answer; the library's exceptions go through."""
        import requests
        from urllib3.exceptions import HTTPError

        with session_over(line) as session:
            response = session.post(
                self.url,
                data=callback.body,
                headers=self._headers(callback, now),
                timeout=self.timeout_seconds,
                verify=self.ca_file or True,
                allow_redirects=False,
                stream=True,
            )
            if line.is_cut:
                raise TimeoutError  # a header that was cut off looks like a whole one
            # The body tells nothing; it is read so that the receiver can finish in peace.
            with suppress(requests.RequestException, HTTPError, OSError):
                response.raw.read(MAX_RESPONSE_BYTES, decode_content=False)
            response.close()
        return Answer(
            received=200 <= response.status_code < 300,
            gone=response.status_code == 410,
            status_code=response.status_code,
            retry_after_seconds=_retry_after(response.headers.get("Retry-After", ""), now),
            reason=f"The status endpoint {self.host} answered {response.status_code}{_cure(response.status_code)}.",
        )

    def _headers(self, callback: Callback, now: datetime) -> dict[str, str | bytes]:
        """Everything that is said beside the body."""
        timestamp = str(int(now.timestamp()))
        headers: dict[str, str | bytes] = {
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "Idempotency-Key": callback.id,
            "User-Agent": f"px-import/{_version()}",
            "webhook-id": callback.id,
            "webhook-timestamp": timestamp,
        }
        if api_key := self.api_key.get_secret_value():
            headers["x-api-key"] = api_key
        if key := _key_bytes(self.signing_secret):
            signed = f"{callback.id}.{timestamp}.".encode() + callback.body
            digest = hmac.new(key, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


def _trouble(reason: str) -> Answer:
    """The answer that never came."""
    return Answer(received=False, gone=False, status_code=None, retry_after_seconds=None, reason=reason)


def _cure(status_code: int) -> str:
    """What to do about an answer, as the end of a sentence."""
    if 300 <= status_code < 400:
        return ", a redirect, which is never followed: set the URL that it leads to"
    return {
        401: ": check its API key",
        403: ": check its API key",
        404: ": check its URL",
        410: ", which means that it wants no callback any more: change or remove its URL",
    }.get(status_code, "")


def why_not_told(error: BaseException) -> str:
    """The first thing in a chain of exceptions that tells a person something."""
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted, {link.verify_message} (for a private CA set ca_file)"
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
    return "it closed the connection or gave no valid HTTP answer"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks for, given as a number or as a date; None for anything else."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _version() -> str:
    """Version of this package, for the receiver's log."""
    try:
        return metadata.version("px-import")
    except metadata.PackageNotFoundError:
        return "0"

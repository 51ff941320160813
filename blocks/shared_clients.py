"""S3 clients that many feeds share: a client costs CPU and memory, and a role asks STS once for each."""

import threading
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from blocks.aws_session import s3_client
from blocks.import_settings import ImportSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def address_of(settings: ImportSettings) -> str:
    """Who answers a feed's requests to S3."""
    given = settings.endpoint_url or settings.authorization.aws_client_parameters.endpoint_url
    s3 = given or f"S3 in {settings.region or settings.authorization.region_name or 'the region of this machine'}"
    role = settings.authorization.assume_role_arn
    return f"{s3} or {settings.sts_endpoint_url or 'STS'}" if role else s3


class SharedClients:
    """One client for all feeds with the same credentials and endpoint, from its first use to its last."""

    def __init__(self, feeds: Iterable[ImportSettings]) -> None:
        """Count how many feeds want each; nothing is opened yet."""
        self._wanted = Counter(_identity(settings) for settings in feeds)
        self._locks = {identity: threading.Lock() for identity in self._wanted}
        self._clients: dict[bytes, S3Client] = {}

    def client(self, settings: ImportSettings) -> "S3Client":
        """The client of a feed.

        Raises:
            SettingsError, AccessRefused: see `s3_client`.
        """
        identity = _identity(settings)
        with self._locks[identity]:  # others with these credentials wait, those with other ones do not
            if identity not in self._clients:
                self._clients[identity] = s3_client(
                    settings.authorization,
                    region=settings.region,
                    endpoint_url=settings.endpoint_url,
                    sts_endpoint_url=settings.sts_endpoint_url,
                )
            return self._clients[identity]

    def done(self, settings: ImportSettings) -> None:
        """Note that a feed wants its client no longer; after the last one it is closed."""
        identity = _identity(settings)
        self._wanted[identity] -= 1
        if not self._wanted[identity] and (client := self._clients.pop(identity, None)):
            client.close()


def _identity(settings: ImportSettings) -> bytes:
    """The same for feeds that are the same to S3; no secret can be read from it."""
    # field by field: Prefect takes 70 ms to dump a block
    who = settings.authorization
    secret = who.aws_secret_access_key.get_secret_value() if who.aws_secret_access_key else None
    signs = (who.aws_access_key_id, secret, who.aws_session_token, who.profile_name)
    role = (who.assume_role_arn, who.assume_role_kwargs)
    where = (settings.region, settings.endpoint_url, settings.sts_endpoint_url, who.region_name)
    return sha256(repr((signs, role, where, who.aws_client_parameters)).encode()).digest()

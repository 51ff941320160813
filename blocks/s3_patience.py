"""How long a request to S3 may take as a whole, whatever comes of it meanwhile."""

import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from blocks.deadline import in_time

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: For all tries of one request together: botocore makes four, each with 5 seconds to connect and 60 between two bytes.
CALL_SECONDS = 300.0
#: What a content may take beyond that. Half a megabit a second: whoever is slower will not send a file in a day.
SLOWEST_BYTES_PER_SECOND = 64 * 1024


def patience(size_bytes: int = 0, call_seconds: float | None = None) -> float:
    """Seconds for a request in which so much content travels, one way or the other; None for the usual ones."""
    return (CALL_SECONDS if call_seconds is None else call_seconds) + size_bytes / SLOWEST_BYTES_PER_SECOND


class _PatientClient:
    def __init__(self, client: "S3Client", call_seconds: float | None) -> None:
        self._client, self._call_seconds = client, call_seconds

    def __getattr__(self, operation: str) -> Any:  # noqa: ANN401
        def call(**parameters: Any) -> Any:  # noqa: ANN401
            seconds = patience(_size(parameters.get("Body", b"")), self._call_seconds)
            return in_time(seconds, getattr(self._client, operation), **parameters)

        return call


def patient(client: "S3Client", call_seconds: float | None) -> "S3Client":
    """The same operations, each of which raises TimeoutError where it is not done in time."""
    return cast("S3Client", _PatientClient(client, call_seconds))


def _size(body: bytes | BinaryIO) -> int:
    """How long it is from its beginning, which is where it stands afterwards."""
    if isinstance(body, bytes):
        return len(body)
    size_bytes = body.seek(0, os.SEEK_END)
    body.seek(0)
    return size_bytes

"""Brings the content of one stored object here, whole or not at all: botocore repeats requests, not bodies."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from schemas.errors import DropZoneBusy

if TYPE_CHECKING:
    from botocore.response import StreamingBody

TRIES = 5
_CHUNK_BYTES = 1024**2


class _BrokenBody(Exception):
    """The content ended before its end."""


def read_whole(
    open_body: Callable[[], "StreamingBody"],
    size_bytes: int,
    place: str,
    file: BinaryIO | None,
    progress: Callable[[], None],
) -> str:
    """Read a content, starting over where it breaks off; its SHA-256 in hex.

    Args:
        open_body: asks for the content anew.
        size_bytes: how long it must be.
        place: the `s3://` place, for the sentence.
        file: where it goes; None where only the digest is wanted.
        progress: called at every MiB; what it raises ends the reading.

    Raises:
        DropZoneBusy: it broke off each time.
    """
    broken = ""
    for attempt in range(TRIES):
        pause(attempt)
        digest, came_bytes = hashlib.sha256(), 0
        if file:
            file.seek(0)
            file.truncate()
        try:
            with contextlib.closing(open_body()) as body:
                while chunk := _next_chunk(body):
                    came_bytes += len(chunk)
                    digest.update(chunk)
                    if file:
                        file.write(chunk)
                    progress()
        except _BrokenBody as error:
            broken = str(error)
            continue
        if came_bytes == size_bytes:
            return digest.hexdigest()
        broken = f"{came_bytes} of {size_bytes} bytes came"
    raise DropZoneBusy("download", place, f"its content broke off {TRIES} times ({broken})")


def _next_chunk(body: "StreamingBody") -> bytes:
    """The next part of the content, empty at its end."""
    try:
        return body.read(_CHUNK_BYTES)
    except (BotoCoreError, HTTPError) as error:
        raise _BrokenBody(type(error).__name__) from None


@contextlib.contextmanager
def made_anew(path: Path) -> Iterator[BinaryIO]:
    """A new file that only this user can read; nothing of it is left where the block fails."""
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def pause(attempt: int) -> None:
    """None before the first try, then 0.1, 0.3, 0.7, 1.5 seconds."""
    time.sleep(0.1 * (2**attempt - 1))

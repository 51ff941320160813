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

from blocks.deadline import in_time
from blocks.s3_patience import patience
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
        DropZoneBusy: it broke off each time, or came too slowly.
    """
    broken = ""
    for attempt in range(TRIES):
        pause(attempt)
        end = time.monotonic() + patience(size_bytes)
        digest, came_bytes = hashlib.sha256(), 0
        if file:
            file.seek(0)
            file.truncate()
        try:
            with _closing(open_body()) as body:
                while chunk := _next_chunk(body, end):
                    came_bytes += len(chunk)
                    digest.update(chunk)
                    if file:
                        file.write(chunk)
                    progress()
        except _BrokenBody as error:
            broken = str(error)
            continue
        except TimeoutError:
            reason = f"after {patience(size_bytes):g} seconds {came_bytes} of {size_bytes} bytes had come"
            raise DropZoneBusy("download", place, f"{reason}; check the network and endpoint_url") from None
        if came_bytes == size_bytes:
            return digest.hexdigest()
        broken = f"{came_bytes} of {size_bytes} bytes came"
    raise DropZoneBusy("download", place, f"its content broke off {TRIES} times ({broken})")


@contextlib.contextmanager
def _closing(body: "StreamingBody") -> Iterator["StreamingBody"]:
    """Close the content at the end; one that is late is still being read, and closing it would wait for that."""
    try:
        yield body
    except TimeoutError:
        raise
    except BaseException:
        body.close()
        raise
    body.close()


def _next_chunk(body: "StreamingBody", end: float) -> bytes:
    """The next part of the content, empty at its end; TimeoutError where it does not come in time."""
    try:
        return in_time(max(end - time.monotonic(), 0), body.read, _CHUNK_BYTES)
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

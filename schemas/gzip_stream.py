"""Gunzip of untrusted bytes: members may follow one another, anything else is a fault (rules C3, C7)."""

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from isal import igzip, isal_zlib

from schemas.issues import Code, Unreadable

CHUNK_BYTES = 1024 * 1024
_MAGIC = b"\x1f\x8b"


def decompressed(source: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yield the content of a seekable gzip file in chunks.

    A file of no bytes at all yields nothing: its fault is the missing header (rule C8).

    Raises:
        Unreadable: not gzip, truncated, damaged, followed by other bytes, or larger than `max_bytes`.
    """
    start = source.read(len(_MAGIC))
    source.seek(0)
    if not _MAGIC.startswith(start[:2]):
        raise Unreadable(Code.NOT_GZIP, "Not a gzip file")
    if 0 < len(start) < len(_MAGIC):
        raise Unreadable(Code.TRUNCATED_GZIP, _TRUNCATED)
    total = 0
    with igzip.IGzipFile(fileobj=source) as stream:
        while chunk := _read(stream):
            total += len(chunk)
            if total > max_bytes:
                raise Unreadable(Code.TOO_LARGE, f"Too large: more than {max_bytes} bytes after decompression")
            yield chunk


_TRUNCATED = "Truncated gzip file: the end is missing"


def _read(stream: igzip.IGzipFile) -> bytes:
    """The next chunk; the library's exceptions become faults of the file."""
    try:
        return bytes(stream.read(CHUNK_BYTES))
    except EOFError:
        raise Unreadable(Code.TRUNCATED_GZIP, _TRUNCATED) from None
    except gzip.BadGzipFile as exc:
        if str(exc).startswith("Not a gzipped file"):
            raise Unreadable(Code.TRAILING_BYTES, "Bytes after the end of the gzip data") from None
        raise Unreadable(Code.DAMAGED_GZIP, "Damaged gzip file: its checksum or length is wrong") from None
    except (zlib.error, isal_zlib.error):
        raise Unreadable(Code.DAMAGED_GZIP, "Damaged gzip file: it cannot be decompressed") from None

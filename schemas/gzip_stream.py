"""Gunzip of untrusted bytes: members may follow one another, anything else is a fault (rules C3, C7)."""

from collections.abc import Iterator
from typing import BinaryIO

from isal import igzip_lib

from schemas.issues import Code, Unreadable

#: Most bytes of one decompressed chunk, however small its compressed form is.
CHUNK_BYTES = 256 * 1024
#: Compressed bytes read at once; few, because what follows a member is copied, and members may be tiny.
_READ_BYTES = 32 * 1024
_MAGIC = b"\x1f\x8b"
_PADDING = b"\0"


def decompressed(source: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yield the content of a gzip file in chunks.

    A file of no bytes at all yields nothing: its fault is the missing header (rule C8).

    Raises:
        Unreadable: not gzip, truncated, damaged, followed by other bytes, or larger than `max_bytes`.
    """
    total = 0
    rest = source.read(_READ_BYTES)
    another = False
    while rest:
        _require_magic(rest := _at_least(rest, len(_MAGIC), source), another=another)
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            chunk = _inflate(member, rest)
            total += len(chunk)
            if total > max_bytes:
                raise Unreadable(Code.TOO_LARGE, f"Too large: more than {max_bytes} bytes after decompression")
            if chunk:
                yield chunk
            rest = source.read(_READ_BYTES) if member.needs_input and not member.eof else b""
            if member.needs_input and not member.eof and not rest:
                raise Unreadable(Code.TRUNCATED_GZIP, _TRUNCATED)
        rest = _without_padding(member.unused_data, source)
        another = True


_TRUNCATED = "Truncated gzip file: the end is missing"


def _at_least(start: bytes, size: int, source: BinaryIO) -> bytes:
    """The bytes with as many more behind them as make up the size, if the source has them."""
    return start if len(start) >= size else start + source.read(size - len(start))


def _without_padding(rest: bytes, source: BinaryIO) -> bytes:
    """What follows a member and the zero bytes behind it."""
    rest = rest.lstrip(_PADDING)
    while not rest and (more := source.read(_READ_BYTES)):
        rest = more.lstrip(_PADDING)
    return rest


def _require_magic(start: bytes, *, another: bool) -> None:
    """The first bytes tell what a file is, and whether what follows a member is another one."""
    if start.startswith(_MAGIC):
        return
    if _MAGIC.startswith(start):
        raise Unreadable(Code.TRUNCATED_GZIP, _TRUNCATED)
    if another:
        raise Unreadable(Code.TRAILING_BYTES, "Bytes after the end of the gzip data")
    raise Unreadable(Code.NOT_GZIP, "Not a gzip file")


def _inflate(member: igzip_lib.IgzipDecompressor, compressed: bytes) -> bytes:
    """The next chunk of a member; the library's exceptions become faults of the file."""
    try:
        return bytes(member.decompress(compressed, CHUNK_BYTES))
    except igzip_lib.IsalError as exc:  # type: ignore[misc]  # its stub takes the class for an instance
        what = "its checksum or length is wrong" if "checksum" in str(exc) else "it cannot be decompressed"
        raise Unreadable(Code.DAMAGED_GZIP, f"Damaged gzip file: {what}") from None

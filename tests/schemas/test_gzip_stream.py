"""Gunzip: what is sound comes out whole, what is not is a fault, and no more is unpacked than allowed."""

import gzip
import io
import random
import struct
import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.gzip_stream import CHUNK_BYTES, decompressed
from schemas.issues import Code, Unreadable
from tests.schemas.making import few, judged_bytes

pytestmark = pytest.mark.rule("C3")

TEXT = b"id,name\r\n1,a\r\n2,b\r\n"
ENOUGH = 1 << 30


def zipped(content: bytes, **kwargs: int) -> bytes:
    return gzip.compress(content, mtime=0, **kwargs)


def content(stored: bytes, max_bytes: int = ENOUGH) -> bytes:
    return b"".join(decompressed(io.BytesIO(stored), max_bytes))


def fault(stored: bytes, max_bytes: int = ENOUGH) -> Code:
    with pytest.raises(Unreadable) as caught:
        content(stored, max_bytes)
    assert caught.value.line == 0
    return caught.value.code


def with_header(flags: int, extra: bytes, body: bytes = TEXT) -> bytes:
    """A member with optional header fields, as some tools write them."""
    engine = zlib.compressobj(wbits=-15)
    deflated = engine.compress(body) + engine.flush()
    trailer = struct.pack("<II", zlib.crc32(body), len(body))
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + extra + deflated + trailer


@few
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4), st.integers(0, 3))
def test_members_follow_one_another_wherever_the_content_is_cut(whole: bytes, places: list[int], zeros: int) -> None:
    borders = [0, *sorted(min(place, len(whole)) for place in places), len(whole)]
    members = [zipped(whole[start:end]) for start, end in pairwise(borders)]
    assert content(b"".join(members)) == whole
    assert content((b"\0" * zeros).join(members) + b"\0" * zeros) == whole


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(with_header(0, b""), id="bare"),
        pytest.param(with_header(8, b"users.csv\0"), id="name"),
        pytest.param(with_header(4, b"\x04\0abcd"), id="extra field"),
        pytest.param(with_header(16, b"a comment\0"), id="comment"),
        pytest.param(zipped(TEXT, compresslevel=0), id="stored"),
        pytest.param(zipped(b"") + zipped(TEXT) + zipped(b""), id="empty members around"),
        pytest.param(zipped(TEXT) + b"\0" * 100_000, id="zero padding"),
    ],
)
def test_all_forms_of_gzip_are_read(stored: bytes) -> None:
    assert content(stored) == TEXT


def test_large_content_comes_in_small_chunks_unchanged() -> None:
    whole = random.Random(1).randbytes(700_000) + b"abc" * 1_000_000
    chunks = list(decompressed(io.BytesIO(zipped(whole)), ENOUGH))
    assert b"".join(chunks) == whole
    assert max(map(len, chunks)) <= CHUNK_BYTES


@pytest.mark.parametrize("before", [b"", zipped(TEXT)], ids=["one member", "second member"])
def test_cut_short_anywhere_is_a_fault(before: bytes) -> None:
    last = zipped(TEXT * 3)
    assert {fault(before + last[:size]) for size in range(1, len(last))} == {Code.TRUNCATED_GZIP}


def test_cut_short_in_a_file_of_many_reads() -> None:
    stored = zipped(random.Random(2).randbytes(300_000))
    for size in (32 * 1024, 64 * 1024, len(stored) - 8, len(stored) - 1):
        assert fault(stored[:size]) is Code.TRUNCATED_GZIP


@pytest.mark.parametrize("place", range(1, 9))
def test_a_wrong_checksum_or_length_is_a_fault(place: int) -> None:
    stored = bytearray(zipped(TEXT))
    stored[-place] ^= 0x10
    assert fault(bytes(stored)) is Code.DAMAGED_GZIP
    assert fault(bytes(stored) + zipped(TEXT)) is Code.DAMAGED_GZIP


@few
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_never_passes_for_other_content(place: int, bit: int) -> None:
    stored = bytearray(zipped(TEXT * 20))
    stored[place % len(stored)] ^= 1 << bit
    try:
        found: bytes | Code = content(bytes(stored))
    except Unreadable as exc:
        found = exc.code
    # the text itself: a bit of the header that means nothing
    assert found in (TEXT * 20, Code.DAMAGED_GZIP, Code.TRUNCATED_GZIP, Code.NOT_GZIP)


@pytest.mark.parametrize("size", range(1, 21))
def test_other_bytes_behind_the_end_are_a_fault_however_few(size: int) -> None:
    assert fault(zipped(TEXT) + b"x" * size) is Code.TRAILING_BYTES
    assert fault(zipped(TEXT) + b"\0\0" + b"x" * size) is Code.TRAILING_BYTES
    assert fault(zipped(random.Random(3).randbytes(32 * 1024 - size)) + b"\n" * 3 * size) is Code.TRAILING_BYTES


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(TEXT, id="plain CSV"),
        pytest.param(b"x", id="one byte"),
        pytest.param(b"\x1fx", id="half a magic number"),
        pytest.param(b"PK\x03\x04", id="zip"),
        pytest.param(zlib.compress(TEXT), id="zlib"),
        pytest.param(b"\0" * 20 + zipped(TEXT), id="zeros before the first member"),
    ],
)
def test_the_first_bytes_decide_whether_it_is_gzip(stored: bytes) -> None:
    assert fault(stored) is Code.NOT_GZIP


def test_an_unknown_method_is_a_fault() -> None:
    assert fault(b"\x1f\x8b\x07" + zipped(TEXT)[3:]) is Code.DAMAGED_GZIP


@pytest.mark.rule("C8")
@pytest.mark.parametrize("stored", [b"", zipped(b""), zipped(b"") * 3], ids=["no bytes", "gzip of nothing", "thrice"])
def test_a_file_of_nothing_has_no_header(stored: bytes) -> None:
    assert content(stored) == b""
    assert judged_bytes(stored).sentences == ["Missing header"]


@pytest.mark.rule("C7")
def test_the_bound_on_the_content() -> None:
    stored = zipped(b"x" * 1000) + zipped(b"y" * 1000)
    assert len(content(stored, 2000)) == 2000
    assert fault(stored, 1999) is Code.TOO_LARGE
    assert fault(stored, 999) is Code.TOO_LARGE


@pytest.mark.rule("C7")
def test_a_bomb_is_unpacked_to_the_bound_and_no_further() -> None:
    engine = zlib.compressobj(9, wbits=31)
    stored = b"".join(engine.compress(bytes(1 << 20)) for _ in range(200)) + engine.flush()
    sizes: list[int] = []
    source = io.BytesIO(stored)
    tracemalloc.start()
    with pytest.raises(Unreadable, match=r"^Too large: more than 5000000 bytes after decompression$"):
        sizes.extend(map(len, decompressed(source, 5_000_000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) <= 5_000_000
    assert peak < 4 * CHUNK_BYTES
    assert source.tell() < len(stored) / 2

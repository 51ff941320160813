"""Text that is not UTF-8: where it is, and what it looks like (rule C2)."""

import codecs
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

_NOT_UTF8 = "Not valid UTF-8 ({}save the file as UTF-8)"
#: A letter of Windows-1252 beyond ASCII, alone between bytes of ASCII and beside a letter: `Z\\xfcrich`.
_WESTERN_LETTER = re.compile(
    rb"(?:(?<=[A-Za-z])|(?=[\x80-\xff][A-Za-z]))(?<![\x80-\xff])"
    rb"[\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff](?![\x80-\xff])"
)
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def is_utf16(start: bytes) -> bool:
    """Whether a text starts with the mark of UTF-16."""
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def wording(record: bytes) -> str:
    """What is said of a record that is not UTF-8; a guess only where little else can be meant."""
    if is_utf16(record):
        return _NOT_UTF8.format("this looks like UTF-16; ")
    if len(_WESTERN_LETTER.findall(record)) == len(_BEYOND_ASCII.findall(record)):
        return _NOT_UTF8.format("this looks like Windows-1252 or a relative of it; ")
    return _NOT_UTF8.format("")


def not_utf8(text: bytes, ends: Ints) -> Ints:
    """Indexes of the records that are not valid UTF-8; `ends` are offsets just behind each."""
    if text.isascii() or _is_utf8(text):
        return np.empty(0, np.int64)
    suspects = np.unique(np.searchsorted(ends, np.flatnonzero(np.frombuffer(text, np.int8) < 0), side="right"))
    starts = np.concatenate(([0], ends[:-1]))
    return np.array([i for i in suspects if not _is_utf8(text[starts[i] : ends[i]])], np.int64)


def _is_utf8(text: bytes) -> bool:
    """Whether Arrow, which is fast at it, takes the bytes for UTF-8."""
    offsets = pa.py_buffer(np.array([0, len(text)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, offsets, pa.py_buffer(text)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True

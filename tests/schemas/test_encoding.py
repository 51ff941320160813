"""What a text that is not UTF-8 looks like: said only where it is sure enough."""

import numpy as np
import pytest

from schemas import encoding

WORDINGS = {
    "Western text": ("1,Zürich,Müller".encode("cp1252"), "this looks like Windows-1252 or a relative of it; "),
    "a word that ends so": ("1,Café\r\n".encode("cp1252"), "this looks like Windows-1252 or a relative of it; "),
    "Cyrillic": ("1,Москва".encode("cp1251"), ""),
    "Japanese": ("1,東京".encode("shift-jis"), ""),
    "a single byte among blanks": (b"1, \xe9 ,x", ""),
    "Western text and UTF-8": ("Zürich,".encode() + "Zürich".encode("cp1252"), ""),
    "UTF-16": ("id,x".encode("utf-16"), "this looks like UTF-16; "),
    "a sign that is no letter": (b"1,10 \x80", ""),
}


@pytest.mark.rule("C2")
@pytest.mark.parametrize(("record", "guess"), WORDINGS.values(), ids=WORDINGS)
def test_a_guess_is_made_only_where_little_else_can_be_meant(record: bytes, guess: str):
    assert encoding.wording(record) == f"Not valid UTF-8 ({guess}save the file as UTF-8)"


@pytest.mark.rule("C2")
def test_the_records_that_are_not_utf8_are_found():
    records = [b"a\n", "ü\n".encode(), b"\xfc\n", b"b\n", b"\xed\xa0\x80\n"]
    ends = np.cumsum([len(record) for record in records])
    assert list(encoding.not_utf8(b"".join(records), ends)) == [2, 4]

"""A bounded piece of the fuzzing, and that the fuzzer would notice."""

from pathlib import Path

import pytest

from tests.fuzz import fuzz


@pytest.mark.rule("C4")
@pytest.mark.parametrize("path", sorted(fuzz.CORPUS.iterdir()), ids=lambda path: path.stem)
def test_the_corpus_is_read_as_by_the_slow_reader(path: Path, tmp_path: Path):
    fuzz.check_text(path.read_bytes(), tmp_path)


def test_some_hundred_mutations_find_nothing():
    assert fuzz.fuzz(seconds=20, seed=1, rounds=600) > 50


@pytest.mark.parametrize("wrong", [b"id,score\n1,x\n", b'id\n"a"b\n', b"id\n\n1,2\n"], ids=["cell", "quote", "ragged"])
def test_the_fuzzer_notices_a_wrong_file_that_is_accepted(wrong: bytes, tmp_path: Path, monkeypatch):
    accepted = fuzz.judged(fuzz.gzip.compress(b"id\n1\n"), tmp_path)
    monkeypatch.setattr(fuzz, "judged", lambda body, folder: accepted)
    with pytest.raises(AssertionError):
        fuzz.check_text(wrong, tmp_path)

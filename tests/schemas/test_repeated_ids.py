"""Which ids stand on several rows, batch by batch."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.repeated_ids import IdHashes
from tests.schemas.making import few

pytestmark = pytest.mark.rule("V8")


@few
@given(st.lists(st.lists(st.text(max_size=2), max_size=8), max_size=5))
def test_rows_beyond_the_first_of_an_id_are_counted_over_all_batches(batches: list[list[str]]) -> None:
    ids = IdHashes()
    for batch in batches:
        ids.add(pa.array(batch, pa.string()))
    every = Counter(each for batch in batches for each in batch)
    assert ids.finish() == sum(count - 1 for count in every.values())
    for batch in batches:
        assert ids.repeats(pa.array(batch, pa.string())).tolist() == [every[each] > 1 for each in batch]


def test_ids_are_compared_byte_for_byte() -> None:
    ids = IdHashes()
    ids.add(pa.array(["1", "01", " 1", "1 ", "a", "A", "é", "e\u0301", "\ufeff1", "ß", "ss"]))
    assert ids.finish() == 0


def test_each_file_has_a_key_of_its_own_so_that_no_one_can_prepare_collisions() -> None:
    assert IdHashes()._key != IdHashes()._key


def test_the_question_comes_after_the_count() -> None:
    with pytest.raises(RuntimeError, match="finish"):
        IdHashes().repeats(pa.array(["1"]))

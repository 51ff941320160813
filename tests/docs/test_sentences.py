"""docs/troubles.md has an entry for every sentence that the importer can say."""

import re
from collections.abc import Iterable

from tests.docs.pages import rows
from tests.docs.sentences import Words, said

PAGE = "docs/troubles.md"
#: What nobody reads: faults of this program, and words that only fill other sentences.
NOT_READ = {
    "a delivery that is … cannot be … next", "delivery … is not cleared", "a lease of … says nothing about …",
    "… is no undecided file of delivery …", "delivery … is not decided", "… holds no marker", "finish() comes first",
    "two parsers disagree: … and … records", "a check of column … failed: …", "no status.json of a delivery (…)",
    "DATETIME TEXT", "double precision", 'text COLLATE "C"', "timestamp with time zone",
    "The bucket … is there until you press Ctrl-C.", "… rows, … columns, … bytes, … seconds",
}  # fmt: skip
#: Tools of the tests and the developers, whose words go to nobody else.
NOT_OURS = ("deployments/local_postgres.py", "deployments/chaos/")


def entries() -> list[str]:
    return [piece for row in rows(PAGE) for cell in row for piece in cell]


def lost(sentences: Iterable[Words]) -> list[str]:
    shown = entries()
    wanted = [each for each in sentences if each.text not in NOT_READ and not each.place.startswith(NOT_OURS)]
    return [str(each) for each in wanted if not any(re.search(each.pattern, entry) for entry in shown)]


def test_every_sentence_has_an_entry() -> None:
    missing = "\n".join(lost(said()))
    cure = f"give each of these a row in {PAGE}, as code with an example for what is filled in (…), and say what to do"
    assert not missing, f"{cure}; or name it in NOT_READ of this test if no person ever reads it:\n{missing}"


def test_nothing_is_excused_that_is_not_said() -> None:
    assert NOT_READ - {each.text for each in said()} == set()

"""The header: compared exactly, every fault named, and a near miss recognised."""

import re
import time

import pytest

from schemas.catalogue import Catalogue, Entity, default_catalogue
from schemas.frame_schema import FrameSchema, suggestion
from schemas.issues import Code, Issue, shown
from tests.schemas.making import FEED, USER, feed, judged, keyed

KNOWN = [attribute.api_name for attribute in USER.attributes]


def told(*header: str, by: object = FEED, catalogue: Catalogue = USER) -> list[str]:
    return [str(issue) for issue in FrameSchema(catalogue, by).header_issues(header)]  # type: ignore[arg-type]


@pytest.mark.rule("H1")
@pytest.mark.rule("H5")
def test_any_attributes_in_any_order_are_right() -> None:
    assert told(*KNOWN) == told(*reversed(KNOWN)) == told("surveys", "id") == told("id") == []


@pytest.mark.rule("G1")
@pytest.mark.rule("H2")
def test_the_entity_decides_what_is_known() -> None:
    assert told("id", "renewalDate") == ["Unknown PX Column: 'renewalDate'"]
    assert told("id", "renewalDate", catalogue=default_catalogue(Entity.ACCOUNT)) == []


@pytest.mark.rule("H2")
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Score", "score"),
        (" score ", "score"),
        ("SCORE\n", "score"),
        ("\ufeffid", "id"),
        ("ID", "id"),
        ("first_name", "firstName"),
        ("First Name", "firstName"),
        ("e-mail", "email"),
        ("fistName", "firstName"),
        ("postalCodes", "postalCode"),
        ("cty", "city"),
        ("flantana_carteret", ""),
        ("ids", ""),
        ("code", ""),
        ("name", ""),
        ("countryCod", "countryCode"),
        ("countryNode", "countryCode"),
        ("x", ""),
        ("?", ""),
        ("имя", ""),
        ("firstName" * 1000, ""),
    ],
)
def test_a_name_is_suggested_where_it_is_surely_meant_and_else_none(name: str, hint: str) -> None:
    assert suggestion(name, KNOWN) == hint


@pytest.mark.rule("H2")
def test_names_are_suggested_for_the_first_unknown_columns_only() -> None:
    hints = ["did you mean" in each for each in told("id", *(f"{'-' * n}Score" for n in range(30)))]
    assert hints == [True] * 20 + [False] * 10


@pytest.mark.rule("H2")
def test_no_name_that_the_file_has_already_is_suggested() -> None:
    assert told("id", "Score") == ["Unknown PX Column: 'Score' (did you mean 'score'?)"]
    assert told("id", "Score", "score") == ["Unknown PX Column: 'Score'"]


@pytest.mark.rule("H2")
@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_told(separator: str, word: str) -> None:
    [unknown, missing] = told(separator.join(["id", "email", "score"]))
    assert unknown.endswith(f" (columns are separated by commas, not by {word})")
    assert missing == "Missing required Column: 'id'"
    assert told("id", f"a{separator}b") == [f"Unknown PX Column: {shown(f'a{separator}b')}"]


@pytest.mark.rule("H2")
def test_two_equally_close_names_are_no_suggestion() -> None:
    assert suggestion("Planname", ["planName", "PlanName"]) == ""


@pytest.mark.rule("H3")
def test_the_articles_own_example() -> None:
    assert told("flantana_carteret") == ["Unknown PX Column: 'flantana_carteret'", "Missing required Column: 'id'"]


@pytest.mark.rule("K2")
def test_the_product_keys_column_is_required_and_no_attribute() -> None:
    assert told("id", by=keyed()) == ["Missing required Column: 'productKey'"]
    assert told("email", by=keyed()) == ["Missing required Column: 'id'", "Missing required Column: 'productKey'"]
    assert told("id", "productKey", by=keyed()) == []
    assert told("id", "productKey") == ["Unknown PX Column: 'productKey'"]
    assert told("id", "email", by=feed(destination={"product_key_column": "email"})) == []


@pytest.mark.rule("F3")
@pytest.mark.parametrize("value", ["007", "-1.5", ".5", "2021-12-25", "ada@example.com", "a\n@b", "TRUE", " 7 "])
def test_a_record_in_place_of_the_header_is_not_quoted(value: str) -> None:
    sentences = ["Missing header: the first line holds values, no names of columns"]
    assert told("Ada", value) == told(value, "") == sentences
    assert told("id", value) == [f"Unknown PX Column: {shown(value)}"]


@pytest.mark.rule("H2")
def test_a_header_that_is_close_to_names_keeps_them() -> None:
    assert told("ID", "2FA")[:2] == ["Unknown PX Column: 'ID' (did you mean 'id'?)", "Unknown PX Column: '2FA'"]
    assert told("id;2fa")[0] == "Unknown PX Column: 'id;2fa' (columns are separated by commas, not by semicolons)"


@pytest.mark.rule("H2")
@pytest.mark.parametrize("name", ["userId", "e-mail", "plan2", "truedat", "Größe", "user 7"])
def test_a_header_without_any_attribute_keeps_its_names(name: str) -> None:
    [unknown, missing] = told(name)
    assert unknown.startswith(f"Unknown PX Column: {shown(name)}")
    assert missing == "Missing required Column: 'id'"


@pytest.mark.rule("H4")
@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    ("header", "sentences"),
    [
        pytest.param(["id", "email", "email"], ["Duplicate Column: 'email'"], id="twice"),
        pytest.param(["id", "email", "email", "email"], ["Duplicate Column: 'email'"], id="thrice is one fault"),
        pytest.param(["id", "id"], ["Duplicate Column: 'id'"], id="id twice"),
        pytest.param(["id", "email", "Email"], ["Unknown PX Column: 'Email'"], id="another case is another name"),
        pytest.param(
            ["id", "zz9", "zz9"], ["Unknown PX Column: 'zz9'", "Duplicate Column: 'zz9'"], id="unknown and twice"
        ),
        pytest.param(["id", "", "score"], ["Empty Column name at position 2"], id="empty"),
        pytest.param(
            ["", "id", "", ""],
            [f"Empty Column name at position {position}" for position in (1, 3, 4)],
            id="empty ones are told one by one, and are no duplicates",
        ),
        pytest.param([""], ["Empty Column name at position 1", "Missing required Column: 'id'"], id="nothing else"),
        pytest.param(["id", " "], ["Unknown PX Column: ' '"], id="a blank is a name"),
        pytest.param(
            ["bb9", "email", "", "aa9", "email", "bb9"],
            [
                "Unknown PX Column: 'bb9'",
                "Duplicate Column: 'bb9'",
                "Duplicate Column: 'email'",
                "Empty Column name at position 3",
                "Unknown PX Column: 'aa9'",
                "Missing required Column: 'id'",
            ],
            id="in column order, what is missing last",
        ),
    ],
)
def test_every_fault_of_a_header_is_named_in_column_order(header: list[str], sentences: list[str]) -> None:
    assert told(*header) == sentences


@pytest.mark.rule("H4")
def test_headers_as_they_are_quoted_in_the_file() -> None:
    assert judged('"id","email"\n1,x\n').accepted.rows == 1
    assert judged('id,"","e""m"\n1,x,y\n').sentences == [
        "Empty Column name at position 2",
        "Unknown PX Column: 'e\"m'",
    ]


@pytest.mark.rule("P3")
@pytest.mark.parametrize(
    "piece", ["\n", "\r\n", "\x1b[31m", "\x85", "\u2028", "\u202e", "\t", "\x7f", "\u200b", "\ufeff"]
)
def test_no_name_breaks_the_line_of_the_status_file(piece: str) -> None:
    [sentence] = judged(f'id,"zz{piece}9"\n').sentences
    assert re.fullmatch(r"Unknown PX Column: 'zz(\\\w+)+(\[31m)?9'", sentence)
    assert sentence.isprintable()
    assert len(sentence.splitlines()) == 1


@pytest.mark.rule("P3")
def test_a_very_long_name_is_cut() -> None:
    name = f"{'z9' * 50}…"
    assert FrameSchema(USER, FEED).header_issues(["id", "z9" * 5000, "email", "email"]) == [
        Issue(Code.UNKNOWN_COLUMN, f"Unknown PX Column: '{name}'", column=name),
        Issue(Code.DUPLICATE_COLUMN, "Duplicate Column: 'email'", column="email"),
    ]


@pytest.mark.rule("F5")
def test_a_hostile_name_is_not_compared() -> None:
    start = time.process_time()
    assert suggestion("score" * 6_000_000, KNOWN) == ""
    assert time.process_time() - start < 0.5


@pytest.mark.rule("C7")
def test_as_many_unknown_names_as_columns_are_allowed() -> None:
    issues = FrameSchema(USER, FEED).header_issues(["id", *(f"zz{number}" for number in range(4095))])
    assert [issue.message for issue in issues] == [f"Unknown PX Column: 'zz{number}'" for number in range(4095)]
    assert {issue.code for issue in issues} == {Code.UNKNOWN_COLUMN}

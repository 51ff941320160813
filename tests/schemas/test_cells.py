"""Cells by type, each against a plain reading of the rule with Python's own numbers."""

import math
import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.catalogue import Attribute, AttributeType
from schemas.cells import BooleanCells, Cells, NumberCells, cells_of
from schemas.date_format import DateFormat
from schemas.issues import Code
from tests.schemas.making import cell_faults, cell_values, modest

BLANK = ""


# --- numbers ---

LITERAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
INTEGER = re.compile(r"[+-]?[0-9]+(?:\.0*)?", re.ASCII)


def number_faults(cell: str) -> set[Code]:
    """The rule, with Python's numbers."""
    if cell == BLANK:
        return set()
    if not LITERAL.fullmatch(cell):
        return {Code.INVALID_NUMBER}
    value = float(cell)
    if math.isinf(value) or (INTEGER.fullmatch(cell) and Decimal(cell) != Decimal(value)):
        return {Code.NUMBER_OUT_OF_RANGE}
    return set()


digits = st.text("0123456789", min_size=1, max_size=25)
literals = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "+", "-"]),
    st.one_of(
        digits,
        st.builds("{}.".format, digits),
        st.builds(".{}".format, digits),
        st.builds("{}.{}".format, digits, digits),
    ),
    st.one_of(
        st.just(""),
        st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 400)),
    ),
)
mutated = st.builds(
    lambda literal, place, piece: literal[: place % (len(literal) + 1)] + piece + literal[place % (len(literal) + 1) :],
    literals,
    st.integers(0, 60),
    st.sampled_from([" ", "_", ",", "e", ".", "-", "+", "x", "٣", "１", "\n", "\u00a0", "f", "d", "∞", "−"]),
)
large = st.integers(-(10**24), 10**24).map(str) | st.integers(2**53 - 3, 2**53 + 3).map(str)


@pytest.mark.rule("V4")
@modest
@given(st.lists(literals | mutated | large | st.sampled_from(["", "NaN", "inf", "-Infinity"]), max_size=6))
@example(["1"])
@example(["nan", str(2**53 + 1), "1", ""])
@example(["x", "1e999", str(2**53 + 1) + ".0"])
def test_numbers_are_what_the_notation_says_and_64_bits_hold(texts: list[str]) -> None:
    cells = NumberCells()
    assert cell_faults(cells, *texts) == [number_faults(text) for text in texts]
    right = [text for text in texts if not number_faults(text)]
    assert cell_values(cells, *right) == [None if text == BLANK else float(text) for text in right]


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *[
            (text, float(text))
            for text in ("12", "-5", "+5", "00012", ".5", "5.", "-.5", "+.5e1", "1e5", "1E+5", "0.1")
        ],
        *[(text, float(text)) for text in ("1e308", "-1e308", "1e-400", "2.2250738585072011e-308", "1e23")],
        (str(2**53), 2.0**53),
        (str(2**53 + 2), 2.0**53 + 2),
        (f"-{2**53 + 2}", -(2.0**53) - 2),
        ("1" + "0" * 22, 1e22),
        (str(2**150), 2.0**150),
        (str(2**1000), 2.0**1000),
        ("0" * 5000 + str(2**53 + 2), 2.0**53 + 2),
        ("0." + "1" * 5000, float("0." + "1" * 5000)),
        (str(2**53 + 2) + ".000", 2.0**53 + 2),
    ],
)
def test_a_number(cell: str, value: float) -> None:
    assert cell_faults(NumberCells(), cell) == [set()]
    assert cell_values(NumberCells(), cell) == [value]


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    "cell",
    [
        *(
            "NaN",
            "nan",
            "Infinity",
            "-inf",
            "INF",
            "+NaN",
            "nan(1)",
            "1_000",
            "1,000",
            "1.000,5",
            "0x1F",
            "0b11",
            "1d5",
            "1f",
            "1e",
        ),
        *(
            "e5",
            ".",
            "+",
            "-",
            "--5",
            "+-5",
            "1.5.2",
            "1e5.5",
            "12\n",
            "\n12",
            " 12",
            "12 ",
            "1 000",
            "1\u00a0",
            "\t1",
            "$5",
            "5%",
        ),
        *("１２", "٣", "٣٤", "²", "½", "Ⅻ", "−5", "true", "null", "NA", " ", "\ufeff1", "1\0"),
    ],
)
def test_what_is_no_number(cell: str) -> None:
    for others in ((), ("1",), ("x",), (str(2**53 + 1),)):
        assert cell_faults(NumberCells(), cell, *others)[0] == {Code.INVALID_NUMBER}


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    "cell",
    [
        *("1e309", "-1e309", "1e400", "1" + "0" * 309, "9" * 5000, "1e" + "9" * 30),
        *(
            str(2**53 + 1),
            f"-{2**53 + 1}",
            f"+{2**53 + 1}",
            str(2**64 - 1),
            str(2**150 + 1),
            "123456789012345678901234567890",
        ),
        *(f"{2**53 + 1}.", f"{2**53 + 1}.00", "0" * 5000 + str(2**53 + 1)),
    ],
)
def test_a_number_that_64_bits_do_not_hold_is_never_changed_silently(cell: str) -> None:
    for others in ((), ("1", ""), ("x",), ("inf", str(2**53 + 2))):
        assert cell_faults(NumberCells(), cell, *others)[0] == {Code.NUMBER_OUT_OF_RANGE}


# --- booleans ---


@pytest.mark.rule("V5")
@pytest.mark.parametrize(
    ("cell", "value"),
    [("true", True), ("TRUE", True), ("tRuE", True), ("false", False), ("False", False), ("FALSE", False), ("", None)],
)
def test_a_boolean(cell: str, value: bool | None) -> None:
    assert cell_faults(BooleanCells(), cell) == [set()]
    assert cell_values(BooleanCells(), cell) == [value]


@pytest.mark.rule("V5")
@pytest.mark.parametrize(
    "cell",
    [
        *(
            "1",
            "0",
            "t",
            "f",
            "yes",
            "no",
            "y",
            "on",
            "off",
            " true",
            "true ",
            "true\n",
            "TRUEİ",
            "falſe",
            "ｔｒｕｅ",
            " ",
        ),
        *("truefalse", "null", "truе"),
    ],
)
def test_what_is_no_boolean(cell: str) -> None:
    assert cell_faults(BooleanCells(), cell, "true") == [{Code.INVALID_BOOLEAN}, set()]


# --- text ---


@pytest.mark.rule("V2")
@pytest.mark.rule("V3")
@modest
@given(st.lists(st.text(), max_size=5))
def test_text_is_left_alone_and_blank_is_no_value(texts: list[str]) -> None:
    assert cell_faults(Cells(), *texts) == [set() for _ in texts]
    assert cell_values(Cells(), *texts) == [text or None for text in texts]


@pytest.mark.rule("V7")
@modest
@given(st.lists(st.text(max_size=3), max_size=5))
def test_an_id_is_any_text_but_nothing(texts: list[str]) -> None:
    identifier = cells_of(Attribute("id", AttributeType.STRING), DateFormat.compile("yyyy-MM-dd"), required=True)
    assert cell_faults(identifier, *texts) == [set() if text else {Code.MISSING_VALUE} for text in texts]


@pytest.mark.rule("V1")
@pytest.mark.parametrize("kind", AttributeType)
def test_blank_is_allowed_in_every_type_and_no_value(kind: AttributeType) -> None:
    cells = cells_of(Attribute("x", kind), DateFormat.compile("yyyy-MM-dd"), required=False)
    for texts in ([], [""], ["", ""]):
        assert cell_faults(cells, *texts) == [set() for _ in texts]
        assert cell_values(cells, *texts) == [None for _ in texts]


@pytest.mark.rule("V1")
@pytest.mark.parametrize("kind", [AttributeType.NUMBER, AttributeType.BOOLEAN, AttributeType.DATE_TIME])
@pytest.mark.parametrize("cell", [" ", "\t", "\ufeff", "NA", "null", "-"])
def test_only_nothing_is_blank(kind: AttributeType, cell: str) -> None:
    cells = cells_of(Attribute("x", kind), DateFormat.compile("yyyy-MM-dd"), required=False)
    assert all(found for found in cell_faults(cells, cell))

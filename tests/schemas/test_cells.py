"""Cells by type, each against a plain reading of the rule with Python's own numbers."""

import math
import re
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.catalogue import Attribute, AttributeType
from schemas.cells import BooleanCells, Cells, NumberCells, ProductKeyCells, cells_of
from schemas.date_format import DateFormat
from schemas.issues import Code
from schemas.product_key import ProductKey
from tests.schemas.making import modest

BLANK = ""


def faults(cells: Cells, *texts: str) -> list[set[Code]]:
    """The faults of each cell of a batch."""
    column = pa.array(texts, pa.string())
    found: list[set[Code]] = [set() for _ in texts]
    for code, check in cells.checks.items():
        for each, right in zip(found, check(column).to_pylist(), strict=True):
            assert isinstance(right, bool)
            if not right:
                each.add(code)
    return found


def typed(cells: Cells, *texts: str) -> list[object]:
    found = cells.typed(pa.array(texts, pa.string()))
    return list(found.to_pylist())


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
    st.one_of(digits, st.builds("{}.".format, digits), st.builds(".{}".format, digits), st.builds("{}.{}".format, digits, digits)),
    st.one_of(st.just(""), st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 400))),
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
    assert faults(cells, *texts) == [number_faults(text) for text in texts]
    right = [text for text in texts if not number_faults(text)]
    assert typed(cells, *right) == [None if text == BLANK else float(text) for text in right]


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *[(text, float(text)) for text in ("12", "-5", "+5", "00012", ".5", "5.", "-.5", "+.5e1", "1e5", "1E+5", "0.1")],
        *[(text, float(text)) for text in ("1e308", "-1e308", "1e-400", "2.2250738585072011e-308", "1e23")],
        (str(2**53), 2.0**53),
        (str(2**53 + 2), 2.0**53 + 2),
        (f"-{2**53 + 2}", -(2.0**53) - 2),
        ("1" + "0" * 22, 1e22),
        (str(2**1000), 2.0**1000),
        ("0" * 5000 + str(2**53 + 2), 2.0**53 + 2),
        ("0." + "1" * 5000, float("0." + "1" * 5000)),
        (str(2**53 + 2) + ".000", 2.0**53 + 2),
    ],
)
def test_a_number(cell: str, value: float) -> None:
    assert faults(NumberCells(), cell) == [set()]
    assert typed(NumberCells(), cell) == [value]


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    "cell",
    [
        *("NaN", "nan", "Infinity", "-inf", "INF", "+NaN", "nan(1)", "1_000", "1,000", "1.000,5", "0x1F", "0b11", "1d5", "1f", "1e"),
        *("e5", ".", "+", "-", "--5", "+-5", "1.5.2", "1e5.5", "12\n", "\n12", " 12", "12 ", "1 000", "1\u00a0", "\t1", "$5", "5%"),
        *("１２", "٣", "٣٤", "²", "½", "Ⅻ", "−5", "true", "null", "NA", " ", "\ufeff1", "1\0"),
    ],
)
def test_what_is_no_number(cell: str) -> None:
    for others in ((), ("1",), ("x",), (str(2**53 + 1),)):
        assert faults(NumberCells(), cell, *others)[0] == {Code.INVALID_NUMBER}


@pytest.mark.rule("V4")
@pytest.mark.parametrize(
    "cell",
    [
        *("1e309", "-1e309", "1e400", "1" + "0" * 309, "9" * 5000, "1e" + "9" * 30),
        *(str(2**53 + 1), f"-{2**53 + 1}", f"+{2**53 + 1}", str(2**64 - 1), "123456789012345678901234567890"),
        *(f"{2**53 + 1}.", f"{2**53 + 1}.00", "0" * 5000 + str(2**53 + 1)),
    ],
)
def test_a_number_that_64_bits_do_not_hold_is_never_changed_silently(cell: str) -> None:
    for others in ((), ("1", ""), ("x",), ("inf", str(2**53 + 2))):
        assert faults(NumberCells(), cell, *others)[0] == {Code.NUMBER_OUT_OF_RANGE}


# --- booleans ---


@pytest.mark.rule("V5")
@pytest.mark.parametrize(
    ("cell", "value"),
    [("true", True), ("TRUE", True), ("tRuE", True), ("false", False), ("False", False), ("FALSE", False), ("", None)],
)
def test_a_boolean(cell: str, value: bool | None) -> None:
    assert faults(BooleanCells(), cell) == [set()]
    assert typed(BooleanCells(), cell) == [value]


@pytest.mark.rule("V5")
@pytest.mark.parametrize(
    "cell",
    [
        *("1", "0", "t", "f", "yes", "no", "y", "on", "off", " true", "true ", "true\n", "TRUEİ", "falſe", "ｔｒｕｅ", " "),
        *("truefalse", "null", "truе"),
    ],
)
def test_what_is_no_boolean(cell: str) -> None:
    assert faults(BooleanCells(), cell, "true") == [{Code.INVALID_BOOLEAN}, set()]


# --- text ---


@pytest.mark.rule("V2")
@pytest.mark.rule("V3")
@modest
@given(st.lists(st.text(), max_size=5))
def test_text_is_left_alone_and_blank_is_no_value(texts: list[str]) -> None:
    assert faults(Cells(), *texts) == [set() for _ in texts]
    assert typed(Cells(), *texts) == [text or None for text in texts]


@pytest.mark.rule("V7")
@modest
@given(st.lists(st.text(max_size=3), max_size=5))
def test_an_id_is_any_text_but_nothing(texts: list[str]) -> None:
    identifier = cells_of(Attribute("id", AttributeType.STRING), DateFormat.compile("yyyy-MM-dd"), required=True)
    assert faults(identifier, *texts) == [set() if text else {Code.MISSING_VALUE} for text in texts]


@pytest.mark.rule("V1")
@pytest.mark.parametrize("kind", AttributeType)
def test_blank_is_allowed_in_every_type_and_no_value(kind: AttributeType) -> None:
    cells = cells_of(Attribute("x", kind), DateFormat.compile("yyyy-MM-dd"), required=False)
    for texts in ([], [""], ["", ""]):
        assert faults(cells, *texts) == [set() for _ in texts]
        assert typed(cells, *texts) == [None for _ in texts]


@pytest.mark.rule("V1")
@pytest.mark.parametrize("kind", [AttributeType.NUMBER, AttributeType.BOOLEAN, AttributeType.DATE_TIME])
@pytest.mark.parametrize("cell", [" ", "\t", "\ufeff", "NA", "null", "-"])
def test_only_nothing_is_blank(kind: AttributeType, cell: str) -> None:
    cells = cells_of(Attribute("x", kind), DateFormat.compile("yyyy-MM-dd"), required=False)
    assert all(found for found in faults(cells, cell))


# --- product keys ---


def product_keys(*allowed: str, production: int = 1) -> ProductKeyCells:
    return ProductKeyCells(production=production, allowed=frozenset(allowed))


FORM = re.compile(r"AP-[A-Za-z0-9]+-0*[1-9][0-9]*(-0*[1-9][0-9]*)?", re.ASCII)
keys = st.builds(
    "AP-{}-{}{}".format,
    st.text("aZ09", min_size=1, max_size=4),
    st.integers(1, 12),
    st.one_of(st.just(""), st.integers(1, 5).map("-{}".format)),
)
near_keys = st.lists(st.sampled_from(["AP-", "ap-", "X", "é", "-", "1", "0", " ", "\n"]), max_size=7).map("".join)


@pytest.mark.rule("K1")
@pytest.mark.rule("K2")
@modest
@given(st.lists(keys | near_keys, max_size=6), st.sets(keys, max_size=2), st.integers(1, 3))
def test_product_keys(texts: list[str], allowed: set[str], production: int) -> None:
    def full(key: str) -> str:
        product, channel, *environment = key.removeprefix("AP-").split("-")
        return f"AP-{product}-{int(channel)}-{int(environment[0]) if environment else production}"

    def expected(text: str) -> set[Code]:
        if not text:
            return {Code.MISSING_VALUE}
        if not FORM.fullmatch(text):
            return {Code.INVALID_PRODUCT_KEY}
        return {Code.UNKNOWN_PRODUCT_KEY} if allowed and full(text) not in map(full, allowed) else set()

    cells = product_keys(*allowed, production=production)
    assert faults(cells, *texts) == [expected(text) for text in texts]
    right = [text for text in texts if FORM.fullmatch(text)]
    assert typed(cells, *right) == [full(text) for text in right]


@pytest.mark.rule("K1")
@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("AP-XXXXXXXXXX-2-1", "AP-XXXXXXXXXX-2-1"),
        ("AP-XXXXXXXXXX-2", "AP-XXXXXXXXXX-2-1"),
        ("AP-a1-3-4", "AP-a1-3-4"),
        ("AP-a1-9", "AP-a1-9-1"),
        ("AP-x-02-03", "AP-x-2-3"),
    ],
)
def test_a_product_key_and_its_full_form(text: str, full: str) -> None:
    assert str(ProductKey.parse(text)) == full
    assert ProductKey.parse(full) == ProductKey.parse(text)


@pytest.mark.rule("K1")
@pytest.mark.parametrize(
    "text",
    [
        *("", "AP", "AP-", "AP-X", "AP-X-", "AP-X-0", "AP-X-1-0", "AP-X-1-", "AP-X-1-1-1", "AP--1", "ap-X-1", "AP-X-a", "AP-X--1"),
        *("AP-X-1\n", " AP-X-1", "AP-X-1 ", "AP-Ü-1", "AP-X-１", "AP-X_Y-1", "AP-X-+1", "AP-X-1.0", "XAP-X-1", "AP-X-" + "9" * 5000),
    ],
)
def test_what_is_no_product_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        ProductKey.parse(text)
    assert len(text) < 5 or text.strip() not in str(caught.value)
    assert faults(product_keys(), text or "x") == [{Code.INVALID_PRODUCT_KEY}]

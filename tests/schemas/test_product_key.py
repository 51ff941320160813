"""Product keys: their form, their full form, and the column that holds them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cells import ProductKeyCells
from schemas.issues import Code
from schemas.product_key import ProductKey
from tests.schemas.making import cell_faults, cell_values, modest


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
    assert cell_faults(cells, *texts) == [expected(text) for text in texts]
    right = [text for text in texts if not expected(text)]
    assert cell_values(cells, *right) == [full(text) for text in right]


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
        *(
            "",
            "AP",
            "AP-",
            "AP-X",
            "AP-X-",
            "AP-X-0",
            "AP-X-1-0",
            "AP-X-1-",
            "AP-X-1-1-1",
            "AP--1",
            "ap-X-1",
            "AP-X-a",
            "AP-X--1",
        ),
        *(
            "AP-X-1\n",
            " AP-X-1",
            "AP-X-1 ",
            "AP-Ü-1",
            "AP-X-１",
            "AP-X_Y-1",
            "AP-X-+1",
            "AP-X-1.0",
            "XAP-X-1",
            "AP-X-" + "9" * 5000,
        ),
    ],
)
def test_what_is_no_product_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        ProductKey.parse(text)
    assert len(text) < 5 or text.strip() not in str(caught.value)
    assert cell_faults(product_keys(), text or "x") == [{Code.INVALID_PRODUCT_KEY}]

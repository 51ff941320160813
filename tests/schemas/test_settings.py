"""The settings of a file: what is right is read, and every refusal is a sentence."""

import pytest
from pydantic import ValidationError

from schemas.product_key import ProductKey
from schemas.settings import BlankCells, Destination, FileSettings, Limits

pytestmark = pytest.mark.rule("S9")

DESTINATION = {"product": "AP-X"}


def told(**settings: object) -> list[tuple[str, str]]:
    """Where and why the settings are refused."""
    with pytest.raises(ValidationError) as caught:
        FileSettings.model_validate({"destination": DESTINATION, **settings})
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


@pytest.mark.rule("S8")
def test_the_defaults_are_the_articles() -> None:
    settings = FileSettings.model_validate({"destination": DESTINATION})
    assert settings.date_format == "yyyy-MM-dd'T'HH:mm:ssX"
    assert settings.blank_cells is BlankCells.LEAVE
    assert settings.limits == Limits(
        max_rows=350_000,
        max_decompressed_bytes=2 * 1024**3,
        max_record_bytes=64 * 1024**2,
        max_columns=4096,
        max_error_lines=10_000,
    )


@pytest.mark.rule("S4")
@pytest.mark.rule("K1")
@pytest.mark.parametrize(
    ("destination", "key"),
    [
        ({"product": "AP-X"}, ProductKey("AP-X", 2, 1)),
        ({"product": "AP-X", "channel": 3, "environment": "stage"}, ProductKey("AP-X", 3, 4)),
        ({"product": "AP-X", "environments": {"production": 7}}, ProductKey("AP-X", 2, 7)),
        ({"product": "AP-X", "environments": {}}, ProductKey("AP-X", 2, 1)),
        ({"product": "AP-X", "environment": "dev", "environments": {"dev": 9}}, ProductKey("AP-X", 2, 9)),
        ({"product_key_column": "productKey"}, None),
    ],
)
def test_the_destination_is_a_product_or_a_column(destination: dict[str, object], key: ProductKey | None) -> None:
    assert Destination.model_validate(destination).fixed_product_key == key


@pytest.mark.rule("K1")
def test_what_production_means_is_a_setting() -> None:
    assert Destination(product_key_column="k").production == 1
    assert Destination(product_key_column="k", environments={"production": 7}).production == 7
    assert Destination(product_key_column="k", environments={"qa": 3}).production == 1
    assert Destination(product_key_column="k", environments={"production": 2, "qa": 1}).production == 2


@pytest.mark.rule("S4")
@pytest.mark.parametrize(
    ("destination", "place", "sentence"),
    [
        ({}, "", "give either product_key_column or product"),
        ({"product": "AP-X", "product_key_column": "k"}, "", "give either product_key_column or product"),
        ({"product_key_column": "id"}, "", "product_key_column cannot be 'id'"),
        ({"product": "X"}, "", "a product key looks like AP-XXXXXXXXXX-2-1"),
        ({"product": "AP-X-2"}, "", "product is AP- with letters and digits"),
        ({"product": "AP-X-2-1"}, "", "product is AP- with letters and digits"),
        ({"product": "AP-X Y"}, "", "a product key looks like AP-XXXXXXXXXX-2-1"),
        ({"product": "AP-"}, "", "a product key looks like AP-XXXXXXXXXX-2-1"),
        (
            {"product": "AP-X", "environment": "prod"},
            "",
            "environment must be one of production, integration, qa, stage",
        ),
        ({"product": "AP-X", "channel": 0}, ".channel", "greater than 0"),
        ({"product": "AP-X", "environments": {"qa": 0}}, ".environments.qa", "greater than 0"),
        (
            {"product_key_column": "k", "environments": {"production": 2, "qa": 2}},
            ".environments",
            "two of them have the same code",
        ),
        ({"product_key_column": "k", "environments": {"qa": 1}}, ".environments", "production's is 1 unless"),
        (
            {"product_key_column": "k", "allowed_product_keys": ["AP-X"]},
            ".allowed_product_keys.0",
            "a product key looks like",
        ),
        (
            {"product_key_column": "k", "allowed_product_keys": ["AP-X-1\n"]},
            ".allowed_product_keys.0",
            "a product key looks like",
        ),
        ({"product": "AP-X", "chanel": 1}, ".chanel", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_destination_is_refused(destination: object, place: str, sentence: str) -> None:
    [(where, why)] = told(destination=destination)
    assert where == f"destination{place}"
    assert sentence in why


@pytest.mark.parametrize(
    ("settings", "place", "sentence"),
    [
        ({"destination": None}, "destination", "valid dictionary or instance of Destination"),
        ({"entity": "users"}, "entity", "'user' or 'account'"),
        ({"blank_cells": "null"}, "blank_cells", "'leave' or 'clear'"),
        ({"date_format": ""}, "date_format", "year"),
        ({"date_format": "mm/dd/yyyy"}, "date_format", "MM"),
        ({"date_format": "yyyy-MM-dd'T"}, "date_format", "quote"),
        ({"limits": {"max_rows": 0}}, "limits.max_rows", "greater than 0"),
        ({"limits": {"max_columns": -1}}, "limits.max_columns", "greater than 0"),
        ({"limits": {"max_bytes": 1}}, "limits.max_bytes", "Extra inputs are not permitted"),
        ({"date_fromat": "yyyy"}, "date_fromat", "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings: dict[str, object], place: str, sentence: str) -> None:
    [(where, why)] = told(**settings)
    assert where == place
    assert sentence in why


@pytest.mark.rule("S10")
def test_no_refusal_repeats_what_was_written() -> None:
    with pytest.raises(ValidationError) as caught:
        FileSettings.model_validate({"destination": {"product": "hunter2"}, "hunter2key": "hunter2"})
    assert "hunter2" not in str(caught.value).replace("hunter2key", "")

"""The settings that decide how a file is read: enough to validate one without any network (rules S1 to S5)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from schemas.catalogue import ID, Entity
from schemas.date_format import DateFormat
from schemas.product_key import ENVIRONMENT_CODES, PRODUCTION, ProductKey

DEFAULT_DATE_FORMAT = "yyyy-MM-dd'T'HH:mm:ssX"


class BlankCells(StrEnum):
    """What a blank cell does to a record that exists (rule V1)."""

    LEAVE = "leave"
    CLEAR = "clear"


class Strict(BaseModel):
    """A part of the settings: unknown names are refused, and no input is repeated in errors (rule S10)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _product_key(text: str) -> str:
    ProductKey.parse(text)
    return text


def _codes(given: dict[str, int]) -> dict[str, int]:
    """The codes, or PX's own where none are given; no two are the same."""
    codes = given or dict(ENVIRONMENT_CODES)
    if len({_production(codes), *codes.values()}) != len({PRODUCTION, *codes}):
        raise ValueError("two of them have the same code; give each its own (production's is 1 unless it is named)")
    return codes


def _production(codes: Mapping[str, int]) -> int:
    return codes.get(PRODUCTION, ENVIRONMENT_CODES[PRODUCTION])


class Destination(Strict):
    """For which product the records are imported: a column of the file, or one fixed product (rule S4)."""

    product_key_column: str = Field(
        "", title="Product key column", description="Header of the column that holds each row's product key."
    )
    product: str = Field(
        "",
        title="Product",
        description="The fixed product, like AP-XXXXXXXXXX, instead of a column.",
        json_schema_extra={"pattern": "^(AP-[A-Za-z0-9]+)?$"},  # for the form; see _one_of_two for what it comes to
    )
    channel: PositiveInt = Field(2, title="Channel", description="1 website, 2 web app, 3 mobile app.")
    environment: str = Field(
        PRODUCTION,
        title="Environment",
        description="One that has a code below: production, integration, qa or stage.",
    )
    environments: Annotated[dict[str, PositiveInt], AfterValidator(_codes)] = Field(
        default_factory=lambda: _codes({}),
        title="Environments",
        description="The code of each environment in a product key. Left empty: those four are 1 to 4.",
    )
    allowed_product_keys: list[Annotated[str, AfterValidator(_product_key)]] = Field(
        default_factory=list,
        title="Allowed product keys",
        description="If any are listed, a row with another product key is a fault.",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> "Destination":
        if bool(self.product_key_column) == bool(self.product):
            raise ValueError("give either product_key_column or product (with channel and environment)")
        if self.product_key_column == ID:
            raise ValueError("product_key_column cannot be 'id', the column that names the record")
        if self.product:
            if self.environment not in self.environments:
                raise ValueError(f"environment must be one of {', '.join(self.environments)}")
            if self.product.count("-") > 1:
                raise ValueError(
                    "product is AP- with letters and digits, like AP-XXXXXXXXXX; channel stands for itself"
                )
            ProductKey.parse(f"{self.product}-{self.channel}")
        return self

    @property
    def production(self) -> int:
        """Code that a key without an environment means (rule K1)."""
        return _production(self.environments)

    @property
    def fixed_product_key(self) -> ProductKey | None:
        """The product of every row; None where a column holds it."""
        if not self.product:
            return None
        return ProductKey(self.product, self.channel, self.environments[self.environment])


class Limits(Strict):
    """Bounds of one file (rules C6, C7, F4)."""

    max_rows: PositiveInt = Field(350_000, title="Rows", description="Most data rows in one file.")
    max_decompressed_bytes: PositiveInt = Field(
        2 * 1024**3, title="Decompressed bytes", description="Most bytes of one file after decompression."
    )
    max_record_bytes: PositiveInt = Field(64 * 1024**2, title="Record bytes", description="Most bytes of one record.")
    max_columns: PositiveInt = Field(4096, title="Columns", description="Most columns in one file.")
    max_error_lines: PositiveInt = Field(10_000, title="Error lines", description="Most lines of errors.csv.")


def _date_pattern(pattern: str) -> str:
    DateFormat.compile(pattern)
    return pattern


class FileSettings(Strict):
    """How the files of a feed are read. `ImportSettings` adds where they come from and go to."""

    entity: Entity = Field(Entity.USER, title="Entity", description="What this feed imports.")
    destination: Destination = Field(
        title="Import destination", description="The product key column, or one fixed product."
    )
    date_format: Annotated[str, AfterValidator(_date_pattern)] = Field(
        DEFAULT_DATE_FORMAT, title="Date format", description="Java pattern of the dates in the files."
    )
    blank_cells: BlankCells = Field(
        BlankCells.LEAVE,
        title="Blank cells",
        description="What a blank cell does to a record that exists: leave the attribute as it is, or clear it.",
    )
    limits: Limits = Field(default_factory=Limits, title="Limits", description="Bounds of one file.")

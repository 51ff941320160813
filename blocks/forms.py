"""What our Prefect blocks have in common as forms that people fill in."""

from typing import Any

from prefect.utilities.names import obfuscate
from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

#: Stands where a document says nothing of a block. One that is deleted leaves just as little in those that chose it:
#: to take the default then would be to go on as somebody else, or with other attributes.
NOT_CHOSEN = object()


class Form(BaseModel):
    """Beside `Block` among the bases: unknown names are refused, and no input is repeated in errors (rule S10)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _slug_is_no_setting(cls, values: Any) -> Any:  # noqa: ANN401
        """Prefect writes the slug into a block that it stores as part of another one."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name != "block_type_slug"}


def refuse_not_chosen(block: object, default: str = "") -> None:
    """Refuse a document in which a block is missing.

    Args:
        block: what stands in its place.
        default: what an empty document stands for; empty where there is no such thing.

    Raises:
        ValueError: it is missing.
    """
    if block is NOT_CHOSEN:
        empty = f"; an empty one stands for {default}" if default else ""
        raise ValueError(f"none is chosen, or the one that was chosen has been deleted; choose one{empty}")


def refuse_stars(secret: SecretStr | None) -> None:
    """Refuse what Prefect's newer form saves in place of a chosen block: what it shows of it, stars for the secret.

    Raises:
        ValueError: these are the stars.
    """
    if secret and secret.get_secret_value() == obfuscate(secret.get_secret_value()):
        raise ValueError("saving in the browser has put stars in place of the secret; choose the block again")

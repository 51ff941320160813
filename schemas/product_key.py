"""Product keys: `AP-XXXXXXXXXX-2-1` (rules K1 to K3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: Letters and digits, channel, and optionally environment; both numbers are positive (rule K1). RE2 reads it too.
PATTERN = r"AP-[A-Za-z0-9]+-0*[1-9][0-9]*(?:-0*[1-9][0-9]*)?"
#: PX publishes the names but not the codes: this order is the default, settings may say otherwise.
ENVIRONMENT_CODES: Mapping[str, int] = MappingProxyType({"production": 1, "integration": 2, "qa": 3, "stage": 4})
PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class ProductKey:
    """One product, channel and environment.

    Attributes:
        product: `AP-` and the letters and digits behind it.
        channel: 1 website, 2 web app, 3 mobile app; others are taken as they are.
        environment: the environment's code.
    """

    product: str
    channel: int
    environment: int

    @classmethod
    def parse(cls, text: str, production: int = ENVIRONMENT_CODES[PRODUCTION]) -> "ProductKey":
        """Read a key; one without an environment means production (rule K1).

        Raises:
            ValueError: the text does not have the form; it is not repeated in the message.
        """
        if not re.fullmatch(PATTERN, text):
            raise ValueError("a product key looks like AP-XXXXXXXXXX-2-1")
        _, product, channel, *environment = text.split("-")
        return cls(f"AP-{product}", int(channel), int(environment[0]) if environment else production)

    def __str__(self) -> str:
        """The full form, environment included."""
        return f"{self.product}-{self.channel}-{self.environment}"

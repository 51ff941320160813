"""How many feeds are spread over several runs: each belongs to exactly one shard, on whatever machine it is asked."""

import re
from dataclasses import dataclass
from hashlib import sha256

from schemas.errors import SettingsError

_SHARD = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One part of all feeds.

    Attributes:
        number: from 1 on.
        of: how many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `3/8`.

        Raises:
            SettingsError: it is no shard.
        """
        match = _SHARD.fullmatch(text)
        shard = cls(int(match[1]), int(match[2])) if match else None
        if shard is None or shard.number > shard.of:
            raise SettingsError("shard", "write it like 3/8, for the third of eight shards")
        return shard

    def has(self, subscription: str) -> bool:
        """Whether the feeds of a subscription belong here; the same in every process and version."""
        place = int.from_bytes(sha256(subscription.encode()).digest()[:8])
        return place % self.of == self.number - 1

    def __str__(self) -> str:
        """As it was written."""
        return f"{self.number}/{self.of}"


#: All feeds.
WHOLE = Shard(1, 1)

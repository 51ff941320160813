"""Every feed is in exactly one shard, and stays there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from schemas.shards import Shard


@given(st.sets(st.text(min_size=1), max_size=50), st.integers(1, 40))
def test_shards_are_disjoint_and_complete(subscriptions: set[str], of: int) -> None:
    shards = [Shard.parse(f"{number}/{of}") for number in range(1, of + 1)]
    assert all(sum(shard.has(each) for shard in shards) == 1 for each in subscriptions)


def test_the_load_is_spread() -> None:
    sizes = [sum(Shard(number, 8).has(f"s3://bucket/tenant-{n}") for n in range(8000)) for number in range(1, 9)]
    assert min(sizes) > 900


def test_a_subscription_stays_where_it_is_whatever_the_machine_and_version() -> None:
    assert [number for number in range(1, 9) if Shard(number, 8).has("s3://bucket/acme")] == [2]


@pytest.mark.parametrize("wrong", ["", "0/8", "9/8", "3", "3/0", "a/b", "3/8 ", "-1/8", "03/8", "3/8/9", "1/99999"])
def test_what_is_no_shard_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"^shard: write it like 3/8"):
        Shard.parse(wrong)

"""The JSON schema of a block, made once: Prefect asks for it at every field whenever it saves a document."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache, wraps
from typing import Any


def kept(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The same method, whose result is made once for each class and arguments; each caller has a copy."""
    once = cache(make)

    @wraps(make)
    def copied(*args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        return deepcopy(once(*args, **options))

    return copied

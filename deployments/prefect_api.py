"""What a person is told when Prefect's server does not answer, or says no."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from schemas.errors import SettingsError


@contextmanager
def asking_prefect() -> Iterator[None]:
    """Calls of Prefect's API.

    Raises:
        SettingsError: the server cannot be reached or refuses the caller; in place of httpx's exceptions.
    """
    try:
        yield
    except httpx.HTTPStatusError as exc:
        if exc.response.status_code not in {401, 403}:
            raise
        raise SettingsError("PREFECT_API_AUTH_STRING", "the Prefect server wants another user:password") from None
    except httpx.TransportError as exc:
        problem = f"the Prefect server cannot be reached ({type(exc).__name__}); start it or correct its address"
        raise SettingsError("PREFECT_API_URL", problem) from None

"""What a person is told when Prefect's server does not answer, or says no."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from schemas.errors import SettingsError


@contextmanager
def asking_prefect() -> Iterator[None]:
    """Calls of Prefect's API.

    Raises:
        SettingsError: the server cannot be reached, refuses the caller or does not start; in place of Prefect's own.
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
    except RuntimeError as exc:
        if "ephemeral" not in str(exc):  # how Prefect calls the server that it starts where none is named
            raise
        problem = "the small Prefect server that this starts did not come up in time; try again, or name a server here"
        raise SettingsError("PREFECT_API_URL", problem) from None

"""What a person is told when Prefect's server does not answer, or says no."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from schemas.errors import SettingsError


@contextmanager
def asking_prefect() -> Iterator[None]:
    """Calls of Prefect's API.

    Raises:
        SettingsError: the server cannot be reached, refuses the caller, fails or does not start.
    """
    try:
        yield
    except httpx.HTTPStatusError as exc:
        code = exc.response.status_code
        if code in {401, 403}:
            raise SettingsError("PREFECT_API_AUTH_STRING", "the Prefect server wants another user:password") from None
        if code == 404:
            raise _no_api() from None
        if code < 500:
            raise
        cause = "its log says why; with another PREFECT_SERVER_ENCRYPTION_KEY it cannot read the blocks that it has"
        raise SettingsError("PREFECT_API_URL", f"the Prefect server failed (HTTP {code}): {cause}") from None
    except httpx.TransportError as exc:
        raise _unreachable(type(exc).__name__) from None
    except RuntimeError as exc:  # Prefect's own, told by its text alone
        if "Failed to reach API" in str(exc):
            answered = isinstance(exc.__cause__, httpx.HTTPStatusError)
            raise (_no_api() if answered else _unreachable(type(exc.__cause__ or exc).__name__)) from None
        if "ephemeral" not in str(exc):  # how Prefect calls the server that it starts where none is named
            raise
        problem = "the small Prefect server that this starts did not come up in time; try again, or name a server here"
        raise SettingsError("PREFECT_API_URL", problem) from None


def _no_api() -> SettingsError:
    return SettingsError("PREFECT_API_URL", "no Prefect API answers there; the address ends in /api")


def _unreachable(why: str) -> SettingsError:
    return SettingsError(
        "PREFECT_API_URL", f"the Prefect server cannot be reached ({why}); start it or correct its address"
    )

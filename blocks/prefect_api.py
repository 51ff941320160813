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
        if told := _answered(exc.response.status_code):
            raise told from None
        raise
    except httpx.TransportError as exc:
        raise _unreachable(type(exc).__name__) from None
    except RuntimeError as exc:  # Prefect's own, told by its text alone
        if "Failed to reach API" in str(exc):
            cause = exc.__cause__
            if isinstance(cause, httpx.HTTPStatusError):
                raise (_answered(cause.response.status_code) or _no_api()) from None
            raise _unreachable(type(cause or exc).__name__) from None
        if "ephemeral" not in str(exc):  # how Prefect calls the server that it starts where none is named
            raise
        problem = "the small Prefect server that this starts did not come up in time; try again, or name a server here"
        raise SettingsError("PREFECT_API_URL", problem) from None


def _answered(code: int) -> SettingsError | None:
    """What an HTTP status means; None for one of which nothing is known."""
    if code in {401, 403}:
        return SettingsError("PREFECT_API_AUTH_STRING", "the Prefect server wants another user:password")
    if code == 404:
        return _no_api()
    if code < 500:
        return None
    cause = "its log says why; with another PREFECT_SERVER_ENCRYPTION_KEY it cannot read the blocks that it has"
    return SettingsError("PREFECT_API_URL", f"the Prefect server failed (HTTP {code}): {cause}")


def _no_api() -> SettingsError:
    return SettingsError("PREFECT_API_URL", "no Prefect API answers there; the address ends in /api")


def _unreachable(why: str) -> SettingsError:
    return SettingsError(
        "PREFECT_API_URL", f"the Prefect server cannot be reached ({why}); start it or correct its address"
    )

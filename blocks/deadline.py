"""Calls that nobody waits for longer than they may take.

The time limits of sockets hold for a single read: a server that sends a byte now and then is never late. So a call
runs on a thread of its own, and where it is late the caller goes on without it. Such a thread holds up nothing, not
even the end of the process. What its call still brings about is no more than what a run does that was presumed dead:
each step in S3 is harmless when it comes late, and the ledger takes nothing from it.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def begun(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """A call on a thread of its own, begun; it cannot be cancelled."""
    future: Future[R] = Future()
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            result = context.run(call, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=work, name=getattr(call, "__name__", "call"), daemon=True).start()
    return future


def in_time(seconds: float, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a call returns or raises.

    Raises:
        TimeoutError: it was not done within so many seconds; it is left to itself.
    """
    future = begun(call, *args, **kwargs)
    try:
        return future.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"it was not done within {seconds:g} seconds") from None


async def awaited(seconds: float, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for those who do not stand still meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(begun(call, *args, **kwargs))
    except TimeoutError:
        raise TimeoutError(f"it was not done within {seconds:g} seconds") from None

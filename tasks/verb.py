"""How every verb becomes a Prefect task: which faults are tried again, and nothing is cached."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

from blocks.deadline import begun
from schemas.errors import TransientError

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_SECONDS = [2.0, 10.0]


def _is_transient(_task: object, _run: object, state: Any) -> bool:  # noqa: ANN401
    """Whether a failed try is worth another: the exception's class decides, nothing else."""
    return isinstance(state.data, TransientError)


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a blocking function returns or raises, without holding up the flow; see `verb`."""
    return await asyncio.wrap_future(begun(function, *args, **kwargs))


def verb(name: str, about: str = "") -> Callable[[Callable[P, R]], Callable[P, Awaitable[R]]]:
    """Make a blocking function a task that an async flow awaits.

    The work runs in a thread, so that the flow's heartbeat goes on, and a run that is cancelled ends although its
    work stands still: the thread is left to itself, and ends with the process. A `TransientError` is tried again
    with growing pauses; inputs and results are neither hashed nor stored: they hold records and credentials.
    Outside a flow run the function is only called, once: there is no engine to show it to or to try it again.

    Args:
        name: of the task.
        about: template, filled in from the arguments: what the name of each run adds, so that a page tells them apart.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
        @wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            return await in_thread(function, *args, **kwargs)

        as_task = task(
            name=name,
            task_run_name=f"{name} {about}".rstrip(),
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=len(RETRY_DELAYS_SECONDS),
            retry_delay_seconds=RETRY_DELAYS_SECONDS,
            retry_condition_fn=_is_transient,
        )(run)

        @wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return await (as_task if FlowRunContext.get() else run)(*args, **kwargs)

        call.task = as_task  # type: ignore[attr-defined]
        return call

    return decorate

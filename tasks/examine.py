"""Verb: make one check of a feed's connections, and wait only so long for it."""

import threading
from collections.abc import Callable, Iterable

from schemas.diagnosis import Finding, NotChecked, Remark, State, sentence_of
from schemas.errors import ImporterError
from tasks.verb import verb

DEADLINE_SECONDS = 25.0


@verb("check", "{name}")
def examine(name: str, check: Callable[[], Iterable[Remark]], seconds: float | None = None) -> list[Finding]:
    """What a check says, and what stood in its way, as findings.

    Args:
        name: of the check.
        check: whatever it asks has a limit of its own, a name server or a disk need not have.
        seconds: how long to wait for it; then it is left to itself.
    """
    found: list[Finding] = []
    unforeseen: list[BaseException] = []

    def make() -> None:
        try:
            found.extend(_made(name, check))
        except BaseException as error:  # noqa: BLE001 -- raised again below, on the thread that waits
            unforeseen.append(error)

    limit = DEADLINE_SECONDS if seconds is None else seconds
    thread = threading.Thread(target=make, name=f"check {name}", daemon=True)
    thread.start()
    thread.join(limit)
    if unforeseen:
        raise unforeseen[0]
    if thread.is_alive():
        return [Finding(name, State.FAILED, f"no answer within {limit:g} seconds; check network and name server")]
    return found


def _made(name: str, check: Callable[[], Iterable[Remark]]) -> list[Finding]:
    """The check's findings; those before an exception are kept."""
    found = []
    try:
        for state, sentence in check():
            found.append(Finding(name, state, sentence))
    except NotChecked as reason:
        found.append(Finding(name, State.UNCHECKED, str(reason)))
    except ImporterError as error:
        found.append(Finding(name, State.FAILED, sentence_of(error)))
    return found

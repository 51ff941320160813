"""The faults: what happens at one call of the importer, and which states may be there in the end because of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from deployments.chaos.exchange import RESET, Call, Door, Exchange, Reply
from deployments.chaos.scenarios import LATE, USERS, Endings, Files, Scenario
from schemas.drop_zone import MARKER

_DELAY_SECONDS = 0.3


#: Plays a fault at one call; what the importer sees of that.
Act = Callable[[Exchange, "Scene"], Reply]


class Scene(Protocol):
    """What a fault can do to the run that it meets."""

    scenario: Scenario

    def kill(self) -> None:
        """End the importer at once."""

    def outlive(self) -> None:
        """Freeze the importer, let its lease run out and another run do everything, then let it go on."""

    def deliver(self, files: Files, *, marker: bool, at_once: bool = False) -> None:
        """Put files into the folder of users that is being imported, as the customer; a marker in a new second."""

    def remove(self, *names: str) -> None:
        """Take files back from that folder, as the customer."""

    def rob(self) -> None:
        """Remove the files of the earlier delivery of users from the archive, where they have not made way yet."""

    def from_now_on(self, door: Door, act: Act) -> None:
        """Do the same to every further call at a door while this run lasts."""


_SERVERS = frozenset({Door.S3, Door.STORE, Door.CALLBACK})
_HTTP = frozenset({Door.S3, Door.CALLBACK})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        name: for the table.
        about: for a person.
        act: plays it at the chosen call.
        doors: where it can happen.
        endings: of a scenario, the states that may be there in the end; None: as if nothing had happened.
        between_transactions: whether of the store's calls only those count that begin a transaction. Within one, the
            importer holds the store: whoever comes meanwhile is told so, and nothing else happens.
        repeated: whether it needs an earlier delivery.
    """

    name: str
    about: str
    act: Act
    doors: frozenset[Door] = _SERVERS
    endings: Callable[[Scenario], Endings] | None = None
    between_transactions: bool = False
    repeated: bool = False

    def meets(self, call: Call) -> bool:
        """Whether it can happen at a call."""
        if call.door not in self.doors:
            return False
        return not self.between_transactions or call.door in _HTTP or call.what.startswith("BEGIN")


def _kill_before(_: Exchange, scene: Scene) -> Reply:
    scene.kill()
    return RESET


def _kill_after(exchange: Exchange, scene: Scene) -> Reply:
    exchange.forward()
    scene.kill()
    return RESET


def _error(exchange: Exchange, _: Scene) -> Reply:
    return exchange.refusal(500, "InternalError")


def _slow_down(exchange: Exchange, _: Scene) -> Reply:
    return exchange.refusal(503, "SlowDown")


def _down(exchange: Exchange, scene: Scene) -> Reply:
    scene.from_now_on(exchange.call.door, _unavailable)
    return _unavailable(exchange, scene)


def _unavailable(exchange: Exchange, _: Scene) -> Reply:
    return exchange.refusal(503, "ServiceUnavailable")


def _gone(exchange: Exchange, scene: Scene) -> Reply:
    exchange.forward()
    scene.from_now_on(exchange.call.door, _reset_before)
    return RESET


def _revoked(exchange: Exchange, scene: Scene) -> Reply:
    scene.from_now_on(exchange.call.door, _refused)
    return _refused(exchange, scene)


def _refused(exchange: Exchange, _: Scene) -> Reply:
    return exchange.refusal(403, "InvalidAccessKeyId")


def _reset_before(_: Exchange, __: Scene) -> Reply:
    return RESET


def _reset_after(exchange: Exchange, _: Scene) -> Reply:
    exchange.forward()
    return RESET


def _cut(exchange: Exchange, _: Scene) -> Reply:
    return exchange.forward().cut()


def _delay(exchange: Exchange, _: Scene) -> Reply:
    time.sleep(_DELAY_SECONDS)
    return exchange.forward()


def _outlived(exchange: Exchange, scene: Scene) -> Reply:
    scene.outlive()
    return exchange.forward()


def _add(exchange: Exchange, scene: Scene) -> Reply:
    scene.deliver(LATE, marker=False)
    return exchange.forward()


def _replace(exchange: Exchange, scene: Scene) -> Reply:
    scene.deliver(scene.scenario.replaced, marker=False)
    return exchange.forward()


def _deliver_anew(exchange: Exchange, scene: Scene) -> Reply:
    scene.deliver(scene.scenario.replaced, marker=True)
    return exchange.forward()


def _renew_at_once(exchange: Exchange, scene: Scene) -> Reply:
    scene.deliver(scene.scenario.replaced, marker=True, at_once=True)
    return exchange.forward()


def _remove_file(exchange: Exchange, scene: Scene) -> Reply:
    scene.remove(scene.scenario.last)
    return exchange.forward()


def _remove_folder(exchange: Exchange, scene: Scene) -> Reply:
    scene.remove(MARKER, *scene.scenario.pending[USERS])
    return exchange.forward()


def _rob_archive(exchange: Exchange, scene: Scene) -> Reply:
    scene.rob()
    return exchange.forward()


FAULTS = (
    Fault("killed before", "the importer is killed before the call takes effect", _kill_before),
    Fault("killed after", "the importer is killed after the call took effect", _kill_after),
    Fault("error", "the call is answered with an error 500, or PostgreSQL ends the session", _error),
    Fault("slow down", "the call is answered with 503 SlowDown", _slow_down, _HTTP),
    Fault("down", "from this call on everything is refused until the run ends", _down),
    Fault("gone", "the service dies when the call has taken effect, and is back for the next run", _gone),
    Fault("revoked", "from this call on the credentials are refused until the run ends", _revoked, _HTTP),
    Fault("reset before", "the connection breaks before the call takes effect", _reset_before),
    Fault("reset after", "the connection breaks after the call took effect", _reset_after),
    Fault("cut", "the answer breaks off half-way", _cut),
    Fault("late", "the answer comes late", _delay),
    Fault(
        "outlived",
        "the importer stands still until another run has taken over and done everything",
        _outlived,
        _SERVERS | {Door.FILE},
        between_transactions=True,
    ),
    Fault("file added", "the customer adds a file to the folder", _add, _HTTP, Scenario.added),
    Fault("file replaced", "the customer replaces a file in the folder", _replace, _HTTP, Scenario.exchanged),
    Fault("file removed", "the customer removes a file from the folder", _remove_file, _HTTP, Scenario.file_removed),
    Fault("folder removed", "the customer removes the folder", _remove_folder, _HTTP, Scenario.folder_removed),
    Fault(
        "delivered anew",
        "the customer replaces a file and the marker",
        _deliver_anew,
        _HTTP,
        Scenario.delivered_anew,
    ),
    Fault(
        "delivered anew at once",
        "the same, with no wait for a new second",
        _renew_at_once,
        _HTTP,
        Scenario.delivered_anew,
    ),
    Fault(
        "archive robbed",
        "somebody removes the earlier delivery's file from the archive",
        _rob_archive,
        _HTTP,
        Scenario.archive_robbed,
        repeated=True,
    ),
    Fault("killed at a statement", "the importer is killed before a statement", _kill_before, frozenset({Door.FILE})),
)
#: Played by `syncs`: no call can be seen at that door.
AT_SYNC = Fault("killed at a sync", "the importer is killed in an fdatasync", _kill_before, frozenset({Door.DISK}))
ALL = (*FAULTS, AT_SYNC)

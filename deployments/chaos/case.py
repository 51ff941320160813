"""One case of the matrix: a scenario, a fault, and the call at which it strikes."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.feed_settings import SettingsFile
from deployments.chaos.exchange import Call, Door, Exchange, Reply
from deployments.chaos.faults import AT_SYNC, Act, Fault
from deployments.chaos.http_proxy import HttpProxy
from deployments.chaos.importer import Ended, Importer, Surroundings
from deployments.chaos.promises import broken_in_the_end, broken_midway
from deployments.chaos.scenarios import DAY, USERS, Endings, Files, Scenario
from deployments.chaos.stage import Ground, Stage, stage
from deployments.chaos.store_door import store_door
from deployments.chaos.syncs import killed_at_sync
from schemas.drop_zone import MARKER, STATUS_TEXT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Change = Callable[[], None] | None

_RUNS = 6  # after the fault, until nothing is left to do
_NEW_SECOND = 1.1  # a marker's time is compared in whole seconds


@dataclass(frozen=True, slots=True)
class Case:
    """What is played.

    Attributes:
        scenario: what was delivered.
        fault: what happens; None for nothing.
        number: of the call at which it does, counted from 1 over the fault's doors.
        begins: only calls whose names begin so are counted.
        change: applied to the importer's code, for showing that a broken importer is noticed; None for none.
    """

    scenario: Scenario
    fault: Fault | None = None
    number: int = 0
    begins: str = ""
    change: Change = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case.

    Attributes:
        case: the case.
        call: at which the fault struck; None where the run made fewer calls.
        broken: a sentence for every promise that was not kept.
        told: what the run with the fault told a person, per feed.
        calls: all that it made.
    """

    case: Case
    call: Call | None
    broken: tuple[str, ...]
    told: tuple[Ended, ...]
    calls: tuple[Call, ...]


@dataclass(slots=True)
class Watch:
    """Stands at all doors: counts the calls of one run, and plays the fault at the chosen one."""

    stage: Stage
    scenario: Scenario
    case: Case
    importer: Importer | None = None
    calls: list[Call] = field(default_factory=list)
    status_texts: list[bytes] = field(default_factory=list)
    struck: Call | None = None
    broken: list[str] = field(default_factory=list)
    outlived: int | None = None  # which tick of the run stood still while another one took its delivery further
    marker_caught: bool = False  # whether a new marker may go with the old one
    _met: int = 0
    _from_now_on: dict[Door, Act] = field(default_factory=dict)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> Reply:
        """Let a call pass, or not."""
        call, fault = exchange.call, self.case.fault
        with self._counting:
            self.calls.append(call)
            fits = fault is not None and fault.meets(call) and call.what.startswith(self.case.begins)
            self._met += fits
            strikes = fault if fits and self._met == self.case.number and not self.struck else None
        if call.door is Door.S3 and call.what.startswith("PUT ") and call.what.endswith(f"/{DAY}/{STATUS_TEXT}"):
            self.status_texts.append(call.body)
        if strikes:
            self.struck = call
            return strikes.act(exchange, self)
        if act := self._from_now_on.get(call.door):
            return act(exchange, self)
        return exchange.forward()

    def kill(self) -> None:
        """See `Scene`."""
        self._running.kill()

    def outlive(self) -> None:
        """See `Scene`."""
        self._running.freeze()
        tick = len(self._running.ended())
        try:
            feed = self.scenario.feeds[tick]
            before = self.stage.stages(feed)
            time.sleep(_NEW_SECOND)  # a lease takes longer to run out, and S3 tells times in seconds
            self.stage.let_time_pass()
            self.broken += _finish(self.stage, self.case, Watch(self.stage, self.scenario, Case(self.scenario)))
            if self.stage.stages(feed) != before:
                self.outlived = tick
        finally:
            self._running.thaw()

    def deliver(self, files: Files, *, marker: bool, at_once: bool = False) -> None:
        """See `Scene`."""
        if marker and not at_once:
            time.sleep(_NEW_SECOND)
        before = self.stage.marker_time(USERS)
        self.stage.deliver(USERS, files, marker=marker)
        # Looks like the old one, or comes between the importer's last look and its deletion.
        deleting = (
            self.struck is not None and self.struck.what.startswith("DELETE") and self.struck.what.endswith(MARKER)
        )
        self.marker_caught = marker and before is not None and (deleting or before == self.stage.marker_time(USERS))

    def remove(self, *names: str) -> None:
        """See `Scene`."""
        self.stage.remove(USERS, names)

    def rob(self) -> None:
        """See `Scene`."""
        for files in self.scenario.earlier.get(USERS, ()):
            self.stage.rob(USERS, files)

    def endings(self) -> Endings:
        """The states that may be there in the end, now that the fault has struck."""
        fault, scenario = self.case.fault, self.scenario
        endings = fault.endings(scenario) if fault and fault.endings else scenario.peaceful()
        if self.marker_caught:
            return {feed: [*those, *scenario.marker_caught()[feed]] for feed, those in endings.items()}
        return endings

    @property
    def may_lack(self) -> frozenset[str]:
        """What the archive of the delivery may lack: the marker, where an earlier one's was deleted by a run outlived.

        Both markers are empty, and the deletion can ask for no more than that: see "not promised" in docs/promises.md.
        """
        deletion = f"DELETE {USERS}/processed/{DAY}/{MARKER}"
        late = self.outlived is not None and self.struck is not None and self.struck.what == deletion
        return frozenset({MARKER}) if late else frozenset()

    def from_now_on(self, door: Door, act: Act) -> None:
        """See `Scene`."""
        self._from_now_on[door] = act

    @property
    def _running(self) -> Importer:
        assert self.importer is not None  # noqa: S101 - only a running importer makes calls
        return self.importer


def play(ground: Ground, case: Case, name: str, client: "S3Client") -> Result:
    """Play one case on a stage of its own; nothing is left of it.

    Args:
        ground: where.
        case: what.
        name: of the stage, unique on its ground.
        client: of S3, around every proxy.
    """
    with tempfile.TemporaryDirectory(prefix="px-chaos-") as folder, stage(ground, name, Path(folder), client) as made:
        _import_earlier(made, case)
        for feed in case.scenario.feeds:
            made.deliver(feed, case.scenario.pending[feed])
        watch = Watch(made, case.scenario, case)
        told = _run(made, case, watch)
        broken = [*watch.broken, *(f"crashed: {each.crash}" for each in told if each.crash)]
        if watch.outlived is not None and told[watch.outlived].claims_all():
            broken.append("the run that came too late does not say so")
        if not (case.fault and case.fault.endings):  # else the customer has changed what lay there
            broken += [f"midway: {fault}" for fault in broken_midway(made, case.scenario, watch.may_lack)]
        broken += _finish(made, case, watch)
        return Result(case, watch.struck, tuple(broken), tuple(told), tuple(watch.calls))


def _import_earlier(made: Stage, case: Case) -> None:
    """Bring the stage to where the scenario begins."""
    for feed, deliveries in case.scenario.earlier.items():
        for files in deliveries:
            made.deliver(feed, files)
            with Importer(made.plain_settings([feed]), Surroundings(made.temporary)) as importer:
                importer.begin()
                [ended] = importer.wait()
            if ended.state not in {"Imported", "Rejected"}:
                raise RuntimeError(f"the scenario cannot be prepared: {ended}")
    made.receiver.received.clear()


def _run(made: Stage, case: Case, watch: Watch) -> list[Ended]:
    """One run with the watch at every door."""
    with (
        _doors(made, watch) as (settings, proxy_url),
        Importer(settings, Surroundings(made.temporary, proxy_url, case.change), watch) as importer,
    ):
        watch.importer = importer
        at_sync = watch.case.fault is AT_SYNC
        with killed_at_sync(importer.pid, watch.case.number) if at_sync else nullcontext():
            importer.begin()
            told = importer.wait()
        if at_sync and importer.was_killed:
            watch.struck = Call(Door.DISK, "fdatasync")
        return told


def _finish(made: Stage, case: Case, watch: Watch) -> list[str]:
    """Run until nothing is left to do, then look."""
    told = list(watch.status_texts)
    for _ in range(_RUNS):
        made.let_time_pass()
        again = Watch(made, case.scenario, Case(case.scenario))
        ended = _run(made, case, again)
        told += again.status_texts
        if crashes := [each.crash for each in ended if each.crash]:
            return [f"crashed when it was run again: {crash}" for crash in crashes]
        if all(each.state == "NothingToDo" for each in ended) and len(ended) == len(case.scenario.feeds):
            return broken_in_the_end(made, case.scenario, watch.endings(), told, watch.may_lack)
    return [f"after {_RUNS} more runs it has not come to rest: {ended}"]


@contextmanager
def _doors(made: Stage, watch: Watch) -> Iterator[tuple[list[SettingsFile], str]]:
    """Proxies before every door; the settings that lead to them, and the proxy for S3."""
    with ExitStack() as stack:
        zone = made.zone("")
        above = f"{zone.bucket}/{zone.root}/"
        s3 = stack.enter_context(HttpProxy(Door.S3, made.ground.endpoint_url, watch, above=above))
        callback = stack.enter_context(HttpProxy(Door.CALLBACK, made.receiver.url, watch))
        store_url = stack.enter_context(store_door(made.store_url, watch))
        settings = [
            made.settings(
                feed,
                endpoint_url=made.ground.endpoint_url.replace("https://", "http://", 1),
                store_url=store_url,
                callback_url=f"{callback.url}/import-status",
            )
            for feed in watch.scenario.feeds
        ]
        yield settings, s3.url

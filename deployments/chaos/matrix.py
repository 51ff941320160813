"""The matrix: every fault at every call of every scenario, each on a stage of its own."""

import itertools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

from deployments.chaos.case import Case, Result, play
from deployments.chaos.exchange import Call
from deployments.chaos.faults import AT_SYNC, Fault
from deployments.chaos.scenarios import Scenario
from deployments.chaos.stage import Ground
from schemas.errors import PermanentError


class NotPlayable(PermanentError):
    """Even with no fault a delivery does not come to its end here: rights or settings are missing."""

    def __init__(self, scenario: str, broken: Sequence[str]) -> None:
        """Keep the parts."""
        super().__init__(f"'{scenario}' does not go well here even with no fault at all: {'; '.join(broken)}")
        self.scenario, self.broken = scenario, broken


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is played.

    Attributes:
        scenarios: what is delivered.
        faults: what happens.
        every: 1 for every call; N for every N-th, beginning with another one for each fault.
        jobs: cases at a time.
    """

    scenarios: Sequence[Scenario]
    faults: Sequence[Fault]
    every: int = 1
    jobs: int = os.cpu_count() or 1

    def play(self, ground: Ground, known: Collection[tuple[str, str, int]] = frozenset()) -> Iterator[Result]:
        """Play all cases; each result as it comes, the one of a scenario with no fault first.

        Args:
            ground: where.
            known: scenario, fault and number of the cases that are left out, since they were played before.

        Raises:
            NotPlayable: a scenario with no fault at all does not end as it should.
        """
        with ground.client() as client, _pool(self.jobs) as pool:
            numbers = itertools.count()

            def submit(case: Case) -> Future[Result]:
                return pool.submit(play, ground, case, f"c{next(numbers)}", client)

            peaceful = [submit(Case(scenario)) for scenario in self.scenarios]
            for scenario, result in zip(self.scenarios, [each.result() for each in peaceful], strict=True):
                if result.broken:
                    raise NotPlayable(scenario.name, result.broken)
                yield result
                cases = [Case(scenario, fault, number) for fault, number in self._strikes(scenario, result.calls)]
                new = [case for case in cases if _name(case) not in known]
                for future in as_completed([submit(case) for case in new]):
                    yield future.result()
                if AT_SYNC in self.faults:
                    yield from self._until_spared(scenario, submit, known)

    def _until_spared(
        self,
        scenario: Scenario,
        submit: Callable[[Case], Future[Result]],
        known: Collection[tuple[str, str, int]],
    ) -> Iterator[Result]:
        """Nobody has counted these calls: strike at ever later ones until a run ends before."""
        every = (Case(scenario, AT_SYNC, number) for number in itertools.count(1, self.every))
        cases = (case for case in every if _name(case) not in known)
        while True:
            results = [each.result() for each in [submit(case) for case in itertools.islice(cases, self.jobs)]]
            # A busy machine misses a call at times: only the second miss of the same one is the end.
            missed = [submit(result.case) for result in results if not result.call]
            results += [each.result() for each in missed]
            yield from (result for result in results if result.call)
            if not all(each.result().call for each in missed):
                return

    def _strikes(self, scenario: Scenario, calls: Sequence[Call]) -> Iterator[tuple[Fault, int]]:
        """Which fault strikes at which call."""
        for offset, fault in enumerate(self.faults):
            if fault.repeated and not scenario.earlier:
                continue
            fitting = sum(fault.meets(call) for call in calls)
            first = 1 + offset % min(self.every, max(fitting, 1))  # at least one of each, however few it meets
            yield from ((fault, number) for number in range(first, fitting + 1, self.every))


def _name(case: Case) -> tuple[str, str, int]:
    return case.scenario.name, case.fault.name if case.fault else "", case.number


@contextmanager
def _pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads; what has not begun when the block is left never does."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)

"""The matrix: every fault at every call of every scenario, each on a stage of its own."""

import itertools
import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from blocks.feed_settings import SettingsFile
from deployments.chaos.case import Case, Result, play
from deployments.chaos.exchange import Call
from deployments.chaos.faults import Fault
from deployments.chaos.scenarios import Scenario
from deployments.chaos.stage import Ground


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

    def play(self, settings: SettingsFile) -> Iterator[Result]:
        """Play all cases; each result as it comes.

        Args:
            settings: whose bucket and store are used, in scratch parts of both that are removed again.

        Raises:
            RuntimeError: a scenario without any fault does not end as it should.
        """
        ground = Ground(settings, f"px-chaos-{secrets.token_hex(4)}")
        with ground.client() as client, ThreadPoolExecutor(self.jobs) as pool:
            numbers = itertools.count()

            def submit(case: Case) -> Future[Result]:
                return pool.submit(play, ground, case, f"c{next(numbers)}", client)

            peaceful = [submit(Case(scenario)) for scenario in self.scenarios]
            for scenario, result in zip(self.scenarios, [each.result() for each in peaceful], strict=True):
                if result.broken:
                    raise RuntimeError(f"{scenario.name}, with no fault at all: {'; '.join(result.broken)}")
                yield result
                cases = [Case(scenario, fault, number) for fault, number in self._strikes(result.calls)]
                for future in as_completed([submit(case) for case in cases]):
                    yield future.result()

    def _strikes(self, calls: Sequence[Call]) -> Iterator[tuple[Fault, int]]:
        """Which fault strikes at which call."""
        for offset, fault in enumerate(self.faults):
            fitting = [number for number, call in enumerate(calls, 1) if call.door in fault.doors]
            yield from ((fault, number) for number in fitting[offset % self.every :: self.every])

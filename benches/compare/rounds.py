"""Rounds: every contender in turn under the same load, so that noise hits all alike.

Ratios compare samples of one round only; a round is a few seconds, the machine's mood changes over
minutes. The order rotates, so that nobody is always measured first.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from collections.abc import Callable, Iterable, Sequence

from contenders import Server
from workloads import Bench, Sample, Workload

WARM_UP_SECONDS = 0.3


@dataclass(frozen=True)
class Ratio:
    """Ours over the best peer of the same round: median, lowest and highest of all rounds."""

    median: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Result:
    """One workload's samples, per contender in the order of rounds."""

    workload: Workload
    samples: dict[str, list[Sample]]

    def median(self, name: str, field: Callable[[Sample], float]) -> float:
        """The median of one figure of one contender."""
        return statistics.median(field(sample) for sample in self.samples[name])

    def ratio(
        self,
        ours: str,
        field: Callable[[Sample], float],
        best: Callable[[Iterable[float]], float],
    ) -> Ratio | None:
        """Ours over the best peer; None when either is not there."""
        peers = [name for name in self.samples if name != ours]
        if ours not in self.samples or not peers:
            return None
        ratios = [
            field(mine) / best(field(self.samples[peer][index]) for peer in peers)
            for index, mine in enumerate(self.samples[ours])
        ]
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def failures(self) -> list[str]:
        """What the load generator found wrong, by contender."""
        return [
            f"{name}: {sample.failures} wrong answers, the first: {sample.first_failure}; "
            f"{sample.unlogged} requests not logged"
            for name, samples in self.samples.items()
            for sample in samples
            if sample.failures or sample.unlogged
        ]


def run_rounds(
    bench: Bench,
    workload: Workload,
    servers: Sequence[Server],
    rounds: int,
    seconds: float,
) -> Result:
    """Measures every server in every round."""
    samples: dict[str, list[Sample]] = {server.name: [] for server in servers}
    order = list(servers)
    for number in range(rounds):
        random.Random(number).shuffle(order)
        for server in order:
            sample = bench.measure(workload, server, seconds, min(WARM_UP_SECONDS, seconds))
            samples[server.name].append(sample)
    return Result(workload, samples)

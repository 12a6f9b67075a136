"""What a comparison says: tables for people, JSON for records."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from collections.abc import Sequence

from rounds import Ratio, Result

# Within this share of 1 a ratio counts as equal: the harness repeats itself no better.
EQUAL = 0.03


def verdict(ratio: Ratio, low_is_good: bool) -> str:
    """A ratio in a word."""
    if abs(ratio.median - 1) <= EQUAL:
        return "equal"
    return "better" if (ratio.median < 1) == low_is_good else "worse"


def besides(result: Result) -> str:
    """What ours is compared with."""
    peers = [name for name in result.samples if name != result.workload.ours]
    return peers[0] if len(peers) == 1 else "the best peer"


def ratios(result: Result) -> dict[str, tuple[Ratio, bool]]:
    """Every ratio of a result with whether a low one is good."""
    ours = result.workload.ours
    figures = {
        "cost": (result.ratio(ours, lambda s: s.cost, min), True),
        "rate": (result.ratio(ours, lambda s: s.rate, max), False),
    }
    if not result.workload.costs_per_gib:
        figures["p99"] = (result.ratio(ours, lambda s: s.p99_us, min), True)
    return {
        name: (ratio, low_is_good)
        for name, (ratio, low_is_good) in figures.items()
        if ratio is not None
    }


def row(result: Result, name: str) -> str:
    """One contender's medians."""
    cost = result.median(name, lambda s: s.cost)
    rate = result.median(name, lambda s: s.rate)
    p50 = result.median(name, lambda s: s.p50_us)
    p99 = result.median(name, lambda s: s.p99_us)
    busy = result.median(name, lambda s: s.busy)
    if result.workload.costs_per_gib:
        return f"{name:12}{cost:12.3f}{rate:14.2f}{'-':>10}{'-':>10}{busy:10.0%}"
    return f"{name:12}{cost:12.3f}{rate:14,.0f}{p50:10.0f}{p99:10.0f}{busy:10.0%}"


def table(result: Result) -> str:
    """A workload's medians, then ours against the best peer of each round."""
    workload = result.workload
    rate = "GiB/s" if workload.costs_per_gib else "per second"
    head = f"{'':12}{workload.unit:>12}{rate:>14}{'p50 us':>10}{'p99 us':>10}{'CPU busy':>10}"
    lines = [f"{workload.title} [{workload.name}]", head]
    lines += [row(result, name) for name in result.samples]
    for name, (ratio, low_is_good) in ratios(result).items():
        lines.append(
            f"  {name:5} {ratio.median:.3f} x {besides(result)} of the same round "
            f"(rounds {ratio.lowest:.3f} to {ratio.highest:.3f}): {verdict(ratio, low_is_good)}"
        )
    return "\n".join(lines)


def busy_machine() -> str | None:
    """A warning when other work shares the CPUs: cost stays usable, rate and p99 do not."""
    load = os.getloadavg()[0]
    if load < 0.8:
        return None
    return f"load average {load:.1f} before the first round: rate and p99 say little, repeat later"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": list(os.getloadavg()),
        "taken": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def to_json(results: Sequence[Result], versions: dict[str, str], settings: dict[str, Any]) -> str:
    """Everything measured, every sample included."""
    document = {
        "machine": machine(),
        "versions": versions,
        "settings": settings,
        "workloads": {
            result.workload.name: {
                "title": result.workload.title,
                "unit": result.workload.unit,
                "ratios": {
                    name: asdict(ratio) | {"verdict": verdict(ratio, low_is_good)}
                    for name, (ratio, low_is_good) in ratios(result).items()
                },
                "samples": {
                    name: [asdict(sample) for sample in samples]
                    for name, samples in result.samples.items()
                },
            }
            for result in results
        },
    }
    return json.dumps(document, indent=2) + "\n"

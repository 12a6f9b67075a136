"""Datagrams that the kernel threw away because a program did not read in time.

UDP checks use it: where nothing may be lost, a machine that stands still for a moment loses all the same,
in the queues of whoever stood still. That is nobody's fault, and the kernel counts it.
"""

from __future__ import annotations

from pathlib import Path


class Drops:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self.before = dropped()

    def since(self) -> int:
        """How many were thrown away since then, whoever's they were."""
        return dropped() - self.before


def dropped() -> int:
    """All of this network namespace so far: at sockets' queues, and before them at those of the CPUs."""
    head, values = (
        line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")
    )
    udp = dict(zip(head, map(int, values)))
    # One line for each CPU; the second field, in hexadecimal.
    backlog = sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text().splitlines())
    return udp["InErrors"] + udp.get("SndbufErrors", 0) + backlog

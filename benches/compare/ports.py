"""Ports for programs that must be told which to take.

Used by everything that starts programs here. What can choose a port itself (port 0) needs none of these.
"""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

LOWEST = 10_000
# Fewer than these outside of the kernel's own range would run out.
FEW = 1_000


class Ports:
    """Ports that nobody else takes until this process ends.

    A port that the kernel gave and that was closed again may be the kernel's choice for any connection
    that begins before a program binds it. So these are outside of the range the kernel chooses from, and
    each is held, against other runs of these scripts, by an abstract Unix socket, which is of this network
    namespace as the port is.
    """

    def __init__(self) -> None:
        # Their descriptors, which the end of the process closes.
        self.held: dict[int, int] = {}

    def take(self) -> int:
        """One that is free on every IPv4 address for TCP and UDP alike."""
        for port in random.sample(candidates := usable_ports(), len(candidates)):
            if port not in self.held and is_unbound(port) and (holder := hold(port)) is not None:
                self.held[port] = holder
                return port
        raise OSError(errno.EADDRNOTAVAIL, "no port is free")


def usable_ports() -> list[int]:
    """Ports that the kernel does not choose itself; all, where that leaves hardly any."""
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    low, high = (int(word) for word in text.split())
    every = range(LOWEST, 65536)
    outside = [port for port in every if not low <= port <= high]
    return outside if len(outside) >= FEW else list(every)


def is_unbound(port: int) -> bool:
    """Whether a program could bind it now."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def hold(port: int) -> int | None:
    """The descriptor of what keeps others from taking it, or nothing when another has it."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0pointsman-port-{port}")
    except OSError:
        holder.close()
        return None
    return holder.detach()


PORTS = Ports()


def free_port() -> int:
    """A port of 127.0.0.0/8 that is free for TCP and UDP alike, and stays so until it is used."""
    return PORTS.take()

"""A path with a delay, between this network namespace and another where clients are.

Two TUN devices, one on either side, and a thread that carries packets from one to the other, each as
late as its path says: there is no netem everywhere. Run as a program it is the far side.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001
# Clients of the far side, by network.
CLIENTS = ("203.0.113.5", "203.0.114.5")


def tun(name: str) -> int:
    """A TUN device of this namespace, up."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), TUN_WITHOUT_HEADER))
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return device


class Path:
    """The path, its near side here; ends with the `with` block."""

    def __init__(self) -> None:
        # Seconds each way, by the client's network.
        self.delays: dict[bytes, float] = {}
        self.ended = False
        self.near = tun("near")
        for client in CLIENTS:
            network = client.rsplit(".", 1)[0] + ".0/24"
            subprocess.run(["ip", "route", "add", network, "dev", "near"], check=True)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = ["unshare", "--net", sys.executable, __file__, str(theirs.fileno())]
        self.helper = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
        theirs.close()
        self.far_side = ours
        ours.settimeout(300)
        _, fds, _, _ = socket.recv_fds(ours, 16, 1)
        self.far = fds[0]
        self.carrier = threading.Thread(target=self.carry)
        self.carrier.start()

    def __enter__(self) -> Path:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        self.carrier.join()
        self.far_side.close()
        self.helper.wait()

    def delay(self, client: str, seconds: float) -> None:
        """A client's network is so far away, each way."""
        self.delays[socket.inet_aton(client)[:3]] = seconds

    def connect(self, client: str, address: str, port: int, count: int, at_once: int) -> None:
        """So many connections of a client, `at_once` at a time, an HTTP request on each."""
        self.far_side.send(f"{client} {address} {port} {count} {at_once}".encode())
        said = self.far_side.recv(256).decode()
        if said != "done":
            raise AssertionError(f"connections of {client} failed: {said}")

    def carry(self) -> None:
        """Packets in both directions."""
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while not self.ended:
            patience = 0.05
            if waiting:
                patience = max(0.0, min(patience, waiting[0][0] - time.monotonic()))
            for device in select.select([self.near, self.far], [], [], patience)[0]:
                packet = os.read(device, 65536)
                if packet[0] >> 4 != 4:
                    continue
                # The client is the source of what comes from the far side, else the destination.
                place, to = (12, self.near) if device == self.far else (16, self.far)
                late = self.delays.get(packet[place:place + 3], 0.0)
                number += 1
                heapq.heappush(waiting, (time.monotonic() + late, number, to, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(waiting)
                os.write(to, packet)


def far_side(control: socket.socket) -> None:
    """Gives its device away, then connects as it is told."""
    device = tun("far")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for client in CLIENTS:
        subprocess.run(["ip", "address", "add", f"{client}/32", "dev", "lo"], check=True)
    subprocess.run(["ip", "route", "add", "default", "dev", "far"], check=True)
    socket.send_fds(control, [b"device"], [device])
    while wanted := control.recv(256).decode():
        client, address, port, count, at_once = wanted.split()

        def converse(_: int) -> None:
            with socket.create_connection((address, int(port)), 60, (client, 0)) as stream:
                stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while stream.recv(4096):
                    pass

        try:
            with ThreadPoolExecutor(int(at_once)) as pool:
                for _ in pool.map(converse, range(int(count))):
                    pass
            control.send(b"done")
        except OSError as error:
            control.send(str(error).encode()[:200])


if __name__ == "__main__":
    far_side(socket.socket(fileno=int(sys.argv[1])))

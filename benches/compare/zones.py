"""The zones of the DNS workloads, and a resolver small enough to check their answers with.

All nameservers load the same 10,000 static names from one zone file. The weighted names exist only
where a server can weigh: as a zone file with gdnsd's DYNA, as `[[zone.record]]` for Pointsman.
"""

from __future__ import annotations

import random
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

STATIC_ZONE = "example.test"
WEIGHTED_ZONE = "weighted.test"
STATIC_NAMES = 10_000
WEIGHTED_NAMES = 100
TTL = 300
BLUE = ("192.0.2.10", 90)
GREEN = ("192.0.2.11", 10)
ANSWER_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """What decides whether two servers say the same: code, AA and the answer section."""

    rcode: int
    authoritative: bool
    records: frozenset[tuple[int, int, bytes]]


def static_name(index: int) -> str:
    """The index-th static name."""
    return f"host{index:05d}.{STATIC_ZONE}"


def static_address(index: int) -> str:
    """The address of the index-th static name."""
    return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"


def weighted_name(index: int) -> str:
    """The index-th weighted name."""
    return f"split{index:03d}.{WEIGHTED_ZONE}"


def apex(serial: int) -> str:
    """The records every zone file begins with."""
    return (
        f"$TTL {TTL}\n"
        f"@ IN SOA ns1 hostmaster {serial} 7200 3600 604800 300\n"
        "@ IN NS ns1\n@ IN NS ns2\nns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\n"
    )


def write_static_zone(folder: Path) -> None:
    """Writes the zone file of the static names."""
    records = (
        f"{static_name(index).split('.')[0]} IN A {static_address(index)}\n"
        for index in range(STATIC_NAMES)
    )
    (folder / STATIC_ZONE).write_text(apex(1) + "".join(records))


def write_gdnsd_weighted_zone(folder: Path) -> None:
    """Writes the zone file of the weighted names in gdnsd's own terms."""
    records = (
        f"{weighted_name(index).split('.')[0]} {TTL} DYNA weighted!split\n"
        for index in range(WEIGHTED_NAMES)
    )
    (folder / WEIGHTED_ZONE).write_text(apex(1) + "".join(records))


def weighted_records() -> str:
    """The weighted names as Pointsman's configuration."""
    return "\n".join(
        f"""[[zone.record]]
name = "{weighted_name(index).split('.')[0]}"
type = "A"
policy = "weighted"
ttl = {TTL}
sets = [
  {{ id = "blue", weight = {BLUE[1]}, values = ["{BLUE[0]}"] }},
  {{ id = "green", weight = {GREEN[1]}, values = ["{GREEN[0]}"] }},
]
"""
        for index in range(WEIGHTED_NAMES)
    )


def write_names(folder: Path) -> dict[str, Path]:
    """Writes the names to ask for, per workload, in an order that is the same in every run."""
    shuffled = random.Random(1)
    static = [static_name(index) for index in range(STATIC_NAMES)]
    weighted = [weighted_name(index) for index in range(WEIGHTED_NAMES)]
    paths = {}
    for workload, names in (("dns", static), ("dns-weighted", weighted)):
        shuffled.shuffle(names)
        paths[workload] = folder / f"{workload}.names"
        paths[workload].write_text("\n".join(names) + "\n")
    return paths


def query_packet(name: str, identity: int) -> bytes:
    """A query for a name's A record, with EDNS."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack("!6H", identity, 0, 1, 0, 0, 1)
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", 1, 1) + opt


def skip_name(packet: bytes, offset: int) -> int:
    """Where the field after a name begins."""
    while True:
        length = packet[offset]
        if length >= 0xC0:
            return offset + 2
        offset += 1 + length
        if length == 0:
            return offset


def parse_answer(packet: bytes) -> Answer:
    """Code, AA and the records of the answer section."""
    _, flags, questions, answers, _, _ = struct.unpack_from("!6H", packet)
    offset = 12
    for _ in range(questions):
        offset = skip_name(packet, offset) + 4
    records = set()
    for _ in range(answers):
        offset = skip_name(packet, offset)
        kind, _, ttl, length = struct.unpack_from("!HHIH", packet, offset)
        offset += 10
        records.add((kind, ttl, packet[offset : offset + length]))
        offset += length
    return Answer(flags & 15, bool(flags & 0x0400), frozenset(records))


def ask(port: int, name: str) -> Answer:
    """Asks the server at 127.0.0.1:port over UDP; raises OSError without a usable answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(ANSWER_SECONDS)
        udp.connect(("127.0.0.1", port))
        udp.send(query_packet(name, random.getrandbits(16)))
        packet = udp.recv(4096)
    try:
        return parse_answer(packet)
    except (IndexError, struct.error) as error:
        raise OSError(f"{name}: the answer cannot be parsed: {packet.hex()}") from error


def expected(address: str) -> Answer:
    """The one right answer of a name with this address."""
    return Answer(0, True, frozenset({(1, TTL, socket.inet_aton(address))}))


def wrong_static_answer(port: int) -> str | None:
    """What is wrong with the server's static names, if anything."""
    for index in random.Random(2).sample(range(STATIC_NAMES), 200):
        name = static_name(index)
        found = ask(port, name)
        if found != expected(static_address(index)):
            return f"{name}: {found}"
    found = ask(port, f"nowhere.{STATIC_ZONE}")
    return None if found == Answer(3, True, frozenset()) else f"a name that is not there: {found}"


def wrong_weighted_answer(port: int) -> str | None:
    """What is wrong with the server's weighted names, if anything.

    300 answers of weights 90 and 10: a right server gives green 10 to 60 times but once in 10^7.
    """
    green = 0
    for index in range(300):
        name = weighted_name(index % WEIGHTED_NAMES)
        found = ask(port, name)
        if found not in (expected(BLUE[0]), expected(GREEN[0])):
            return f"{name}: {found}"
        green += found == expected(GREEN[0])
    return None if 8 <= green <= 65 else f"{green} of 300 answers were green, 30 expected"

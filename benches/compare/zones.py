"""The zones of the DNS workloads, and a resolver small enough to check their answers with.

All nameservers load the same 10,000 static names from one zone file. The weighted names exist only
where a server can weigh: as a zone file with gdnsd's DYNA, as `[[zone.record]]` for Pointsman. So do
the names of trees, which are weighted ones behind three levels of aliases for Pointsman and one level for
gdnsd, and the located names, for clients of the same networks in both.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from collections.abc import Callable

STATIC_ZONE = "example.test"
WEIGHTED_ZONE = "weighted.test"
TREE_ZONE = "tree.test"
LOCATED_ZONE = "located.test"
STATIC_NAMES = 10_000
WEIGHTED_NAMES = 100
LOCATED_NAMES = 100
# Every one under the static zone, none of them there.
MISSING_NAMES = 100_000
# /20 networks of 10.0.0.0/8, a third in each place; the rest of the world is in the first.
NETWORKS = 3_000
PLACES = (("DE", "192.0.2.20"), ("US", "192.0.2.21"), ("JP", "192.0.2.22"))
# Networks that clients are of, by ECS: every place and nowhere.
CLIENTS = 10_000
TTL = 300
BLUE = ("192.0.2.10", 90)
GREEN = ("192.0.2.11", 10)
# Datagrams may be lost, and a machine may stand still: a question is asked again, as resolvers do.
ANSWER_SECONDS = 1.0
ATTEMPTS = 30


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


def tree_name(index: int) -> str:
    """The index-th name of a tree."""
    return f"tree{index:03d}.{TREE_ZONE}"


def located_name(index: int) -> str:
    """The index-th located name."""
    return f"near{index:03d}.{LOCATED_ZONE}"


def missing_name(index: int, chance: random.Random) -> str:
    """A name below the static zone that does not exist."""
    label = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=12))
    return f"{label}{index:06d}.{STATIC_ZONE}"


def networks() -> dict[str, list[str]]:
    """Networks by place, the same in every run."""
    numbers = random.Random(3).sample(range(4096), NETWORKS)
    found: dict[str, list[str]] = {place: [] for place, _ in PLACES}
    for at, number in enumerate(numbers):
        place, _ = PLACES[at % len(PLACES)]
        found[place].append(f"10.{number >> 4}.{(number & 15) << 4}.0/20")
    return found


def place_of(client: str) -> str:
    """The address that a client's place is answered."""
    network = ipaddress.ip_network(client)
    around = str(network.supernet(new_prefix=20)) if network.prefixlen > 20 else client
    for place, blocks in networks().items():
        if around in blocks:
            return dict(PLACES)[place]
    return PLACES[0][1]


def clients() -> list[str]:
    """/24 networks that ask, inside and outside of the networks that are known."""
    chance = random.Random(4)
    return [f"10.{chance.randrange(256)}.{chance.randrange(256)}.0/24" for _ in range(CLIENTS)]


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


def write_gdnsd_tree_zone(folder: Path) -> None:
    """Writes the zone file of the trees' names for gdnsd, which has one level."""
    records = (
        f"{tree_name(index).split('.')[0]} {TTL} DYNA weighted!split\n"
        for index in range(WEIGHTED_NAMES)
    )
    (folder / TREE_ZONE).write_text(apex(1) + "".join(records))


def write_gdnsd_located_zone(folder: Path) -> None:
    """Writes the zone file of the located names in gdnsd's own terms."""
    records = (
        f"{located_name(index).split('.')[0]} {TTL} DYNA geoip!site\n"
        for index in range(LOCATED_NAMES)
    )
    (folder / LOCATED_ZONE).write_text(apex(1) + "".join(records))


def gdnsd_places() -> dict[str, str]:
    """Networks and addresses of places for gdnsd's geoip plugin."""
    nets = "\n".join(
        f"          {block} => [ {place} ]" for place, blocks in networks().items() for block in blocks
    )
    addresses = "\n".join(f"          {place} => {address}" for place, address in PLACES)
    return {"places": ", ".join(place for place, _ in PLACES), "nets": nets, "dcmap": addresses}


def located_records() -> str:
    """The located names as Pointsman's configuration."""
    sets = "".join(
        f"""  {{ id = "{place}", location = {{ country = "{place}" }}, values = ["{address}"] }},\n"""
        for place, address in PLACES
    )
    sets += f"""  {{ id = "rest", location = "default", values = ["{PLACES[0][1]}"] }},\n"""
    return "\n".join(
        f"""[[zone.record]]
name = "{located_name(index).split('.')[0]}"
type = "A"
policy = "geolocation"
ttl = {TTL}
sets = [
{sets}]
"""
        for index in range(LOCATED_NAMES)
    )


def network_tables() -> str:
    """The networks as Pointsman's configuration."""
    return "\n".join(
        f"""[[network]]
name = "{place}"
cidrs = [{", ".join(f'"{block}"' for block in blocks)}]
country = "{place}"
"""
        for place, blocks in networks().items()
    )


def tree_records() -> str:
    """Trees of three levels as Pointsman's configuration: weighted, failover, weighted."""
    branches = "\n".join(
        f"""[[zone.record]]
name = "{colour}"
type = "A"
policy = "failover"
sets = [
  {{ id = "first", failover = "primary", alias = {{ record = "{colour}-leaf" }} }},
  {{ id = "second", failover = "secondary", values = ["192.0.2.99"] }},
]
[[zone.record]]
name = "{colour}-leaf"
type = "A"
policy = "weighted"
ttl = {TTL}
sets = [
  {{ id = "one", weight = 1, values = ["{address}"] }},
  {{ id = "two", weight = 0, values = ["192.0.2.98"] }},
]
"""
        for colour, (address, _) in (("blue", BLUE), ("green", GREEN))
    )
    return branches + "\n".join(
        f"""[[zone.record]]
name = "{tree_name(index).split('.')[0]}"
type = "A"
policy = "weighted"
sets = [
  {{ id = "blue", weight = {BLUE[1]}, alias = {{ record = "blue" }} }},
  {{ id = "green", weight = {GREEN[1]}, alias = {{ record = "green" }} }},
]
"""
        for index in range(WEIGHTED_NAMES)
    )


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
    """Writes what to ask for, per workload, in an order that is the same in every run.

    A line is a name, and after a blank the network of the client that asks, if it is said.
    """
    shuffled = random.Random(1)
    static = [static_name(index) for index in range(STATIC_NAMES)]
    weighted = [weighted_name(index) for index in range(WEIGHTED_NAMES)]
    trees = [tree_name(index) for index in range(WEIGHTED_NAMES)]
    located = [
        f"{located_name(index % LOCATED_NAMES)} {client}" for index, client in enumerate(clients())
    ]
    missing = [missing_name(index, shuffled) for index in range(MISSING_NAMES)]
    paths = {}
    for workload, names in (
        ("dns", static),
        ("dns-missing", missing),
        ("dns-weighted", weighted),
        ("dns-tree", trees),
        ("dns-located", located),
    ):
        shuffled.shuffle(names)
        paths[workload] = folder / f"{workload}.names"
        paths[workload].write_text("\n".join(names) + "\n")
    return paths


def query_packet(name: str, identity: int, client: str | None = None) -> bytes:
    """A query for a name's A record, with EDNS, for a client's network if there is one (RFC 7871)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack("!6H", identity, 0, 1, 0, 0, 1)
    option = b""
    if client:
        network = ipaddress.ip_network(client)
        octets = network.network_address.packed[: (network.prefixlen + 7) // 8]
        data = struct.pack("!HBB", 1, network.prefixlen, 0) + octets
        option = struct.pack("!HH", 8, len(data)) + data
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 0, len(option)) + option
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


def ask(port: int, name: str, client: str | None = None) -> Answer:
    """Asks the server at 127.0.0.1:port over UDP; raises OSError without a usable answer."""
    packet = exchange(query_packet(name, random.getrandbits(16), client), port)
    try:
        return parse_answer(packet)
    except (IndexError, struct.error) as error:
        raise OSError(f"{name}: the answer cannot be parsed: {packet.hex()}") from error


def exchange(query: bytes, port: int, source: tuple[str, int] = ("127.0.0.1", 0)) -> bytes:
    """Sends a query to 127.0.0.1:port, again where no answer comes: the answer, or an OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(ANSWER_SECONDS)
        udp.bind(source)
        udp.connect(("127.0.0.1", port))
        for attempt in range(1, ATTEMPTS + 1):
            udp.send(query)
            try:
                return udp.recv(4096)
            except TimeoutError:
                if attempt == ATTEMPTS:
                    raise
    raise TimeoutError


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


def wrong_missing_answer(port: int) -> str | None:
    """What is wrong with what the server says of names that are not there, if anything."""
    chance = random.Random(5)
    for index in range(100):
        name = missing_name(index, chance)
        found = ask(port, name)
        if found != Answer(3, True, frozenset()):
            return f"{name}: {found}"
    return None


def wrong_located_answer(port: int) -> str | None:
    """What is wrong with the server's located names, if anything."""
    for index, client in enumerate(random.Random(6).sample(clients(), 200)):
        name = located_name(index % LOCATED_NAMES)
        found = ask(port, name, client)
        if found != expected(place_of(client)):
            return f"{name} for {client}: {found}"
    return None


def wrong_tree_answer(port: int) -> str | None:
    """What is wrong with the server's trees, if anything."""
    return wrong_shares(port, tree_name)


def wrong_weighted_answer(port: int) -> str | None:
    """What is wrong with the server's weighted names, if anything."""
    return wrong_shares(port, weighted_name)


def wrong_shares(port: int, name_of: Callable[[int], str]) -> str | None:
    """What is wrong with names that are blue or green by weight, if anything.

    300 answers of weights 90 and 10: a right server gives green 10 to 60 times but once in 10^7.
    """
    green = 0
    for index in range(300):
        name = name_of(index % WEIGHTED_NAMES)
        found = ask(port, name)
        if found not in (expected(BLUE[0]), expected(GREEN[0])):
            return f"{name}: {found}"
        green += found == expected(GREEN[0])
    return None if 8 <= green <= 65 else f"{green} of 300 answers were green, 30 expected"

"""Pointsman behind resolvers: what their clients get is what it meant them to get."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.rcode

from stage import Stage

from . import servers
from .servers import OURS, ask_resolver, data

# The scopes below follow from these networks alone: 10.0.0.0/8 is nobody's in the built-in table.
CONFIG = """
[[network]]
name = "de"
cidrs = ["10.1.0.0/16", "fd00:1::/32"]
country = "DE"
[[network]]
name = "fr"
cidrs = ["10.1.128.0/17"]
country = "FR"
[[network]]
name = "us"
cidrs = ["10.2.0.0/16"]
country = "US"
[[zone]]
name = "shop.example"
[[zone.record]]
name = "ns1"
type = "A"
values = ["192.0.2.53"]
[[zone.record]]
name = "@"
type = "A"
alias = { record = "plain" }
[[zone.record]]
name = "@"
type = "MX"
values = ["10 plain.shop.example."]
[[zone.record]]
name = "plain"
type = "A"
ttl = 300
values = ["198.51.100.7", "198.51.100.8"]
[[zone.record]]
name = "plain"
type = "AAAA"
values = ["2001:db8::7"]
[[zone.record]]
name = "to-plain"
type = "CNAME"
values = ["plain.shop.example."]
[[zone.record]]
name = "*.wild"
type = "TXT"
values = ['"any thing"']
[[zone.record]]
name = "deep.empty"
type = "TXT"
values = ['"below"']
[[zone.record]]
name = "long"
type = "TXT"
values = [LONG]
[[zone.record]]
name = "web"
type = "HTTPS"
values = ["1 . alpn=h2 ipv4hint=198.51.100.7"]
[[zone.record]]
name = "place"
type = "A"
ttl = 300
policy = "geolocation"
sets = [
  { id = "de", location = { country = "DE" }, values = ["198.51.100.1"] },
  { id = "fr", location = { country = "FR" }, values = ["198.51.100.2"] },
  { id = "us", location = { country = "US" }, values = ["198.51.100.3"] },
  { id = "rest", location = "default", values = ["198.51.100.9"] },
]
""".replace("LONG", ", ".join(f"'\"{letter * 250}\"'" for letter in "abcdefgh"))

# Client, what it gets of `place`, and how many bits of its address decide that.
CLIENTS = (
    ("10.1.3.4", "198.51.100.1", 17),
    ("10.1.200.4", "198.51.100.2", 17),
    ("10.2.0.4", "198.51.100.3", 16),
    ("10.3.0.4", "198.51.100.9", 16),
    ("10.0.9.4", "198.51.100.9", 16),
    ("10.5.0.4", "198.51.100.9", 14),
    ("10.64.0.4", "198.51.100.9", 10),
)

# Question, and the answer as records; of names that do not exist, the code.
PLAIN: tuple[tuple[str, str, list[str] | str], ...] = (
    ("plain.shop.example", "A", ["198.51.100.7", "198.51.100.8"]),
    ("PLAIN.shop.example", "AAAA", ["2001:db8::7"]),
    ("shop.example", "A", ["198.51.100.7", "198.51.100.8"]),
    ("shop.example", "MX", ["10 plain.shop.example."]),
    ("to-plain.shop.example", "A", ["198.51.100.7", "198.51.100.8", "plain.shop.example."]),
    ("one.wild.shop.example", "TXT", ['"any thing"']),
    ("a.b.wild.shop.example", "TXT", ['"any thing"']),
    ("one.wild.shop.example", "A", []),
    ("empty.shop.example", "TXT", []),
    ("long.shop.example", "TXT", [f'"{letter * 250}"' for letter in "abcdefgh"]),
    ("web.shop.example", "HTTPS", ['1 . alpn="h2" ipv4hint="198.51.100.7"']),
    ("nothing.shop.example", "A", "NXDOMAIN"),
    ("a.nothing.shop.example", "A", "NXDOMAIN"),
)


def check_plain(resolver: str) -> int:
    """Asks each question twice: the answer, and the resolver's memory of it."""
    for _ in range(2):
        for name, rtype, wanted in PLAIN:
            answer = ask_resolver(resolver, name, rtype)
            code = dns.rcode.to_text(answer.rcode())
            given = data(answer) if code == "NOERROR" else code
            if given != (sorted(wanted) if isinstance(wanted, list) else wanted):
                raise AssertionError(f"{name} {rtype}: {given} instead of {wanted}")
    return 2 * len(PLAIN)


def subnet_of(answer: dns.message.Message) -> dns.edns.ECSOption | None:
    """The ECS option of an answer."""
    return next((one for one in answer.options if isinstance(one, dns.edns.ECSOption)), None)


def unbound(stage: Stage) -> str:
    """Unbound tells the client's subnet, and keeps the answer for whom it is."""
    admin = servers.pointsman(stage, CONFIG, f'ecs = ["{servers.UNBOUND}"]\n')
    servers.root(stage, {"shop.example.": (OURS,)})
    servers.unbound(stage)
    questions = check_plain(servers.UNBOUND)

    def check(source: str, option: str | None, wanted: str, scope: int) -> None:
        # Only a query with the option gets one back from unbound.
        options = [dns.edns.ECSOption(option, 24)] if option else []
        answer = ask_resolver(servers.UNBOUND, "place.shop.example", "A", source, options)
        subnet = subnet_of(answer)
        if data(answer) != [wanted] or (option and (not subnet or subnet.scopelen != scope)):
            raise AssertionError(f"{source} {option}: {data(answer)} {subnet}, not {wanted}/{scope}")

    servers.have(*(client for client, _, _ in CLIENTS))
    for client, wanted, scope in CLIENTS:
        check(client, client, wanted, scope)
    asked = servers.queries_answered(admin, "shop.example")
    # Others of the same scopes are answered from memory, with and without the option.
    servers.have("10.1.99.9", "10.1.255.9", "10.2.77.9", "10.3.255.9", "10.127.0.9")
    for client, wanted, scope in (
        ("10.1.99.9", "198.51.100.1", 17),
        ("10.1.255.9", "198.51.100.2", 17),
        ("10.2.77.9", "198.51.100.3", 16),
        ("10.3.255.9", "198.51.100.9", 16),
        ("10.127.0.9", "198.51.100.9", 10),
    ):
        check(client, client, wanted, scope)
        check(client, None, wanted, scope)
        check(CLIENTS[0][0], client, wanted, scope)
    # What is the same for everybody has scope 0 and is kept for everybody.
    for name in ("plain", "to-plain", "nothing"):
        for client, _, _ in CLIENTS:
            ask_resolver(servers.UNBOUND, f"{name}.shop.example", "A", client,
                         [dns.edns.ECSOption(client, 24)])
    again = servers.queries_answered(admin, "shop.example")
    # Three at least that it has to ask once, and each of them five times where it waited in vain.
    if again > asked + 15:
        raise AssertionError(f"{again - asked} more queries for what unbound could have known")
    return (f"{questions} answers, then {len(CLIENTS)} prefixes with the scopes that decide; "
            f"{15 + 3 * len(CLIENTS)} questions more cost {again - asked} queries")


def kresd(stage: Stage) -> str:
    """Knot Resolver: minimised names, mixed case, TCP."""
    servers.pointsman(stage, CONFIG)
    servers.root(stage, {"shop.example.": (OURS,)})
    servers.kresd(stage)
    questions = check_plain(servers.KRESD)
    servers.have("10.2.0.4")
    answer = ask_resolver(servers.KRESD, "place.shop.example", "A", "10.2.0.4")
    if data(answer) != ["198.51.100.9"]:
        raise AssertionError(f"the resolver's own place decides, not {data(answer)}")
    return f"{questions} answers as they were meant"

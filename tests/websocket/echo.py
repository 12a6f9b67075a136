"""A WebSocket echo of any size, for an ASGI server that speaks HTTP/1.1 and HTTP/2 (RFC 8441)."""


async def application(scope, receive, send):
    """Sends back what comes."""
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{event['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] != "websocket":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        words = {key: event[key] for key in ("bytes", "text") if event.get(key) is not None}
        await send({"type": "websocket.send", **words})

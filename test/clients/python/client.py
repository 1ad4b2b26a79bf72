# A client of Debian's python3-websockets: says what it is told to, and prints what it got as JSON.
# usage: client.py URL [CA_FILE]

import asyncio
import json
import ssl
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


async def main(url, ca_file):
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    seen = {}
    async with websockets.connect(url, ssl=context, subprotocols=["a", "b"], max_size=None, ping_interval=None) as socket:
        seen["subprotocol"] = socket.subprotocol
        seen["extensions"] = [extension.name for extension in socket.extensions]
        await socket.send("grüße, 世界 🙂")
        seen["text"] = await socket.recv()
        megabyte = bytes(range(256)) * 4096
        await socket.send(megabyte)
        seen["megabyte"] = await socket.recv() == megabyte
        # An iterable is one message in several frames.
        await socket.send(["one ", "two ", "three"])
        seen["fragments"] = await socket.recv()
        await asyncio.wait_for(await socket.ping(b"are you there?"), 10)
        seen["pong"] = True
        await socket.send("close with 4001")
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            seen["closed"] = [closed.rcvd.code, closed.rcvd.reason]
    async with websockets.connect(url, ssl=context, compression=None) as socket:
        seen["uncompressed"] = [extension.name for extension in socket.extensions]
        await socket.close(3005, "enough")
        seen["sent"] = [socket.close_code, socket.close_reason]
    for takeover in (True, False):
        deflate = ClientPerMessageDeflateFactory(
            server_no_context_takeover=not takeover, client_no_context_takeover=not takeover
        )
        async with websockets.connect(url, ssl=context, compression=None, extensions=[deflate]) as socket:
            agreed = socket.extensions[0]
            agreement = [not agreed.remote_no_context_takeover, not agreed.local_no_context_takeover]
            echoes = []
            for _ in range(3):
                await socket.send("again and again " * 1000)
                echoes.append(await socket.recv() == "again and again " * 1000)
            seen["takeover" if takeover else "no takeover"] = agreement + echoes
    print(json.dumps(seen))


asyncio.run(asyncio.wait_for(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None), 30))

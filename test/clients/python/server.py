# A server of Debian's python3-websockets: echoes, and closes when it is asked to. Prints its port, ends with its standard input.

import asyncio
import sys

import websockets


async def talk(socket):
    async for message in socket:
        if message == "close with 4001":
            await socket.close(4001, "as you asked")
        elif message == "ping me":
            await asyncio.wait_for(await socket.ping(b"are you there?"), 10)
            await socket.send("pong came")
        else:
            await socket.send(message)


async def main():
    async with websockets.serve(talk, "127.0.0.1", 0, subprotocols=["b"], max_size=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())

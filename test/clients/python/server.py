# A server of Debian's python3-websockets: echoes, and closes when it is asked to. Prints its ports, the plain one and the one
# over TLS, and ends with its standard input.
# usage: server.py CERTIFICATE_FILE KEY_FILE

import asyncio
import ssl
import sys

import websockets


async def talk(socket):
    try:
        async for message in socket:
            await answer(socket, message)
    except websockets.ConnectionClosed:
        pass


async def answer(socket, message):
    if message == "close with 4001":
        await socket.close(4001, "as you asked")
    elif message == "ping me":
        await asyncio.wait_for(await socket.ping(b"are you there?"), 10)
        await socket.send("pong came")
    else:
        await socket.send(message)


async def main(certificate_file, key_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    settings = dict(subprotocols=["b"], max_size=None, ping_interval=None)
    async with websockets.serve(talk, "127.0.0.1", 0, **settings) as plain:
        async with websockets.serve(talk, "127.0.0.1", 0, ssl=context, **settings) as tls:
            print(plain.sockets[0].getsockname()[1], tls.sockets[0].getsockname()[1], flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main(sys.argv[1], sys.argv[2]))

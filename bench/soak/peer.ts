// The peer of the soak, as a program: opens tunnels, echoes, answers pings, and ends each as its request asks (`?end=NAME`).
//
//   node peer.ts [PORT]      prints {"port":N}, and for each line of its standard input {"pings":N}: those so far

import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type Ending, endings } from './endings.ts';
import { CLOSE, type Frame, FrameReader, frame, PING, PONG } from './frames.ts';

const HEAD_MOST = 16 * 1024;
let pings = 0;

function switchingProtocols(head: string): string {
  const key = /^Sec-WebSocket-Key: *(\S+)/im.exec(head)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

function onFrame(socket: Socket, ending: Ending, { opcode, payload }: Frame): void {
  if (ending.peer && payload.toString('latin1', 0, 4) === 'end') {
    ending.peer(socket);
  } else if (opcode === CLOSE && ending.peerEndsLater) {
    // It has more to say, and ends then.
  } else if (opcode === CLOSE) {
    if (!ending.peerClosesFirst) socket.write(frame(CLOSE, payload, false));
    socket.end();
  } else if (opcode === PING) {
    pings++;
    socket.write(frame(PONG, payload, false));
  } else {
    socket.write(frame(opcode, payload, false));
  }
}

function tunnel(socket: Socket, ending: Ending, early: Buffer): void {
  const reader = new FrameReader();
  const onData = (chunk: Buffer): void => {
    for (const one of reader.push(chunk)) onFrame(socket, ending, one);
  };
  socket.on('data', onData);
  if (early.length > 0) onData(early);
}

function endingAskedFor(head: string): Ending | undefined {
  const name = /^GET \S*[?&]end=([a-z-]+)/.exec(head)?.[1];
  return endings.find((one) => one.name === name);
}

function onRequest(socket: Socket, ending: Ending | undefined, head: string, early: Buffer): void {
  if (ending === undefined) {
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  } else if (ending.answer) {
    socket.resume();
    ending.answer(socket);
  } else {
    socket.write(switchingProtocols(head));
    tunnel(socket, ending, early);
  }
}

function onConnection(socket: Socket): void {
  let bytes: Buffer = Buffer.alloc(0);
  let ending: Ending | undefined;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('end', () => {
    if (!ending?.peerEndsLater) socket.end();
  });
  socket.on('data', function head(chunk: Buffer) {
    bytes = Buffer.concat([bytes, chunk]);
    const blank = bytes.indexOf('\r\n\r\n');
    if (blank < 0 && bytes.length > HEAD_MOST) socket.destroy();
    if (blank < 0) return;
    socket.off('data', head);
    const request = bytes.toString('latin1', 0, blank + 2);
    ending = endingAskedFor(request);
    onRequest(socket, ending, request, bytes.subarray(blank + 4));
  });
}

const server = createServer({ allowHalfOpen: true }, onConnection);
server.listen({ port: Number(process.argv[2] ?? 0), host: '127.0.0.1', backlog: 4096 }, () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as { port: number }).port })}\n`);
});
// The soak holds the other end of standard input: when it is gone, so is its peer.
createInterface(process.stdin)
  .on('line', () => process.stdout.write(`${JSON.stringify({ pings })}\n`))
  .on('close', () => process.exit(0));

// What a browser does in a page with its WebSocket, to be evaluated there: nothing but what stands in the function is known to it.

/** What the page has seen; JSON. */
export interface SeenInPage {
  readonly protocol: string;
  readonly extensions: string;
  readonly text: unknown;
  /** Bytes that came back as they were: of an ArrayBuffer, of a view, of a Blob. */
  readonly megabyte: boolean;
  readonly view: number[];
  readonly blob: string;
  /** How many of the messages that were sent at once came back, in order. */
  readonly inOrder: number;
  /** Codes and reasons, and whether they were clean ends: closed by the peer, by the page, by the page without a code, refused. */
  readonly closes: readonly (readonly [code: number, reason: string, wasClean: boolean])[];
}

/** @param url of a peer that echoes, closes with 4001 when it is asked to, and refuses at `/refused` below it */
export async function talkInPage(url: string): Promise<SeenInPage> {
  const open = async (to: string, protocols: string[] = []) => {
    const socket = new WebSocket(to, protocols);
    socket.binaryType = 'arraybuffer';
    const received: unknown[] = [];
    let heard = () => {};
    socket.onmessage = ({ data }) => {
      received.push(data);
      heard();
    };
    const next = async () => {
      if (received.length === 0) await new Promise<void>((resolve) => (heard = resolve));
      return received.shift();
    };
    const closed = new Promise<readonly [number, string, boolean]>((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
    });
    await new Promise((resolve) => {
      socket.onopen = resolve;
      socket.onerror = resolve;
    });
    return { socket, next, closed };
  };

  const { socket, next, closed } = await open(url, ['chat.v1', 'chat.v2']);
  socket.send('grüße, 世界 🙂');
  const text = await next();
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  const megabyte = new Uint8Array(16 * bytes.length);
  for (let part = 0; part < 16; part++) megabyte.set(bytes, part * bytes.length);
  socket.send(megabyte.buffer);
  const back = new Uint8Array((await next()) as ArrayBuffer);
  socket.send(megabyte.subarray(0, 3));
  const view = [...new Uint8Array((await next()) as ArrayBuffer)].map((byte, at) => byte - (megabyte[at] as number));
  socket.send(new Blob(['of a ', 'blob']));
  const blob = new TextDecoder().decode((await next()) as ArrayBuffer);
  for (let number = 0; number < 200; number++) socket.send(`${number}`);
  let inOrder = 0;
  while (inOrder < 200 && (await next()) === `${inOrder}`) inOrder++;
  socket.send('close with 4001');
  const closes = [await closed];

  const second = await open(url);
  second.socket.close(3005, 'enough');
  closes.push(await second.closed);
  const third = await open(url);
  third.socket.close();
  closes.push(await third.closed);
  closes.push(await (await open(`${url}refused`)).closed);
  const isSame = back.length === megabyte.length && back.every((byte, at) => byte === megabyte[at]);
  return {
    protocol: socket.protocol,
    extensions: socket.extensions,
    text,
    megabyte: isSame,
    view,
    blob,
    inOrder,
    closes,
  };
}

// The nine works that are measured: what the load generator does, what one unit of it is, and what is to be reached.

export interface Work {
  /** The name for `--only`. */
  readonly name: string;
  readonly title: string;
  /** The most that a proxy may cost, nginx being 1. */
  readonly target: number;
  /** What is counted: CPU time of the proxy's process, or its memory. */
  readonly counts: 'cpu' | 'memory';
  /** What the figure is given for: "microseconds a round trip". */
  readonly unit: string;
  readonly mode: 'echo' | 'get' | 'handshake' | 'idle';
  /** Connections held open, or handshakes at a time. Of a heap that is swept now and then, many average the tide out. */
  readonly connections: number;
  /** Bytes of payload in a message. */
  readonly size: number;
  /** Whether clients come over TLS; the peer never does. */
  readonly tls: boolean;
}

const echo = { counts: 'cpu', unit: 'µs a round trip', mode: 'echo', tls: false } as const;
const idle = { counts: 'memory', unit: 'bytes a tunnel', mode: 'idle', size: 100 } as const;

export const works: readonly Work[] = [
  {
    ...echo,
    name: 'echo-100',
    title: 'WebSocket echo, 100 connections, 100 B',
    target: 1.1,
    connections: 100,
    size: 100,
  },
  {
    ...echo,
    name: 'echo-1000',
    title: 'WebSocket echo, 1 000 connections, 100 B',
    target: 1.3,
    connections: 1000,
    size: 100,
  },
  {
    ...echo,
    name: 'echo-16k',
    title: 'WebSocket echo, 50 connections, 16 KB',
    target: 0.4,
    connections: 50,
    size: 16_000,
  },
  {
    ...echo,
    name: 'wss-100',
    title: 'wss echo, 100 connections, 100 B',
    target: 1.2,
    connections: 100,
    size: 100,
    tls: true,
  },
  {
    ...echo,
    name: 'wss-16k',
    title: 'wss echo, 50 connections, 16 KB',
    target: 0.33,
    connections: 50,
    size: 16_000,
    tls: true,
  },
  {
    name: 'get',
    title: 'keep-alive GET through proxy_pass, 64 connections',
    target: 1.7,
    counts: 'cpu',
    unit: 'µs a request',
    mode: 'get',
    connections: 64,
    size: 128,
    tls: false,
  },
  {
    name: 'handshake',
    title: 'opening handshake (connect, upgrade, close)',
    target: 2,
    counts: 'cpu',
    unit: 'µs a handshake',
    mode: 'handshake',
    connections: 32,
    size: 100,
    tls: false,
  },
  { ...idle, name: 'idle', title: 'memory for one idle WebSocket, plain', target: 0.45, connections: 6000, tls: false },
  { ...idle, name: 'idle-wss', title: 'memory for one idle WebSocket, wss', target: 1.1, connections: 3000, tls: true },
];

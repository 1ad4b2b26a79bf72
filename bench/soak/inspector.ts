// Looks into a running Node program and all its threads by the inspector protocol: what is alive after a collection.

/** What a leak would make grow, whatever the allocator keeps for later. */
export interface Alive {
  /** Active handles, requests and timers. */
  readonly handles: number;
  /** The heaps of all threads and what hangs on them, after garbage was collected. */
  readonly heapBytes: number;
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId: string; readonly message: string };
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

const ANSWER_MOST_MS = 10_000;
const LOOK = `(() => {
  const { heapUsed, external } = process.memoryUsage();
  return [process.getActiveResourcesInfo().length, heapUsed + external];
})()`;

/** Where a Node program that was started with --inspect says that it listens. */
export function inspectorAddress(standardError: string): string | undefined {
  return [...standardError.matchAll(/^Debugger listening on (ws:\S+)/gm)].at(-1)?.[1];
}

export class Inspector {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (reply: Reply) => void>();
  readonly #threads = new Set<string>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#hear(String(data)));
  }

  static async connect(address: string): Promise<Inspector> {
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', () => reject(new Error(`no inspector at ${address}`)));
    });
    const inspector = new Inspector(socket);
    await inspector.#call('NodeWorker.enable', { waitForDebuggerOnStart: false });
    return inspector;
  }

  #hear(text: string): void {
    const { id, method, params } = JSON.parse(text) as Reply;
    if (method === 'NodeWorker.attachedToWorker' && params) this.#threads.add(params.sessionId);
    if (method === 'NodeWorker.detachedFromWorker' && params) this.#threads.delete(params.sessionId);
    if (method === 'NodeWorker.receivedMessageFromWorker' && params) this.#hear(params.message);
    if (id === undefined) return;
    this.#answers.get(id)?.(JSON.parse(text) as Reply);
    this.#answers.delete(id);
  }

  #call(method: string, params: object, thread?: string): Promise<Reply> {
    const id = ++this.#last;
    const message = JSON.stringify({ id, method, params });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), ANSWER_MOST_MS);
      this.#answers.set(id, (reply) => {
        clearTimeout(timer);
        resolve(reply);
      });
      if (thread === undefined) this.#socket.send(message);
      else void this.#call('NodeWorker.sendMessageToWorker', { sessionId: thread, message }).catch(reject);
    });
  }

  async #lookInto(thread?: string): Promise<Alive> {
    await this.#call('HeapProfiler.collectGarbage', {}, thread);
    const reply = await this.#call('Runtime.evaluate', { expression: LOOK, returnByValue: true }, thread);
    const [handles = 0, heapBytes = 0] = (reply.result?.result?.value ?? []) as number[];
    return { handles, heapBytes };
  }

  /** Collects garbage in every thread, and sums up what is left. */
  async look(): Promise<Alive> {
    const all = [await this.#lookInto()];
    for (const thread of this.#threads) all.push(await this.#lookInto(thread));
    return {
      handles: all.reduce((sum, { handles }) => sum + handles, 0),
      heapBytes: all.reduce((sum, { heapBytes }) => sum + heapBytes, 0),
    };
  }

  close(): void {
    this.#socket.close();
  }
}

// Where a client's connection stands between its requests: the states of http1.ts.

export type ConnectionState =
  /** Between requests, or before the first: nothing of a head has come. */
  | 'idle'
  /** Some of a head has come. */
  | 'head'
  /** A request is being answered; its body may still be coming. */
  | 'exchange'
  /** The answer is complete but has not all left: the next request waits until it has, or a client that never reads would fill our memory. */
  | 'flush'
  /** The answer has left; the rest of the body is read and thrown away before the next request. */
  | 'discard'
  /** A tunnel has the channel, or the channel is closed, or about to be. */
  | 'gone';

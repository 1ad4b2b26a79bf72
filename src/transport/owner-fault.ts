// Where a fault of a channel's owner goes: it costs that channel, never the process.

/** Told what an owner threw. Must not throw itself. */
export type OwnerFaultListener = (fault: unknown) => void;

let listener: OwnerFaultListener = warn;

function warn(fault: unknown): void {
  process.emitWarning(fault instanceof Error ? fault : new Error(String(fault)));
}

/** Sets who is told of owners that threw; until then it is a process warning. Returns whom it replaced. */
export function onOwnerFault(next: OwnerFaultListener): OwnerFaultListener {
  const previous = listener;
  listener = next;
  return previous;
}

/** Passes on what an owner threw, as an Error with which its channel can be closed. */
export function reportOwnerFault(fault: unknown): Error {
  listener(fault);
  return fault instanceof Error ? fault : new Error(String(fault));
}

// The body of a request that was gathered whole, before it is sent anywhere: in memory, or in a file.

/** A folder for temporary files, and of how many characters of a file's number each level of folders below it is made. */
export interface TempFolder {
  /** Absolute. */
  readonly path: string;
  readonly levels: readonly number[];
}

export interface KeptBody {
  readonly length: number;
  /** All of it, unless there is a file. */
  readonly pieces: readonly Buffer[];
  /** With all of it; undefined where it is in memory. */
  readonly file: KeptFile | undefined;
  /** Nobody needs it any more. Safe to call twice. */
  close(): void;
}

export interface KeptFile {
  /** Absolute; nothing need be there any more. */
  readonly path: string;
  /** One read at a time. `into` is the file's until `done`. */
  read(into: Buffer, position: number, done: (error: Error | undefined, length: number) => void): void;
}

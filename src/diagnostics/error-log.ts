// The error log: its levels, and what every place that lines go to can do.

export const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

/** Where lines of the error log go; see error-log-file.ts. */
export interface ErrorLog {
  /** Whether a line of this level would be written: ask before building an expensive message. */
  enabled(level: Level): boolean;
  /**
   * Writes one line: `2026/11/23 15:34:58 [error] PID#TID: *CONNECTION MESSAGE`.
   * @param connection nginx's connection number, left out where it is 0
   */
  write(level: Level, message: string, connection?: number): void;
}

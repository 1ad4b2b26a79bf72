// How files of a location stay open between requests: open_file_cache and its companions.

/** Times in ms. */
export interface OpenFileRule {
  /** The most files; those that were not used for the longest time go first. */
  readonly max: number;
  /** What is not used for so long is closed. */
  readonly inactive: number;
  /** What is known of a file holds for so long. */
  readonly valid: number;
  /** A file must have been asked for so often before it stays open. */
  readonly minUses: number;
  /** That a file cannot be opened is remembered, too. */
  readonly errors: boolean;
}

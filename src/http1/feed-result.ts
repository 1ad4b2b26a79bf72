// What a parser answers to the bytes it was fed: an index, or one of these.

/** The bytes were all taken and the head is not complete: feed the next ones when they come. */
export const NEED_MORE = -1;

/** What came is not HTTP as we accept it; the parser says why, and must not be fed again before `reset`. */
export const REFUSED = -2;

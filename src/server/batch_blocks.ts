/**
 * Answers that lie behind each other in one array until the next turn takes them, without an object
 * for each. Rows are (stream, id low, id high, start, length). Hot path.
 */
import type { BatchStream } from "./batch_stream.js";

export const BLOCK_STRIDE = 5;
/** Bytes of a block. It goes into the arena as a whole, beside the frames of a turn. */
const BLOCK_BYTES = 16 * 1024;
/** A larger answer gets an array of its own, so that blocks are well filled. */
export const BLOCK_ANSWER_MAX = 2048;

/** See the head of the file. */
export interface AnswerBlock {
  readonly streams: readonly BatchStream[];
  readonly cmd: number;
  readonly bytes: Uint8Array;
  readonly rows: number[];
  /** Where the answers end. */
  end: number;
  /** Rows answered so far. */
  done: number;
}

/** Returns an empty block. */
export function newAnswerBlock(streams: readonly BatchStream[], cmd: number): AnswerBlock {
  // Shared with nothing, and written before it is read.
  const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  return { streams, cmd, bytes, rows: [], end: 0, done: 0 };
}

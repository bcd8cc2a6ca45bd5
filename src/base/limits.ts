/**
 * Every bound of the system in one table, with the relations between them asserted at load.
 * A folder that lets a bound be configured takes its default from here.
 */
import { assert } from "./assert.js";

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** Longest user key, bytes (storage.max-key-size). */
  keySizeMaxBytes: 8 * KIB,
  /** Largest value that one command may carry, bytes; follows raft-entry-max-size. */
  raftEntrySizeMaxBytes: 8 * MIB,
  /** Most sub-requests that one BatchCommands message may carry. */
  batchCommandsRequestsMax: 4096,
  /** Sub-responses of one BatchCommands response message (GRPC_MSG_MAX_BATCH_SIZE). */
  batchCommandsResponsesMax: 128,
  /** Concurrent HTTP/2 streams a connection (grpc-concurrent-stream). */
  grpcConcurrentStreams: 1024,
  /** Logical timestamps a millisecond: 18 bits. */
  tsoLogicalMax: 1 << 18,
} as const;

assert(LIMITS.keySizeMaxBytes < LIMITS.raftEntrySizeMaxBytes, "a key fits into a raft entry");

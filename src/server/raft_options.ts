/** What traffic between stores takes from the configuration: TiKV's [server] keys, camel case. */

export interface RaftTransportOptions {
  /** Connections to each store; a region keeps to one. */
  readonly grpcRaftConnNum: number;
  /** Messages that wait for one connection. */
  readonly raftClientQueueSize: number;
  /** Bytes of entries that wait for one connection; no TiKV key. */
  readonly raftClientQueueMaxBytes: number;
  /** Messages in one frame. */
  readonly raftMsgMaxBatchSize: number;
  /** Bytes of one frame, with a reserve for what a receiver of that limit adds. */
  readonly maxGrpcSendMsgLen: number;
  /** Utilisation of the event loop, 0 to 100, from which on frames are held back. */
  readonly heavyLoadThreshold: number;
  /** How long they are held back, ms; 0 = not at all. */
  readonly heavyLoadWaitMs: number;
  /** First wait after a failure, and the longest, ms; each doubles the one before. */
  readonly reconnectBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly concurrentSendSnapLimit: number;
  /** Time without progress after which a snapshot stream ends, on either side, ms; no TiKV key. */
  readonly snapIdleTimeoutMs: number;
}

const MIB = 1024 * 1024;

/** TiKV v8.5's defaults. */
export const RAFT_TRANSPORT_DEFAULTS: RaftTransportOptions = {
  grpcRaftConnNum: 1,
  raftClientQueueSize: 16_384,
  raftClientQueueMaxBytes: 128 * MIB,
  raftMsgMaxBatchSize: 256,
  maxGrpcSendMsgLen: 10 * MIB,
  heavyLoadThreshold: 75,
  heavyLoadWaitMs: 0,
  reconnectBackoffMs: 1000,
  maxBackoffMs: 5000,
  keepaliveTimeMs: 10_000,
  keepaliveTimeoutMs: 3000,
  concurrentSendSnapLimit: 32,
  snapIdleTimeoutMs: 60_000,
};

/** Room that TiKV leaves below max-grpc-send-msg-len for what it has not counted. */
const FRAME_RESERVE_BYTES = 512 * 1024;

/** Returns the bytes that a frame may have; at least half the configured limit. */
export function frameMaxBytes({ maxGrpcSendMsgLen }: RaftTransportOptions): number {
  return Math.max(maxGrpcSendMsgLen - FRAME_RESERVE_BYTES, Math.floor(maxGrpcSendMsgLen / 2));
}

/** What the store's gRPC server takes from its configuration, with TiKV's keys and defaults. */
import { LIMITS } from "../base/index.js";

export interface ServerOptions {
  /** Host to bind (server.addr). */
  readonly host: string;
  /** Port to bind; 0 takes a free one (server.addr). */
  readonly port: number;
  /** HTTP/2 streams a connection (server.grpc-concurrent-stream). */
  readonly concurrentStreams: number;
  /** Connections above which new ones are closed at once. */
  readonly connectionsMax: number;
  /** Milliseconds within which a connection must say what it speaks. */
  readonly sniffTimeoutMs: number;
  /** Milliseconds between the server's own pings (server.grpc-keepalive-time). */
  readonly keepaliveTimeMs: number;
  /** Milliseconds after which an unanswered ping ends a connection. */
  readonly keepaliveTimeoutMs: number;
  /** Largest request message, bytes; -1 = no limit, as TiKV. */
  readonly receiveMessageMaxBytes: number;
  /** Largest header list of a request, bytes as HTTP/2 counts them. */
  readonly headerListMaxBytes: number;
  /** Requests that one BatchCommands message may carry. */
  readonly batchRequestsMax: number;
  /** Requests of one BatchCommands stream that wait for an answer; above, it is not read. */
  readonly batchStreamInflightMax: number;
  /** Requests of all BatchCommands streams that wait for an answer; above, none is read. */
  readonly batchTotalInflightMax: number;
  /** Response bytes that wait for a slow reader; above, its stream is not read. */
  readonly streamBufferedMaxBytes: number;
  /** Response bytes that a connection may leave unread; above, its new requests are refused. */
  readonly connectionBufferedMaxBytes: number;
  /**
   * Milliseconds that a stream may stay above `streamBufferedMaxBytes` before it is closed; so may a
   * connection that takes nothing meanwhile.
   */
  readonly slowReaderTimeoutMs: number;
  /** Streams that the client of one connection may reset in a burst; above, it is closed. */
  readonly resetBurst: number;
  /** Resets a second that refill the burst. */
  readonly resetRatePerSecond: number;
  /** Milliseconds that one unary request may take to arrive completely. */
  readonly requestTimeoutMs: number;
}

const MIB = 1024 * 1024;

/** Defaults; bounds that have no TiKV key come from bad-input.md. */
export const SERVER_DEFAULTS: ServerOptions = {
  host: "127.0.0.1",
  port: 20160,
  concurrentStreams: LIMITS.grpcConcurrentStreams,
  connectionsMax: 10_000,
  sniffTimeoutMs: 1000,
  keepaliveTimeMs: 10_000,
  keepaliveTimeoutMs: 3000,
  receiveMessageMaxBytes: -1,
  headerListMaxBytes: 16 * 1024,
  batchRequestsMax: LIMITS.batchCommandsRequestsMax,
  batchStreamInflightMax: 16_384,
  batchTotalInflightMax: 131_072,
  streamBufferedMaxBytes: 4 * MIB,
  connectionBufferedMaxBytes: 256 * MIB,
  slowReaderTimeoutMs: 60_000,
  resetBurst: 1000,
  resetRatePerSecond: 33,
  requestTimeoutMs: 30_000,
};

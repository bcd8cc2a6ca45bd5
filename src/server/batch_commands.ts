/**
 * tikvpb.Tikv/BatchCommands: all streams of this server, the turns that serve them, and the bounds.
 * A turn runs in the check phase of the event loop, right behind the poll phase in which sockets
 * are read, so that everything that arrived together is served together, and a lone request waits
 * for nothing. Not here: what happens in a turn (batch_turn.ts).
 */
import type { ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import type { Clock, Logger } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import type { AckBatch } from "./batch_acks.js";
import { ColdPath } from "./batch_cold.js";
import { BatchStream, type StreamEvents } from "./batch_stream.js";
import { TurnRunner } from "./batch_turn.js";
import { forwardCall } from "./forward_call.js";
import { resourceExhausted, SERVER_DRAINING } from "./grpc_status.js";
import type { Health } from "./health.js";
import type { BatchCounters, ServerMetrics } from "./metrics.js";
import type { ServerOptions } from "./options.js";
import type { Rpc, RpcContext } from "./rpc.js";

export const BATCH_COMMANDS_PATH = "/tikvpb.Tikv/BatchCommands";

/** Frames of one stream that wait for a turn; above, it is not read. */
const PENDING_MAX_BYTES = 8 * 1024 * 1024;

export interface BatchDeps {
  readonly context: RpcContext;
  readonly kernels: Kernels;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly health: Health;
  readonly rpcs: readonly Rpc[];
  readonly counters: BatchCounters;
  readonly metrics: ServerMetrics;
}

export class BatchCommands implements StreamEvents {
  readonly #options: ServerOptions;
  readonly #deps: BatchDeps;
  readonly #runner: TurnRunner;
  readonly #streams = new Set<BatchStream>();
  /** Streams over a bound, by the time from which they may be closed as slow readers. */
  readonly #paused = new Map<BatchStream, number>();
  #awake: BatchStream[] = [];
  #acks: AckBatch[] = [];
  #scheduled = false;
  #draining = false;
  #slowTimer: NodeJS.Timeout | undefined;

  constructor(options: ServerOptions, deps: BatchDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#runner = new TurnRunner({
      kernels: deps.kernels,
      storage: deps.context.storage,
      cold: new ColdPath(deps.context, deps.rpcs, deps.metrics),
      health: deps.health,
      counters: deps.counters,
      logger: deps.logger,
      requestsMax: options.batchRequestsMax,
      onAcks: (acks) => this.#onAcks(acks),
    });
  }

  /**
   * Takes BatchCommands calls over before grpc-js wraps them into stream objects, which saves two
   * queues and a copy a message. Other calls pass.
   */
  readonly interceptor: ServerInterceptor = (method, call) => {
    if (method.path !== BATCH_COMMANDS_PATH) return call as never;
    return forwardCall(call, () => this.#open(call)) as never;
  };

  /** Requests that wait for an answer, of all streams. */
  get inflight(): number {
    return this.#deps.counters.inflight;
  }

  /** Reads no more; each stream ends once its requests are answered. */
  drain(): void {
    this.#draining = true;
    for (const stream of this.#streams) stream.finish(SERVER_DRAINING);
  }

  /** Ends all streams at once. */
  stop(): void {
    this.#draining = true;
    clearTimeout(this.#slowTimer);
    for (const stream of this.#streams) stream.fail(SERVER_DRAINING);
  }

  #open(call: ServerInterceptingCallInterface): void {
    const stream = new BatchStream(call, this);
    this.#streams.add(stream);
    this.#deps.counters.streams = this.#streams.size;
    stream.open();
    if (this.#draining) stream.finish(SERVER_DRAINING);
  }

  wake(stream: BatchStream): void {
    if (stream.awake) return;
    stream.awake = true;
    this.#awake.push(stream);
    this.#schedule();
  }

  drained(stream: BatchStream): void {
    if (stream.isClosed) return;
    if (this.#isOverBound(stream)) this.#pause(stream);
    else {
      this.#paused.delete(stream);
      stream.read();
    }
  }

  closed(stream: BatchStream): void {
    this.#streams.delete(stream);
    this.#paused.delete(stream);
    this.#deps.counters.streams = this.#streams.size;
  }

  #isOverBound(stream: BatchStream): boolean {
    return (
      stream.inflight >= this.#options.batchStreamInflightMax ||
      this.#deps.counters.inflight >= this.#options.batchTotalInflightMax ||
      stream.pendingBytes > PENDING_MAX_BYTES ||
      stream.buffered > this.#options.streamBufferedMaxBytes
    );
  }

  #pause(stream: BatchStream): void {
    const isSlow = stream.buffered > this.#options.streamBufferedMaxBytes;
    const known = this.#paused.get(stream);
    if (!isSlow) this.#paused.set(stream, Number.POSITIVE_INFINITY);
    else if (known === undefined || known === Number.POSITIVE_INFINITY) {
      const limitMs = this.#options.slowReaderTimeoutMs;
      this.#paused.set(stream, this.#deps.clock.monotonicMs() + limitMs);
      this.#armSlowTimer(limitMs);
    }
  }

  /** One timer for all slow readers: it fires at the first deadline and looks at all. */
  #armSlowTimer(delayMs: number): void {
    if (this.#slowTimer !== undefined) return;
    this.#slowTimer = setTimeout(() => {
      this.#slowTimer = undefined;
      this.#closeSlowReaders();
    }, delayMs);
    this.#slowTimer.unref();
  }

  #closeSlowReaders(): void {
    const now = this.#deps.clock.monotonicMs();
    let next = Number.POSITIVE_INFINITY;
    for (const [stream, deadline] of this.#paused) {
      if (deadline > now) {
        next = Math.min(next, deadline);
        continue;
      }
      this.#deps.logger.warn("batch stream closed: its client does not read", {
        buffered_bytes: stream.buffered,
      });
      stream.fail(resourceExhausted("responses are not read"));
    }
    if (next !== Number.POSITIVE_INFINITY) this.#armSlowTimer(Math.max(1, next - now));
  }

  #onAcks(acks: AckBatch): void {
    this.#acks.push(acks);
    for (const stream of acks.streams) this.wake(stream);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    const { counters, metrics } = this.#deps;
    const streams = this.#awake;
    const { requests, responses } = counters;
    // Streams stay marked as awake, so that answers of this very turn do not ask for another one.
    this.#runner.run(streams, this.#acks);
    this.#awake = [];
    this.#scheduled = false;
    metrics.observeTurn(counters.requests - requests, counters.responses - responses);
    for (const stream of streams) {
      stream.awake = false;
      if (stream.hasAnswers || stream.peek(0) !== undefined) this.wake(stream);
    }
    for (const ack of this.#acks) for (const stream of ack.streams) this.wake(stream);
    for (const stream of streams) {
      stream.afterTurn();
      this.drained(stream);
    }
    for (const stream of this.#paused.keys()) this.drained(stream);
  }
}

/**
 * Timestamps over one stream. Callers that ask in the same turn, or while too many requests are in
 * flight, share one request; its answer is the largest of as many timestamps as were asked for.
 * A stream that breaks fails nobody at once: unanswered requests go to the next stream, because a
 * timestamp that was handed out and lost does no harm.
 */
import { type ClientDuplexStream, Metadata, status } from "@grpc/grpc-js";
import { err, ok } from "../base/index.js";
import { deserializer, methodInfo, type pdpb, serializer, toBigInt } from "../pb/index.js";
import { requestHeader } from "./caller.js";
import { callFailure, headerFailure, isLeaderChange, unavailable } from "./failure.js";
import type { Leader, Members } from "./members.js";
import type { PdClientOptions } from "./options.js";
import type { PdFailure, PdReply } from "./types.js";

/** Requests that may wait for their answer; a guess, more would only shrink the batches. */
const IN_FLIGHT_MAX = 4;
/** Most timestamps of one request: a quarter of what PD has for a millisecond. */
const BATCH_MAX = 65_536;
const LOGICAL_BITS = 18n;
/** Streams that may break before waiting callers are told. */
const RETRIES_MAX = 1;

const TSO = methodInfo("pdpb.PD", "Tso");

type TsoStream = ClientDuplexStream<pdpb.ITsoRequest, pdpb.TsoResponse>;

interface Waiter {
  readonly count: number;
  readonly deadline: number;
  readonly resolve: (reply: PdReply<bigint>) => void;
}

interface Batch {
  readonly waiters: readonly Waiter[];
  readonly count: number;
}

function composeTs(physical: bigint, logical: bigint): bigint {
  return (physical << LOGICAL_BITS) | logical;
}

export class TsoClient {
  readonly #members: Members;
  readonly #options: PdClientOptions;
  #waiting: Waiter[] = [];
  #inFlight: Batch[] = [];
  #stream: TsoStream | undefined;
  #leader: Leader | undefined;
  #pumping = false;
  #retries = 0;
  #last = 0n;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(members: Members, options: PdClientOptions) {
    this.#members = members;
    this.#options = options;
  }

  /**
   * Returns the largest of `count` new timestamps (1 ≤ count ≤ 65,536); the others are the ones just
   * below it. Refuses when tsoWaitersMax callers wait already.
   */
  get(count: number): Promise<PdReply<bigint>> {
    if (this.#closed) return Promise.resolve(err(unavailable("the PD client is closed")));
    if (this.#waiting.length >= this.#options.tsoWaitersMax) {
      return Promise.resolve(err(unavailable("too many callers wait for a timestamp")));
    }
    if (!Number.isInteger(count) || count < 1 || count > BATCH_MAX) {
      const message = `count must be 1 to ${BATCH_MAX}, not ${count}`;
      return Promise.resolve(err({ kind: "refused", message }));
    }
    return new Promise((resolve) => {
      const deadline = performance.now() + this.#options.requestTimeoutMs;
      this.#waiting.push({ count, deadline, resolve });
      this.#arm();
      if (this.#pumping) return;
      this.#pumping = true;
      setImmediate(() => void this.#pump());
    });
  }

  /** Fails all waiting callers. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#stream?.cancel();
    this.#failAll(unavailable("the PD client is closed"));
  }

  /** Sends what waits. Never throws; runs at most once at a time. */
  async #pump(): Promise<void> {
    try {
      if (this.#stream === undefined) {
        const leader = await this.#members.leader();
        if (this.#closed) return;
        if (!leader.ok) {
          this.#failAll(leader.error);
          return;
        }
        this.#open(leader.value);
      }
      while (this.#waiting.length > 0 && this.#inFlight.length < IN_FLIGHT_MAX) this.#send();
    } finally {
      this.#pumping = false;
    }
  }

  #open(leader: Leader): void {
    const stream = leader.channel.makeBidiStreamRequest(
      TSO.path,
      serializer(TSO.request),
      deserializer(TSO.response),
      new Metadata(),
    );
    this.#stream = stream;
    this.#leader = leader;
    stream.on("data", (response: pdpb.TsoResponse) => this.#onResponse(stream, response));
    stream.on("error", () => {});
    stream.on("status", (end: { code: status; details: string }) => {
      const message = end.code === status.OK ? "stream is closed" : end.details;
      const failure = { status: end.code, message };
      if (end.code === status.OK || isLeaderChange(failure)) this.#members.forget(leader);
      this.#onEnd(stream, callFailure(failure));
    });
  }

  #send(): void {
    const waiters: Waiter[] = [];
    let count = 0;
    for (const waiter of this.#waiting) {
      if (count + waiter.count > BATCH_MAX) break;
      waiters.push(waiter);
      count += waiter.count;
    }
    this.#waiting.splice(0, waiters.length);
    this.#inFlight.push({ waiters, count });
    this.#stream?.write({ header: requestHeader(this.#leader as Leader), count });
  }

  #onResponse(stream: TsoStream, response: pdpb.TsoResponse): void {
    if (stream !== this.#stream) return;
    const batch = this.#inFlight[0];
    const failure = headerFailure(response.header) ?? this.#flaw(batch, response);
    if (failure !== undefined || batch === undefined) {
      this.#members.forget(this.#leader as Leader);
      stream.cancel();
      this.#onEnd(stream, failure ?? unavailable("PD answered more than it was asked"));
      return;
    }
    this.#inFlight.shift();
    this.#retries = 0;
    const { logical, physical } = response.timestamp as pdpb.Timestamp;
    const largest = composeTs(toBigInt(physical), toBigInt(logical));
    this.#last = largest;
    let next = largest - BigInt(batch.count);
    for (const waiter of batch.waiters) {
      next += BigInt(waiter.count);
      waiter.resolve(ok(next));
    }
    this.#arm();
    if (this.#waiting.length > 0 && !this.#pumping) {
      this.#pumping = true;
      void this.#pump();
    }
  }

  /** Invariant: what callers get is larger than what any caller got before. */
  #flaw(batch: Batch | undefined, response: pdpb.TsoResponse): PdFailure | undefined {
    if (batch === undefined) return undefined;
    if (response.count !== batch.count || response.timestamp === null) {
      return {
        kind: "refused",
        message: `asked for ${batch.count} timestamps, got ${response.count}`,
      };
    }
    const { logical, physical } = response.timestamp;
    const first = composeTs(toBigInt(physical), toBigInt(logical)) - BigInt(batch.count) + 1n;
    if (first > this.#last) return undefined;
    return { kind: "refused", message: `timestamp fallback: ${first} after ${this.#last}` };
  }

  /** The stream is over: its requests go to the next one, once. */
  #onEnd(stream: TsoStream, failure: PdFailure): void {
    if (stream !== this.#stream) return;
    this.#stream = undefined;
    this.#waiting = [...this.#inFlight.flatMap((batch) => batch.waiters), ...this.#waiting];
    this.#inFlight = [];
    if (this.#waiting.length === 0) return;
    if (failure.kind !== "unavailable" || this.#retries >= RETRIES_MAX) {
      this.#retries = 0;
      this.#failAll(failure);
      return;
    }
    this.#retries++;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  #failAll(failure: PdFailure): void {
    const waiters = [...this.#inFlight.flatMap((batch) => batch.waiters), ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const waiter of waiters) waiter.resolve(err(failure));
  }

  /** One timer for all callers, at the deadline of the oldest. */
  #arm(): void {
    const oldest = this.#inFlight[0]?.waiters[0] ?? this.#waiting[0];
    if (oldest === undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    if (this.#timer !== undefined) return;
    const waitMs = Math.max(1, oldest.deadline - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onTimer();
    }, waitMs);
  }

  #onTimer(): void {
    const oldest = this.#inFlight[0]?.waiters[0] ?? this.#waiting[0];
    if (oldest === undefined) return;
    if (oldest.deadline > performance.now()) {
      this.#arm();
      return;
    }
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    if (this.#leader !== undefined) this.#members.forget(this.#leader);
    this.#failAll(unavailable("timed out", status.DEADLINE_EXCEEDED));
  }
}

/**
 * Waiting for PD: asks until it answers, one log line in a while, ends when the store stops.
 * Not a back-off with jitter: one store asks a few times a second, and only at start.
 */
import { type Clock, type Logger, TikvError, type Timers } from "../base/index.js";
import type { PdFailure, PdReply } from "./pd_port.js";

export interface RetryDeps {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly retryIntervalMs: number;
  readonly logIntervalMs: number;
}

/** Asks PD until the outcome is other than "unavailable". Throws the abort reason when stopped. */
export class PdRetry {
  private lastLogMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: RetryDeps) {}

  async ask<T>(what: string, call: () => Promise<PdReply<T>>): Promise<PdReply<T>> {
    for (;;) {
      this.deps.signal.throwIfAborted();
      const reply = await call();
      if (reply.ok || reply.error.kind !== "unavailable") return reply;
      await this.pause(what, reply.error.message);
    }
  }

  /** As `ask`, for calls that PD may not refuse: every other failure is thrown. */
  async must<T>(what: string, call: () => Promise<PdReply<T>>): Promise<T> {
    const reply = await this.ask(what, call);
    if (!reply.ok) throw pdError(reply.error);
    return reply.value;
  }

  /** Waits one interval; tells why at most once per log interval. Throws the abort reason. */
  async pause(what: string, reason: string): Promise<void> {
    const now = this.deps.clock.monotonicMs();
    if (now - this.lastLogMs >= this.deps.logIntervalMs) {
      this.lastLogMs = now;
      this.deps.logger.warn("waiting for pd", { request: what, err: reason });
    }
    const { signal, timers, retryIntervalMs } = this.deps;
    // Aborted meanwhile: nothing would end the wait but its timer.
    signal.throwIfAborted();
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = timers.after(retryIntervalMs, end);
      signal.addEventListener("abort", end, { once: true });
    });
    signal.throwIfAborted();
  }
}

/** Returns the error with which a store ends when PD says no for good; the words are PD's. */
export function pdError(failure: PdFailure): TikvError {
  switch (failure.kind) {
    case "storeTombstone":
      return new TikvError("RUTILE:Store:Tombstone", failure.message);
    case "clusterMismatch":
      return new TikvError("RUTILE:Store:ClusterMismatch", failure.message);
    case "alreadyBootstrapped":
      return new TikvError("KV:Pd:ClusterBootstraped", failure.message);
    default:
      return new TikvError("RUTILE:Store:Refused", failure.message);
  }
}

/**
 * Named backoffs and the budget that all retries of one operation share. Times are client-go's
 * (config/retry/config.go). Waiting for a busy store does not count against the budget, only against
 * the operation's timeout.
 */
import type { ErrorCode } from "../base/index.js";
import { ClientError } from "./errors.js";

export interface BackoffKind {
  /** First and longest wait, ms. */
  readonly baseMs: number;
  readonly capMs: number;
  /** "equal": between half of the wait and all of it. */
  readonly jitter: "none" | "equal";
  /** What the caller is told when the budget ends in this kind of wait. */
  readonly code: ErrorCode;
  /** Whether waits leave the budget alone. */
  readonly excluded?: boolean;
}

const STORE = "RUTILE:Client:StoreUnavailable";
const REGION = "RUTILE:Client:RegionUnavailable";

const LOCKED = "KV:Storage:KeyIsLocked";

export const BACKOFFS = {
  tikvRpc: { baseMs: 100, capMs: 2000, jitter: "equal", code: STORE },
  pdRpc: { baseMs: 500, capMs: 3000, jitter: "equal", code: "RUTILE:Client:PdUnavailable" },
  regionMiss: { baseMs: 2, capMs: 500, jitter: "none", code: REGION },
  regionScheduling: { baseMs: 2, capMs: 500, jitter: "none", code: REGION },
  tikvServerBusy: { baseMs: 2000, capMs: 10_000, jitter: "equal", code: STORE, excluded: true },
  tikvDiskFull: { baseMs: 500, capMs: 5000, jitter: "none", code: STORE },
  regionRecoveryInProgress: { baseMs: 100, capMs: 10_000, jitter: "equal", code: REGION },
  staleCommand: { baseMs: 2, capMs: 1000, jitter: "none", code: REGION },
  maxTsNotSynced: { baseMs: 2, capMs: 500, jitter: "none", code: REGION },
  dataNotReady: { baseMs: 2, capMs: 2000, jitter: "none", code: REGION },
  regionNotInitialized: { baseMs: 2, capMs: 1000, jitter: "none", code: REGION },
  txnLock: { baseMs: 100, capMs: 3000, jitter: "equal", code: LOCKED },
  txnLockFast: { baseMs: 2, capMs: 3000, jitter: "equal", code: LOCKED },
  txnNotFound: { baseMs: 2, capMs: 500, jitter: "none", code: LOCKED },
  isWitness: { baseMs: 1000, capMs: 10_000, jitter: "equal", code: REGION },
} as const satisfies Record<string, BackoffKind>;

export type BackoffName = keyof typeof BACKOFFS;

/** Reasons that an error lists; older ones are dropped from the middle. */
const ATTEMPTS_MAX = 6;

/** A reason and how often in a row it was met. */
interface Attempt {
  readonly reason: string;
  times: number;
}

interface Waits {
  count: number;
  /** Sum of the waits that count against the budget, ms. */
  spentMs: number;
}

/** Time, waiting and chance as dependencies; tests bring their own. */
export interface BackoffDeps {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Resolves after `ms`, or earlier when one of the signals fires. */
  sleep(ms: number, signals: readonly AbortSignal[]): Promise<void>;
  /** A number in [0, 1). */
  random(): number;
}

/** Returns the wait before attempt `n` (from 0) of `kind`, ms. */
export function backoffMs(kind: BackoffKind, n: number, random: number): number {
  const full = Math.min(kind.capMs, kind.baseMs * 2 ** Math.min(n, 30));
  return kind.jitter === "none" ? full : full / 2 + random * (full / 2);
}

/**
 * The retries of one operation. Invariant: the waits of kinds that are not excluded add up to at most
 * budgetMs, and no wait ends after the deadline.
 */
export class Backoffer {
  readonly signal: AbortSignal | undefined;
  readonly #closing: AbortSignal | undefined;
  readonly #deps: BackoffDeps;
  readonly #budgetMs: number;
  readonly #deadlineMs: number;
  /** Waits so far, by kind. Made at the first wait; most operations need none. */
  #waits: Map<BackoffName, Waits> | undefined;
  #attempts: Attempt[] | undefined;
  #spentMs = 0;

  constructor(
    options: {
      readonly budgetMs: number;
      readonly timeoutMs: number;
      /** The caller's. */
      readonly signal?: AbortSignal | undefined;
      /** Fires when the client is closed. */
      readonly closing?: AbortSignal | undefined;
    },
    deps: BackoffDeps,
  ) {
    this.#deps = deps;
    this.#budgetMs = options.budgetMs;
    this.#deadlineMs = deps.nowMs() + options.timeoutMs;
    this.signal = options.signal;
    this.#closing = options.closing;
  }

  /** Milliseconds until the operation's timeout; at least 0. */
  leftMs(): number {
    return Math.max(0, this.#deadlineMs - this.#deps.nowMs());
  }

  /** Throws Closed, Aborted or Timeout when the operation is over. */
  check(): void {
    if (this.#closing?.aborted === true) {
      throw this.#error("RUTILE:Client:Closed", "the client was closed");
    }
    if (this.signal?.aborted === true) {
      throw this.#error("RUTILE:Client:Aborted", "aborted", this.signal.reason);
    }
    if (this.leftMs() <= 0) throw this.#error("RUTILE:Client:Timeout", "timed out");
  }

  /** Notes why something is tried again without a wait. */
  note(reason: string): void {
    this.#attempts ??= [];
    const last = this.#attempts.at(-1);
    if (last?.reason === reason) {
      last.times++;
      return;
    }
    if (this.#attempts.length >= ATTEMPTS_MAX) this.#attempts.splice(ATTEMPTS_MAX / 2, 1);
    this.#attempts.push({ reason, times: 1 });
  }

  /**
   * Waits as `name` says, at least `leastMs`, at most `mostMs`. When the budget is used up it throws the code of the
   * kind that was waited for longest, which is the cause and not what it led to at the end; throws
   * Timeout when the wait would end after the deadline, Aborted or Closed when a signal fires.
   */
  async wait(
    name: BackoffName,
    reason: string,
    leastMs = 0,
    mostMs = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const kind: BackoffKind = BACKOFFS[name];
    this.check();
    this.note(`${name}: ${reason}`);
    this.#waits ??= new Map();
    const waits = this.#waits.get(name) ?? { count: 0, spentMs: 0 };
    this.#waits.set(name, waits);
    const ownMs = backoffMs(kind, waits.count++, this.#deps.random());
    const waitMs = Math.min(mostMs, Math.max(leastMs, ownMs));
    if (kind.excluded !== true) {
      if (this.#spentMs + waitMs > this.#budgetMs) {
        const spent = `gave up after ${Math.round(this.#spentMs)} ms of waiting`;
        throw this.#error(this.#longestWait(name), spent);
      }
      this.#spentMs += waitMs;
      waits.spentMs += waitMs;
    }
    const signals = [this.signal, this.#closing].filter((signal) => signal !== undefined);
    const leftMs = this.leftMs();
    await this.#deps.sleep(Math.min(waitMs, leftMs), signals);
    this.check();
    // Timers fire up to a millisecond early: what is left then is no time for another attempt.
    if (waitMs >= leftMs) throw this.#error("RUTILE:Client:Timeout", "timed out");
  }

  /** Returns the code of the kind with the longest sum of waits; of `name` if there was none. */
  #longestWait(name: BackoffName): ErrorCode {
    let longest: BackoffName = name;
    let longestMs = 0;
    for (const [kind, { spentMs }] of this.#waits ?? []) {
      if (spentMs > longestMs) [longest, longestMs] = [kind, spentMs];
    }
    return BACKOFFS[longest].code;
  }

  /** Returns an error that lists what was tried. */
  error(code: ErrorCode, message: string, cause?: unknown): ClientError {
    return this.#error(code, message, cause);
  }

  #error(code: ErrorCode, message: string, cause?: unknown): ClientError {
    const attempts = (this.#attempts ?? []).map(({ reason, times }) =>
      times === 1 ? reason : `${reason} (${times} times)`,
    );
    return new ClientError(code, message, { cause, attempts });
  }
}

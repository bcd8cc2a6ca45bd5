/**
 * What a commit sends, as data: mutations from own writes, the primary, how long locks live, and
 * what the replies to prewrites add up to. Pure. Source: client-go txnkv/transaction/2pc.go.
 */
import { assert, EMPTY_BYTES } from "../../base/index.js";
import { composeTs, tsPhysical } from "../../codec/index.js";
import { kvrpcpb } from "../../pb/index.js";
import { mapKey } from "../arguments.js";
import {
  ASYNC_COMMIT_KEY_BYTES_MAX,
  ASYNC_COMMIT_KEYS_MAX,
  LOCK_TTL_MS,
  SAFE_WINDOW_MS,
} from "./options.js";
import type { OwnWrite } from "./union_store.js";

/** One key of a commit. */
export interface CommitMutation {
  readonly key: Uint8Array;
  readonly op: kvrpcpb.Op;
  readonly value: Uint8Array;
  readonly assertion: kvrpcpb.Assertion;
  /** Whether a pessimistic lock of this transaction is on it. */
  readonly isLocked: boolean;
}

const { Op, Assertion } = kvrpcpb;

function toMutation(write: OwnWrite, isLocked: boolean): CommitMutation | undefined {
  const { key, kind, mustBeAbsent, value, wasAbsent } = write;
  const assertion = wasAbsent ? Assertion.NotExist : Assertion.None;
  const of = (op: kvrpcpb.Op, content = EMPTY_BYTES): CommitMutation => ({
    key,
    op,
    value: content,
    assertion,
    isLocked,
  });
  if (kind === "put") return of(mustBeAbsent ? Op.Insert : Op.Put, value);
  if (kind === "lock") return of(Op.Lock);
  if (mustBeAbsent) return of(Op.CheckNotExists);
  return of(Op.Del);
}

/**
 * Returns a commit's mutations in key order; keys that were locked and not written are locked to the
 * end. `locked` holds map keys.
 */
export function toMutations(
  writes: readonly OwnWrite[],
  locked: ReadonlySet<string>,
): CommitMutation[] {
  return writes
    .map((write) => toMutation(write, locked.has(mapKey(write.key))))
    .filter((mutation) => mutation !== undefined);
}

/** Returns whether the store makes a lock of it. */
export function leavesLock({ op }: CommitMutation): boolean {
  return op !== Op.CheckNotExists;
}

/**
 * Returns the key whose fate is the transaction's: the first that is changed, else the first that is
 * locked; undefined if there is none.
 */
export function choosePrimary(mutations: readonly CommitMutation[]): Uint8Array | undefined {
  const changed = mutations.find(({ op }) => op !== Op.Lock && op !== Op.CheckNotExists);
  return (changed ?? mutations.find(leavesLock))?.key;
}

/** Returns whether a transaction is small enough that its secondaries are listed in the primary. */
export function fitsAsyncCommit(mutations: readonly CommitMutation[]): boolean {
  if (mutations.length > ASYNC_COMMIT_KEYS_MAX) return false;
  let bytes = 0;
  for (const { key } of mutations) bytes += key.length;
  return bytes <= ASYNC_COMMIT_KEY_BYTES_MAX;
}

/**
 * Returns how long the locks of an optimistic transaction live, ms, counted from start_ts: longer the
 * larger it is, at most `managedTtlMs`, and what has passed since it began.
 */
export function lockTtlMs(bytes: number, elapsedMs: number, managedTtlMs: number): number {
  const mib = bytes / (1024 * 1024);
  const own = bytes <= 16 * 1024 ? LOCK_TTL_MS : Math.max(LOCK_TTL_MS, 6000 * Math.sqrt(mib));
  return Math.ceil(Math.min(own, managedTtlMs) + elapsedMs);
}

/** Returns the latest commit_ts that a store may choose, for a transaction that asks at `nowTs`. */
export function maxCommitTs(nowTs: bigint): bigint {
  return composeTs(tsPhysical(nowTs) + BigInt(SAFE_WINDOW_MS), 0n);
}

/** Who decides the commit_ts: one store, all stores together, or the TSO after all prewrites. */
export type CommitMode = "onePc" | "async" | "twoPhase";

/**
 * What the replies to prewrites add up to. A mode is only ever left for a slower one.
 *
 * Invariant: with all keys done, the transaction is committed in modes "onePc" and "async" at
 * `commitTs`, and in mode "twoPhase" it is not.
 */
export class PrewriteProgress {
  readonly #keysCount: number;
  readonly #done = new Set<string>();
  /** Keys of requests that got no answer: what became of them is not known. */
  readonly #open = new Set<string>();
  /** Whether a request that got no answer could have committed the transaction. */
  #isRisky = false;
  #mode: CommitMode;
  readonly #fallback: CommitMode;
  #commitTs = 0n;

  /** `keysCount` different keys will be prewritten. */
  constructor(keysCount: number, modes: { readonly onePc: boolean; readonly async: boolean }) {
    this.#keysCount = keysCount;
    this.#fallback = modes.async ? "async" : "twoPhase";
    this.#mode = modes.onePc ? "onePc" : this.#fallback;
  }

  get mode(): CommitMode {
    return this.#mode;
  }

  /** Whether secondaries are listed and min_commit_ts is asked for. */
  get isAsync(): boolean {
    return this.#mode === "async" || (this.#mode === "onePc" && this.#fallback === "async");
  }

  /** Of modes "onePc" and "async", once all keys are done. */
  get commitTs(): bigint {
    assert(this.#mode !== "twoPhase", "two phases take commit_ts from the TSO");
    assert(this.#done.size === this.#keysCount, "all keys are prewritten");
    return this.#commitTs;
  }

  /** The keys do not fit into one request. */
  leaveOnePc(): void {
    if (this.#mode === "onePc") this.#mode = this.#fallback;
  }

  /** A store has prewritten `keys`. Zero timestamps: it did not do what was asked for. */
  onDone(keys: readonly Uint8Array[], minCommitTs: bigint, onePcCommitTs: bigint): void {
    for (const key of keys) {
      this.#open.delete(mapKey(key));
      this.#done.add(mapKey(key));
    }
    if (this.#mode === "onePc" && onePcCommitTs !== 0n) {
      this.#commitTs = onePcCommitTs;
      return;
    }
    this.leaveOnePc();
    if (this.#mode !== "async") return;
    if (minCommitTs === 0n) this.#mode = "twoPhase";
    else if (minCommitTs > this.#commitTs) this.#commitTs = minCommitTs;
  }

  /** A request for `keys` was sent and got no answer. */
  onOpen(keys: readonly Uint8Array[]): void {
    if (this.#mode !== "twoPhase") this.#isRisky = true;
    for (const key of keys) if (!this.#done.has(mapKey(key))) this.#open.add(mapKey(key));
  }

  /** A store has refused `keys`, which settles what an earlier request for them has done. */
  onRefused(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.#open.delete(mapKey(key));
  }

  /** Returns whether a request may have left a lock on the key; a refused one leaves none. */
  mayBeLocked(key: Uint8Array): boolean {
    return this.#done.has(mapKey(key)) || this.#open.has(mapKey(key));
  }

  /** Whether the transaction may be committed although not all keys are known to be prewritten. */
  get mayBeCommitted(): boolean {
    return (
      this.#isRisky && this.#open.size > 0 && this.#done.size + this.#open.size === this.#keysCount
    );
  }
}

/**
 * The first phase: locks all keys of a transaction, or commits it on the way (async commit, 1PC).
 * Source: client-go txnkv/transaction/prewrite.go.
 */
import { keyInRange } from "../../base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../pb/index.js";
import type { Backoffer } from "../backoff.js";
import type { CachedRegion } from "../region_cache.js";
import { type ChunkLimit, sendChunks } from "../region_chunks.js";
import { RELOAD } from "../region_request.js";
import {
  type CommitMutation,
  leavesLock,
  lockTtlMs,
  maxCommitTs,
  PrewriteProgress,
} from "./commit_plan.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { WriteConflictError } from "./errors.js";
import { locksOf } from "./key_error.js";
import type { LockResolver } from "./lock_resolver.js";
import type { LockView } from "./lock_view.js";
import {
  type AssertionLevelName,
  PESSIMISTIC_PATIENCE_MS,
  TXN_BATCH_BYTES_MAX,
} from "./options.js";

/** A transaction as its commit sees it. */
export interface CommitInput {
  readonly startTs: bigint;
  /** In key order, not empty. */
  readonly mutations: readonly CommitMutation[];
  readonly primary: Uint8Array;
  readonly isPessimistic: boolean;
  /** 0n: optimistic. */
  readonly forUpdateTs: bigint;
  /** Bytes of keys and values. */
  readonly sizeBytes: number;
  /** Since the transaction began. */
  readonly elapsedMs: () => number;
  readonly assertions: AssertionLevelName;
  readonly modes: { readonly onePc: boolean; readonly async: boolean };
}

const { PessimisticAction } = kvrpcpb.PrewriteRequest;

const LEVELS: Readonly<Record<AssertionLevelName, kvrpcpb.AssertionLevel>> = {
  off: kvrpcpb.AssertionLevel.Off,
  fast: kvrpcpb.AssertionLevel.Fast,
  strict: kvrpcpb.AssertionLevel.Strict,
};

/** How much one Prewrite or Commit carries. */
export const MUTATION_LIMIT: ChunkLimit<CommitMutation> = {
  itemsMax: Number.POSITIVE_INFINITY,
  bytesMax: TXN_BATCH_BYTES_MAX,
  sizeOf: ({ key, value }) => key.length + value.length,
};

export class Prewriter {
  readonly progress: PrewriteProgress;
  readonly #input: CommitInput;
  readonly #context: TxnContext;
  readonly #resolver: LockResolver;
  #minCommitTs = 0n;
  #maxCommitTs = 0n;
  #isRetry = false;

  constructor(input: CommitInput, context: TxnContext, resolver: LockResolver) {
    this.#input = input;
    this.#context = context;
    this.#resolver = resolver;
    this.progress = new PrewriteProgress(input.mutations.length, input.modes);
  }

  /** Prewrites all keys. What it throws leaves no request under way. */
  async run(op: Backoffer): Promise<void> {
    // Known beforehand, it saves two phases a timestamp.
    if (this.progress.mode === "onePc" && !(await this.#isOneRegion(op))) {
      this.progress.leaveOnePc();
    }
    if (this.progress.mode !== "twoPhase") {
      // Whoever begins after this commit is over must see it, so commit_ts is above what is now.
      const nowTs = await this.#context.timestamp(op);
      this.#minCommitTs = nowTs + 1n;
      this.#maxCommitTs = maxCommitTs(nowTs);
    }
    const { locator } = this.#context.parts;
    const { concurrencyMax } = this.#context.options;
    const deps = { locator, op, concurrencyMax, settle: true };
    await sendChunks(this.#primaryFirst(), MUTATION_LIMIT, deps, (region, part) =>
      this.#send(region, part, op),
    );
  }

  /** Returns whether all keys are in the region of the primary, as far as is known here. */
  async #isOneRegion(op: Backoffer): Promise<boolean> {
    const { mutations, primary } = this.#input;
    const { endKey, startKey } = await this.#context.parts.locator.locate(primary, op);
    // In key order: those between the first and the last are in the same range.
    return [mutations.at(0), mutations.at(-1)].every(
      (mutation) => mutation !== undefined && keyInRange(mutation.key, startKey, endKey),
    );
  }

  #primaryFirst(): CommitMutation[] {
    const { mutations, primary } = this.#input;
    const at = mutations.findIndex(({ key }) => key === primary);
    const first = mutations[at] as CommitMutation;
    return [first, ...mutations.slice(0, at), ...mutations.slice(at + 1)];
  }

  /** Sends one request until it is answered without locks; throws what others have done. */
  async #send(
    region: CachedRegion,
    part: readonly CommitMutation[],
    op: Backoffer,
  ): Promise<object | typeof RELOAD> {
    const keys = part.map(({ key }) => key);
    if (part.length < this.#input.mutations.length) this.progress.leaveOnePc();
    const attempts = { ...freshAttempts(), sent: this.#isRetry ? 1 : 0 };
    const beganMs = this.#input.elapsedMs();
    for (;;) {
      const body = this.#body(part);
      const response = await this.#context.parts.sender
        .send(region, "Prewrite", body, op, attempts)
        .catch((error: unknown) => {
          if (attempts.isOpen) this.progress.onOpen(keys);
          throw error;
        });
      if (response === RELOAD) {
        if (attempts.isOpen) this.progress.onOpen(keys);
        this.#isRetry ||= attempts.sent > 0;
        return RELOAD;
      }
      attempts.isOpen = false;
      if (response.errors.length === 0) {
        const onePcCommitTs = toBigInt(response.onePcCommitTs);
        this.progress.onDone(keys, toBigInt(response.minCommitTs), onePcCommitTs);
        return response;
      }
      this.progress.onRefused(keys);
      await this.#pass(response.errors, beganMs, op);
    }
  }

  #body(part: readonly CommitMutation[]): kvrpcpb.IPrewriteRequest {
    const { assertions, forUpdateTs, isPessimistic, mutations, primary, startTs } = this.#input;
    const { isAsync, mode } = this.progress;
    const isTwoPhase = mode === "twoPhase";
    const least = (forUpdateTs > startTs ? forUpdateTs : startTs) + 1n;
    const hasPrimary = part.some(({ key }) => key === primary);
    return {
      mutations: part.map(({ assertion, key, op, value }) => ({ op, key, value, assertion })),
      primaryLock: primary,
      startVersion: fromBigInt(startTs),
      lockTtl: this.#ttlMs(),
      pessimisticActions: isPessimistic ? part.map(actionOf) : [],
      txnSize: mutations.length,
      forUpdateTs: fromBigInt(forUpdateTs),
      minCommitTs: fromBigInt(isTwoPhase ? least : this.#minCommitTs),
      maxCommitTs: fromBigInt(isTwoPhase ? 0n : this.#maxCommitTs),
      useAsyncCommit: isAsync,
      secondaries: isAsync && hasPrimary ? this.#secondaries() : [],
      tryOnePc: mode === "onePc",
      assertionLevel: LEVELS[assertions],
    };
  }

  #secondaries(): Uint8Array[] {
    const { mutations, primary } = this.#input;
    const locks = mutations.filter((mutation) => mutation.key !== primary && leavesLock(mutation));
    return locks.map(({ key }) => key);
  }

  #ttlMs(): number {
    const { elapsedMs, isPessimistic, sizeBytes } = this.#input;
    const { managedTtlMs } = this.#context.options;
    if (isPessimistic) return Math.ceil(elapsedMs() + managedTtlMs);
    return lockTtlMs(sizeBytes, elapsedMs(), managedTtlMs);
  }

  /** Waits until locks of others are gone; `beganMs`: since when, in the transaction's time. */
  async #pass(errors: readonly kvrpcpb.KeyError[], beganMs: number, op: Backoffer): Promise<void> {
    const { elapsedMs, isPessimistic, startTs } = this.#input;
    const { mode } = this.#context.parts;
    const locks = locksOf(errors, startTs, mode);
    const patient = elapsedMs() - beganMs < PESSIMISTIC_PATIENCE_MS;
    const winner = locks.find((lock) => givesWayTo(lock, startTs, patient));
    if (winner !== undefined && !isPessimistic) {
      const key = mode.fromWire(winner.key);
      throw new WriteConflictError(key, winner.startTs, 0n, "locked since this transaction began");
    }
    const waitMs = await this.#resolver.forWrite(locks, op);
    const [first] = locks as [LockView];
    const reason = `locked by transaction ${first.startTs}`;
    if (waitMs > 0) await op.wait("txnLock", reason, 0, waitMs);
    else op.note(reason);
  }
}

/**
 * Returns whether an optimistic transaction gives up for the holder of a lock, instead of waiting: of
 * two optimistic ones that hold what the other wants the older does, or they would wait for ever.
 */
function givesWayTo(lock: LockView, startTs: bigint, patient: boolean): boolean {
  return lock.isPessimistic ? !patient : lock.startTs > startTs;
}

function actionOf({ isLocked }: CommitMutation): kvrpcpb.PrewriteRequest.PessimisticAction {
  return isLocked
    ? PessimisticAction.DO_PESSIMISTIC_CHECK
    : PessimisticAction.SKIP_PESSIMISTIC_CHECK;
}

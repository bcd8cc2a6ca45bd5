/**
 * One transaction: reads at its snapshot with its own writes on top, writes that others see all at
 * once or never. Made by TxnClient.begin().
 *
 * Optimistic: writes are kept here, and commit finds out whether others have changed the keys.
 * Pessimistic: a write locks its key first and waits for who holds it; commit then finds no conflict.
 * Reads do not lock: what a pessimistic transaction computes with, it reads by getForUpdate.
 */
import { mapKey, toBytes, toWireKey } from "../arguments.js";
import type { Backoffer } from "../backoff.js";
import { ClientError, invalidArgument } from "../errors.js";
import type { Bytes, OperationOptions } from "../types.js";
import { type CommitMutation, choosePrimary, fitsAsyncCommit, toMutations } from "./commit_plan.js";
import type { TxnContext } from "./context.js";
import { CommitUndeterminedError, KeyExistsError, TxnTooLargeError } from "./errors.js";
import { Heartbeat } from "./heartbeat.js";
import { KeyReads } from "./key_reads.js";
import type { LockResolver } from "./lock_resolver.js";
import {
  type BeginOptions,
  LOCK_TTL_MS,
  type LockKeysOptions,
  type LockOptions,
} from "./options.js";
import { type ReadView, readMany } from "./own_reads.js";
import { type LockedValues, PessimisticLocks } from "./pessimistic.js";
import type { CommitInput } from "./prewrite.js";
import { SnapshotReader } from "./snapshot_reader.js";
import { commitTwoPhase } from "./two_phase.js";
import { UnionStore } from "./union_store.js";

/**
 * - active: takes reads and writes.
 * - committing: commit() is under way.
 * - committed, rolledBack: over.
 * - undetermined: over; whether it was committed is not known.
 */
export type TxnState = "active" | "committing" | "committed" | "rolledBack" | "undetermined";

export class Transaction extends KeyReads {
  readonly startTs: bigint;
  readonly isPessimistic: boolean;
  readonly #context: TxnContext;
  readonly #resolver: LockResolver;
  readonly #options: BeginOptions;
  readonly #own = new UnionStore();
  readonly #snapshot: SnapshotReader;
  readonly #beganMs: number;
  readonly #locks: PessimisticLocks | undefined;
  readonly #heartbeat: Heartbeat;
  #state: TxnState = "active";
  /** Lock calls run one after the other. */
  #lockTurn: Promise<unknown> = Promise.resolve();
  /** Writes and locks that have not ended. */
  #pending = 0;

  /** `startTs` is fresh. */
  constructor(startTs: bigint, options: BeginOptions, context: TxnContext, resolver: LockResolver) {
    super();
    this.startTs = startTs;
    this.isPessimistic = options.pessimistic ?? false;
    this.#options = options;
    this.#context = context;
    this.#resolver = resolver;
    this.#snapshot = new SnapshotReader(startTs, context, resolver);
    this.#beganMs = context.parts.time.nowMs();
    const elapsedMs = (): number => this.#elapsedMs();
    this.#heartbeat = new Heartbeat(context, startTs, elapsedMs);
    this.#locks = this.isPessimistic
      ? new PessimisticLocks(startTs, context, resolver, elapsedMs)
      : undefined;
  }

  get state(): TxnState {
    return this.#state;
  }

  /**
   * Returns the value of a key that nobody else changes before the commit. Pessimistic: the newest
   * value, and the key is locked. Optimistic: the snapshot's, and commit fails if it has changed.
   */
  async getForUpdate(key: Bytes, options: LockOptions = {}): Promise<Uint8Array | undefined> {
    const [value] = await this.lockKeys([key], { ...options, returnValues: true });
    return value;
  }

  /**
   * Keeps others from changing keys until the commit; see getForUpdate. Returns one value for each
   * key with `returnValues`, else nothing. Throws LockTimeout, Deadlock, TxnAborted.
   */
  async lockKeys(
    keys: readonly Bytes[],
    options: LockKeysOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const wires = keys.map((key) => this.#key(key));
    const returnValues = options.returnValues ?? false;
    const locks = this.#locks;
    if (locks === undefined) {
      this.#newOp(options);
      for (const key of wires) this.#own.lock(key);
      return returnValues ? readMany(this.readView(options), wires) : [];
    }
    return this.#inTurn(options, async (op) => {
      const fresh = [...new Map(wires.map((key) => [mapKey(key), key])).values()];
      const unlocked = fresh.filter((key) => !locks.has(key));
      const values = await this.#lock(unlocked, { ...options, returnValues }, false, op);
      for (const key of fresh) this.#own.lock(key);
      return returnValues ? this.#newest(wires, values, op) : [];
    });
  }

  /** Writes a pair. Pessimistic: throws what lockKeys throws. */
  async put(key: Bytes, value: Bytes, options: LockOptions = {}): Promise<void> {
    const wire = this.#key(key);
    const bytes = toBytes(value);
    this.#checkSize(wire, bytes.length);
    await this.#lockForWrite(wire, options);
    this.#own.put(wire, bytes);
  }

  /** Deletes a key; a missing one is no error. Pessimistic: throws what lockKeys throws. */
  async delete(key: Bytes, options: LockOptions = {}): Promise<void> {
    const wire = this.#key(key);
    this.#checkSize(wire, 0);
    await this.#lockForWrite(wire, options);
    this.#own.delete(wire);
  }

  /**
   * Writes a pair whose key must have no value. Throws KeyExists: at once if the transaction itself
   * has put the key, or is pessimistic; else at commit.
   */
  async insert(key: Bytes, value: Bytes, options: LockOptions = {}): Promise<void> {
    const wire = this.#key(key);
    const bytes = toBytes(value);
    this.#checkSize(wire, bytes.length);
    const wasAbsent = await this.#lockForInsert(wire, options);
    if (this.#own.insert(wire, bytes, wasAbsent)) return;
    throw new KeyExistsError(this.#context.parts.mode.fromWire(wire));
  }

  /**
   * Makes all writes visible at once; returns commit_ts, undefined if there was nothing to write.
   * Throws WriteConflict, KeyExists, TxnAborted, AssertionFailed: then the transaction is rolled
   * back; CommitUndetermined: then it may be committed, and nobody knows.
   */
  async commit(options: OperationOptions = {}): Promise<bigint | undefined> {
    const op = this.#newOp(options);
    if (this.#pending > 0) {
      throw invalidArgument(
        "a write or lock of the transaction is still under way: await it first",
      );
    }
    this.#state = "committing";
    try {
      const input = this.#commitInput();
      if (input === undefined) {
        await this.#locks?.release();
        this.#state = "committed";
        return undefined;
      }
      this.#heartbeat.start(input.primary, LOCK_TTL_MS / 2);
      const commitTs = await commitTwoPhase(input, this.#context, this.#resolver, op);
      this.#state = "committed";
      return commitTs;
    } catch (error) {
      const isOpen = error instanceof CommitUndeterminedError;
      this.#state = isOpen ? "undetermined" : "rolledBack";
      throw error;
    } finally {
      this.#heartbeat.stop();
    }
  }

  /** Forgets all writes and gives all locks back. Has no effect on a transaction that is over. */
  async rollback(): Promise<void> {
    if (this.#state !== "active") return;
    this.#state = "rolledBack";
    this.#heartbeat.stop();
    await this.#lockTurn;
    await this.#locks?.release();
  }

  #commitInput(): CommitInput | undefined {
    if (this.#own.isReadOnly) return undefined;
    const { asyncCommit, assertions, onePc } = { ...this.#context.options, ...this.#options };
    const mutations = toMutations(this.#own.writes(), this.#locks?.keys ?? new Set());
    const primary = primaryOf(mutations, this.#locks?.primary);
    if (primary === undefined) return undefined;
    return {
      startTs: this.startTs,
      mutations,
      primary,
      isPessimistic: this.isPessimistic,
      forUpdateTs: this.#locks?.forUpdateTs ?? 0n,
      sizeBytes: this.#own.sizeBytes,
      elapsedMs: () => this.#elapsedMs(),
      assertions,
      modes: { onePc, async: asyncCommit && fitsAsyncCommit(mutations) },
    };
  }

  /** Locks a key before it is written, if the transaction is pessimistic. */
  async #lockForWrite(key: Uint8Array, options: LockOptions): Promise<void> {
    const locks = this.#locks;
    if (locks === undefined) {
      this.#newOp(options);
      return;
    }
    await this.#inTurn(options, async (op) => {
      if (!locks.has(key)) await this.#lock([key], options, false, op);
    });
  }

  /** Returns whether the key is known to be absent. Throws KeyExists. */
  async #lockForInsert(key: Uint8Array, options: LockOptions): Promise<boolean> {
    const locks = this.#locks;
    if (locks === undefined) {
      this.#newOp(options);
      return false;
    }
    return this.#inTurn(options, async (op) => {
      if (this.#own.get(key) !== undefined) return true;
      if (!locks.has(key)) {
        await this.#lock([key], options, true, op);
        return true;
      }
      const [value] = await this.#newest([key], new Map(), op);
      if (value === undefined) return true;
      throw new KeyExistsError(this.#context.parts.mode.fromWire(key));
    });
  }

  async #lock(
    keys: readonly Uint8Array[],
    options: LockKeysOptions,
    mustBeAbsent: boolean,
    op: Backoffer,
  ): Promise<LockedValues> {
    const locks = this.#locks;
    if (locks === undefined || keys.length === 0) return new Map();
    const { lockWaitMs } = { ...this.#context.options, ...this.#options, ...options };
    const { returnValues = false } = options;
    const request = { keys, waitMs: lockWaitMs, returnValues, mustBeAbsent };
    const values = await locks.lock(request, op);
    this.#heartbeat.start(locks.primary as Uint8Array, this.#context.options.managedTtlMs / 2);
    return values;
  }

  /** Returns the newest values of keys that are locked: own writes, then what the locks have told. */
  async #newest(
    keys: readonly Uint8Array[],
    known: LockedValues,
    op: Backoffer,
  ): Promise<(Uint8Array | undefined)[]> {
    const unknown = keys.filter(
      (key) => !known.has(mapKey(key)) && this.#own.get(key) === undefined,
    );
    // Nothing is committed on a locked key, so what is there at for_update_ts is the newest.
    const ts = this.#locks?.forUpdateTs ?? this.startTs;
    const read = await new SnapshotReader(ts, this.#context, this.#resolver).batchGet(unknown, op);
    return keys.map((key) => {
      const own = this.#own.get(key);
      if (own !== undefined) return own.value && new Uint8Array(own.value);
      return known.get(mapKey(key)) ?? read.get(mapKey(key));
    });
  }

  /** Runs `work` when the lock calls before it have ended. */
  async #inTurn<T>(options: OperationOptions, work: (op: Backoffer) => Promise<T>): Promise<T> {
    const before = this.#lockTurn;
    const turn = before.then(() => work(this.#newOp(options)));
    this.#lockTurn = turn.catch(() => {});
    this.#pending++;
    try {
      return await turn;
    } finally {
      this.#pending--;
    }
  }

  protected override readView(options: OperationOptions): ReadView {
    const newest = this.#options.isolation === "readCommitted";
    return {
      mode: this.#context.parts.mode,
      own: this.#own,
      reader: async (op) =>
        newest
          ? new SnapshotReader(await this.#context.timestamp(op), this.#context, this.#resolver)
          : this.#snapshot,
      newOp: () => this.#newOp(options),
    };
  }

  #newOp(options: OperationOptions): Backoffer {
    if (this.#state !== "active") {
      throw new ClientError("RUTILE:Client:TxnFinished", `the transaction is ${this.#state}`);
    }
    return this.#context.newOp(options);
  }

  #key(key: Bytes): Uint8Array {
    return toWireKey(this.#context.parts.mode, key);
  }

  #checkSize(key: Uint8Array, valueBytes: number): void {
    const { entryBytesMax, txnBytesMax } = this.#context.options;
    const entry = key.length + valueBytes;
    if (entry > entryBytesMax) throw new TxnTooLargeError("a pair", entry, entryBytesMax);
    const all = this.#own.sizeBytes + entry;
    if (all > txnBytesMax) throw new TxnTooLargeError("the transaction", all, txnBytesMax);
  }

  #elapsedMs(): number {
    return this.#context.parts.time.nowMs() - this.#beganMs;
  }
}

/** Returns the primary as the mutations have it: the one that was locked first, if there is one. */
function primaryOf(
  mutations: readonly CommitMutation[],
  locked: Uint8Array | undefined,
): Uint8Array | undefined {
  if (locked === undefined) return choosePrimary(mutations);
  return mutations.find(({ key }) => mapKey(key) === mapKey(locked))?.key;
}

/**
 * Transactions in a few words: each `must…` runs one command on an engine in memory, the way the
 * scheduler does, and checks its outcome. Keys and values are strings, timestamps bigint or
 * number; a failure names the command. Requests with all fields are in txn_requests.ts.
 */
import * as assert from "uvu/assert";
import { compareBytes, type Result, utf8 } from "../../src/base/index.js";
import {
  encodeLock,
  encodeWrite,
  isProtectedRollback,
  keyAppendTs,
  keyFromRaw,
  LOCK_TYPE,
  type Lock,
  newLock,
  newRollback,
  newWrite,
  parseWrite,
  WRITE_TYPE,
  type Write,
} from "../../src/codec/index.js";
import {
  lockConflict,
  type Modify,
  MvccReader,
  PointGetter,
  type ReadError,
  type ReadPoint,
  Statistics,
} from "../../src/mvcc/index.js";
import {
  type AcquirePessimisticLockRequest,
  type CheckTxnStatusRequest,
  type CommandState,
  ConcurrencyManager,
  commandOf,
  type Mutation,
  type PessimisticLockKeyResult,
  type PrewriteRequest,
  type PrewriteResult,
  type ProcessContext,
  type ProcessOutcome,
  type RequestOf,
  type ResultOf,
  type SecondaryLocksStatus,
  type TxnCommandKind,
  type TxnError,
  type TxnErrorOf,
  type TxnStatus,
  type WaitOutcome,
} from "../../src/txn/index.js";
import { MvccEngine } from "./mvcc_engine.js";
import {
  acquireRequest,
  checkTxnStatusRequest,
  encode,
  prewriteRequest,
  type Ts,
  ts,
} from "./txn_requests.js";

export type WriteName = keyof typeof WRITE_TYPE;
type Failure = TxnError["kind"];

/** What a command has answered: its result, or the lock that it would wait for. */
export type Answer<K extends TxnCommandKind> =
  | { readonly type: "done"; readonly result: ResultOf<K> }
  | WaitOutcome;

/** What a read has met. */
export type Read =
  | { readonly type: "value"; readonly value: Uint8Array | undefined }
  | { readonly type: "failed"; readonly error: ReadError };

const SNAPSHOT_READ: Omit<ReadPoint, "ts"> = {
  isolation: "si",
  bypassLocks: [],
  accessLocks: [],
  isReplicaRead: false,
};

/** One region's data, its memory locks, and commands run one at a time. */
export class TxnMust {
  readonly engine = new MvccEngine();
  readonly statistics = new Statistics();
  concurrencyManager = new ConcurrencyManager(1n);
  maxTsSynced = true;
  /** The transaction status cache; filled by hand. */
  readonly committed = new Map<bigint, bigint>();

  /** Returns what a command works with now. */
  context(): ProcessContext {
    return {
      snapshot: this.engine.snapshot(),
      concurrencyManager: this.concurrencyManager,
      statistics: this.statistics,
      maxTsSynced: this.maxTsSynced,
      committedTs: (startTs) => this.committed.get(startTs),
    };
  }

  /** Returns what one step of a command wants done; nothing is written. */
  process<K extends TxnCommandKind>(state: CommandState<K>): Result<ProcessOutcome<K>, TxnError> {
    const { kind } = state.request;
    const outcome = commandOf(kind as K).processWrite(state, this.context());
    assert.is(this.engine.openCursors, 0, `${kind} closes its cursors`);
    return outcome;
  }

  /** Runs a command to its end, all steps of a long one, and writes what it wants written. */
  run<K extends TxnCommandKind>(request: RequestOf<K>): Result<Answer<K>, TxnError> {
    const command = commandOf(request.kind as K);
    for (let state: CommandState<K> = { request }; ; ) {
      if (command.scan !== undefined && command.latchKeys(state).length === 0) {
        const scanned = command.scan(state, this.context());
        if (!scanned.ok) return scanned;
        if (scanned.value === undefined) return done(undefined as ResultOf<K>);
        state = scanned.value;
      }
      const processed = this.process(state);
      if (!processed.ok) return processed;
      const outcome = processed.value as ProcessOutcome<TxnCommandKind>;
      if (outcome.type === "wait") return { ok: true, value: outcome };
      this.checkKeys(state, outcome.modifies);
      this.engine.apply(outcome.modifies);
      if (outcome.type === "write") {
        for (const guard of outcome.guards) guard.release();
        return done(outcome.response as ResultOf<K>);
      }
      state = outcome.next as CommandState<K>;
    }
  }

  /** Runs a command that must succeed. */
  must<K extends TxnCommandKind>(request: RequestOf<K>): ResultOf<K> {
    const answer = this.run<K>(request);
    if (!answer.ok) assert.unreachable(`${request.kind}: ${describe(answer.error)}`);
    else if (answer.value.type === "wait") assert.unreachable(`${request.kind} waits for a lock`);
    else return answer.value.result;
    throw new Error("unreachable");
  }

  /** Runs a command that must fail in this way, and leave nothing behind. */
  mustErr<F extends Failure>(kind: F, request: RequestOf<TxnCommandKind>): TxnErrorOf<F> {
    const before = this.concurrencyManager.size;
    const answer = this.run(request);
    if (answer.ok) assert.unreachable(`${request.kind}: no failure, but ${describe(answer.value)}`);
    const { error } = answer as { error: TxnError };
    assert.is(error.kind, kind, `${request.kind}: ${describe(error)}`);
    assert.is(this.concurrencyManager.size, before, "a failure leaves no memory locks");
    return error as TxnErrorOf<F>;
  }

  mustPrewrite(
    mutations: readonly Mutation[],
    primary: string,
    startTs: Ts,
    fields: Partial<PrewriteRequest> = {},
  ): PrewriteResult {
    const result = this.must<"prewrite">(prewriteRequest(mutations, primary, startTs, fields));
    assert.equal(result.locks, [], "prewrite: no key is locked by others");
    return result;
  }

  mustPrewriteErr<F extends Failure>(
    kind: F,
    mutations: readonly Mutation[],
    primary: string,
    startTs: Ts,
    fields: Partial<PrewriteRequest> = {},
  ): TxnErrorOf<F> {
    return this.mustErr(kind, prewriteRequest(mutations, primary, startTs, fields));
  }

  /** The prewrite meets locks of others, of these transactions, and writes nothing. */
  mustPrewriteLocked(
    lockTs: readonly Ts[],
    mutations: readonly Mutation[],
    primary: string,
    startTs: Ts,
    fields: Partial<PrewriteRequest> = {},
  ): PrewriteResult {
    const before = this.dump();
    const result = this.must<"prewrite">(prewriteRequest(mutations, primary, startTs, fields));
    const found = result.locks.map(({ lock }) => lock.startTs);
    assert.equal(found, lockTs.map(ts), "prewrite: locks of others");
    assert.is(this.dump(), before, "with locks of others nothing is written");
    assert.is(this.concurrencyManager.size, 0, "with locks of others no memory lock is left");
    return result;
  }

  mustCommit(keys: string | readonly string[], startTs: Ts, commitTs: Ts): void {
    const result = this.must<"commit">(commitRequest(keys, startTs, commitTs));
    assert.is(result.commitTs, ts(commitTs));
  }

  mustCommitErr<F extends Failure>(
    kind: F,
    keys: string | readonly string[],
    startTs: Ts,
    commitTs: Ts,
  ): TxnErrorOf<F> {
    return this.mustErr(kind, commitRequest(keys, startTs, commitTs));
  }

  mustRollback(keys: string | readonly string[], startTs: Ts): void {
    this.must<"batchRollback">({
      kind: "batchRollback",
      keys: encodeAll(keys),
      startTs: ts(startTs),
    });
  }

  mustRollbackErr<F extends Failure>(
    kind: F,
    keys: string | readonly string[],
    startTs: Ts,
  ): TxnErrorOf<F> {
    return this.mustErr(kind, {
      kind: "batchRollback",
      keys: encodeAll(keys),
      startTs: ts(startTs),
    });
  }

  mustCleanup(key: string, startTs: Ts, currentTs: Ts): void {
    this.must<"cleanup">(cleanupRequest(key, startTs, currentTs));
  }

  mustCleanupErr<F extends Failure>(
    kind: F,
    key: string,
    startTs: Ts,
    currentTs: Ts,
  ): TxnErrorOf<F> {
    return this.mustErr(kind, cleanupRequest(key, startTs, currentTs));
  }

  mustAcquirePessimisticLock(
    keys: string | readonly string[],
    primary: string,
    startTs: Ts,
    forUpdateTs: Ts,
    fields: Partial<AcquirePessimisticLockRequest> = {},
  ): readonly PessimisticLockKeyResult[] {
    const request = acquireRequest(list(keys), primary, startTs, forUpdateTs, fields);
    return this.must<"acquirePessimisticLock">(request).results;
  }

  mustAcquirePessimisticLockErr<F extends Failure>(
    kind: F,
    keys: string | readonly string[],
    primary: string,
    startTs: Ts,
    forUpdateTs: Ts,
    fields: Partial<AcquirePessimisticLockRequest> = {},
  ): TxnErrorOf<F> {
    return this.mustErr(kind, acquireRequest(list(keys), primary, startTs, forUpdateTs, fields));
  }

  /** The request would wait for the lock of this transaction. */
  mustWaitForLock(
    lockTs: Ts,
    keys: string | readonly string[],
    primary: string,
    startTs: Ts,
    forUpdateTs: Ts,
    fields: Partial<AcquirePessimisticLockRequest> = {},
  ): WaitOutcome {
    const waiting = { waitTimeoutMs: 0, ...fields };
    const request = acquireRequest(list(keys), primary, startTs, forUpdateTs, waiting);
    const answer = this.run<"acquirePessimisticLock">(request);
    if (!answer.ok || answer.value.type !== "wait") {
      assert.unreachable(`acquirePessimisticLock does not wait: ${describe(answer)}`);
    }
    const outcome = (answer as { value: WaitOutcome }).value;
    assert.is(outcome.lock.lock.startTs, ts(lockTs), "the lock that is waited for");
    return outcome;
  }

  mustPessimisticRollback(keys: string | readonly string[], startTs: Ts, forUpdateTs: Ts): void {
    this.must<"pessimisticRollback">({
      kind: "pessimisticRollback",
      keys: encodeAll(keys),
      startTs: ts(startTs),
      forUpdateTs: ts(forUpdateTs),
    });
  }

  mustCheckTxnStatus(
    primary: string,
    lockTs: Ts,
    callerStartTs: Ts,
    currentTs: Ts,
    fields: Partial<CheckTxnStatusRequest> = {},
  ): TxnStatus {
    const request = checkTxnStatusRequest(primary, lockTs, callerStartTs, currentTs, fields);
    return this.must<"checkTxnStatus">(request);
  }

  mustCheckTxnStatusErr<F extends Failure>(
    kind: F,
    primary: string,
    lockTs: Ts,
    callerStartTs: Ts,
    currentTs: Ts,
    fields: Partial<CheckTxnStatusRequest> = {},
  ): TxnErrorOf<F> {
    const request = checkTxnStatusRequest(primary, lockTs, callerStartTs, currentTs, fields);
    return this.mustErr(kind, request);
  }

  mustCheckSecondaryLocks(keys: readonly string[], startTs: Ts): SecondaryLocksStatus {
    return this.must<"checkSecondaryLocks">({
      kind: "checkSecondaryLocks",
      keys: encodeAll(keys),
      startTs: ts(startTs),
    });
  }

  /** Returns the TTL that the lock has then. */
  mustHeartBeat(primary: string, startTs: Ts, adviseTtlMs: Ts, minCommitTs: Ts = 0n): bigint {
    return this.must<"txnHeartBeat">({
      kind: "txnHeartBeat",
      primaryKey: encode(primary),
      startTs: ts(startTs),
      adviseTtlMs: ts(adviseTtlMs),
      minCommitTs: ts(minCommitTs),
    }).lockTtlMs;
  }

  /** Resolves one transaction; commitTs 0 = rolls it back; no keys = the whole region. */
  mustResolveLock(startTs: Ts, commitTs: Ts, keys: readonly string[] = []): void {
    this.must<"resolveLock">({
      kind: "resolveLock",
      txns: new Map([[ts(startTs), ts(commitTs)]]),
      keys: encodeAll(keys),
    });
  }

  lockOf(key: string): Lock | undefined {
    return this.read((reader) => reader.loadLock(encode(key)));
  }

  /** Returns the prewrite lock that this transaction must hold. */
  mustLocked(key: string, startTs: Ts): Lock {
    const lock = this.lockOf(key);
    if (lock === undefined) throw new Error(`${key} is not locked`);
    assert.is(lock.startTs, ts(startTs), `${key} is locked by`);
    assert.is.not(lock.type, LOCK_TYPE.pessimistic, `${key} has a pessimistic lock`);
    return lock;
  }

  mustPessimisticLocked(key: string, startTs: Ts, forUpdateTs: Ts): Lock {
    const lock = this.lockOf(key);
    if (lock === undefined) throw new Error(`${key} is not locked`);
    assert.is(lock.type, LOCK_TYPE.pessimistic, `${key} has a prewrite lock`);
    assert.is(lock.startTs, ts(startTs), `${key} is locked by`);
    assert.is(lock.forUpdateTs, ts(forUpdateTs), `for_update_ts of the lock on ${key}`);
    return lock;
  }

  mustUnlocked(key: string): void {
    assert.is(this.lockOf(key)?.startTs, undefined, `${key} is not locked`);
  }

  /** The value that a snapshot at `at` reads. */
  mustGet(key: string, at: Ts, value: string): void {
    const got = this.get(key, at);
    assert.is(got.type, "value", `${key} at ${at} is not locked`);
    if (got.type === "value") assert.equal(got.value, utf8(value), `${key} at ${at}`);
  }

  mustGetNone(key: string, at: Ts): void {
    const got = this.get(key, at);
    assert.equal(got, { type: "value", value: undefined }, `${key} at ${at}`);
  }

  /** A snapshot at `at` meets a lock, in memory or stored. */
  mustGetErr(key: string, at: Ts): Lock {
    const got = this.get(key, at);
    if (got.type !== "failed" || got.error.kind !== "keyIsLocked") {
      throw new Error(`${key} at ${at} is not locked`);
    }
    return got.error.lock.lock;
  }

  /** Returns the record at `commitTs`, which must be of this transaction and type. */
  mustWritten(key: string, startTs: Ts, commitTs: Ts, type: WriteName): Write {
    const write = this.mustHaveWrite(key, commitTs, type);
    assert.is(write.startTs, ts(startTs), `start_ts of the record of ${key} at ${commitTs}`);
    return write;
  }

  mustHaveWrite(key: string, commitTs: Ts, type: WriteName): Write {
    const write = this.writeOf(key, commitTs);
    if (write === undefined) throw new Error(`${key} has no record at ${commitTs}`);
    assert.is(write.type, WRITE_TYPE[type], `type of the record of ${key} at ${commitTs}`);
    return write;
  }

  mustNotHaveWrite(key: string, commitTs: Ts): void {
    assert.is(this.writeOf(key, commitTs), undefined, `${key} has no record at ${commitTs}`);
  }

  /** A rollback record of its own is at `startTs`. */
  mustHaveRollback(key: string, startTs: Ts, isProtected: boolean): void {
    const write = this.mustWritten(key, startTs, startTs, "rollback");
    assert.is(isProtectedRollback(write), isProtected, `protection of the rollback of ${key}`);
  }

  /** Writes a lock by hand: what other stores, or lost requests, leave behind. */
  putLock(key: string, lock: Lock): void {
    this.engine.apply([{ cf: "lock", key: encode(key), value: encodeLock(lock) }]);
  }

  /** Writes a pessimistic lock by hand. */
  putPessimisticLock(
    key: string,
    startTs: Ts,
    forUpdateTs: Ts,
    fields: Partial<Omit<Lock, "startTs" | "forUpdateTs">> = {},
  ): void {
    const own = { startTs: ts(startTs), forUpdateTs: ts(forUpdateTs) };
    const type = LOCK_TYPE.pessimistic;
    this.putLock(key, newLock({ type, primary: utf8(key), ttl: 0n, ...fields, ...own }));
  }

  /** Writes a record by hand. */
  putWrite(
    key: string,
    commitTs: Ts,
    write: Pick<Write, "type" | "startTs"> & Partial<Write>,
  ): void {
    const at = keyAppendTs(encode(key), ts(commitTs));
    this.engine.apply([{ cf: "write", key: at, value: encodeWrite(newWrite(write)) }]);
  }

  /** Writes a rollback record by hand. */
  putRollback(key: string, startTs: Ts, isProtected = false): void {
    this.putWrite(key, startTs, newRollback(ts(startTs), isProtected));
  }

  writeOf(key: string, commitTs: Ts): Write | undefined {
    const record = this.engine.snapshot().get("write", keyAppendTs(encode(key), ts(commitTs)));
    return record === undefined ? undefined : parseWrite(record);
  }

  /** Returns everything that is stored, as text. */
  dump(): string {
    return (["lock", "write", "default"] as const)
      .flatMap((cf) => this.engine.entries(cf).map(({ key, value }) => [cf, key, value] as const))
      .map(([cf, key, value]) => `${cf} ${hex(key)} ${hex(value)}`)
      .join("\n");
  }

  /** Reads a key as KvGet does: max_ts, locks in memory, then what is stored. */
  get(key: string, at: Ts, point: Partial<ReadPoint> = {}): Read {
    const encoded = encode(key);
    const full: ReadPoint = { ...SNAPSHOT_READ, ...point, ts: ts(at) };
    this.concurrencyManager.updateMaxTs(full.ts);
    const memory = this.concurrencyManager.readKeyCheck(encoded, (lock) =>
      lockConflict(encoded, lock, full),
    );
    if (!memory.ok) return { type: "failed", error: memory.error };
    const getter = new PointGetter(this.engine.snapshot(), this.statistics, full);
    const pair = getter.get(encoded);
    getter.close();
    if (pair === undefined) return { type: "value", value: undefined };
    if ("error" in pair) return { type: "failed", error: pair.error };
    return { type: "value", value: pair.value };
  }

  private read<T>(use: (reader: MvccReader) => T): T {
    const reader = new MvccReader(this.engine.snapshot(), this.statistics);
    const result = use(reader);
    reader.close();
    return result;
  }

  /** A command writes keys that it holds the latches of. */
  private checkKeys<K extends TxnCommandKind>(
    state: CommandState<K>,
    modifies: readonly Modify[],
  ): void {
    const { kind } = state.request;
    const latched = commandOf(kind as K).latchKeys(state);
    for (const { cf, key } of modifies) {
      const encoded = cf === "lock" ? key : key.subarray(0, key.length - 8);
      const held = latched.some((latch) => compareBytes(latch, encoded) === 0);
      assert.ok(held, `${kind} writes ${hex(encoded)} without its latch`);
    }
  }
}

function done<K extends TxnCommandKind>(result: ResultOf<K>): Result<Answer<K>, TxnError> {
  return { ok: true, value: { type: "done", result } };
}

function list(keys: string | readonly string[]): readonly string[] {
  return typeof keys === "string" ? [keys] : keys;
}

function encodeAll(keys: string | readonly string[]): Uint8Array[] {
  return list(keys).map((key) => keyFromRaw(utf8(key)));
}

function commitRequest(
  keys: string | readonly string[],
  startTs: Ts,
  commitTs: Ts,
): RequestOf<"commit"> {
  return { kind: "commit", keys: encodeAll(keys), startTs: ts(startTs), commitTs: ts(commitTs) };
}

function cleanupRequest(key: string, startTs: Ts, currentTs: Ts): RequestOf<"cleanup"> {
  return { kind: "cleanup", key: encode(key), startTs: ts(startTs), currentTs: ts(currentTs) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function describe(value: unknown): string {
  return JSON.stringify(value, (_, field) => {
    if (typeof field === "bigint") return String(field);
    return field instanceof Uint8Array ? hex(field) : field;
  });
}

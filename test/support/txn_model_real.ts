/**
 * The real commands as the naive Percolator is spoken to: its requests are translated, and what is
 * answered, written and stored is told in its terms. Writes wait until `apply`.
 */
import { AssertionError, compareBytes, utf8, utf8Decode } from "../../src/base/index.js";
import {
  isProtectedRollback,
  keyToRaw,
  LOCK_TYPE,
  type Lock,
  TS_MAX,
  WRITE_TYPE,
  type Write,
} from "../../src/codec/index.js";
import {
  lockConflict,
  MvccReader,
  type MvccSnapshot,
  PointGetter,
  type ReadPair,
  type ReadPoint,
  Scanner,
  Statistics,
} from "../../src/mvcc/index.js";
import {
  type CommandState,
  ConcurrencyManager,
  commandOf,
  type LockInfo,
  type ProcessContext,
  type RequestOf,
  type TxnCommandKind,
  type TxnError,
  type WriteOutcome,
} from "../../src/txn/index.js";
import { MvccEngine } from "./mvcc_engine.js";
import type { ModelAnswer, ModelCommand } from "./percolator_commands.js";
import { MAX, type ModelError, type ModelLock, type ReadFrom } from "./percolator_model.js";
import { acquireRequest, checkTxnStatusRequest, encode, prewriteRequest } from "./txn_requests.js";

type Outcome = WriteOutcome<unknown>;

const big = (ts: number): bigint => (ts === MAX ? TS_MAX : BigInt(ts));
const small = (ts: bigint): number => (ts === TS_MAX ? MAX : Number(ts));

/** What a command wants done, in the model's terms; `outcome` undefined = nothing. */
export interface RealRun {
  readonly answer: ModelAnswer;
  readonly outcome: Outcome | undefined;
}

export class RealPercolator {
  readonly engine = new MvccEngine();
  readonly concurrencyManager = new ConcurrencyManager(1n);
  maxTsSynced = true;
  private readonly statistics = new Statistics();
  /** Pessimistic locks of the leader's memory, ascending by key. */
  private memory: { readonly key: Uint8Array; readonly lock: Lock }[] = [];
  private readonly known = new Map<bigint, bigint>();

  get maxTs(): number {
    return small(this.concurrencyManager.maxTs);
  }

  /** The leader is gone, and what it alone knew. */
  loseMemory(): void {
    this.memory = [];
  }

  /** The keys that a command without keys concerns; undefined = it has keys of its own. */
  scan(command: ModelCommand): string[] | undefined {
    const request = requestOf(command);
    const rules = commandOf(request.kind as "resolveLock");
    const state = { request } as CommandState<"resolveLock">;
    if (rules.scan === undefined || rules.latchKeys(state).length > 0) return undefined;
    const scanned = rules.scan(state, this.context());
    if (!scanned.ok) throw new Error(`a scan failed: ${scanned.error.kind}`);
    return (scanned.value?.scannedKeys ?? []).map(userKey);
  }

  /** Runs a command up to its write. */
  process(command: ModelCommand, scanned: readonly string[] | undefined): RealRun {
    const request = requestOf(command);
    const { kind } = request;
    if (this.engine.openCursors !== 0) throw new Error("a command left a cursor open");
    if (scanned?.length === 0) {
      return { answer: { type: "done", result: undefined }, outcome: undefined };
    }
    const state = scanned ? { request, scannedKeys: scanned.map(encode) } : { request };
    try {
      const rules = commandOf(kind as "prewrite");
      const processed = rules.processWrite(state as CommandState<"prewrite">, this.context());
      if (!processed.ok) {
        return { answer: { type: "failed", error: errorOf(processed.error) }, outcome: undefined };
      }
      return wantedOf(processed.value as { type: string });
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      return { answer: { type: "panic" }, outcome: undefined };
    }
  }

  /** Makes the changes of a command. `inMemory`: its pessimistic locks stay with the leader. */
  apply(outcome: Outcome, inMemory: boolean): void {
    const { pessimisticLocks } = outcome;
    if (inMemory && pessimisticLocks !== undefined) {
      for (const held of pessimisticLocks) this.hold(held.key, held.lock);
    } else {
      for (const { cf, key } of outcome.modifies) if (cf === "lock") this.hold(key, undefined);
      this.engine.apply(outcome.modifies);
    }
    for (const guard of outcome.guards) guard.release();
    for (const { startTs, commitTs } of outcome.knownStatus) {
      if (commitTs !== 0n) this.known.set(startTs, commitTs);
    }
  }

  /** A read by a client. */
  get(key: string, ts: number, from: ReadFrom): string | undefined | ModelError {
    const point = pointOf(ts, from);
    this.concurrencyManager.updateMaxTs(point.ts);
    const encoded = encode(key);
    const checked = this.concurrencyManager.readKeyCheck(encoded, (lock) =>
      lockConflict(encoded, lock, point),
    );
    return checked.ok ? this.read(key, ts, from) : errorOf(checked.error);
  }

  /** What is stored, read at `ts`. */
  read(key: string, ts: number, from: ReadFrom): string | undefined | ModelError {
    const getter = new PointGetter(this.snapshot(), this.statistics, pointOf(ts, from));
    const pair = getter.get(encode(key));
    getter.close();
    return pair && readOf(pair);
  }

  /** All keys that a snapshot read sees, and the locks that it meets, in the order of the scan. */
  scanAt(
    ts: number,
    from: ReadFrom,
    reverse: boolean,
  ): { readonly key: string; readonly read: string | ModelError }[] {
    const empty = new Uint8Array(0);
    const range = { lower: empty, upper: empty, reverse };
    const options = { ...range, limit: 1000, keyOnly: false, sampleStep: 0 };
    const point = pointOf(ts, from);
    const scanner = new Scanner(this.snapshot(), this.statistics, point, options);
    while (!scanner.done) scanner.step(3);
    scanner.close();
    if (scanner.error !== undefined) throw new Error(`a scan failed: ${scanner.error.kind}`);
    return scanner.pairs.map((pair) => ({ key: userKey(pair.key), read: readOf(pair) }));
  }

  lockOf(key: string): ModelLock | undefined {
    const lock = this.reader((reader) => reader.loadLock(encode(key)));
    return lock && plainLock(lock);
  }

  /** All records of the write CF, newest first. */
  entriesOf(key: string): unknown[] {
    const encoded = encode(key);
    return this.reader((reader) =>
      reader.mvccInfo(encoded).writes.map(({ commitTs, write }) => ({
        ts: small(commitTs),
        type: typeName(write),
        startTs: small(write.startTs),
        value: write.type === WRITE_TYPE.put ? utf8Decode(reader.loadData(encoded, write)) : "",
        rollback: rollbackName(write),
      })),
    );
  }

  private reader<T>(use: (reader: MvccReader) => T): T {
    const reader = new MvccReader(this.snapshot(), this.statistics);
    const result = use(reader);
    reader.close();
    return result;
  }

  private hold(key: Uint8Array, lock: Lock | undefined): void {
    const others = this.memory.filter((held) => compareBytes(held.key, key) !== 0);
    if (lock !== undefined) others.push({ key, lock });
    this.memory = others.sort((a, b) => compareBytes(a.key, b.key));
  }

  private snapshot(): MvccSnapshot {
    const engine = this.engine.snapshot();
    const { memory } = this;
    return {
      get: (cf, key) => engine.get(cf, key),
      multiGet: (cf, keys) => engine.multiGet(cf, keys),
      cursor: (cf, range) => engine.cursor(cf, range),
      memoryLocks: {
        get: (key) => memory.find((held) => compareBytes(held.key, key) === 0)?.lock,
        range: (start, end) =>
          memory.filter(
            ({ key }) =>
              compareBytes(key, start) >= 0 && (end.length === 0 || compareBytes(key, end) < 0),
          ),
      },
    };
  }

  private context(): ProcessContext {
    return {
      snapshot: this.snapshot(),
      concurrencyManager: this.concurrencyManager,
      statistics: this.statistics,
      maxTsSynced: this.maxTsSynced,
      committedTs: (startTs) => this.known.get(startTs),
    };
  }
}

function wantedOf(outcome: { readonly type: string }): RealRun {
  if (outcome.type === "wait") {
    const { key, lock } = outcome as unknown as { key: Uint8Array; lock: LockInfo };
    const answer = { type: "wait", key: userKey(key), lock: plainLock(lock.lock) } as const;
    return { answer, outcome: undefined };
  }
  if (outcome.type !== "write") throw new Error("no command here is long");
  const write = outcome as Outcome;
  return { answer: { type: "done", result: plain(write.response) }, outcome: write };
}

const userKey = (encoded: Uint8Array): string => utf8Decode(keyToRaw(encoded));

function pointOf(ts: number, { isolation, bypass, access }: ReadFrom): ReadPoint {
  return {
    ts: big(ts),
    isolation,
    bypassLocks: bypass.map(big),
    accessLocks: access.map(big),
    isReplicaRead: false,
  };
}

function readOf(pair: ReadPair): string | ModelError {
  return "error" in pair ? errorOf(pair.error) : utf8Decode(pair.value);
}

function typeName({ type }: Write): string {
  return Object.entries(WRITE_TYPE).find(([, value]) => value === type)?.[0] ?? "";
}

function rollbackName(write: Write): string | undefined {
  if (write.hasOverlappedRollback) return "overlapped";
  if (write.type !== WRITE_TYPE.rollback) return undefined;
  return isProtectedRollback(write) ? "protected" : "plain";
}

function plainLock(lock: Lock): ModelLock {
  const type = Object.entries(LOCK_TYPE).find(([, value]) => value === lock.type)?.[0];
  return {
    type: type as ModelLock["type"],
    primary: utf8Decode(lock.primary),
    startTs: small(lock.startTs),
    ttl: Number(lock.ttl),
    value: lock.shortValue === undefined ? "" : utf8Decode(lock.shortValue),
    forUpdateTs: small(lock.forUpdateTs),
    txnSize: Number(lock.txnSize),
    minCommitTs: small(lock.minCommitTs),
    async: lock.useAsyncCommit,
    secondaries: lock.secondaries.map((key) => utf8Decode(key)),
    marks: lock.rollbackTs.map(small),
    conflict: lock.isLockedWithConflict,
    onePc: lock.useOnePc,
  };
}

/** Numbers for bigints, text for bytes, the model's locks for locks. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return small(value);
  if (value instanceof Uint8Array) return utf8Decode(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("rollbackTs" in value) return plainLock(value as Lock);
  const fields = Object.entries(value).map(([name, field]) =>
    name === "lockTtlMs"
      ? ["lockTtl", plain(field)]
      : [name, name === "error" ? errorOf(field as TxnError) : plain(field)],
  );
  return Object.fromEntries(fields);
}

function errorOf(error: TxnError): ModelError {
  if (error.kind === "invalidRequest") return { kind: error.kind };
  return plain(error) as ModelError;
}

/** The outcome's side effects in the model's terms. */
export function effectsOf(outcome: Outcome | undefined): unknown {
  return {
    guards: (outcome?.guards ?? []).map(({ key }) => userKey(key)),
    released: (outcome?.released ?? []).map((lock) => ({
      ...(plain(lock) as object),
      key: userKey(lock.key),
    })),
    known: plain(outcome?.knownStatus ?? []),
  };
}

function requestOf(command: ModelCommand): RequestOf<TxnCommandKind> {
  const startTs = "startTs" in command ? big(command.startTs) : 0n;
  switch (command.kind) {
    case "prewrite":
      return prewriteOf(command);
    case "acquirePessimisticLock":
      return acquireOf(command);
    case "checkTxnStatus": {
      const { callerStartTs, currentTs } = command;
      return checkTxnStatusRequest(command.key, startTs, big(callerStartTs), big(currentTs), {
        rollbackIfNotExist: command.rollbackIfNotExist,
        forceSyncCommit: command.forceSyncCommit,
        resolvingPessimisticLock: command.resolvingPessimistic,
        verifyIsPrimary: command.verifyIsPrimary,
      });
    }
    case "commit": {
      const { kind, keys, commitTs } = command;
      return { kind, keys: keys.map(encode), startTs, commitTs: big(commitTs) };
    }
    case "batchRollback":
    case "checkSecondaryLocks":
      return { kind: command.kind, keys: command.keys.map(encode), startTs };
    case "cleanup": {
      const { kind, key, currentTs } = command;
      return { kind, key: encode(key), startTs, currentTs: big(currentTs) };
    }
    case "txnHeartBeat": {
      const { kind, key, adviseTtl } = command;
      const adviseTtlMs = BigInt(adviseTtl);
      return { kind, primaryKey: encode(key), startTs, adviseTtlMs, minCommitTs: 0n };
    }
    case "resolveLock": {
      const txns = [...command.txns].map(([start, commit]) => [big(start), big(commit)] as const);
      return { kind: command.kind, txns: new Map(txns), keys: command.keys.map(encode) };
    }
    case "pessimisticRollback": {
      const { kind, keys, forUpdateTs } = command;
      return { kind, keys: keys.map(encode), startTs, forUpdateTs: big(forUpdateTs) };
    }
  }
}

function prewriteOf(command: Extract<ModelCommand, { kind: "prewrite" }>): RequestOf<"prewrite"> {
  const mutations = command.mutations.map((mutation) => ({
    op: mutation.op,
    key: encode(mutation.key),
    value: utf8(mutation.value),
    assertion: mutation.assertion,
    pessimisticAction: mutation.action,
    expectedForUpdateTs: big(mutation.expectedForUpdateTs),
  }));
  return prewriteRequest(mutations, command.primary, command.startTs, {
    lockTtlMs: BigInt(command.ttl),
    forUpdateTs: big(command.forUpdateTs),
    txnSize: BigInt(command.txnSize),
    minCommitTs: big(command.minCommitTs),
    maxCommitTs: big(command.maxCommitTs),
    skipConstraintCheck: command.skipConstraintCheck,
    isRetryRequest: command.isRetry,
    secondaries: command.secondaries?.map((key) => utf8(key)),
    useAsyncCommit: command.secondaries !== undefined,
    tryOnePc: command.onePc,
    assertionLevel: command.assertionLevel,
  });
}

function acquireOf(
  command: Extract<ModelCommand, { kind: "acquirePessimisticLock" }>,
): RequestOf<"acquirePessimisticLock"> {
  const { primary, startTs, forUpdateTs } = command;
  return acquireRequest([], primary, startTs, forUpdateTs, {
    keys: command.keys.map(({ key, shouldNotExist }) => ({ key: encode(key), shouldNotExist })),
    lockTtlMs: BigInt(command.ttl),
    minCommitTs: big(command.minCommitTs),
    waitTimeoutMs: command.waits ? 0 : -1,
    returnValues: command.returnValues,
    checkExistence: command.checkExistence,
    lockOnlyIfExists: command.lockOnlyIfExists,
    allowLockWithConflict: command.allowConflict,
  });
}

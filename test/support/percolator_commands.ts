/** The commands of the naive Percolator besides prewrite and commit, and the one that runs any. */
import {
  Changes,
  type Entry,
  MAX,
  type ModelError,
  ModelFailure,
  type ModelLock,
  ModelPanic,
  type PercolatorModel,
  PHYSICAL,
} from "./percolator_model.js";
import {
  commit,
  commitOne,
  type ModelCommit,
  type ModelPrewrite,
  type Outcome,
  prewrite,
} from "./percolator_prewrite.js";

export interface ModelAcquire {
  readonly kind: "acquirePessimisticLock";
  readonly keys: readonly { readonly key: string; readonly shouldNotExist: boolean }[];
  readonly primary: string;
  readonly startTs: number;
  readonly ttl: number;
  readonly forUpdateTs: number;
  readonly minCommitTs: number;
  readonly waits: boolean;
  readonly returnValues: boolean;
  readonly checkExistence: boolean;
  readonly lockOnlyIfExists: boolean;
  readonly allowConflict: boolean;
}

export interface ModelCheckTxnStatus {
  readonly kind: "checkTxnStatus";
  readonly key: string;
  readonly startTs: number;
  readonly callerStartTs: number;
  readonly currentTs: number;
  readonly rollbackIfNotExist: boolean;
  readonly forceSyncCommit: boolean;
  readonly resolvingPessimistic: boolean;
  readonly verifyIsPrimary: boolean;
}

export type ModelCommand =
  | ModelPrewrite
  | ModelCommit
  | ModelAcquire
  | ModelCheckTxnStatus
  | { readonly kind: "batchRollback"; readonly keys: readonly string[]; readonly startTs: number }
  | {
      readonly kind: "cleanup";
      readonly key: string;
      readonly startTs: number;
      readonly currentTs: number;
    }
  | {
      readonly kind: "checkSecondaryLocks";
      readonly keys: readonly string[];
      readonly startTs: number;
    }
  | {
      readonly kind: "txnHeartBeat";
      readonly key: string;
      readonly startTs: number;
      readonly adviseTtl: number;
    }
  | {
      readonly kind: "resolveLock";
      readonly txns: ReadonlyMap<number, number>;
      /** Empty: all locks of the transactions; the command is told which, see `scan`. */
      readonly keys: readonly string[];
    }
  | {
      readonly kind: "pessimisticRollback";
      readonly keys: readonly string[];
      readonly startTs: number;
      readonly forUpdateTs: number;
    };

/** The lock that a command waits for, its failure, its result, or a bug of the client's. */
export type ModelAnswer =
  | { readonly type: "wait"; readonly key: string; readonly lock: ModelLock }
  | { readonly type: "failed"; readonly error: ModelError }
  | { readonly type: "panic" }
  | { readonly type: "done"; readonly result: unknown };

const fail = (failure: ModelError): never => {
  throw new ModelFailure(failure);
};

/** Returns the keys that a command without keys concerns; undefined: it has keys of its own. */
export function scan(model: PercolatorModel, command: ModelCommand): string[] | undefined {
  if (command.kind === "resolveLock" && command.keys.length === 0) {
    return model.lockedKeys(({ startTs }) => command.txns.has(startTs));
  }
  if (command.kind === "pessimisticRollback" && command.keys.length === 0) {
    return model.lockedKeys((lock) => isMeant(lock, command.startTs, command.forUpdateTs));
  }
  return undefined;
}

/** Runs a command; `scanned` are the keys of one without its own. The data is as before. */
export function run(
  model: PercolatorModel,
  command: ModelCommand,
  scanned: readonly string[] | undefined,
): { readonly answer: ModelAnswer; readonly changes: Changes } {
  try {
    const { result, changes } = dispatch(model, command, scanned);
    return { answer: result instanceof Waits ? result.answer : { type: "done", result }, changes };
  } catch (error) {
    const changes = new Changes(model);
    if (error instanceof ModelPanic) return { answer: { type: "panic" }, changes };
    if (!(error instanceof ModelFailure)) throw error;
    return { answer: { type: "failed", error: error.failure }, changes };
  }
}

function dispatch(
  model: PercolatorModel,
  command: ModelCommand,
  scanned: readonly string[] | undefined,
): Outcome<unknown> {
  const changes = new Changes(model);
  switch (command.kind) {
    case "prewrite":
      return prewrite(model, command);
    case "commit":
      return commit(model, command);
    case "acquirePessimisticLock":
      return { result: acquire(model, changes, command), changes };
    case "checkTxnStatus":
      return { result: checkTxnStatus(model, changes, command), changes };
    case "batchRollback":
      for (const key of command.keys) cleanup(model, changes, key, command.startTs, 0, false);
      return { result: undefined, changes };
    case "cleanup":
      model.raise(command.startTs);
      cleanup(model, changes, command.key, command.startTs, command.currentTs, true);
      return { result: undefined, changes };
    case "checkSecondaryLocks":
      model.raise(command.startTs);
      return { result: checkSecondaries(model, changes, command.keys, command.startTs), changes };
    case "txnHeartBeat":
      return { result: heartBeat(model, changes, command), changes };
    case "resolveLock":
      resolve(model, changes, command.txns, scanned ?? command.keys, scanned === undefined);
      return { result: undefined, changes };
    case "pessimisticRollback":
      for (const key of scanned ?? command.keys) {
        const lock = model.lockOf(key);
        if (lock === undefined || !isMeant(lock, command.startTs, command.forUpdateTs)) continue;
        changes.unlock(key, lock, 0);
      }
      return { result: undefined, changes };
  }
}

function isMeant(lock: ModelLock, startTs: number, forUpdateTs: number): boolean {
  const isMine = lock.type === "pessimistic" && lock.startTs === startTs;
  return isMine && lock.forUpdateTs <= forUpdateTs;
}

function isExpired({ startTs, ttl }: ModelLock, currentTs: number): boolean {
  return Math.floor(startTs / PHYSICAL) + ttl < Math.floor(currentTs / PHYSICAL);
}

/** Removes a lock and leaves a rollback, if none is there. */
function rollbackLock(
  model: PercolatorModel,
  changes: Changes,
  key: string,
  lock: ModelLock,
  collapses: boolean,
): void {
  const fate = model.fateOf(key, lock.startTs);
  if (fate.type === "committed") throw new ModelPanic();
  if (fate.type === "unknown") {
    changes.rollback(key, lock.startTs, lock.primary === key);
    if (collapses) changes.collapse(key, lock.startTs);
  }
  changes.unlock(key, lock, 0);
}

/** Tells a lock of another transaction that `startTs` was rolled back under it. */
function mark(changes: Changes, key: string, startTs: number, other: ModelLock): void {
  if (!other.async || startTs < other.minCommitTs) return;
  changes.putLock(key, { ...other, marks: [...other.marks, startTs] });
}

function cleanup(
  model: PercolatorModel,
  changes: Changes,
  key: string,
  startTs: number,
  currentTs: number,
  isProtected: boolean,
): void {
  const lock = model.lockOf(key);
  if (lock?.startTs === startTs) {
    if (currentTs !== 0 && !isExpired(lock, currentTs)) {
      fail({ kind: "keyIsLocked", lock: { key, lock } });
    }
    rollbackLock(model, changes, key, lock, !isProtected);
    return;
  }
  const fate = model.fateOf(key, startTs);
  if (fate.type === "committed") {
    fail({ kind: "committed", startTs, commitTs: fate.commitTs, key });
  }
  if (fate.type === "unknown") rollbackMissing(model, changes, key, startTs, lock, isProtected);
}

/** Keeps a transaction from coming to a key where it never was. */
function rollbackMissing(
  model: PercolatorModel,
  changes: Changes,
  key: string,
  startTs: number,
  other: ModelLock | undefined,
  isProtected: boolean,
): void {
  if (!isProtected) changes.collapse(key, startTs);
  const isFree = !model.state(key).commits.has(startTs);
  if (isProtected && other !== undefined && isFree) mark(changes, key, startTs, other);
  changes.rollback(key, startTs, isProtected);
}

type Status = { readonly type: string; readonly action: string } & Record<string, unknown>;

/** The status by the records of a key; may roll back. */
function missingLock(
  model: PercolatorModel,
  changes: Changes,
  { key, startTs, rollbackIfNotExist, resolvingPessimistic }: ModelCheckTxnStatus,
  other: ModelLock | undefined,
): Status {
  const fate = model.fateOf(key, startTs);
  if (fate.type !== "unknown") return decided(changes, startTs, fate);
  if (!rollbackIfNotExist) fail({ kind: "txnNotFound", startTs, key });
  if (resolvingPessimistic) {
    return { type: "lockNotExistDoNothing", action: "lockNotExistDoNothing" };
  }
  rollbackMissing(model, changes, key, startTs, other, true);
  return { type: "rolledBack", action: "lockNotExistRollback" };
}

function decided(
  changes: Changes,
  startTs: number,
  fate: { readonly type: "committed"; readonly commitTs: number } | { readonly type: "rolledBack" },
): Status {
  if (fate.type === "rolledBack") return { type: "rolledBack", action: "noAction" };
  changes.known.push({ startTs, commitTs: fate.commitTs });
  return { type: "committed", commitTs: fate.commitTs, action: "noAction" };
}

function checkTxnStatus(
  model: PercolatorModel,
  changes: Changes,
  command: ModelCheckTxnStatus,
): Status {
  const { key, startTs, callerStartTs, currentTs, resolvingPessimistic } = command;
  for (const ts of [startTs, callerStartTs, currentTs]) model.raise(ts);
  const lock = model.lockOf(key);
  if (lock?.startTs !== startTs) return missingLock(model, changes, command, lock);
  const isPessimistic = lock.type === "pessimistic";
  const uncommitted = (now: ModelLock, isPushed: boolean): Status => ({
    type: "uncommitted",
    lock: { key, lock: now },
    action: isPushed ? "minCommitTsPushed" : "noAction",
  });
  if (command.verifyIsPrimary && lock.primary !== key) {
    if (resolvingPessimistic || !isPessimistic) {
      fail({ kind: "primaryMismatch", lock: { key, lock } });
    }
    const status = missingLock(model, changes, command, undefined);
    changes.unlock(key, lock, 0);
    return status;
  }
  if (lock.async && !command.forceSyncCommit) return uncommitted(lock, false);
  if (isPessimistic && lock.conflict) {
    const fate = model.fateOf(key, startTs);
    if (fate.type !== "unknown") {
      changes.unlock(key, lock, 0);
      return decided(changes, startTs, fate);
    }
  }
  if (isExpired(lock, currentTs)) {
    if (isPessimistic && resolvingPessimistic) {
      changes.unlock(key, lock, 0);
      return { type: "pessimisticRolledBack", action: "ttlExpirePessimisticRollback" };
    }
    rollbackLock(model, changes, key, lock, true);
    return { type: "rolledBack", action: "ttlExpireRollback" };
  }
  let now = lock;
  if (lock.minCommitTs !== 0 && callerStartTs !== MAX && callerStartTs >= lock.minCommitTs) {
    now = { ...lock, minCommitTs: Math.max(callerStartTs + 1, currentTs) };
    changes.putLock(key, now);
  }
  const isPushed = callerStartTs !== 0 && now.minCommitTs > callerStartTs;
  return uncommitted(now, isPushed || callerStartTs === MAX);
}

function checkSecondaries(
  model: PercolatorModel,
  changes: Changes,
  keys: readonly string[],
  startTs: number,
): unknown {
  const locks: unknown[] = [];
  for (const key of keys) {
    const lock = model.lockOf(key);
    const isMine = lock?.startTs === startTs;
    if (isMine && lock.type !== "pessimistic") {
      locks.push({ key, lock });
      continue;
    }
    if (isMine) changes.unlock(key, lock, 0);
    const fate = model.fateOf(key, startTs);
    if (fate.type === "committed") {
      changes.known.push({ startTs, commitTs: fate.commitTs });
      return { type: "committed", commitTs: fate.commitTs };
    }
    if (fate.type === "unknown") {
      if (lock !== undefined && !isMine) mark(changes, key, startTs, lock);
      changes.rollback(key, startTs, true);
      changes.collapse(key, startTs);
    }
    return { type: "rolledBack" };
  }
  return { type: "locked", locks };
}

function heartBeat(
  model: PercolatorModel,
  changes: Changes,
  { key, startTs, adviseTtl }: Extract<ModelCommand, { kind: "txnHeartBeat" }>,
): { readonly lockTtl: number } {
  const lock = model.lockOf(key);
  if (lock?.startTs !== startTs) {
    fail({ kind: "txnNotFound", startTs, key });
    return { lockTtl: 0 };
  }
  if (adviseTtl <= lock.ttl) return { lockTtl: lock.ttl };
  changes.putLock(key, { ...lock, ttl: adviseTtl });
  return { lockTtl: adviseTtl };
}

function resolve(
  model: PercolatorModel,
  changes: Changes,
  txns: ReadonlyMap<number, number>,
  keys: readonly string[],
  isLite: boolean,
): void {
  const [only] = txns;
  const known = new Map<number, number>();
  const check = (startTs: number, commitTs: number): void => {
    if (commitTs !== 0 && commitTs <= startTs) fail({ kind: "invalidTxnTso", startTs, commitTs });
  };
  if (isLite && only !== undefined) check(...only);
  for (const key of keys) {
    // Of the whole region: locks that are still there.
    const startTs = isLite ? only?.[0] : model.lockOf(key)?.startTs;
    const commitTs = startTs === undefined ? undefined : txns.get(startTs);
    if (startTs === undefined || commitTs === undefined) continue;
    check(startTs, commitTs);
    if (commitTs === 0) cleanup(model, changes, key, startTs, 0, false);
    else commitOne(model, changes, key, startTs, commitTs);
    if (commitTs !== 0) known.set(startTs, commitTs);
  }
  if (isLite && only !== undefined && only[1] !== 0) known.set(...only);
  for (const [startTs, commitTs] of known) changes.known.push({ startTs, commitTs });
}

/** The answer of a command that has to wait, thrown out of its way. */
class Waits {
  constructor(readonly answer: Extract<ModelAnswer, { type: "wait" }>) {}
}

function acquire(model: PercolatorModel, changes: Changes, command: ModelAcquire): unknown {
  const { keys, startTs, forUpdateTs } = command;
  if (command.allowConflict && keys.length > 1) fail({ kind: "invalidRequest" });
  const first = keys[0];
  if (command.lockOnlyIfExists && !command.returnValues && first !== undefined) {
    fail({ kind: "lockIfExistsFailed", startTs, key: first.key });
  }
  const reads = command.returnValues || command.checkExistence;
  if (reads || keys.some(({ shouldNotExist }) => shouldNotExist)) model.raise(forUpdateTs);
  const results: unknown[] = [];
  for (const { key, shouldNotExist } of keys) {
    const lock = model.lockOf(key);
    if (lock === undefined) {
      results.push(lockNew(model, changes, command, key, shouldNotExist));
    } else if (lock.startTs !== startTs) {
      changes.pessimistic.length = 0;
      if (command.waits) return new Waits({ type: "wait", key, lock });
      const error: ModelError = { kind: "keyIsLocked", lock: { key, lock } };
      if (!command.allowConflict) fail(error);
      results.push({ type: "failed", error });
    } else if (lock.type !== "pessimistic") {
      fail({ kind: "lockTypeNotMatch", startTs, key, pessimistic: false });
    } else {
      results.push(lockAgain(model, changes, command, key, shouldNotExist, lock));
    }
  }
  return { results };
}

function retryConflict({ startTs, primary }: ModelAcquire, key: string, entry: Entry): never {
  return fail({
    kind: "writeConflict",
    startTs,
    conflictStartTs: entry.startTs,
    conflictCommitTs: entry.ts,
    key,
    primary,
    reason: "pessimisticRetry",
  });
}

function lockNew(
  model: PercolatorModel,
  changes: Changes,
  command: ModelAcquire,
  key: string,
  shouldNotExist: boolean,
): unknown {
  const { startTs } = command;
  const newest = model.entries(key)[0];
  const conflict = newest !== undefined && newest.ts > command.forUpdateTs ? newest : undefined;
  if (conflict !== undefined && !command.allowConflict) retryConflict(command, key, conflict);
  if (model.isRolledBackAt(key, startTs)) {
    fail({ kind: "pessimisticLockRolledBack", startTs, key });
  }
  const put = model.putAt(key, MAX);
  if (shouldNotExist && put !== undefined) {
    if (conflict !== undefined) retryConflict(command, key, conflict);
    fail({ kind: "alreadyExist", key });
  }
  if (!command.lockOnlyIfExists || put !== undefined) {
    const forUpdateTs = conflict?.ts ?? command.forUpdateTs;
    changes.pessimistic.push({ key, lock: lockOf(command, forUpdateTs, conflict !== undefined) });
  } else if (conflict !== undefined) {
    retryConflict(command, key, conflict);
  }
  return resultOf(command, conflict?.ts, put?.value);
}

function lockAgain(
  model: PercolatorModel,
  changes: Changes,
  command: ModelAcquire,
  key: string,
  shouldNotExist: boolean,
  held: ModelLock,
): unknown {
  const isOlder = command.allowConflict && command.forUpdateTs < held.forUpdateTs;
  const put = model.putAt(key, isOlder ? held.forUpdateTs : command.forUpdateTs);
  if (shouldNotExist && put !== undefined) {
    if (put.ts > command.forUpdateTs) retryConflict(command, key, put);
    fail({ kind: "alreadyExist", key });
  }
  if (command.forUpdateTs > held.forUpdateTs) {
    const lock = lockOf(command, command.forUpdateTs, held.conflict);
    changes.pessimistic.push({ key, lock });
  }
  return resultOf(command, isOlder ? held.forUpdateTs : undefined, put?.value);
}

function lockOf(command: ModelAcquire, forUpdateTs: number, conflict: boolean): ModelLock {
  const { primary, startTs, ttl, minCommitTs } = command;
  return {
    type: "pessimistic",
    primary,
    startTs,
    ttl,
    value: "",
    forUpdateTs,
    txnSize: 0,
    minCommitTs,
    async: false,
    secondaries: [],
    marks: [],
    conflict,
    onePc: false,
  };
}

function resultOf(
  { returnValues, checkExistence }: ModelAcquire,
  conflictTs: number | undefined,
  value: string | undefined,
): unknown {
  if (conflictTs !== undefined) return { type: "lockedWithConflict", value, conflictTs };
  if (returnValues) return { type: "value", value };
  if (checkExistence) return { type: "existence", exists: value !== undefined };
  return { type: "empty" };
}

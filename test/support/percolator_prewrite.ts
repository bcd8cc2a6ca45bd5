/** Prewrite and commit of the naive Percolator. */
import {
  Changes,
  type Entry,
  MAX,
  type ModelError,
  ModelFailure,
  type ModelLock,
  type PercolatorModel,
} from "./percolator_model.js";

export interface ModelMutation {
  readonly op: "put" | "delete" | "lock" | "insert" | "checkNotExists";
  readonly key: string;
  readonly value: string;
  readonly assertion: "none" | "exist" | "notExist";
  readonly action: "skipPessimisticCheck" | "doPessimisticCheck" | "doConstraintCheck";
  readonly expectedForUpdateTs: number;
}

export interface ModelPrewrite {
  readonly kind: "prewrite";
  readonly mutations: readonly ModelMutation[];
  readonly primary: string;
  readonly startTs: number;
  readonly ttl: number;
  readonly forUpdateTs: number;
  readonly txnSize: number;
  readonly minCommitTs: number;
  readonly maxCommitTs: number;
  readonly skipConstraintCheck: boolean;
  readonly isRetry: boolean;
  /** undefined: not an async commit. */
  readonly secondaries: readonly string[] | undefined;
  readonly onePc: boolean;
  readonly assertionLevel: "off" | "fast" | "strict";
}

export interface Outcome<R> {
  readonly result: R;
  readonly changes: Changes;
}

interface PrewriteAnswer {
  readonly locks: readonly unknown[];
  readonly minCommitTs: number;
  readonly onePcCommitTs: number;
}

/** What one key is to become. */
interface Planned {
  readonly key: string;
  lock: ModelLock;
  readonly overwrites: boolean;
  inOnePhase: boolean;
}

const fail = (failure: ModelError): never => {
  throw new ModelFailure(failure);
};

/** Runs a prewrite. Throws ModelFailure. */
export function prewrite(model: PercolatorModel, request: ModelPrewrite): Outcome<PrewriteAnswer> {
  const { startTs } = request;
  const wantsTs = request.onePc || request.secondaries !== undefined;
  if (wantsTs) {
    const keys = request.mutations.map(({ key }) => key);
    if (new Set(keys).size < keys.length) fail({ kind: "invalidRequest" });
    if (!model.maxTsSynced) fail({ kind: "maxTimestampNotSynced", startTs });
  }
  return new Prewrite(model, request).run();
}

class Prewrite {
  private readonly planned: Planned[] = [];
  private readonly locks: unknown[] = [];
  private mutations: readonly ModelMutation[];
  private onePc: boolean;
  private secondaries: readonly string[] | undefined;
  private minCommitTs = 0;
  private readonly pessimistic: boolean;
  private readonly skips: boolean;
  private readonly isRetry: boolean;

  constructor(
    private readonly model: PercolatorModel,
    private readonly request: ModelPrewrite,
  ) {
    this.mutations = request.mutations;
    this.onePc = request.onePc;
    this.secondaries = request.secondaries;
    this.pessimistic = request.forUpdateTs !== 0;
    this.isRetry = request.isRetry || (this.pessimistic && model.known.has(request.startTs));
    let skips = request.skipConstraintCheck;
    if (!this.pessimistic && this.mutations.length > 12) {
      this.mutations = [...this.mutations].sort((a, b) =>
        a.key < b.key ? -1 : a.key > b.key ? 1 : 0,
      );
      const [first, last] = [this.mutations[0]?.key ?? "", this.mutations.at(-1)?.key ?? ""];
      skips ||= !model.hasEntriesBetween(first, last);
    }
    this.skips = skips;
  }

  run(): Outcome<PrewriteAnswer> {
    let assertion: ModelFailure | undefined;
    try {
      for (const mutation of this.mutations) {
        try {
          const committedAt = this.step(mutation);
          if (committedAt !== undefined) return this.committedBefore(committedAt);
        } catch (error) {
          if (!(error instanceof ModelFailure)) throw error;
          if (error.failure.kind !== "assertionFailed") throw error;
          assertion ??= error;
        }
      }
      if (assertion !== undefined) throw assertion;
    } catch (error) {
      this.dropPending();
      throw error;
    }
    return this.locks.length > 0 ? this.blocked() : this.prewritten();
  }

  private get wantsTs(): boolean {
    return this.onePc || this.secondaries !== undefined;
  }

  /** Returns the commit_ts if the transaction turns out to be committed on the key. */
  private step(mutation: ModelMutation): number | undefined {
    try {
      const minCommitTs = this.oneKey(mutation);
      if (this.wantsTs && minCommitTs === 0) this.fallBack();
      else this.minCommitTs = Math.max(this.minCommitTs, minCommitTs);
    } catch (error) {
      if (!(error instanceof ModelFailure)) throw error;
      const { failure } = error;
      const newer = (failure.conflictCommitTs as number) > this.request.startTs;
      const conflict = failure.kind === "writeConflict" && newer;
      const others = ["pessimisticLockNotFound", "keyIsLocked", "commitTsTooLarge"];
      if (!conflict && !others.includes(failure.kind)) throw error;
      const fate = this.model.fateOf(mutation.key, this.request.startTs);
      if (fate.type === "committed") return fate.commitTs;
      if (failure.kind === "commitTsTooLarge") this.fallBack();
      else if (failure.kind === "keyIsLocked") this.locks.push(failure.lock);
      else throw error;
    }
    return undefined;
  }

  private fallBack(): void {
    this.onePc = false;
    this.secondaries = undefined;
    this.minCommitTs = 0;
    for (const plan of this.planned) {
      plan.inOnePhase = false;
      plan.lock = { ...plan.lock, onePc: false };
    }
    this.dropPending();
  }

  private dropPending(): void {
    for (const { key } of this.planned) this.model.pending.delete(key);
  }

  private oneKey(mutation: ModelMutation): number {
    const { model, request, pessimistic } = this;
    const { key, op } = mutation;
    const { startTs } = request;
    if (pessimistic && op === "checkNotExists") fail({ kind: "invalidRequest" });
    if (op === "insert" || op === "checkNotExists") model.raise(startTs);
    const mustHold = pessimistic && mutation.action === "doPessimisticCheck";
    const lock = model.lockOf(key);
    let amended = false;
    if (lock === undefined) {
      if (mustHold) {
        this.amend(mutation);
        amended = true;
      }
    } else if (lock.startTs !== startTs) {
      if (mustHold) this.lockNotFound(key, "lockTsMismatch");
      const told = pessimistic ? { key, lock, ttlOverride: 0 } : { key, lock };
      fail({ kind: "keyIsLocked", lock: told });
    } else if (lock.type !== "pessimistic") {
      return this.onePc || !lock.async ? 0 : lock.minCommitTs;
    } else if (!pessimistic) {
      fail({ kind: "lockTypeNotMatch", startTs, key, pessimistic: true });
    } else if (
      mutation.expectedForUpdateTs !== 0 &&
      mutation.expectedForUpdateTs !== lock.forUpdateTs
    ) {
      this.lockNotFound(key, "lockForUpdateTsMismatch");
    }
    const checks = this.mustCheck(mutation);
    const newest = checks ? this.constraints(mutation) : undefined;
    if (!amended) this.assertion(mutation, newest, checks);
    if (op !== "checkNotExists") return this.plan(mutation, lock);
    return this.wantsTs ? Math.max(request.minCommitTs, startTs + 1) : 0;
  }

  private amend(mutation: ModelMutation): void {
    const newest = this.model.entries(mutation.key)[0];
    if (newest !== undefined && newest.ts >= this.request.startTs) {
      this.lockNotFound(mutation.key, "lockMissingAmendFail");
    }
    this.assertion(mutation, newest, true);
  }

  private mustCheck({ action }: ModelMutation): boolean {
    if (!this.pessimistic) return !this.skips;
    if (action === "doConstraintCheck") return true;
    return action === "skipPessimisticCheck" && this.isRetry;
  }

  /** Returns the newest record that counts. */
  private constraints({ key, op, action }: ModelMutation): Entry | undefined {
    const { model, pessimistic } = this;
    const { startTs, forUpdateTs } = this.request;
    for (const entry of model.entries(key)) {
      const conflict = (reason: string): never =>
        fail({
          kind: "writeConflict",
          startTs,
          conflictStartTs: entry.startTs,
          conflictCommitTs: entry.ts,
          key,
          primary: this.request.primary,
          reason,
        });
      if (entry.ts === startTs && model.isRolledBackAt(key, startTs)) conflict("selfRolledBack");
      if (!pessimistic && entry.ts > startTs) conflict("optimistic");
      if (pessimistic && action === "doConstraintCheck" && entry.ts > startTs) {
        conflict("lazyUniquenessCheck");
      }
      if (pessimistic && entry.ts > forUpdateTs) {
        if (entry.type === "rollback") continue;
        this.lockNotFound(key, "nonLockKeyConflict");
      }
      const mustNotExist = op === "insert" || op === "checkNotExists";
      if (mustNotExist && model.putAt(key, entry.ts) !== undefined) {
        fail({ kind: "alreadyExist", key });
      }
      return entry;
    }
    return undefined;
  }

  private assertion(mutation: ModelMutation, newest: Entry | undefined, loaded: boolean): void {
    const { model } = this;
    const { assertionLevel, startTs } = this.request;
    const { key, assertion } = mutation;
    if (assertion === "none" || assertionLevel === "off") return;
    if (!loaded && assertionLevel === "fast") return;
    let found: Entry | undefined;
    if (!loaded) found = model.putAt(key, MAX);
    else if (newest?.type === "put" || newest?.type === "delete") found = newest;
    else if (newest !== undefined) found = model.putAt(key, newest.ts);
    const exists = found?.type === "put";
    if (exists === (assertion === "exist")) return;
    if (!this.mustCheck(mutation)) this.constraints(mutation);
    const [existingStartTs, existingCommitTs] = [found?.startTs ?? 0, found?.ts ?? 0];
    fail({ kind: "assertionFailed", startTs, key, assertion, existingStartTs, existingCommitTs });
  }

  private plan({ key, op, value }: ModelMutation, mine: ModelLock | undefined): number {
    const { model, request } = this;
    const type = op === "insert" ? "put" : (op as "put" | "delete" | "lock");
    const plain: ModelLock = {
      type,
      primary: request.primary,
      startTs: request.startTs,
      ttl: Math.max(request.ttl, mine?.ttl ?? 0),
      value: type === "put" ? value : "",
      forUpdateTs: Math.max(request.forUpdateTs, mine?.forUpdateTs ?? 0),
      txnSize: request.txnSize,
      minCommitTs: Math.max(request.minCommitTs, mine?.minCommitTs ?? 0),
      async: false,
      secondaries: [],
      marks: [],
      conflict: false,
      onePc: false,
    };
    const overwrites = mine !== undefined;
    if (!this.wantsTs) {
      this.planned.push({ key, lock: plain, overwrites, inOnePhase: false });
      return 0;
    }
    const above = Math.max(model.maxTs, request.startTs, request.forUpdateTs) + 1;
    const minCommitTs = Math.max(plain.minCommitTs, above);
    const { maxCommitTs } = request;
    if (maxCommitTs !== 0 && minCommitTs > maxCommitTs) {
      this.planned.push({ key, lock: plain, overwrites, inOnePhase: false });
      fail({ kind: "commitTsTooLarge" });
    }
    const async = this.secondaries !== undefined;
    const secondaries = key === request.primary ? (this.secondaries ?? []) : [];
    const lock = { ...plain, minCommitTs, async, secondaries, onePc: this.onePc };
    this.planned.push({ key, lock, overwrites, inOnePhase: this.onePc });
    model.pending.set(key, lock);
    return minCommitTs;
  }

  private lockNotFound(key: string, reason: string): never {
    return fail({ kind: "pessimisticLockNotFound", startTs: this.request.startTs, key, reason });
  }

  private answer(locks: readonly unknown[]): PrewriteAnswer {
    const minCommitTs = this.secondaries === undefined ? 0 : this.minCommitTs;
    const onePcCommitTs = this.onePc && locks.length === 0 ? this.minCommitTs : 0;
    return { locks, minCommitTs, onePcCommitTs };
  }

  private blocked(): Outcome<PrewriteAnswer> {
    this.dropPending();
    return { result: this.answer(this.locks), changes: new Changes(this.model) };
  }

  private committedBefore(commitTs: number): Outcome<PrewriteAnswer> {
    this.dropPending();
    this.planned.length = 0;
    this.locks.length = 0;
    this.minCommitTs = commitTs;
    return this.prewritten();
  }

  private prewritten(): Outcome<PrewriteAnswer> {
    const changes = new Changes(this.model);
    const { startTs } = this.request;
    for (const { key, lock, overwrites, inOnePhase } of this.planned) {
      if (!inOnePhase) changes.putLock(key, lock);
      else changes.commit(key, this.minCommitTs, lock);
      if (inOnePhase && overwrites) changes.unlock(key, lock, this.minCommitTs);
      if (this.wantsTs) changes.guards.push(key);
    }
    if (this.onePc) changes.known.push({ startTs, commitTs: this.minCommitTs });
    return { result: this.answer([]), changes };
  }
}

export interface ModelCommit {
  readonly kind: "commit";
  readonly keys: readonly string[];
  readonly startTs: number;
  readonly commitTs: number;
}

/** Runs a commit. Throws ModelFailure. */
export function commit(
  model: PercolatorModel,
  request: ModelCommit,
): Outcome<{ commitTs: number }> {
  const { keys, startTs, commitTs } = request;
  if (commitTs <= startTs) fail({ kind: "invalidTxnTso", startTs, commitTs });
  const changes = new Changes(model);
  for (const key of keys) commitOne(model, changes, key, startTs, commitTs);
  changes.known.push({ startTs, commitTs });
  return { result: { commitTs }, changes };
}

/** Commits a key. Throws ModelFailure. */
export function commitOne(
  model: PercolatorModel,
  changes: Changes,
  key: string,
  startTs: number,
  commitTs: number,
): void {
  const lock = model.lockOf(key);
  if (lock?.startTs !== startTs) {
    if (model.fateOf(key, startTs).type === "committed") return;
    fail({ kind: "txnLockNotFound", startTs, commitTs, key });
    return;
  }
  const { minCommitTs } = lock;
  if (commitTs < minCommitTs) {
    fail({ kind: "commitTsExpired", startTs, commitTs, key, minCommitTs });
  }
  if (lock.type === "pessimistic") {
    changes.unlock(key, lock, 0);
    return;
  }
  changes.commit(key, commitTs, lock);
  changes.unlock(key, lock, commitTs);
}

/**
 * Percolator as plainly as it can be said: per key a lock, commits and rollbacks in maps, every
 * question answered by looking through all of them. No bytes, no cursors, no hints, no fences.
 * Written from the decision tables; shares no code with what it is compared with. A command is
 * answered at once and changes the data when `apply` is called, as a write that takes its time.
 */

/** "Newest". */
export const MAX = Number.POSITIVE_INFINITY;
/** Physical time of a timestamp is its multiple of this. */
export const PHYSICAL = 2 ** 18;

export type LockKind = "put" | "delete" | "lock" | "pessimistic";

export interface ModelLock {
  readonly type: LockKind;
  readonly primary: string;
  readonly startTs: number;
  readonly ttl: number;
  readonly value: string;
  readonly forUpdateTs: number;
  readonly txnSize: number;
  readonly minCommitTs: number;
  readonly async: boolean;
  readonly secondaries: readonly string[];
  /** start_ts of others that were rolled back here while this lock was there. */
  readonly marks: readonly number[];
  readonly conflict: boolean;
  /** In memory alone. */
  readonly onePc: boolean;
}

export interface Commit {
  readonly startTs: number;
  readonly type: "put" | "delete" | "lock";
  readonly value: string;
}

/** "overlapped": remembered by another transaction's commit at this timestamp. */
export type Rollback = "plain" | "protected" | "overlapped";

/** A record of the write CF. */
export interface Entry {
  readonly ts: number;
  readonly type: Commit["type"] | "rollback";
  readonly startTs: number;
  readonly value: string;
}

export interface ModelError {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** A failure that ends the command. */
export class ModelFailure {
  constructor(readonly failure: ModelError) {}
}

/** What no client may bring about: both sides stop here. */
export class ModelPanic {}

export interface Released {
  readonly startTs: number;
  readonly commitTs: number;
  readonly key: string;
  readonly pessimistic: boolean;
}

interface KeyState {
  stored: ModelLock | undefined;
  /** A pessimistic lock that the leader alone knows; hides the stored one. */
  memory: ModelLock | undefined;
  readonly commits: Map<number, Commit>;
  readonly rollbacks: Map<number, Rollback>;
}

export type Fate =
  | { readonly type: "committed"; readonly commitTs: number }
  | { readonly type: "rolledBack" }
  | { readonly type: "unknown" };

export interface ReadFrom {
  readonly isolation: "si" | "rc" | "rcCheckTs";
  readonly bypass: readonly number[];
  readonly access: readonly number[];
}

/** The changes of one command, until they are made. */
export class Changes {
  readonly list: (() => void)[] = [];
  readonly commits: { readonly key: string; readonly ts: number; readonly startTs: number }[] = [];
  readonly locks: { readonly key: string; readonly lock: ModelLock }[] = [];
  readonly released: Released[] = [];
  readonly known: { readonly startTs: number; readonly commitTs: number }[] = [];
  /** Keys whose memory locks readers see until `apply`. */
  readonly guards: string[] = [];
  /** Pessimistic locks, which may be kept in memory. */
  readonly pessimistic: { readonly key: string; readonly lock: ModelLock }[] = [];

  constructor(private readonly model: PercolatorModel) {}

  putLock(key: string, lock: ModelLock): void {
    this.locks.push({ key, lock });
    this.list.push(() => {
      const state = this.model.state(key);
      state.stored = lock;
      state.memory = undefined;
    });
  }

  unlock(key: string, lock: ModelLock, commitTs: number): void {
    const { startTs, forUpdateTs } = lock;
    this.released.push({ startTs, commitTs, key, pessimistic: forUpdateTs !== 0 });
    this.list.push(() => {
      const state = this.model.state(key);
      state.stored = undefined;
      state.memory = undefined;
    });
  }

  commit(key: string, ts: number, lock: ModelLock): void {
    const { startTs, value } = lock;
    if (lock.type === "pessimistic") throw new Error("a pessimistic lock has nothing to commit");
    const { type } = lock;
    this.commits.push({ key, ts, startTs });
    this.list.push(() => {
      const { commits, rollbacks } = this.model.state(key);
      commits.set(ts, { startTs, type, value });
      // The record takes the place of a rollback there, unless it was told of it.
      if (lock.marks.includes(ts)) rollbacks.set(ts, "overlapped");
      else rollbacks.delete(ts);
    });
  }

  rollback(key: string, startTs: number, isProtected: boolean): void {
    this.list.push(() => {
      const { commits, rollbacks } = this.model.state(key);
      if (!commits.has(startTs)) rollbacks.set(startTs, isProtected ? "protected" : "plain");
      else if (isProtected) rollbacks.set(startTs, "overlapped");
    });
  }

  /** The newest record up to `startTs` goes if it is a rollback that nobody depends on. */
  collapse(key: string, startTs: number): void {
    const newest = this.model.entries(key).find(({ ts }) => ts <= startTs);
    if (newest?.type !== "rollback") return;
    if (this.model.state(key).rollbacks.get(newest.ts) !== "plain") return;
    this.list.push(() => this.model.state(key).rollbacks.delete(newest.ts));
  }

  /** Makes the changes. `inMemory`: pessimistic locks stay with the leader. */
  apply(inMemory: boolean): void {
    for (const change of this.list) change();
    for (const { key, lock } of this.pessimistic) {
      const state = this.model.state(key);
      if (inMemory) state.memory = lock;
      else {
        state.stored = lock;
        state.memory = undefined;
      }
    }
    for (const key of this.guards) this.model.pending.delete(key);
    for (const { startTs, commitTs } of this.known) this.model.known.set(startTs, commitTs);
  }
}

/** The data of one region, and the reads. Commands are in percolator_commands.ts. */
export class PercolatorModel {
  private readonly keys = new Map<string, KeyState>();
  maxTs = 1;
  /** Locks of prewrites that are being written, seen by readers. */
  readonly pending = new Map<string, ModelLock>();
  /** Transactions that the leader has seen committed. */
  readonly known = new Map<number, number>();
  maxTsSynced = true;

  state(key: string): KeyState {
    let state = this.keys.get(key);
    if (state === undefined) {
      state = { stored: undefined, memory: undefined, commits: new Map(), rollbacks: new Map() };
      this.keys.set(key, state);
    }
    return state;
  }

  lockOf(key: string): ModelLock | undefined {
    const { memory, stored } = this.state(key);
    return memory ?? stored;
  }

  /** The leader is gone, and the locks that it alone knew. */
  loseMemory(): void {
    for (const state of this.keys.values()) state.memory = undefined;
  }

  /** Keys with a lock that `takes` accepts, ascending. */
  lockedKeys(takes: (lock: ModelLock) => boolean): string[] {
    const found = [...this.keys.keys()].filter((key) => {
      const lock = this.lockOf(key);
      return lock !== undefined && takes(lock);
    });
    return found.sort();
  }

  /** All records of the write CF, newest first. */
  entries(key: string): Entry[] {
    const { commits, rollbacks } = this.state(key);
    const found: Entry[] = [];
    for (const [ts, commit] of commits) found.push({ ts, ...commit });
    for (const [ts, rollback] of rollbacks) {
      if (rollback !== "overlapped") found.push({ ts, type: "rollback", startTs: ts, value: "" });
    }
    return found.sort((a, b) => b.ts - a.ts);
  }

  /** All records with what they say of rollbacks, newest first. */
  records(key: string): (Entry & { readonly rollback: Rollback | undefined })[] {
    const { rollbacks } = this.state(key);
    return this.entries(key).map((entry) => ({ ...entry, rollback: rollbacks.get(entry.ts) }));
  }

  /** Whether a key from `first` to `last` has a record. */
  hasEntriesBetween(first: string, last: string): boolean {
    return [...this.keys.keys()].some(
      (key) => key >= first && key <= last && this.entries(key).length > 0,
    );
  }

  isRolledBackAt(key: string, startTs: number): boolean {
    return this.state(key).rollbacks.has(startTs);
  }

  /** The newest Put or Delete at or below `ts`. */
  dataAt(key: string, ts: number): Entry | undefined {
    const isData = ({ type }: Entry): boolean => type === "put" || type === "delete";
    return this.entries(key).find((entry) => entry.ts <= ts && isData(entry));
  }

  /** The newest Put at or below `ts`, if no Delete is above it. */
  putAt(key: string, ts: number): Entry | undefined {
    const found = this.dataAt(key, ts);
    return found?.type === "put" ? found : undefined;
  }

  fateOf(key: string, startTs: number): Fate {
    for (const [commitTs, commit] of this.state(key).commits) {
      if (commit.startTs === startTs) return { type: "committed", commitTs };
    }
    return this.isRolledBackAt(key, startTs) ? { type: "rolledBack" } : { type: "unknown" };
  }

  raise(ts: number): void {
    if (ts !== MAX && ts > this.maxTs) this.maxTs = ts;
  }

  /** A read by a client: it raises max_ts and meets the locks in memory. */
  get(key: string, ts: number, from: ReadFrom): string | undefined | ModelError {
    this.raise(ts);
    const pending = this.pending.get(key);
    const blocked = pending && this.lockConflict(key, pending, ts, from);
    return blocked ?? this.read(key, ts, from);
  }

  /** What is stored, read at `ts`. */
  read(key: string, ts: number, from: ReadFrom): string | undefined | ModelError {
    const { stored } = this.state(key);
    const blocked = stored && this.lockConflict(key, stored, ts, from);
    if (stored !== undefined && blocked !== undefined) {
      if (!from.access.includes(stored.startTs)) return blocked;
      return stored.type === "put" ? stored.value : undefined;
    }
    const newest = this.entries(key)[0];
    if (from.isolation === "rcCheckTs" && newest !== undefined && newest.ts > ts) {
      return rcConflict(key, ts, newest.startTs, newest.ts, "");
    }
    return this.putAt(key, ts)?.value;
  }

  private lockConflict(
    key: string,
    lock: ModelLock,
    ts: number,
    { isolation, bypass }: ReadFrom,
  ): ModelError | undefined {
    const changesData = lock.type === "put" || lock.type === "delete";
    if (isolation === "rc" || !changesData || bypass.includes(lock.startTs)) return undefined;
    if (isolation === "rcCheckTs") return rcConflict(key, ts, lock.startTs, 0, lock.primary);
    if (lock.startTs > ts || lock.minCommitTs > ts) return undefined;
    const isPrimary = lock.primary === key;
    if (ts === MAX && isPrimary && !lock.async && !lock.onePc) return undefined;
    return { kind: "keyIsLocked", lock: { key, lock } };
  }
}

function rcConflict(
  key: string,
  startTs: number,
  conflictStartTs: number,
  conflictCommitTs: number,
  primary: string,
): ModelError {
  const own = { startTs, conflictStartTs, conflictCommitTs, key, primary };
  return { kind: "writeConflict", ...own, reason: "rcCheckTs" };
}

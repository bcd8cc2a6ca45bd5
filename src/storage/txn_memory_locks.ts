/**
 * Pessimistic locks that live in the leader's memory alone: a table for each region that is led here
 * and has some. They are lost when the leader is; a prewrite finds that out (amend, or the error
 * PessimisticLockNotFound). Before leadership or keys go elsewhere on purpose, they are written.
 * Source: tikv components/raftstore/src/store/txn_ext.rs. Pure.
 *
 * A table belongs to a term and a version of its region; of another it knows nothing. A lock that is
 * being replaced or written stays visible until the write is applied: it must not be missed between
 * the log and the engine.
 */
import { assert, compareBytes } from "../base/index.js";
import { LOCK_TYPE, type Lock, parseLock } from "../codec/index.js";
import type { MemoryLocks, Modify } from "../mvcc/index.js";
import type { ReadDelegate } from "../raftstore/index.js";

export interface MemoryLockOptions {
  readonly peerMaxBytes: number;
  readonly instanceMaxBytes: number;
}

/** A peer that leads, and the term in which it does. */
export interface LeaderView {
  readonly peer: ReadDelegate;
  readonly term: bigint;
}

interface Entry {
  readonly key: Uint8Array;
  readonly lock: Lock;
  readonly bytes: number;
  /** A write that takes its place stands in the log. */
  isLeaving: boolean;
}

interface Table {
  readonly peer: ReadDelegate;
  readonly term: bigint;
  readonly version: bigint;
  readonly entries: Map<string, Entry>;
  bytes: number;
}

/** Bytes of an entry beside its key and primary, about. */
const ENTRY_OVERHEAD_BYTES = 200;
const latin1 = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");

/** Locks of which a write takes the place. */
export interface Leaving {
  /** The write stands in the log. */
  onProposed(): void;
  /** Its outcome is known. */
  onDone(applied: boolean): void;
}

export class PessimisticLockTables {
  private readonly tables = new Map<number, Table>();
  /** Regions whose locks were written lately, and until when new ones are written too, ms. */
  private readonly closedUntil = new Map<number, number>();
  private totalBytes = 0;

  constructor(private readonly options: MemoryLockOptions) {}

  /** Bytes of all locks, about. */
  get bytes(): number {
    return this.totalBytes;
  }

  /** Number of locks. */
  get size(): number {
    let count = 0;
    for (const { entries } of this.tables.values()) count += entries.size;
    return count;
  }

  /** Returns the locks of a leader; undefined where there are none. */
  viewOf(leader: LeaderView): MemoryLocks | undefined {
    const table = this.tableOf(leader);
    if (table === undefined) return undefined;
    return {
      get: (key) => table.entries.get(latin1(key))?.lock,
      range: (start, end) => locksBetween(table, start, end),
    };
  }

  /** As `viewOf`, as of now: what happens later does not change it. */
  copyOf(leader: LeaderView, start: Uint8Array, end: Uint8Array): MemoryLocks | undefined {
    const table = this.tableOf(leader);
    if (table === undefined) return undefined;
    const all = locksBetween(table, start, end);
    return {
      get: (key) => all.find((one) => compareBytes(one.key, key) === 0)?.lock,
      range: (from, to) => all.filter(({ key }) => isBetween(key, from, to)),
    };
  }

  /**
   * Keeps locks in memory in place of writing them. Returns false, and has done nothing, unless the
   * changes are pessimistic locks of keys without a stored lock (`isStored`), there is room, and the
   * region is not about to be handed over.
   */
  tryPut(
    leader: LeaderView,
    modifies: readonly Modify[],
    isStored: (key: Uint8Array) => boolean,
    nowMs: number,
  ): boolean {
    const { peer, term } = leader;
    const until = this.closedUntil.get(peer.regionId);
    if (until !== undefined && nowMs < until) return false;
    if (!peer.isLeader || peer.term !== term) return false;
    const locks: { key: Uint8Array; lock: Lock }[] = [];
    const known = this.tableOf(leader);
    for (const { cf, key, value } of modifies) {
      if (cf !== "lock" || value === undefined) return false;
      const lock = parseLock(value);
      const held = known?.entries.get(latin1(key));
      if (lock.type !== LOCK_TYPE.pessimistic || held?.isLeaving === true) return false;
      if (held === undefined && isStored(key)) return false;
      locks.push({ key, lock });
    }
    const bytes = locks.reduce((sum, { key, lock }) => sum + sizeOf(key, lock), 0);
    const { instanceMaxBytes, peerMaxBytes } = this.options;
    if ((known?.bytes ?? 0) + bytes > peerMaxBytes) return false;
    if (this.totalBytes + bytes > instanceMaxBytes) return false;
    const table = known ?? this.open(leader);
    for (const { key, lock } of locks) this.put(table, key, lock);
    return true;
  }

  /**
   * Removes locks in place of writing that. Returns false, and has done nothing, unless the changes
   * are removals of locks that are in memory alone.
   */
  tryRemove(leader: LeaderView, modifies: readonly Modify[]): boolean {
    const table = this.tableOf(leader);
    if (table === undefined) return false;
    for (const { cf, key, value } of modifies) {
      const held = table.entries.get(latin1(key));
      if (cf !== "lock" || value !== undefined || held === undefined || held.isLeaving) {
        return false;
      }
    }
    for (const { key } of modifies) this.remove(table, latin1(key));
    return true;
  }

  /** Returns the locks of which a write takes the place; undefined if there are none. */
  leavingFor(leader: LeaderView, modifies: readonly Modify[]): Leaving | undefined {
    const table = this.tableOf(leader);
    if (table === undefined) return undefined;
    const entries: Entry[] = [];
    for (const { cf, key } of modifies) {
      const held = cf === "lock" ? table.entries.get(latin1(key)) : undefined;
      if (held !== undefined) entries.push(held);
    }
    return entries.length === 0 ? undefined : this.leaving(table, entries);
  }

  /**
   * Takes the locks of a region that is about to be handed over: they are to be written. New ones
   * are written as well until `untilMs`.
   */
  close(
    leader: LeaderView,
    untilMs: number,
  ):
    | { readonly locks: readonly { key: Uint8Array; lock: Lock }[]; readonly leaving: Leaving }
    | undefined {
    this.closedUntil.set(leader.peer.regionId, untilMs);
    const table = this.tableOf(leader);
    if (table === undefined) return undefined;
    const entries = [...table.entries.values()].filter(({ isLeaving }) => !isLeaving);
    if (entries.length === 0) return undefined;
    return { locks: entries, leaving: this.leaving(table, entries) };
  }

  /** Forgets tables whose peer leads no more, or another term or version, and closings that are over. */
  prune(nowMs: number): void {
    for (const [regionId, table] of this.tables) {
      const { peer, term, version } = table;
      if (!peer.isLeader || peer.term !== term || peer.region.version !== version) {
        this.drop(regionId, table);
      }
    }
    for (const [regionId, untilMs] of this.closedUntil) {
      if (untilMs <= nowMs) this.closedUntil.delete(regionId);
    }
  }

  private tableOf({ peer, term }: LeaderView): Table | undefined {
    const table = this.tables.get(peer.regionId);
    if (table === undefined) return undefined;
    const isOf =
      table.peer === peer && table.term === term && table.version === peer.region.version;
    return isOf && peer.isLeader && peer.term === term ? table : undefined;
  }

  private open({ peer, term }: LeaderView): Table {
    const old = this.tables.get(peer.regionId);
    if (old !== undefined) this.drop(peer.regionId, old);
    const { version } = peer.region;
    const table: Table = { peer, term, version, entries: new Map(), bytes: 0 };
    this.tables.set(peer.regionId, table);
    return table;
  }

  private put(table: Table, key: Uint8Array, lock: Lock): void {
    const id = latin1(key);
    this.remove(table, id);
    const bytes = sizeOf(key, lock);
    table.entries.set(id, { key, lock, bytes, isLeaving: false });
    table.bytes += bytes;
    this.totalBytes += bytes;
  }

  private remove(table: Table, id: string): void {
    const held = table.entries.get(id);
    if (held === undefined) return;
    table.entries.delete(id);
    table.bytes -= held.bytes;
    if (this.tables.get(table.peer.regionId) === table) this.totalBytes -= held.bytes;
    assert(table.bytes >= 0 && this.totalBytes >= 0, "a lock gives back the bytes that it took");
  }

  private drop(regionId: number, table: Table): void {
    this.totalBytes -= table.bytes;
    this.tables.delete(regionId);
  }

  private leaving(table: Table, entries: readonly Entry[]): Leaving {
    const mark = (isLeaving: boolean): void => {
      for (const entry of entries) entry.isLeaving = isLeaving;
    };
    return {
      onProposed: () => mark(true),
      onDone: (applied) => {
        if (!applied) {
          mark(false);
          return;
        }
        for (const entry of entries) {
          const id = latin1(entry.key);
          if (table.entries.get(id) === entry) this.remove(table, id);
        }
      },
    };
  }
}

function sizeOf(key: Uint8Array, { primary }: Lock): number {
  return key.length + primary.length + ENTRY_OVERHEAD_BYTES;
}

function isBetween(key: Uint8Array, start: Uint8Array, end: Uint8Array): boolean {
  return compareBytes(key, start) >= 0 && (end.length === 0 || compareBytes(key, end) < 0);
}

function locksBetween(
  table: Table,
  start: Uint8Array,
  end: Uint8Array,
): { readonly key: Uint8Array; readonly lock: Lock }[] {
  return [...table.entries.values()]
    .filter(({ key }) => isBetween(key, start, end))
    .sort((a, b) => compareBytes(a.key, b.key));
}

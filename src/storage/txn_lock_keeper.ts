/**
 * Decides which changes of commands stay in memory (pessimistic locks), and has those locks written
 * before a leader gives leadership or keys away. The tables are txn_memory_locks.ts.
 */
import type { Clock } from "../base/index.js";
import { dataKey, encodeLock } from "../codec/index.js";
import type { WriteBatch } from "../engine/index.js";
import type { MemoryLocks, Modify } from "../mvcc/index.js";
import type { ReadDelegate, RegionRouter, WriteCommand } from "../raftstore/index.js";
import type { TxnCommandKind } from "../txn/index.js";
import type { KvEngine } from "./kv_engine.js";
import type { LeaderSnapshot } from "./txn_deps.js";
import { type LeaderView, type Leaving, PessimisticLockTables } from "./txn_memory_locks.js";
import type { TxnOptions } from "./txn_options.js";

export interface MemoryLockDeps {
  readonly router: RegionRouter;
  readonly kv: KvEngine;
  readonly clock: Clock;
}

/** After locks were written for a handover, how long new ones are written as well, ms. */
const HANDOVER_MS = 10_000;

export class MemoryLockKeeper {
  readonly counts = { kept: 0, written: 0 };
  private readonly tables: PessimisticLockTables;
  private seen: readonly ReadDelegate[] | undefined;

  constructor(
    private readonly options: TxnOptions,
    private readonly deps: MemoryLockDeps,
  ) {
    this.tables = new PessimisticLockTables({
      peerMaxBytes: options.inMemoryPeerMaxBytes,
      instanceMaxBytes: options.inMemoryInstanceMaxBytes,
    });
    deps.router.beforeHandover?.((peer) => this.handOver(peer));
  }

  /** Bytes of the locks in memory, about. */
  get bytes(): number {
    return this.tables.bytes;
  }

  /** Number of locks in memory. */
  get size(): number {
    return this.tables.size;
  }

  /** Returns the locks of a leader's region; undefined where there are none. */
  viewOf(leader: LeaderView): MemoryLocks | undefined {
    return this.tables.viewOf(leader);
  }

  /** As `viewOf`, of `[start, end)` as of now. */
  copyOf(leader: LeaderView, start: Uint8Array, end: Uint8Array): MemoryLocks | undefined {
    return this.tables.copyOf(leader, start, end);
  }

  /** Makes changes in memory in place of writing them, if they are of that kind. */
  tryKeep(leader: LeaderSnapshot, kind: TxnCommandKind, modifies: readonly Modify[]): boolean {
    if (modifies.length === 0) return false;
    if (kind === "pessimisticRollback") return this.tables.tryRemove(leader, modifies);
    if (kind !== "acquirePessimisticLock" || !this.options.inMemory) return false;
    this.prune();
    const isStored = (key: Uint8Array): boolean => leader.snapshot.get("lock", key) !== undefined;
    const kept = this.tables.tryPut(leader, modifies, isStored, this.deps.clock.monotonicMs());
    if (kept) this.counts.kept++;
    else this.counts.written++;
    return kept;
  }

  /** Returns the locks of which a write takes the place; undefined if there are none. */
  leavingFor(leader: LeaderView, modifies: readonly Modify[]): Leaving | undefined {
    return this.tables.leavingFor(leader, modifies);
  }

  /** Locks of peers that lead no more are forgotten when any peer's view has changed. */
  private prune(): void {
    const peers = this.deps.router.delegates();
    if (peers === this.seen) return;
    this.seen = peers;
    this.tables.prune(this.deps.clock.monotonicMs());
  }

  /** The write of a region's locks; it stands in the log before leadership or keys go. */
  private handOver(peer: ReadDelegate): WriteCommand | undefined {
    const { clock, kv } = this.deps;
    const { region, self, term } = peer;
    const closed = this.tables.close({ peer, term }, clock.monotonicMs() + HANDOVER_MS);
    if (closed === undefined) return undefined;
    const { leaving, locks } = closed;
    const modifies = locks.map(({ key, lock }): Modify => {
      return { cf: "lock", key, value: encodeLock(lock) };
    });
    const { confVer, version } = region;
    const { id: peerId, storeId } = self;
    return {
      header: { regionId: region.id, confVer, version, peerId, storeId, term },
      data: batchOf(kv, modifies).bytes(),
      frees: true,
      onProposed: leaving.onProposed,
      done: (result) => leaving.onDone(result.ok),
    };
  }
}

/** Returns a batch that makes changes of region keys. */
export function batchOf(kv: KvEngine, modifies: readonly Modify[]): WriteBatch {
  const batch = kv.newBatch();
  addModifies(batch, modifies);
  return batch;
}

/** Adds changes of region keys to a batch. */
export function addModifies(batch: WriteBatch, modifies: readonly Modify[]): void {
  for (const { cf, key, value } of modifies) {
    if (value === undefined) batch.delete(cf, dataKey(key));
    else batch.put(cf, dataKey(key), value);
  }
}

/** Bytes of a record in a batch beside its key and value, at most. */
const RECORD_BYTES_MAX = 16;

/** Returns the bytes that changes take in a batch, at most. */
export function modifiesBytes(modifies: readonly Modify[]): number {
  let bytes = 0;
  for (const { key, value } of modifies) {
    bytes += RECORD_BYTES_MAX + key.length + (value?.length ?? 0);
  }
  return bytes;
}

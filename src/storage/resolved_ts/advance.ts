/**
 * Moves the timestamps forward at which replicas answer stale reads. For each region that this store
 * leads: take a timestamp T of PD, raise max_ts to it, then, while the lease holds, look at the locks
 * of one snapshot. Whatever commits at or below T is in that snapshot, or has a lock in it or in
 * memory:
 *  - two phases: the commit timestamp came from PD before T, so all prewrites were acknowledged, and
 *    so applied by whoever led then, before T was asked for;
 *  - async commit and 1PC: computed above max_ts, unless the lock was published in memory before T;
 *    that memory lock goes when the write is applied, and so is seen here or in the snapshot.
 * The state holds for replicas that have applied as far as the snapshot; its apply state says so.
 * A later leader asks PD for its max_ts after the lease: it commits above T.
 * Source: tikv components/resolved_ts/src/{advance,resolver}.rs, which follow locks by observing
 * applies and ask a quorum in place of the lease.
 */
import type { Clock, Logger, Timers } from "../../base/index.js";
import { dataEndKey, dataKey, LOCK_TYPE, parseLock } from "../../codec/index.js";
import type { Engine, Snapshot } from "../../engine/index.js";
import { appliedIndexOf, type PeerInfo, type ReadDelegate } from "../../raftstore/index.js";
import type { ConcurrencyManager } from "../../txn/index.js";
import type { ResolvedTsMetrics } from "./metrics.js";
import type { ReadProgress, ReadState } from "./progress.js";

/** What a leader tells the stores of its followers. */
export interface LeaderInfo {
  readonly regionId: bigint;
  readonly peerId: bigint;
  readonly term: bigint;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly readState: ReadState;
}

/** The way to other stores. Fire and forget: what does not arrive is told anew next time. */
export interface CheckLeaderPort {
  send(storeId: number, regions: readonly LeaderInfo[]): void;
}

export interface AdvanceDeps {
  readonly engine: Engine;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly concurrencyManager: ConcurrencyManager;
  readonly progress: ReadProgress;
  readonly port: CheckLeaderPort;
  readonly clock: Clock;
  readonly metrics: Pick<ResolvedTsMetrics, "onFail" | "onScan" | "onTold">;
  readonly storeId: bigint;
  peers(): readonly ReadDelegate[];
  /** A timestamp of PD's; undefined when PD does not answer. */
  tso(): Promise<bigint | undefined>;
}

/** Regions of one turn, all judged by one snapshot. */
const REGIONS_PER_TURN = 64;
const LOCKS_PER_TAKE = 256;
const TAKE_MAX_BYTES = 256 * 1024;

export class AdvanceTsWorker {
  private cancel: (() => void) | undefined;
  private isStopped = false;

  constructor(
    private readonly intervalMs: number,
    private readonly deps: AdvanceDeps,
  ) {}

  /** Runs a round after each interval; none for 0. */
  start(): void {
    if (this.intervalMs === 0 || this.isStopped) return;
    this.cancel = this.deps.timers.after(this.intervalMs, () => {
      this.runOnce()
        .catch((error: unknown) => this.deps.logger.error("advance resolved ts", {}, error))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.isStopped = true;
    this.cancel?.();
  }

  /** One round over all regions that this store leads. */
  async runOnce(): Promise<void> {
    const { concurrencyManager, metrics, peers, port, progress, tso } = this.deps;
    const ts = await tso();
    if (ts === undefined) {
      metrics.onFail("tso");
      return;
    }
    concurrencyManager.updateMaxTs(ts);
    const here = new Set(peers().map(({ regionId }) => regionId));
    progress.retain((regionId) => here.has(regionId));
    const told = new Map<number, LeaderInfo[]>();
    const leading = peers().filter((peer) => peer.isLeader);
    for (let from = 0; from < leading.length && !this.isStopped; from += REGIONS_PER_TURN) {
      if (from > 0) await this.turn();
      this.judge(leading.slice(from, from + REGIONS_PER_TURN), ts, told);
    }
    if (this.isStopped) return;
    for (const [storeId, regions] of told) {
      metrics.onTold(regions.length);
      port.send(storeId, regions);
    }
  }

  private turn(): Promise<void> {
    return new Promise((resolve) => void this.deps.timers.after(0, resolve));
  }

  /** Lease, memory locks and snapshot are of one moment: nothing here waits. */
  private judge(peers: readonly ReadDelegate[], ts: bigint, told: Map<number, LeaderInfo[]>): void {
    const { clock, concurrencyManager, engine, metrics, progress } = this.deps;
    const startedMs = clock.monotonicMs();
    const inMemory = concurrencyManager.globalMinLockTs();
    const limit = inMemory === undefined || inMemory > ts ? ts : inMemory - 1n;
    const snapshot = engine.snapshot();
    try {
      for (const peer of peers) {
        if (!peer.canReadLocally()) {
          metrics.onFail("lease");
          continue;
        }
        const state = readState(snapshot, peer, limit);
        if (state === undefined) continue;
        progress.advance(peer.regionId, state);
        this.tell(peer, state, told);
      }
    } finally {
      snapshot.close();
      metrics.onScan(clock.monotonicMs() - startedMs);
    }
  }

  private tell(peer: ReadDelegate, readState: ReadState, told: Map<number, LeaderInfo[]>): void {
    const { id, confVer, version, peers } = peer.region;
    const info = {
      regionId: id,
      peerId: peer.self.id,
      term: peer.term,
      confVer,
      version,
      readState,
    };
    for (const { storeId } of peers as readonly PeerInfo[]) {
      if (storeId === this.deps.storeId) continue;
      const infos = told.get(Number(storeId));
      if (infos === undefined) told.set(Number(storeId), [info]);
      else infos.push(info);
    }
  }
}

/** Returns what a region's snapshot promises; undefined when the region has no state there. */
function readState(
  snapshot: Snapshot,
  { region }: ReadDelegate,
  limit: bigint,
): ReadState | undefined {
  const appliedIndex = appliedIndexOf(snapshot, region.id);
  if (appliedIndex === undefined) return undefined;
  return { appliedIndex, safeTs: belowLocks(snapshot, region, limit) };
}

/**
 * Returns the largest timestamp up to `limit` below which no lock may commit. Pessimistic locks are
 * followed by a prewrite, and Lock records change no value.
 */
function belowLocks(
  snapshot: Snapshot,
  { startKey, endKey }: ReadDelegate["region"],
  limit: bigint,
): bigint {
  const bounds = { lower: dataKey(startKey), upper: dataEndKey(endKey), fillCache: false };
  const iter = snapshot.iterate("lock", bounds);
  let safeTs = limit;
  try {
    iter.seekToFirst();
    while (iter.valid) {
      for (const record of iter.take(LOCKS_PER_TAKE, TAKE_MAX_BYTES).values) {
        const { type, startTs } = parseLock(record);
        const changes = type === LOCK_TYPE.put || type === LOCK_TYPE.delete;
        if (changes && startTs <= safeTs) safeTs = startTs - 1n;
      }
    }
  } finally {
    iter.close();
  }
  return safeTs;
}

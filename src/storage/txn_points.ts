/**
 * Gets of many transactions at once: those that arrived together are answered from one snapshot, by
 * the kernel (mvcc/kernel_points.ts). The order of steps is that of txn_read_gate.ts: max_ts is
 * raised to the newest of them, memory locks are checked, the snapshot is taken. What needs more than
 * a leader with a lease goes to `get`, one by one. Hot path.
 */
import { ok } from "../base/index.js";
import type { Kernels } from "../kernel/index.js";
import {
  KernelPoints,
  LockGlance,
  type PointList,
  type PointSink,
  type ReadPair,
  type ReadPoint,
  type Statistics,
} from "../mvcc/index.js";
import { checkKeysInRegion } from "../raftstore/index.js";
import type { RegionSnapshot } from "./kv_engine.js";
import { memoryConflict, type ReadGateDeps, readPointOf, refuseRead } from "./txn_read_gate.js";
import { ReadRun } from "./txn_read_run.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type { ExecDetails, TxnContext } from "./txn_types.js";

const TAG = "get";
/** Keys of a batch get from which on the kernel reads them. */
const KEYS_MIN = 2;

export class TxnPoints {
  private readonly glance = new LockGlance();

  constructor(
    private readonly deps: ReadGateDeps,
    private readonly kernels: Kernels,
  ) {}

  /** See TxnStorage.getMany. */
  getMany(ctx: TxnContext, list: PointList, details: ExecDetails, sink: PointSink): boolean {
    const { kv, metrics } = this.deps;
    const { isolation } = ctx;
    if (ctx.staleRead || ctx.replicaRead || isolation === "rcCheckTs") return false;
    if (refuseRead(this.deps, TAG, ctx, list) !== undefined) return false;
    const found = kv.check(ctx);
    if (!found.ok || !found.value.canReadLocally()) return false;
    const ends = [list.smallestKey, list.greatestKey];
    if (checkKeysInRegion(ends, found.value.region) !== undefined) return false;
    if (!this.deps.maxTs.tryRaise(list.newestTs) || this.isBlocked(ctx, list)) return false;
    const run = new ReadRun(this.deps, TAG, ctx, [], details);
    let isLate = false;
    const reply = kv.read<void>(ctx, (peer) => {
      if (isLate) return ok(undefined);
      const snapshot = kv.snapshot(peer);
      run.onSnapshot(snapshot.peer);
      this.read(ctx, list, details, snapshot, sink);
      return ok(undefined);
    });
    // The lease may have ended since it was looked at.
    isLate = true;
    if (reply instanceof Promise || !reply.ok) return false;
    metrics.onCommands(TAG, list.length - 1);
    run.end(ok(undefined), { length: list.length, 0: list.key(0) });
    return true;
  }

  /**
   * Returns what a read at `point` sees of each key of a batch get, all by the kernel. undefined
   * where that is not worth it, or the arena is somebody else's: the getter reads then.
   */
  pairs(
    snapshot: TxnSnapshot,
    point: ReadPoint,
    keys: readonly Uint8Array[],
    statistics: Statistics,
  ): readonly (ReadPair | undefined)[] | undefined {
    const { isolation, ts } = point;
    if (keys.length < KEYS_MIN || isolation === "rcCheckTs") return undefined;
    if (this.kernels.arena.isBusy) return undefined;
    const source = { snapshot, statistics };
    const points = new KernelPoints(this.kernels, source, { ...point, isolation }, this.glance);
    try {
      return points.read(keys.map((key) => ({ key, ts })));
    } finally {
      points.close();
    }
  }

  private isBlocked(ctx: TxnContext, list: PointList): boolean {
    if (ctx.isolation === "rc" || this.deps.concurrencyManager.size === 0) return false;
    for (let item = 0; item < list.length; item++) {
      const place = { keys: [list.key(item)] };
      const point = readPointOf(ctx, list.ts(item));
      if (memoryConflict(this.deps, point, place) !== undefined) return true;
    }
    return false;
  }

  private read(
    ctx: TxnContext,
    list: PointList,
    { statistics }: ExecDetails,
    snapshot: RegionSnapshot,
    sink: PointSink,
  ): void {
    const view = new TxnSnapshot(snapshot, ctx.fillCache);
    const reader = {
      isolation: ctx.isolation === "rc" ? "rc" : "si",
      bypassLocks: ctx.resolvedLocks,
      accessLocks: ctx.committedLocks,
      isReplicaRead: false,
    } as const;
    const source = { snapshot: view, statistics };
    const points = new KernelPoints(this.kernels, source, reader, this.glance);
    try {
      points.readInto(list, sink);
    } finally {
      points.close();
      snapshot.close();
    }
  }
}

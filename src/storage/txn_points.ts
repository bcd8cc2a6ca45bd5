/**
 * Gets of many transactions at once: those that arrived together are answered from one snapshot, by
 * the kernel (mvcc/kernel_points.ts). The order of steps is that of txn_read_gate.ts: max_ts is
 * raised to the newest of them, memory locks are checked, the snapshot is taken. What needs more than
 * a leader with a lease goes to `get`, one by one. Hot path.
 */
import { ok } from "../base/index.js";
import { TS_MAX } from "../codec/index.js";
import type { Kernels } from "../kernel/index.js";
import {
  KernelPoints,
  type PointItem,
  type ReadPair,
  type ReadPoint,
  type Statistics,
} from "../mvcc/index.js";
import { checkKeysInRegion } from "../raftstore/index.js";
import type { RegionSnapshot } from "./kv_engine.js";
import { memoryConflict, type ReadGateDeps, readPointOf, refuseRead } from "./txn_read_gate.js";
import { ReadRun } from "./txn_read_run.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type { ExecDetails, GetResult, TxnContext } from "./txn_types.js";

const TAG = "get";
/** Keys of a batch get from which on the kernel reads them. */
const KEYS_MIN = 2;
const NOT_FOUND: GetResult = { value: undefined, commitTs: 0n };

export type PointAnswers = readonly (GetResult | undefined)[];

export class TxnPoints {
  constructor(
    private readonly deps: ReadGateDeps,
    private readonly kernels: Kernels,
  ) {}

  /** See TxnStorage.getMany. */
  getMany(
    ctx: TxnContext,
    items: readonly PointItem[],
    details: ExecDetails,
  ): PointAnswers | undefined {
    const { kv, metrics } = this.deps;
    const { isolation } = ctx;
    if (ctx.staleRead || ctx.replicaRead || isolation === "rcCheckTs") return undefined;
    const keys = items.map(({ key }) => key);
    if (refuseRead(this.deps, TAG, ctx, keys) !== undefined) return undefined;
    const found = kv.check(ctx);
    if (!found.ok || !found.value.canReadLocally()) return undefined;
    if (checkKeysInRegion(keys, found.value.region) !== undefined) return undefined;
    if (!this.raise(items) || this.isBlocked(ctx, items)) return undefined;
    const run = new ReadRun(this.deps, TAG, ctx, keys, details);
    let isLate = false;
    const reply = kv.read<PointAnswers>(ctx, (peer) => {
      if (isLate) return ok([]);
      const snapshot = kv.snapshot(peer);
      run.onSnapshot(snapshot.peer);
      return ok(this.read(ctx, items, details, snapshot));
    });
    // The lease may have ended since it was looked at.
    isLate = true;
    if (reply instanceof Promise || !reply.ok) return undefined;
    for (let i = 1; i < items.length; i++) metrics.onCommand(TAG);
    run.end(ok(undefined));
    return reply.value;
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
    const points = new KernelPoints(
      this.kernels,
      { snapshot, statistics },
      { ...point, isolation },
    );
    try {
      return points.read(keys.map((key) => ({ key, ts })));
    } finally {
      points.close();
    }
  }

  private raise(items: readonly PointItem[]): boolean {
    let newest = 0n;
    for (const { ts } of items) if (ts > newest && ts !== TS_MAX) newest = ts;
    return this.deps.maxTs.tryRaise(newest);
  }

  private isBlocked(ctx: TxnContext, items: readonly PointItem[]): boolean {
    if (ctx.isolation === "rc" || this.deps.concurrencyManager.size === 0) return false;
    return items.some(({ key, ts }) => {
      const place = { keys: [key] };
      return memoryConflict(this.deps, readPointOf(ctx, ts), place) !== undefined;
    });
  }

  private read(
    ctx: TxnContext,
    items: readonly PointItem[],
    { statistics }: ExecDetails,
    snapshot: RegionSnapshot,
  ): PointAnswers {
    const view = new TxnSnapshot(snapshot, ctx.fillCache);
    const points = new KernelPoints(
      this.kernels,
      { snapshot: view, statistics },
      {
        isolation: ctx.isolation === "rc" ? "rc" : "si",
        bypassLocks: ctx.resolvedLocks,
        accessLocks: ctx.committedLocks,
        isReplicaRead: false,
      },
    );
    try {
      return points.read(items).map((pair) => {
        if (pair === undefined) return NOT_FOUND;
        return "error" in pair ? undefined : pair;
      });
    } finally {
      points.close();
      snapshot.close();
    }
  }
}

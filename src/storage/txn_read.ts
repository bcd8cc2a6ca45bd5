/**
 * Point reads of transactions: in the turn of the request while the leader holds its lease. What
 * comes before the data is in txn_read_gate.ts, ranges are in txn_scan.ts.
 * Source: tikv src/storage/mod.rs get, batch_get.
 */
import { ok } from "../base/index.js";
import { MvccReader, PointGetter, type ReadPair, Statistics } from "../mvcc/index.js";
import type { MvccInfo } from "../txn/index.js";
import type { RegionSnapshot } from "./kv_engine.js";
import { keysFailure } from "./raw_context.js";
import { failed } from "./txn_errors.js";
import type { TxnPoints } from "./txn_points.js";
import {
  answered,
  type ReadGate,
  type ReadGateDeps,
  readPointOf,
  refuseRead,
  unwrap,
} from "./txn_read_gate.js";
import { ReadRun } from "./txn_read_run.js";
import type { TxnScans } from "./txn_scan.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type { ExecDetails, GetResult, TxnContext, TxnPair, TxnReply } from "./txn_types.js";

type MaybePromise<T> = T | Promise<T>;

/** Keys that are read in one turn; more are read in slices. */
const TURN_KEYS_MAX = 256;
const NOT_FOUND: TxnReply<GetResult> = ok({ value: undefined, commitTs: 0n });

export class TxnReads {
  constructor(
    private readonly deps: ReadGateDeps,
    private readonly gate: ReadGate,
    private readonly scans: TxnScans,
    private readonly points: TxnPoints,
  ) {}

  get(
    ctx: TxnContext,
    key: Uint8Array,
    version: bigint,
    details: ExecDetails,
  ): MaybePromise<TxnReply<GetResult>> {
    const run = new ReadRun(this.deps, "get", ctx, [key], details);
    return this.point(run, version, (getter) => {
      const pair = getter.get(key);
      if (pair === undefined) return NOT_FOUND;
      if ("error" in pair) return failed(pair.error);
      return ok({ value: pair.value, commitTs: pair.commitTs });
    });
  }

  batchGet(
    ctx: TxnContext,
    keys: readonly Uint8Array[],
    version: bigint,
    details: ExecDetails,
  ): MaybePromise<TxnReply<readonly TxnPair[]>> {
    const run = new ReadRun(this.deps, "batch_get", ctx, keys, details);
    if (keys.length > TURN_KEYS_MAX) return this.scans.batchGet(run, keys, version);
    return this.point<readonly TxnPair[]>(run, version, (getter, view) => {
      const point = readPointOf(ctx, version);
      const together = this.points.pairs(view, point, keys, details.statistics);
      const pairs = together ?? getter.getMany(keys);
      return ok(pairs.filter((pair): pair is ReadPair => pair !== undefined));
    });
  }

  /** Everything that is stored of a key; without a timestamp, so nothing is raised or checked. */
  async mvccByKey(ctx: TxnContext, key: Uint8Array): Promise<TxnReply<MvccInfo>> {
    const refused = refuseRead(this.deps, "key_mvcc", ctx, []);
    if (refused !== undefined) return refused;
    const { kv } = this.deps;
    return unwrap<MvccInfo>(
      kv.read({ ...ctx, staleRead: false }, (peer) => {
        const problem = keysFailure([key], peer);
        if (problem !== undefined) return problem;
        const snapshot = kv.snapshot(peer);
        const reader = new MvccReader(new TxnSnapshot(snapshot), new Statistics());
        try {
          return answered<MvccInfo>(ok(reader.mvccInfo(key)));
        } finally {
          reader.close();
          snapshot.close();
        }
      }),
    );
  }

  private point<T>(
    run: ReadRun,
    version: bigint,
    use: (getter: PointGetter, view: TxnSnapshot) => TxnReply<T>,
  ): MaybePromise<TxnReply<T>> {
    const { ctx, tag, keys } = run;
    const refused = refuseRead(this.deps, tag, ctx, keys);
    if (refused !== undefined) return refused;
    const reply = this.gate.raised<T>(ctx, version, () => {
      const point = readPointOf(ctx, version);
      const blocked = this.gate.blocked(run, point, { keys });
      if (blocked !== undefined) return blocked;
      const opened = this.gate.open<TxnReply<T>>(
        ctx,
        version,
        { keys },
        {
          outside: (peer) => keysFailure(keys, peer),
          onBlocked: (lock) => answered<T>(failed({ kind: "keyIsLocked", lock })),
          use: (snapshot) => {
            run.onSnapshot(snapshot.peer);
            const view = new TxnSnapshot(snapshot, ctx.fillCache);
            const getter = new PointGetter(view, run.details.statistics, point);
            return answered(readWith(getter, snapshot, () => use(getter, view)));
          },
        },
      );
      return unwrap(opened);
    });
    if (reply instanceof Promise) return reply.then((one) => run.end(one));
    return run.end(reply);
  }
}

/** Reads, and closes what was opened for it. */
function readWith<T>(
  getter: PointGetter,
  snapshot: RegionSnapshot,
  use: () => TxnReply<T>,
): TxnReply<T> {
  try {
    return use();
  } finally {
    getter.close();
    snapshot.close();
  }
}

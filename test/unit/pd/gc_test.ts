/** The rules of safe points: never back, never past a barrier, never past one another. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/base/index.js";
import { MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";
import {
  advanceGcSafePoint,
  advanceTxnSafePoint,
  deleteBarrier,
  type GcState,
  isExpired,
  NO_GC_STATE,
  setBarrier,
  TTL_NEVER,
  ttlSeconds,
  updateGcSafePoint,
  updateServiceSafePoint,
} from "../../../src/pd/gc/index.js";
import { engineKv, gcStateChanges, loadGcState } from "../../../src/pd/storage/index.js";

const NOW = 1_000_000n;

function mustOf<T>(result: { ok: true; value: T } | { ok: false; error: string }): T {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function errorOf(result: { ok: boolean; error?: string }): string {
  return result.ok ? "" : (result.error ?? "");
}

function withBarriers(state: GcState, list: readonly (readonly [string, bigint, bigint])[]) {
  return list.reduce(
    (before, [id, ts, ttl]) =>
      mustOf(setBarrier(before, { kind: "barriers", id, ts, ttl }, NOW)).next,
    state,
  );
}

test("the txn safe point goes to the target, or to the least barrier, and names it", () => {
  const free = mustOf(advanceTxnSafePoint(NO_GC_STATE, 50n, undefined, NOW));
  assert.equal([free.old, free.next.txnSafePoint, free.blocker], [0n, 50n, undefined]);
  const held = withBarriers(free.next, [
    ["b", 70n, 100n],
    ["a", 60n, TTL_NEVER],
  ]);
  assert.equal(
    held.barriers.map(({ id }) => id),
    ["a", "b"],
  );
  const blocked = mustOf(advanceTxnSafePoint(held, 90n, undefined, NOW));
  assert.is(blocked.next.txnSafePoint, 60n);
  assert.is(
    blocked.blocker?.text,
    "GCBarrier { BarrierID: a, BarrierTS: 60, ExpirationTime: <nil> }",
  );
  const upTo = mustOf(advanceTxnSafePoint(held, 60n, undefined, NOW));
  assert.equal([upTo.next.txnSafePoint, upTo.blocker], [60n, undefined]);
});

test("an open transaction of a SQL node and a global barrier hold it back too", () => {
  const minStart = { owner: "tidb-1", ts: 40n };
  const first = mustOf(advanceTxnSafePoint(NO_GC_STATE, 90n, minStart, NOW));
  assert.is(first.next.txnSafePoint, 40n);
  assert.is(first.blocker?.id, "tidb_min_start_ts_tidb-1");
  const request = { kind: "globalBarriers", id: "br", ts: 30n, ttl: 9n } as const;
  const global = mustOf(setBarrier(NO_GC_STATE, request, NOW)).next;
  const second = mustOf(advanceTxnSafePoint(global, 90n, minStart, NOW));
  assert.equal([second.next.txnSafePoint, second.blocker?.id], [30n, "br"]);
});

test("a report below the txn safe point stops it, and does not move it back", () => {
  const at50 = { ...NO_GC_STATE, txnSafePoint: 50n };
  const moved = mustOf(advanceTxnSafePoint(at50, 90n, { owner: "old", ts: 20n }, NOW));
  assert.is(moved.next.txnSafePoint, 50n);
});

test("neither safe point goes back; the GC safe point stays within the txn safe point", () => {
  const state = { ...NO_GC_STATE, txnSafePoint: 50n, gcSafePoint: 20n };
  assert.match(
    errorOf(advanceTxnSafePoint(state, 49n, undefined, NOW)),
    /^\[PD:gc:ErrDecreasingTxnSafePoint\].*current value: 50, given: 49$/,
  );
  assert.match(errorOf(advanceGcSafePoint(state, 19n)), /ErrDecreasingGCSafePoint.*20.*19$/);
  assert.match(errorOf(advanceGcSafePoint(state, 51n)), /ErrGCSafePointExceedsTxnSafePoint/);
  assert.is(mustOf(advanceGcSafePoint(state, 50n)).gcSafePoint, 50n);
  assert.is(mustOf(advanceGcSafePoint(state, 20n)).gcSafePoint, 20n);
});

test("a barrier holds through its last second, and once expired is gone for good", () => {
  const state = withBarriers(NO_GC_STATE, [["x", 10n, 5n]]);
  const [barrier] = state.barriers;
  assert.ok(barrier);
  assert.equal([isExpired(barrier, NOW + 5n), isExpired(barrier, NOW + 6n)], [false, true]);
  assert.equal([ttlSeconds(barrier, NOW + 2n), ttlSeconds(barrier, NOW + 9n)], [3n, 0n]);
  const held = mustOf(advanceTxnSafePoint(state, 90n, undefined, NOW + 5n));
  assert.is(held.next.txnSafePoint, 10n);
  const free = mustOf(advanceTxnSafePoint(state, 90n, undefined, NOW + 6n));
  assert.equal([free.next.txnSafePoint, free.next.barriers], [90n, []]);
});

test("refused barriers: behind the txn safe point, without a name, reserved, without a TTL", () => {
  const state = { ...NO_GC_STATE, txnSafePoint: 50n };
  const set = (id: string, ts: bigint, ttl = 9n): string =>
    errorOf(setBarrier(state, { kind: "barriers", id, ts, ttl }, NOW));
  assert.match(set("a", 49n), /ErrGCBarrierTSBehindTxnSafePoint\].*ts 49 .*txn safe point 50$/);
  assert.is(set("a", 50n), "");
  assert.match(set("", 60n), /ErrInvalidArgument/);
  assert.match(set("x".repeat(1025), 60n), /ErrInvalidArgument/);
  assert.match(set("gc_worker", 60n), /ErrReservedGCBarrierID/);
  assert.match(set("a", 60n, 0n), /ErrInvalidArgument.*ttl/);
  assert.match(errorOf(deleteBarrier(state, "barriers", "gc_worker")), /ErrReservedGCBarrierID/);
  assert.is(mustOf(deleteBarrier(state, "barriers", "none")).barrier, undefined);
});

test("service safe points: gc_worker moves the txn safe point, others hold it back", () => {
  const br = { serviceId: "cdc", ts: 70n, ttl: 100n };
  const set = mustOf(updateServiceSafePoint(NO_GC_STATE, br, undefined, NOW));
  assert.equal([set.serviceId, set.ts, set.next.barriers.length], ["gc_worker", 0n, 1]);
  const worker = { serviceId: "gc_worker", ts: 90n, ttl: TTL_NEVER };
  const moved = mustOf(updateServiceSafePoint(set.next, worker, undefined, NOW));
  assert.equal([moved.serviceId, moved.ts], ["cdc", 70n]);
  const behind = { serviceId: "late", ts: 10n, ttl: 100n };
  const late = mustOf(updateServiceSafePoint(moved.next, behind, undefined, NOW));
  assert.equal([late.ts, late.next.barriers.length], [70n, 1]);
  const removed = mustOf(updateServiceSafePoint(late.next, { ...br, ttl: 0n }, undefined, NOW));
  assert.equal(removed.next.barriers, []);
  const wrong = updateServiceSafePoint(NO_GC_STATE, { ...worker, ttl: 5n }, undefined, NOW);
  assert.match(errorOf(wrong), /must be infinity/);
  const global = { serviceId: "native_br", ts: 70n, ttl: 9n };
  const all = mustOf(updateServiceSafePoint(NO_GC_STATE, global, undefined, NOW));
  assert.is(all.next.globalBarriers.length, 1);
});

test("the older call takes the txn safe point along, as far as barriers let it", () => {
  const state = withBarriers(NO_GC_STATE, [["a", 60n, TTL_NEVER]]);
  const moved = updateGcSafePoint(state, 90n, undefined, NOW);
  assert.equal([moved.gcSafePoint, moved.txnSafePoint], [60n, 60n]);
  assert.is(updateGcSafePoint(moved, 0n, undefined, NOW), moved);
});

test("50000 random calls: the invariants hold, and what is saved is what there is", async () => {
  const prng = new Prng(11n);
  const kv = engineKv(
    openMemoryEngine(
      (error) => assert.unreachable(error.message),
      new MemoryDisk({ journal: false }),
    ),
  );
  let state = NO_GC_STATE;
  let now = NOW;
  for (let step = 0; step < 50_000; step++) {
    const before = state;
    const ts = BigInt(prng.below(200));
    const id = `b${prng.below(4)}`;
    const ttl = BigInt(prng.below(6)) - 1n;
    const kind = prng.below(4) === 0 ? "globalBarriers" : "barriers";
    const minStart = prng.below(3) === 0 ? { owner: "o", ts } : undefined;
    const target = before.txnSafePoint + BigInt(prng.below(4));
    let held: bigint | undefined;
    switch (prng.below(6)) {
      case 0: {
        const moved = advanceTxnSafePoint(before, target, minStart, now);
        if (moved.ok) state = moved.value.next;
        const alive = [...before.barriers, ...before.globalBarriers].filter(
          (one) => !isExpired(one, now),
        );
        held = alive.reduce<bigint>((min, one) => (one.ts < min ? one.ts : min), target);
        break;
      }
      case 1: {
        const moved = advanceGcSafePoint(before, ts);
        if (moved.ok) state = moved.value;
        break;
      }
      case 2: {
        const set = setBarrier(before, { kind, id, ts: target, ttl }, now);
        if (set.ok) state = set.value.next;
        break;
      }
      case 3: {
        const gone = deleteBarrier(before, kind, id);
        if (gone.ok) state = gone.value.next;
        break;
      }
      case 4: {
        const set = updateServiceSafePoint(
          before,
          { serviceId: prng.below(2) === 0 ? "gc_worker" : id, ts, ttl: TTL_NEVER },
          minStart,
          now,
        );
        if (set.ok) state = set.value.next;
        break;
      }
      default:
        state = updateGcSafePoint(before, before.gcSafePoint + 1n, minStart, now);
    }
    now += BigInt(prng.below(3));
    assert.ok(state.txnSafePoint >= before.txnSafePoint, `step ${step}: txn safe point went back`);
    assert.ok(state.gcSafePoint >= before.gcSafePoint, `step ${step}: gc safe point went back`);
    assert.ok(state.gcSafePoint <= state.txnSafePoint, `step ${step}: gc passed txn`);
    if (held !== undefined && held >= before.txnSafePoint) {
      assert.ok(state.txnSafePoint <= held, `step ${step}: passed a barrier`);
    }
    await kv.save(gcStateChanges(7n, before, state));
    // Below 200 the walk starts again, so that all branches stay reachable.
    if (step % 500 === 499) {
      assert.equal(loadGcState(kv, 7n), state, `step ${step}`);
      await kv.save(gcStateChanges(7n, state, NO_GC_STATE));
      state = NO_GC_STATE;
    }
  }
});

test.run();

/** What a leader promises: everything at or below it is in the snapshot, or the promise is lower. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { NULL_LOGGER, NULL_METRICS, utf8 } from "../../../../src/base/index.js";
import {
  applyStateKey,
  dataKey,
  encodeLock,
  keyFromRaw,
  LOCK_TYPE,
  type LockType,
  newLock,
} from "../../../../src/codec/index.js";
import { type Engine, openMemoryEngine } from "../../../../src/engine/index.js";
import type { ReadDelegate } from "../../../../src/raftstore/index.js";
import { encodeRaftApplyState, initialApplyState } from "../../../../src/raftstore/local_state.js";
import { AdvanceTsWorker, type LeaderInfo } from "../../../../src/storage/resolved_ts/advance.js";
import { ResolvedTsMetrics } from "../../../../src/storage/resolved_ts/metrics.js";
import { ReadProgress } from "../../../../src/storage/resolved_ts/progress.js";
import { ConcurrencyManager } from "../../../../src/txn/index.js";
import { FakeClock } from "../../../support/fake_clock.js";
import { type FakePeer, FakeRegions } from "../../../support/fake_regions.js";
import { FakeTimers } from "../../../support/fake_timers.js";

const NONE = new Uint8Array(0);
const key = (text: string): Uint8Array => keyFromRaw(utf8(text));

interface Parts {
  readonly engine: Engine;
  readonly left: FakePeer;
  readonly right: FakePeer;
  readonly manager: ConcurrencyManager;
  readonly progress: ReadProgress;
  readonly told: [number, readonly LeaderInfo[]][];
  readonly worker: AdvanceTsWorker;
  ts: bigint | undefined;
  onTso: () => void;
}

async function parts(): Promise<Parts> {
  const engine = openMemoryEngine((error) => {
    throw error;
  });
  const regions = new FakeRegions(engine);
  const left = regions.add(2n, NONE, key("m"));
  const right = regions.add(3n, key("m"), NONE);
  const batch = engine.newWriteBatch();
  for (const id of [2n, 3n]) {
    const state = { ...initialApplyState(), appliedIndex: Number(id) * 10 };
    batch.put("raft", applyStateKey(id), encodeRaftApplyState(state));
  }
  await engine.write(batch, { sync: false });
  const manager = new ConcurrencyManager(1n);
  const progress = new ReadProgress();
  const told: [number, readonly LeaderInfo[]][] = [];
  const made: Omit<Parts, "worker"> = {
    ...{ engine, left, right, manager, progress, told },
    ts: 1000n,
    onTso: () => undefined,
  };
  const clock = new FakeClock();
  const peers = (): readonly ReadDelegate[] => regions.delegates();
  const worker = new AdvanceTsWorker(1000, {
    ...{ engine, progress, logger: NULL_LOGGER, timers: new FakeTimers() },
    concurrencyManager: manager,
    clock,
    metrics: new ResolvedTsMetrics(NULL_METRICS, { progress, clock, peers }),
    storeId: regions.storeId,
    port: { send: (storeId, infos) => told.push([storeId, infos]) },
    peers,
    tso: async () => {
      made.onTso();
      return made.ts;
    },
  });
  return Object.assign(made, { worker });
}

async function lock(engine: Engine, text: string, type: LockType, startTs: bigint): Promise<void> {
  const batch = engine.newWriteBatch();
  const record = encodeLock(newLock({ type, primary: utf8(text), startTs, ttl: 1n }));
  batch.put("lock", dataKey(key(text)), record);
  await engine.write(batch, { sync: false });
}

test("without locks the promise is PD's timestamp, at the snapshot's applied index", async () => {
  const { worker, progress, told, manager } = await parts();
  await worker.runOnce();
  assert.is(manager.maxTs, 1000n, "later async commits are above it");
  assert.is(progress.safeTs({ regionId: 2, applied: 19 }), 0n);
  assert.is(progress.safeTs({ regionId: 2, applied: 20 }), 1000n);
  assert.is(told.length, 1, "one call a store");
  const [storeId, infos] = told[0] as (typeof told)[0];
  assert.is(storeId, 9);
  assert.equal(
    infos.map(({ regionId, readState }) => [regionId, readState]),
    [
      [2n, { appliedIndex: 20, safeTs: 1000n }],
      [3n, { appliedIndex: 30, safeTs: 1000n }],
    ],
  );
});

test("a lock that may commit below holds its region back, and no other", async () => {
  const { worker, engine, progress } = await parts();
  await lock(engine, "a", LOCK_TYPE.put, 500n);
  await lock(engine, "b", LOCK_TYPE.delete, 400n);
  await lock(engine, "c", LOCK_TYPE.pessimistic, 100n);
  await lock(engine, "d", LOCK_TYPE.lock, 100n);
  await lock(engine, "z", LOCK_TYPE.put, 2000n);
  await worker.runOnce();
  assert.is(progress.safeTs({ regionId: 2, applied: 20 }), 399n);
  assert.is(progress.safeTs({ regionId: 3, applied: 30 }), 1000n);
});

test("a lock in memory holds all regions back", async () => {
  const { worker, progress, manager } = await parts();
  const guard = manager.lockKey(key("a"));
  const fields = { type: LOCK_TYPE.put, primary: utf8("a"), startTs: 700n, ttl: 1n };
  guard.publish(newLock({ ...fields, minCommitTs: 701n }));
  await worker.runOnce();
  assert.is(progress.safeTs({ regionId: 3, applied: 30 }), 699n);
  guard.release();
  await worker.runOnce();
  assert.is(progress.safeTs({ regionId: 3, applied: 30 }), 1000n);
});

test("a store that does not lead, or whose lease ended meanwhile, promises nothing", async () => {
  const made = await parts();
  const { worker, left, right, progress } = made;
  left.isLeader = false;
  made.onTso = () => {
    right.hasLease = false;
  };
  await worker.runOnce();
  assert.is(progress.safeTs({ regionId: 2, applied: 20 }), 0n);
  assert.is(progress.safeTs({ regionId: 3, applied: 30 }), 0n);
  assert.equal(made.told, []);
});

test("without PD nothing is promised", async () => {
  const made = await parts();
  made.ts = undefined;
  await made.worker.runOnce();
  assert.is(made.progress.safeTs({ regionId: 2, applied: 20 }), 0n);
});

test.run();

/** Pessimistic locks through storage: in memory and written, waits, wake-ups, deadlocks. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8, utf8Decode } from "../../../src/base/index.js";
import { dataKey } from "../../../src/codec/index.js";
import { STORAGE_DEFAULTS, type TxnReply } from "../../../src/storage/index.js";
import type {
  AcquirePessimisticLockRequest,
  AcquirePessimisticLockResult,
} from "../../../src/txn/index.js";
import {
  commitOf,
  enc,
  lockOf,
  mustFail,
  mustOk,
  mustRefuse,
  newDetails,
  prewriteOf,
  put,
  settle,
  type TxnSetup,
  withTxnRegions,
} from "../../support/txn_regions.js";

const WRITTEN = { txn: { ...STORAGE_DEFAULTS.txn, inMemory: false } };
const SLOW = { txn: { ...WRITTEN.txn, pipelined: false } };

function lock(
  { storage, ctx }: TxnSetup,
  key: string,
  startTs: bigint,
  fields: Partial<AcquirePessimisticLockRequest> = {},
): Promise<TxnReply<AcquirePessimisticLockResult>> {
  return storage.txn.run<"acquirePessimisticLock">(ctx, lockOf(key, startTs, fields), newDetails());
}

/** Writes a key that is locked pessimistically. */
async function write(setup: TxnSetup, key: string, startTs: bigint, commitTs: bigint) {
  const { storage, ctx } = setup;
  const mutation = { ...put(key, `v${startTs}`), pessimisticAction: "doPessimisticCheck" } as const;
  const fields = { primary: utf8(key), forUpdateTs: startTs };
  const request = prewriteOf(startTs, [mutation], fields);
  mustOk(await storage.txn.run<"prewrite">(ctx, request, newDetails()));
  mustOk(await storage.txn.run<"commit">(ctx, commitOf([key], startTs, commitTs), newDetails()));
}

const stored = ({ engine }: TxnSetup, key: string): boolean =>
  engine.get("lock", dataKey(enc(key))) !== undefined;

const rollback = ({ storage, ctx }: TxnSetup, key: string, startTs: bigint) =>
  storage.txn.run<"pessimisticRollback">(
    ctx,
    { kind: "pessimisticRollback", keys: [enc(key)], startTs, forUpdateTs: startTs },
    newDetails(),
  );

async function scanLocks({ storage, ctx }: TxnSetup): Promise<string[]> {
  const request = { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES, maxVersion: 99n, limit: 0 };
  const locks = mustOk(await storage.txn.scanLock(ctx, request, newDetails()));
  return locks.map((info) => utf8Decode(info.key));
}

const writesOf = ({ regions }: TxnSetup): number =>
  regions.sent.filter(({ kind }) => kind === "write").length;

test("a lock in memory: nothing is proposed, others meet it, a prewrite takes its place", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    assert.is(writesOf(setup), 0);
    assert.not.ok(stored(setup, "k"));
    assert.equal(await scanLocks(setup), ["k"]);
    const blocked = mustFail(await lock(setup, "k", 20n, { waitTimeoutMs: -1 }));
    assert.is(blocked.kind === "keyIsLocked" && blocked.lock.lock.startTs, 10n);
    // Reads pass it.
    mustOk(await setup.storage.txn.get(setup.ctx, enc("k"), 30n, newDetails()));
    await write(setup, "k", 10n, 40n);
    assert.equal(await scanLocks(setup), []);
    const read = await setup.storage.txn.get(setup.ctx, enc("k"), 50n, newDetails());
    assert.equal(mustOk(read).value, utf8("v10"));
    mustOk(await lock(setup, "k", 60n));
  });
});

test("a lock stays visible while the prewrite that takes its place is on its way", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx, regions } = setup;
    mustOk(await lock(setup, "k", 10n));
    regions.holds = true;
    const mutation = { ...put("k", "v"), pessimisticAction: "doPessimisticCheck" } as const;
    const request = prewriteOf(10n, [mutation], { forUpdateTs: 10n });
    const prewritten = storage.txn.run<"prewrite">(ctx, request, newDetails());
    assert.equal(await scanLocks(setup), ["k"]);
    // Proposed: a handover would not write the lock over the prewrite's.
    regions.deliver();
    regions.handOver(setup.left);
    mustOk(await prewritten);
    await settle();
    assert.equal(await scanLocks(setup), ["k"]);
    const blocked = mustFail(await storage.txn.get(ctx, enc("k"), 30n, newDetails()));
    assert.is(blocked.kind === "keyIsLocked" && blocked.lock.lock.type, 0x50);
  });
});

test("a prewrite that is refused leaves the lock in memory", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx, regions } = setup;
    mustOk(await lock(setup, "k", 10n));
    regions.sendResult = "full";
    const mutation = { ...put("k", "v"), pessimisticAction: "doPessimisticCheck" } as const;
    const request = prewriteOf(10n, [mutation], { forUpdateTs: 10n });
    const refused = await storage.txn.run<"prewrite">(ctx, request, newDetails());
    assert.is(mustRefuse(refused).kind, "serverIsBusy");
    regions.sendResult = "sent";
    assert.equal(await scanLocks(setup), ["k"]);
    await write(setup, "k", 10n, 40n);
  });
});

test("a rollback of a lock in memory proposes nothing either", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    mustOk(await rollback(setup, "k", 10n));
    assert.is(writesOf(setup), 0);
    assert.equal(await scanLocks(setup), []);
    mustOk(await lock(setup, "k", 20n, { waitTimeoutMs: -1 }));
  });
});

test("a rollback of all locks of a transaction finds those in memory", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    mustOk(await lock(setup, "a", 10n));
    mustOk(await lock(setup, "k", 10n));
    mustOk(await lock(setup, "b", 20n));
    const all = { kind: "pessimisticRollback", keys: [], startTs: 10n, forUpdateTs: 10n } as const;
    const done = storage.txn.run<"pessimisticRollback">(ctx, all, newDetails());
    await settle();
    setup.timers.runAll();
    mustOk(await done);
    assert.equal(await scanLocks(setup), ["b"]);
  });
});

test("locks in memory end with the leadership, and belong to one version of the region", async () => {
  for (const change of [
    ({ regions, left }: TxnSetup) => {
      regions.depose(left);
      left.isLeader = true;
      left.term += 1n;
    },
    ({ left }: TxnSetup) => {
      left.region = { ...left.region, version: 2n };
    },
  ]) {
    await withTxnRegions(async (setup) => {
      mustOk(await lock(setup, "k", 10n));
      change(setup);
      const ctx = { ...setup.ctx, version: setup.left.region.version };
      const now = { ...setup, ctx };
      assert.equal(await scanLocks(now), []);
      mustOk(await lock(now, "k", 20n, { waitTimeoutMs: -1 }));
    });
  }
});

test("before a handover the locks are written, and new ones too for a while", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    setup.regions.handOver(setup.left);
    await settle();
    assert.ok(stored(setup, "k"));
    assert.equal(await scanLocks(setup), ["k"]);
    mustOk(await lock(setup, "b", 20n));
    await settle();
    assert.ok(stored(setup, "b"));
    setup.clock.advance(10_001);
    mustOk(await lock(setup, "c", 30n));
    await settle();
    assert.not.ok(stored(setup, "c"));
    await write(setup, "k", 10n, 40n);
  });
});

test("above the limits locks are written", async () => {
  for (const limits of [{ inMemoryPeerMaxBytes: 300 }, { inMemoryInstanceMaxBytes: 300 }]) {
    await withTxnRegions(
      async (setup) => {
        mustOk(await lock(setup, "a", 10n));
        mustOk(await lock(setup, "b", 10n));
        await settle();
        assert.not.ok(stored(setup, "a"));
        assert.ok(stored(setup, "b"));
        mustOk(await rollback(setup, "a", 10n));
        mustOk(await lock(setup, "c", 10n));
        await settle();
        assert.not.ok(stored(setup, "c"), "room was given back");
      },
      { txn: { ...STORAGE_DEFAULTS.txn, ...limits } },
    );
  }
});

test("a key with a stored lock keeps it there", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    setup.regions.handOver(setup.left);
    await settle();
    setup.clock.advance(10_001);
    mustOk(await lock(setup, "k", 10n, { forUpdateTs: 15n }));
    await settle();
    assert.is(writesOf(setup), 1);
    mustOk(await rollback(setup, "k", 10n));
    mustOk(await rollback({ ...setup }, "k", 10n));
  });
});

test("pipelined: answered when proposed; else when applied", async () => {
  for (const [options, early] of [
    [WRITTEN, true],
    [SLOW, false],
  ] as const) {
    await withTxnRegions(async (setup) => {
      setup.regions.holds = true;
      const locked = lock(setup, "k", 10n);
      await settle();
      let seen: boolean | undefined;
      void locked.then(() => {
        seen = stored(setup, "k");
      });
      setup.regions.deliver();
      await locked;
      assert.is(seen, !early);
      await settle();
      assert.ok(stored(setup, "k"));
    }, options);
  }
});

test("the release of a lock wakes who waits: WriteConflict at once", async () => {
  for (const options of [{}, WRITTEN]) {
    await withTxnRegions(async (setup) => {
      mustOk(await lock(setup, "k", 10n));
      const details = newDetails();
      const request = lockOf("k", 20n, { waitTimeoutMs: 5000 });
      const waiting = setup.storage.txn.run<"acquirePessimisticLock">(setup.ctx, request, details);
      await settle();
      const [entry] = setup.storage.txn.lockWaits();
      assert.equal([entry?.txn, entry?.waitForTxn], [20n, 10n]);
      assert.is(setup.storage.txn.scheduler.latches.held, 0, "who waits holds no latch");
      setup.clock.advance(7);
      await write(setup, "k", 10n, 40n);
      const conflict = mustFail(await waiting);
      assert.ok(conflict.kind === "writeConflict" && conflict.reason === "pessimisticRetry");
      assert.is(details.lockWaitMs, 7);
      assert.is(setup.storage.txn.lockWaits().length, 0);
    }, options);
  }
});

test("of several that wait the oldest is woken, the others after the delay", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    const ends: bigint[] = [];
    const wait = (startTs: bigint): void => {
      void lock(setup, "k", startTs).then((reply) => {
        assert.is(mustFail(reply).kind, "writeConflict");
        ends.push(startTs);
      });
    };
    for (const startTs of [30n, 20n, 25n]) wait(startTs);
    await settle();
    mustOk(await rollback(setup, "k", 10n));
    await settle();
    assert.equal(ends, [20n]);
    setup.timers.advance(20);
    await settle();
    assert.equal(ends.sort(), [20n, 25n, 30n]);
  });
});

test("a wait ends by its time, at most wait-for-lock-timeout", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    const ends: string[] = [];
    void lock(setup, "k", 20n, { waitTimeoutMs: 300 }).then((r) => ends.push(mustFail(r).kind));
    void lock(setup, "k", 30n, { waitTimeoutMs: 9000 }).then((r) => ends.push(mustFail(r).kind));
    await settle();
    setup.timers.advance(299);
    await settle();
    assert.equal(ends, []);
    setup.timers.advance(1);
    await settle();
    assert.equal(ends, ["keyIsLocked"]);
    setup.timers.advance(700);
    await settle();
    assert.equal(ends, ["keyIsLocked", "keyIsLocked"]);
  });
});

test("a force-lock that was woken runs again and locks with the conflict", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    const waiting = lock(setup, "k", 20n, { allowLockWithConflict: true, returnValues: true });
    await settle();
    await write(setup, "k", 10n, 40n);
    const { results } = mustOk(await waiting);
    const [only] = results;
    assert.ok(only?.type === "lockedWithConflict" && only.conflictTs === 40n);
    assert.equal(only.type === "lockedWithConflict" && only.value, utf8("v10"));
    assert.equal(await scanLocks(setup), ["k"]);
  });
});

test("who was woken to lock comes before those who wait for the latch", async () => {
  await withTxnRegions(async (setup) => {
    const { regions, storage, ctx } = setup;
    mustOk(await lock(setup, "k", 10n));
    regions.handOver(setup.left);
    await settle();
    const forced = lock(setup, "k", 30n, { allowLockWithConflict: true });
    await settle();
    regions.holds = true;
    const released = rollback(setup, "k", 10n);
    // Came before the release, and waits for the same latch.
    const request = prewriteOf(20n, [put("k", "v")]);
    const prewritten = storage.txn.run<"prewrite">(ctx, request, newDetails());
    await settle();
    regions.holds = false;
    regions.deliver();
    mustOk(await released);
    assert.is(mustOk(await forced).results[0]?.type, "empty");
    assert.is(mustOk(await prewritten).locks[0]?.lock.startTs, 30n);
  });
});

test("two transactions that wait for each other: the second is told", async () => {
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "a", 10n, { isFirstLock: true }));
    mustOk(await lock(setup, "b", 20n, { isFirstLock: true }));
    const first = lock(setup, "b", 10n);
    await settle();
    const deadlock = mustFail(await lock(setup, "a", 20n));
    assert.ok(deadlock.kind === "deadlock");
    if (deadlock.kind !== "deadlock") return;
    assert.is(deadlock.lockTs, 10n);
    assert.equal(
      deadlock.waitChain.map(({ txn, waitForTxn }) => [txn, waitForTxn]),
      [
        [10n, 20n],
        [20n, 10n],
      ],
    );
    mustOk(await rollback(setup, "b", 20n));
    assert.is(mustFail(await first).kind, "writeConflict");
  });
});

test("who waits is answered when the storage closes", async () => {
  let waiting: Promise<TxnReply<AcquirePessimisticLockResult>> | undefined;
  await withTxnRegions(async (setup) => {
    mustOk(await lock(setup, "k", 10n));
    waiting = lock(setup, "k", 20n);
    await settle();
  });
  assert.is(mustFail(await (waiting as NonNullable<typeof waiting>)).kind, "keyIsLocked");
});

test.run();

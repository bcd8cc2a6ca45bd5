/** The scheduler's frame: what is held from when to when, what is refused, and when answers come. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { STORAGE_DEFAULTS, type TxnReply } from "../../../src/storage/index.js";
import type { PrewriteRequest, PrewriteResult } from "../../../src/txn/index.js";
import { LogLines } from "../../support/log_lines.js";
import {
  commitOf,
  enc,
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

const ASYNC = { useAsyncCommit: true, secondaries: [] } as const;

function prewrite(
  { storage, ctx }: Pick<TxnSetup, "storage" | "ctx">,
  startTs: bigint,
  key: string,
  fields: Partial<PrewriteRequest> = {},
): Promise<TxnReply<PrewriteResult>> {
  const request = prewriteOf(startTs, [put(key, `v${startTs}`)], { primary: utf8(key), ...fields });
  return storage.txn.run<"prewrite">(ctx, request, newDetails());
}

/** Lets max_ts be known for the region. */
async function sync(setup: TxnSetup): Promise<void> {
  await prewrite(setup, 1n, "a");
  await settle();
}

async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  await settle();
  return done;
}

test("a read before an async commit raises its min_commit_ts", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx } = setup;
    mustOk(await storage.txn.get(ctx, enc("k"), 5000n, newDetails()));
    const { minCommitTs } = mustOk(await prewrite(setup, 100n, "k", ASYNC));
    assert.is(minCommitTs, 5001n);
  });
});

test("a read while an async commit is being written meets its lock in memory", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx, regions } = setup;
    regions.holds = true;
    const written = prewrite(setup, 2000n, "k", ASYNC);
    assert.is(storage.txn.concurrencyManager.size, 1);
    const blocked = mustFail(await storage.txn.get(ctx, enc("k"), 3000n, newDetails()));
    assert.is(blocked.kind === "keyIsLocked" && blocked.lock.lock.startTs, 2000n);
    const scan = { startKey: enc("a"), endKey: enc("m"), version: 3000n, limit: 9 };
    const scanned = await storage.txn.scan(
      ctx,
      { ...scan, keyOnly: false, reverse: false, sampleStep: 0 },
      newDetails(),
    );
    assert.is(mustFail(scanned).kind, "keyIsLocked");
    // Below its min_commit_ts nothing can be missed.
    mustOk(await storage.txn.get(ctx, enc("k"), 2000n, newDetails()));
    mustOk(await storage.txn.get({ ...ctx, isolation: "rc" }, enc("k"), 3000n, newDetails()));
    regions.deliver();
    const { minCommitTs } = mustOk(await written);
    assert.ok(minCommitTs > 2000n && minCommitTs <= 3000n);
    assert.is(storage.txn.concurrencyManager.size, 0, "the guard is gone");
    const stored = mustFail(await storage.txn.get(ctx, enc("k"), 3000n, newDetails()));
    assert.is(stored.kind, "keyIsLocked");
  });
});

test("a memory lock outlives the answer of an async-apply prewrite, not the write", async () => {
  const txn = { ...STORAGE_DEFAULTS.txn, asyncApplyPrewrite: true };
  await withTxnRegions(
    async (setup) => {
      await sync(setup);
      const { storage, ctx, regions } = setup;
      regions.holds = true;
      const answered = prewrite(setup, 2000n, "k", ASYNC);
      const hold = regions.sent.length;
      assert.ok(hold > 0);
      // Committed, and not applied: the fake engine applies in a later turn.
      regions.deliver();
      const reply = await answered;
      assert.ok(reply.ok);
      const before = storage.txn.get(ctx, enc("k"), 9000n, newDetails());
      assert.is(mustFail(await before).kind, "keyIsLocked");
      await settle();
      assert.is(storage.txn.concurrencyManager.size, 0);
      assert.is(storage.txn.scheduler.latches.held, 0);
    },
    { txn },
  );
});

test("commands that share a key run one after the other, in the order in which they came", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, regions } = setup;
    regions.holds = true;
    const first = prewrite(setup, 10n, "k");
    const second = prewrite(setup, 20n, "k");
    const third = prewrite(setup, 30n, "k");
    const other = prewrite(setup, 40n, "b");
    assert.is(storage.txn.scheduler.latches.waiting, 2);
    const writes = regions.sent.filter(({ kind }) => kind === "write").length;
    assert.is(writes, 2, "the first of each key is under way");
    regions.deliver(1);
    assert.equal(mustOk(await first).locks, []);
    for (const blocked of [await second, await third]) {
      assert.is(mustOk(blocked).locks[0]?.lock.startTs, 10n);
    }
    regions.deliver();
    mustOk(await other);
    assert.is(storage.txn.scheduler.running, 0);
    assert.is(storage.txn.scheduler.memoryUse.usedBytes, 0);
    assert.is(storage.txn.scheduler.latches.held, 0);
  });
});

test("many commands that wait for one latch end without a deep stack", async () => {
  await withTxnRegions(async (setup) => {
    setup.regions.holds = true;
    const first = prewrite(setup, 10n, "k");
    const rest = Array.from({ length: 2000 }, (_, i) => prewrite(setup, 11n + BigInt(i), "k"));
    setup.regions.deliver();
    mustOk(await first);
    for (const reply of await Promise.all(rest)) assert.is(mustOk(reply).locks.length, 1);
  });
});

test("too many bytes of writes, or of commands: ServerIsBusy, and later not any more", async () => {
  const txn = { ...STORAGE_DEFAULTS.txn, memoryQuotaBytes: 1 };
  for (const options of [{ schedulerPendingWriteThresholdBytes: 1 }, { txn }]) {
    await withTxnRegions(async (setup) => {
      setup.regions.holds = true;
      const first = prewrite(setup, 10n, "k");
      const refused = mustRefuse(await prewrite(setup, 20n, "b"));
      assert.ok(refused.kind === "serverIsBusy" && refused.reason === "scheduler is busy");
      setup.regions.deliver();
      mustOk(await first);
      setup.regions.holds = false;
      mustOk(await prewrite(setup, 20n, "b"));
    }, options);
  }
});

test("a write that is refused gives back latches and memory locks; the client tries again", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, regions, left } = setup;
    regions.holds = true;
    const lost = prewrite(setup, 2000n, "k", ASYNC);
    assert.is(storage.txn.concurrencyManager.size, 1);
    regions.depose(left);
    assert.is(storage.txn.concurrencyManager.size, 1, "held until the outcome is known");
    regions.deliver();
    assert.is(mustRefuse(await lost).kind, "notLeader");
    assert.is(storage.txn.concurrencyManager.size, 0);
    assert.is(storage.txn.scheduler.latches.held, 0);
    assert.is(mustRefuse(await prewrite(setup, 2000n, "k")).kind, "notLeader");
    regions.holds = false;
    left.isLeader = true;
    mustOk(await prewrite(setup, 2000n, "k"));
  });
});

test("what waited for the log while leadership moved away and back sees nothing and writes nothing", async () => {
  await withTxnRegions(async (setup) => {
    const { regions, left } = setup;
    left.hasLease = false;
    regions.holds = true;
    const waiting = prewrite(setup, 10n, "k");
    await settle(2);
    left.term += 2n;
    regions.deliver();
    assert.is(mustRefuse(await waiting).kind, "staleCommand");
    assert.not.ok(regions.sent.some(({ kind }) => kind === "write"));
  });
});

test("a write carries the term of its snapshot", async () => {
  await withTxnRegions(async (setup) => {
    setup.regions.holds = true;
    const waiting = prewrite(setup, 10n, "k");
    setup.left.term += 2n;
    setup.regions.deliver();
    assert.is(mustRefuse(await waiting).kind, "staleCommand");
  });
});

test("a request whose time is over when it gets its latches: deadline is exceeded", async () => {
  await withTxnRegions(async (setup) => {
    const { clock, regions, storage, ctx } = setup;
    regions.holds = true;
    const first = prewrite(setup, 10n, "k");
    const late = prewrite({ storage, ctx: { ...ctx, maxExecutionMs: 50 } }, 20n, "k");
    clock.advance(51);
    regions.deliver();
    mustOk(await first);
    const busy = mustRefuse(await late);
    assert.is(busy.kind === "serverIsBusy" && busy.reason, "deadline is exceeded");
    assert.is(busy.message, "Deadline is exceeded");
    assert.is(storage.txn.scheduler.latches.held, 0);
  });
});

test("async commit and 1PC wait until max_ts covers what earlier leaders have read", async () => {
  await withTxnRegions(async (setup) => {
    const { pd, left, storage } = setup;
    for (const [startTs, fields] of [
      [10n, ASYNC],
      [2000n, { tryOnePc: true }],
    ] as const) {
      left.term += 1n;
      const refused = mustRefuse(await prewrite(setup, startTs, "k", fields));
      assert.is(refused.kind, "maxTimestampNotSynced");
      await settle();
      const { maxTs } = storage.txn.concurrencyManager;
      assert.ok(maxTs > 1000n, "PD was asked");
      const { minCommitTs, onePcCommitTs } = mustOk(await prewrite(setup, startTs, "k", fields));
      const decided = onePcCommitTs === 0n ? minCommitTs : onePcCommitTs;
      assert.ok(decided > maxTs, "above what PD had given");
      const commit = commitOf(["k"], startTs, decided);
      mustOk(await storage.txn.run<"commit">(setup.ctx, commit, newDetails()));
    }
    // PD is away: two phases go on.
    pd.failure = { kind: "unavailable", message: "no pd" };
    left.term += 1n;
    for (let i = 0; i < 3; i++) {
      const refused = mustRefuse(await prewrite(setup, 9000n, "b", ASYNC));
      assert.is(refused.kind, "maxTimestampNotSynced");
      await settle();
    }
    mustOk(await prewrite(setup, 9000n, "b"));
    pd.failure = undefined;
    await settle();
  });
});

test("a transaction that is told to be committed is known; what cannot be is not", async () => {
  const late = prewriteOf(10n, [put("k", "late")], { forUpdateTs: 20n });
  for (const [commitTs, isKnown] of [
    [30n, true],
    [10n, false],
    [0n, false],
  ] as const) {
    await withTxnRegions(async ({ storage, ctx }) => {
      const other = prewriteOf(12n, [put("k", "1")]);
      mustOk(await storage.txn.run<"prewrite">(ctx, other, newDetails()));
      mustOk(await storage.txn.run<"commit">(ctx, commitOf(["k"], 12n, 25n), newDetails()));
      storage.txn.noteTxnStatus([{ startTs: 10n, commitTs }]);
      const reply = await storage.txn.run<"prewrite">(ctx, late, newDetails());
      assert.is(reply.ok, !isKnown, `commit_ts ${commitTs}`);
      if (isKnown) assert.is(mustFail(reply).kind, "pessimisticLockNotFound");
    });
  }
});

test("a slow command is logged with what it cost", async () => {
  const log = new LogLines();
  await withTxnRegions(
    async (setup) => {
      setup.regions.holds = true;
      const slow = prewrite(setup, 10n, "k");
      setup.clock.advance(1500);
      setup.regions.deliver();
      mustOk(await slow);
      const line = log.lines.find(({ message }) => message === "slow command");
      assert.is(line?.fields["command"], "prewrite");
      assert.is(line?.fields["write_ms"], 1500);
      assert.is(line?.fields["total_ms"], 1500);
      assert.match(String(line?.fields["write_scan"]), /^(get|seek) \d+/);
    },
    {},
    log,
  );
});

test("a finished command is awaited by nobody", async () => {
  await withTxnRegions(async (setup) => {
    assert.ok(await isDone(prewrite(setup, 10n, "k")));
    assert.is(setup.storage.running, 0);
  });
});

test.run();

/** Commands that run together: what they share, and that each is answered as if it had come alone. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng, utf8 } from "../../../src/base/index.js";
import { dataKey, keyAppendTs } from "../../../src/codec/index.js";
import type { Engine } from "../../../src/engine/index.js";
import { STORAGE_DEFAULTS, type TxnContext, type TxnReply } from "../../../src/storage/index.js";
import type {
  CommitRequest,
  CommitResult,
  Mutation,
  PrewriteRequest,
  PrewriteResult,
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
  txnContext,
  withTxnRegions,
} from "../../support/txn_regions.js";

const ONE_PC = { tryOnePc: true } as const;
const ASYNC = { useAsyncCommit: true, secondaries: [] } as const;

type Request = PrewriteRequest | CommitRequest;
type Result = PrewriteResult & CommitResult;
type Command = Parameters<TxnSetup["storage"]["txn"]["runTogether"]>[1][number];

/** Runs requests of one kind together; the answers in their order. */
function together(
  { storage }: TxnSetup,
  ctx: TxnContext,
  requests: readonly Request[],
): Promise<TxnReply<Result>[]> {
  const commands: Command[] = [];
  const replies = requests.map((request) => {
    return new Promise<TxnReply<Result>>((answer, fail) => {
      commands.push({ request, details: newDetails(), answer, fail } as unknown as Command);
    });
  });
  storage.txn.runTogether(ctx, commands);
  return Promise.all(replies);
}

/** The same requests, each by itself, at once. */
function alone(
  { storage }: TxnSetup,
  ctx: TxnContext,
  requests: readonly Request[],
): Promise<TxnReply<Result>[]> {
  const run = (request: Request) => storage.txn.run(ctx, request as never, newDetails());
  return Promise.all(requests.map(run)) as Promise<TxnReply<Result>[]>;
}

/** The answer of request `i`. */
function at(replies: readonly TxnReply<Result>[], i: number): TxnReply<Result> {
  const reply = replies[i];
  assert.ok(reply !== undefined, `request ${i} is answered`);
  return reply as TxnReply<Result>;
}

const single = (startTs: bigint, key: string, fields: Partial<PrewriteRequest> = {}) =>
  prewriteOf(startTs, [put(key, `${key}@${startTs}`)], { primary: utf8(key), ...fields });

/** Lets max_ts be known for the region. */
async function sync({ storage, ctx }: TxnSetup): Promise<void> {
  await storage.txn.run<"prewrite">(ctx, single(1n, "a", ONE_PC), newDetails());
  await settle();
}

const writesOf = ({ regions }: TxnSetup): number =>
  regions.sent.filter(({ kind }) => kind === "write").length;

function assertIdle({ storage }: TxnSetup): void {
  const { concurrencyManager, scheduler } = storage.txn;
  assert.is(concurrencyManager.size, 0, "no key is held in memory");
  assert.is(scheduler.latches.held, 0, "no latch is held");
  assert.is(scheduler.latches.waiting, 0, "nobody waits for a latch");
  assert.is(scheduler.running, 0, "no command is under way");
  assert.is(scheduler.memoryUse.usedBytes, 0, "no memory is held");
}

async function newestOf({ storage, ctx }: TxnSetup, key: string): Promise<string | undefined> {
  const { value } = mustOk(await storage.txn.get(ctx, enc(key), 9000n, newDetails()));
  return value && Buffer.from(value).toString();
}

test("many transactions of one phase: one write, and each its own commit", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const before = writesOf(setup);
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
    const startTs = (i: number): bigint => 2000n + 2n * BigInt(i);
    const requests = keys.map((key, i) => single(startTs(i), key, ONE_PC));
    for (const [i, reply] of (await together(setup, setup.ctx, requests)).entries()) {
      assert.ok(mustOk(reply).onePcCommitTs > startTs(i), `transaction ${i}`);
    }
    assert.is(writesOf(setup) - before, 1);
    for (const [i, key] of keys.entries()) {
      assert.is(await newestOf(setup, key), `${key}@${startTs(i)}`);
    }
    assertIdle(setup);
  });
});

test("one of many conflicts, is locked, waits for a latch, is elsewhere, is invalid", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx, regions } = setup;
    for (const reply of await alone(setup, ctx, [
      single(3000n, "fresh", ONE_PC),
      single(3000n, "b"),
    ])) {
      mustOk(reply);
    }
    mustOk(await storage.txn.get(ctx, enc("a"), 5000n, newDetails()));
    regions.holds = true;
    const first = alone(setup, ctx, [single(2000n, "d")]);
    const before = writesOf(setup);
    const all = together(setup, ctx, [
      single(2010n, "c1", ONE_PC),
      single(2010n, "fresh", ONE_PC),
      single(2010n, "b", ONE_PC),
      single(2010n, "d", ONE_PC),
      single(2010n, "z", ONE_PC),
      prewriteOf(2010n, [put("e", "1"), put("e", "2")], ONE_PC),
      single(2010n, "c2", ASYNC),
      single(2010n, "c3"),
      single(2020n, "c1", ONE_PC),
    ]);
    assert.is(writesOf(setup) - before, 1, "three keys in one write");
    assert.is(storage.txn.concurrencyManager.size, 2, "1PC and async commit are held in memory");
    assert.is(storage.txn.scheduler.latches.waiting, 2, "of d, and the second of c1");
    const meanwhile = await storage.txn.get(ctx, enc("c1"), 9000n, newDetails());
    assert.is(mustFail(meanwhile).kind, "keyIsLocked");
    regions.holds = false;
    regions.deliver();
    mustOk(at(await first, 0));
    const replies = await all;
    const { onePcCommitTs } = mustOk(at(replies, 0));
    assert.is(onePcCommitTs, 5001n);
    assert.is(mustFail(at(replies, 1)).kind, "writeConflict");
    assert.is(mustOk(at(replies, 2)).locks[0]?.lock.startTs, 3000n);
    assert.is(mustOk(at(replies, 3)).locks[0]?.lock.startTs, 2000n, "seen behind the latch");
    assert.is(mustRefuse(at(replies, 4)).kind, "keyNotInRegion");
    assert.is(mustFail(at(replies, 5)).kind, "invalidRequest");
    assert.ok(mustOk(at(replies, 6)).minCommitTs > 2010n);
    assert.is(mustOk(at(replies, 7)).minCommitTs, 0n);
    const late = mustFail(at(replies, 8));
    assert.is(late.kind === "writeConflict" && late.conflictCommitTs, onePcCommitTs);
    await settle();
    assertIdle(setup);
  });
});

test("a wrong epoch: all are refused alike, and nothing is held", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { ctx } = setup;
    const before = writesOf(setup);
    const requests = ["b", "c", "d"].map((key) => single(2000n, key, ONE_PC));
    for (const reply of await together(setup, { ...ctx, version: 9n }, requests)) {
      assert.is(mustRefuse(reply).kind, "epochNotMatch");
    }
    assert.is(writesOf(setup), before);
    assertIdle(setup);
    for (const reply of await together(setup, ctx, requests)) mustOk(reply);
  });
});

test("a refused write fails its commands, gives everything back, touches no other region", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx, regions, left, right } = setup;
    regions.holds = true;
    const here = together(setup, ctx, [single(2000n, "b", ONE_PC), single(2000n, "c", ASYNC)]);
    const elsewhere = txnContext(regions, right);
    const there = together(setup, elsewhere, [single(2000n, "x"), single(2001n, "y")]);
    assert.is(storage.txn.concurrencyManager.size, 2);
    regions.depose(left);
    assert.is(storage.txn.concurrencyManager.size, 2, "held until the outcome is known");
    regions.deliver();
    for (const reply of await here) assert.is(mustRefuse(reply).kind, "notLeader");
    for (const reply of await there) mustOk(reply);
    assertIdle(setup);
    left.isLeader = true;
    regions.holds = false;
    const again = [single(2000n, "b"), single(2000n, "c")];
    for (const reply of await together(setup, ctx, again)) assert.equal(mustOk(reply).locks, []);
  });
});

test("a write carries the term of the snapshot", async () => {
  await withTxnRegions(async (setup) => {
    const { ctx, left, regions } = setup;
    regions.holds = true;
    const all = together(setup, ctx, [single(10n, "b"), single(11n, "c")]);
    left.term += 2n;
    regions.deliver();
    for (const reply of await all) assert.is(mustRefuse(reply).kind, "staleCommand");
    assertIdle(setup);
  });
});

test("without a lease they wait for the log together; leadership that moved meanwhile fails all", async () => {
  await withTxnRegions(async (setup) => {
    const { ctx, left, regions, storage } = setup;
    left.hasLease = false;
    regions.holds = true;
    const requests = [single(10n, "b"), single(11n, "c"), single(12n, "zz")];
    const refused = together(setup, ctx, requests);
    assert.is(storage.txn.scheduler.latches.held, 3);
    await settle(2);
    left.term += 2n;
    regions.deliver();
    for (const reply of await refused) assert.is(mustRefuse(reply).kind, "staleCommand");
    assert.is(writesOf(setup), 0);
    assertIdle(setup);
    const all = together(setup, ctx, requests);
    await settle(2);
    regions.deliver();
    await settle(2);
    assert.is(writesOf(setup), 1);
    regions.deliver();
    const replies = await all;
    mustOk(at(replies, 0));
    mustOk(at(replies, 1));
    assert.is(mustRefuse(at(replies, 2)).kind, "keyNotInRegion");
    assertIdle(setup);
  });
});

test("rules that throw fail one command, and only that", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { ctx, engine, storage } = setup;
    const batch = engine.newWriteBatch();
    batch.put("lock", dataKey(enc("damaged")), utf8("?"));
    batch.put("write", dataKey(keyAppendTs(enc("error"), 9n)), utf8("?"));
    await engine.write(batch, { sync: false });
    const outcomes: string[] = [];
    const commands = ["b", "damaged", "c", "error"].map((key) => ({
      request: single(2000n, key, ONE_PC),
      details: newDetails(),
      answer: (reply: TxnReply<PrewriteResult>) => {
        outcomes.push(`${key} ${mustOk(reply).onePcCommitTs > 2000n}`);
      },
      fail: () => outcomes.push(`${key} failed`),
    }));
    storage.txn.runTogether<"prewrite">(ctx, commands);
    await settle();
    assert.equal(outcomes.sort(), ["b true", "c true", "damaged failed", "error failed"]);
    assertIdle(setup);
  });
});

test("writes are bounded by bytes, groups by commands; what is too large fails alone", async () => {
  const bytes = 64 * 1024;
  await withTxnRegions(
    async (setup) => {
      await sync(setup);
      const { ctx } = setup;
      const large = (key: string, length: number): PrewriteRequest =>
        prewriteOf(2000n, [put(key, "v".repeat(length))], { primary: utf8(key) });
      let before = writesOf(setup);
      const sizes = [20, 20, 70, 10, 20].map((kib, i) => large(`b${i}`, kib * 1024));
      const replies = await together(setup, ctx, sizes);
      for (const i of [0, 1, 3, 4]) assert.equal(mustOk(at(replies, i)).locks, []);
      assert.is(mustRefuse(at(replies, 2)).kind, "raftEntryTooLarge");
      assert.is(writesOf(setup) - before, 3, "each below half an entry");
      before = writesOf(setup);
      const many = Array.from({ length: 300 }, (_, i) => single(2000n, `c${i}`, ONE_PC));
      for (const reply of await together(setup, ctx, many)) mustOk(reply);
      assert.is(writesOf(setup) - before, 2);
      assertIdle(setup);
    },
    { raftEntryMaxSizeBytes: bytes },
  );
});

test("too much under way: some are refused as busy, the others go on", async () => {
  const txn = { ...STORAGE_DEFAULTS.txn, memoryQuotaBytes: 1000 };
  for (const options of [{ schedulerPendingWriteThresholdBytes: 1000 }, { txn }]) {
    await withTxnRegions(async (setup) => {
      const { ctx } = setup;
      const requests = ["b", "c", "d"].map((key) => single(10n, key));
      const replies = await together(setup, ctx, requests);
      mustOk(at(replies, 0));
      mustOk(at(replies, 1));
      assert.is(mustRefuse(at(replies, 2)).kind, "serverIsBusy");
      assertIdle(setup);
      mustOk(at(await together(setup, ctx, requests.slice(2)), 0));
    }, options);
  }
});

test("a timestamp far ahead of PD's clock is asked about, alone", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx } = setup;
    storage.txn.start();
    await settle();
    const far = 1n << 62n;
    const replies = await together(setup, ctx, [
      single(2000n, "b", ONE_PC),
      prewriteOf(far, [put("c", "v", "insert")], { primary: utf8("c") }),
    ]);
    assert.ok(mustOk(at(replies, 0)).onePcCommitTs < far);
    assert.match(mustRefuse(at(replies, 1)).message, /^invalid max_ts update/);
    assertIdle(setup);
  });
});

test("with async apply they are answered when committed, and held in memory until applied", async () => {
  const txn = { ...STORAGE_DEFAULTS.txn, asyncApplyPrewrite: true };
  await withTxnRegions(
    async (setup) => {
      await sync(setup);
      const { storage, ctx, regions } = setup;
      regions.holds = true;
      const all = together(setup, ctx, [single(2000n, "b", ASYNC), single(2001n, "c", ONE_PC)]);
      regions.deliver();
      for (const reply of await all) assert.ok(reply.ok);
      const read = await storage.txn.get(ctx, enc("b"), 9000n, newDetails());
      assert.is(mustFail(read).kind, "keyIsLocked");
      await settle();
      assertIdle(setup);
    },
    { txn },
  );
});

test("locks in memory give way to the prewrites of their transactions, those of others do not", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx, regions } = setup;
    for (const [key, startTs] of [
      ["b", 2000n],
      ["c", 2001n],
      ["d", 2002n],
    ] as const) {
      mustOk(
        await storage.txn.run<"acquirePessimisticLock">(ctx, lockOf(key, startTs), newDetails()),
      );
    }
    const held = (key: string, startTs: bigint): PrewriteRequest => {
      const mutation: Mutation = { ...put(key, "v"), pessimisticAction: "doPessimisticCheck" };
      return prewriteOf(startTs, [mutation], { primary: utf8(key), forUpdateTs: startTs });
    };
    regions.holds = true;
    const before = writesOf(setup);
    const all = together(setup, ctx, [held("b", 2000n), held("c", 2001n), single(2003n, "d")]);
    assert.is(writesOf(setup) - before, 1);
    regions.depose(setup.left);
    regions.deliver();
    const refused = await all;
    assert.is(mustRefuse(at(refused, 0)).kind, "notLeader");
    assert.is(mustOk(at(refused, 2)).locks[0]?.lock.startTs, 2002n);
    await settle();
    assertIdle(setup);
  });
});

test("commits together: one write, and who waits for a lock is woken", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx } = setup;
    for (const reply of await together(setup, ctx, [single(2000n, "b"), single(2001n, "c")])) {
      mustOk(reply);
    }
    const waiting = storage.txn.run<"acquirePessimisticLock">(
      ctx,
      lockOf("b", 2005n, { waitTimeoutMs: 1000, allowLockWithConflict: true, forUpdateTs: 2005n }),
      newDetails(),
    );
    await settle();
    assert.is(storage.txn.lockWaits().length, 1);
    const before = writesOf(setup);
    const replies = await together(setup, ctx, [
      commitOf(["b"], 2000n, 2010n),
      commitOf(["c"], 2001n, 2011n),
      commitOf(["d"], 2002n, 2012n),
    ]);
    assert.is(mustOk(at(replies, 0)).commitTs, 2010n);
    assert.is(mustOk(at(replies, 1)).commitTs, 2011n);
    assert.is(mustFail(at(replies, 2)).kind, "txnLockNotFound");
    assert.is(writesOf(setup) - before, 1);
    const { results } = mustOk(await waiting) as { results: readonly { type: string }[] };
    assert.is(results[0]?.type, "lockedWithConflict");
    await settle();
    assertIdle(setup);
  });
});

test("a store that stops refuses new ones, and answers those under way", async () => {
  await withTxnRegions(async (setup) => {
    await sync(setup);
    const { storage, ctx, regions, left } = setup;
    regions.holds = true;
    const written = together(setup, ctx, [single(2000n, "b", ONE_PC), single(2001n, "c", ONE_PC)]);
    left.hasLease = false;
    const asking = together(setup, ctx, [single(2000n, "d"), single(2001n, "e")]);
    await settle(2);
    const stopped = storage.stop();
    for (const reply of await together(setup, ctx, [single(2000n, "f")])) {
      assert.is(mustRefuse(reply).message, "TiKV is Closing");
    }
    regions.deliver();
    for (const reply of await written) mustOk(reply);
    for (const reply of await asking) mustRefuse(reply);
    await stopped;
    assertIdle(setup);
  });
});

/** Everything that the engine holds. */
function contentsOf(engine: Engine): string[] {
  const snapshot = engine.snapshot();
  const lines: string[] = [];
  for (const cf of ["default", "lock", "write"] as const) {
    const iter = snapshot.iterate(cf, { lower: utf8(""), upper: utf8("") });
    for (let on = iter.seekToFirst(); on; on = iter.next()) {
      lines.push(
        `${cf} ${Buffer.from(iter.key()).toString("hex")} ${Buffer.from(iter.value()).toString("hex")}`,
      );
    }
    iter.close();
  }
  snapshot.close();
  return lines;
}

const shown = (reply: TxnReply<unknown>): string =>
  JSON.stringify(reply, (_key, value: unknown) => {
    if (typeof value === "bigint") return `${value}`;
    return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
  });

/**
 * Requests of transactions that meet those of other rounds on a few keys. In a round each key occurs
 * once: who gets a latch first when a command ends without a write is nobody's promise.
 */
function someRequests(prng: Prng, round: number): Request[] {
  const free = Array.from({ length: 16 }, (_, i) => `k${i}`);
  const kinds: Partial<PrewriteRequest>[] = [{}, ONE_PC, ASYNC, { skipConstraintCheck: true }];
  const isCommit = prng.ratio(1, 3);
  return Array.from({ length: prng.range(2, 9) }, () => {
    const startTs = 5000n + BigInt(10 * prng.range(Math.max(0, round - 3), round + 1));
    const count = prng.ratio(1, 3) ? prng.range(2, 4) : 1;
    const keys = Array.from({ length: Math.min(count, free.length) }, () => {
      return free.splice(prng.below(free.length), 1)[0] as string;
    });
    if (keys.length === 0 || prng.ratio(1, 20)) keys.push(`z${free.length}`);
    if (isCommit) return commitOf(keys, startTs, startTs + BigInt(prng.range(1, 9)));
    const ops: Mutation["op"][] = ["put", "put", "delete", "lock", "insert", "checkNotExists"];
    const mutations = keys.map((key) => ({
      ...put(key, `v${startTs}`.repeat(prng.ratio(1, 8) ? 60 : 1), prng.pick(ops)),
      assertion: prng.pick(["none", "none", "exist", "notExist"] as const),
    }));
    const maxCommitTs = prng.ratio(1, 10) ? startTs + 5n : 0n;
    const assertionLevel = prng.pick(["off", "fast", "strict"] as const);
    const fields = { ...prng.pick(kinds), primary: utf8(keys[0] as string), maxCommitTs };
    return prewriteOf(startTs, mutations, { ...fields, assertionLevel });
  });
}

test("random requests: together and alone they answer and write the same", async () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 30; seed++) {
    await withTxnRegions(async (one) => {
      await withTxnRegions(async (other) => {
        for (const setup of [one, other]) {
          await sync(setup);
          // max_ts is above all of them, so that the order of checks for it does not matter.
          mustOk(await setup.storage.txn.get(setup.ctx, enc("a"), 9000n, newDetails()));
        }
        const prng = new Prng(BigInt(seed));
        for (let round = 0; round < 25; round++) {
          const requests = someRequests(prng, round);
          const expected = await alone(one, one.ctx, requests);
          const replies = await together(other, other.ctx, requests);
          await settle();
          const context = `seed ${seed}, round ${round}`;
          assert.equal(replies.map(shown), expected.map(shown), context);
          assert.equal(contentsOf(other.engine), contentsOf(one.engine), context);
          assertIdle(other);
          for (const reply of replies) {
            const what = outcomeOf(reply);
            seen.set(what, (seen.get(what) ?? 0) + 1);
          }
        }
      });
    });
  }
  for (const what of ["done", "locked", "writeConflict", "keyNotInRegion", "txnLockNotFound"]) {
    assert.ok((seen.get(what) ?? 0) > 20, `${what}: ${JSON.stringify([...seen])}`);
  }
});

function outcomeOf(reply: TxnReply<Result>): string {
  if (!reply.ok) return reply.error.error.kind;
  return (reply.value.locks?.length ?? 0) > 0 ? "locked" : "done";
}

test.run();

/** Transactions through the facade: two phases, reads, scans, locks, refusals. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8, utf8Decode } from "../../../src/base/index.js";
import { API_VERSION, type ApiVersion, composeTs, TS_MAX } from "../../../src/codec/index.js";
import type { TxnPair, TxnReply } from "../../../src/storage/index.js";
import type { TxnCommandKind } from "../../../src/txn/index.js";
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

async function write(setup: TxnSetup, startTs: bigint, commitTs: bigint, ...keys: string[]) {
  const { storage, ctx } = setup;
  const mutations = keys.map((key) => put(key, `${key}@${startTs}`));
  const locked = await storage.txn.run<"prewrite">(
    ctx,
    prewriteOf(startTs, mutations, { primary: utf8(keys[0] as string) }),
    newDetails(),
  );
  assert.equal(mustOk(locked).locks, []);
  mustOk(await storage.txn.run<"commit">(ctx, commitOf(keys, startTs, commitTs), newDetails()));
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && utf8Decode(bytes);
const scanOf = (version: bigint, fields = {}) => ({
  startKey: EMPTY_BYTES,
  endKey: enc("m"),
  version,
  limit: 100,
  keyOnly: false,
  reverse: false,
  sampleStep: 0,
  ...fields,
});
const values = (reply: TxnReply<readonly TxnPair[]>): string[] =>
  mustOk(reply).map((pair) => ("value" in pair ? utf8Decode(pair.value) : pair.error.kind));

test("two phases: the value is there at its commit_ts, not before", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    await write(setup, 10n, 20n, "k");
    for (const [ts, expected] of [
      [19n, undefined],
      [20n, "k@10"],
      [30n, "k@10"],
    ] as const) {
      const details = newDetails();
      const got = mustOk(await storage.txn.get(ctx, enc("k"), ts, details));
      assert.is(text(got.value), expected);
      assert.is(got.commitTs, expected === undefined ? 0n : 20n);
    }
    assert.ok(storage.txn.concurrencyManager.maxTs >= 30n);
  });
});

test("under the lease a get answers in its turn", async () => {
  await withTxnRegions(async (setup) => {
    const reply = setup.storage.txn.get(setup.ctx, enc("k"), 5n, newDetails());
    assert.not.instance(reply, Promise);
  });
});

test("a lock of another transaction stops a get, and stands in the pair of a batch or scan", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    await write(setup, 10n, 20n, "a", "c");
    const request = prewriteOf(25n, [put("b", "x")], { primary: utf8("b") });
    mustOk(await storage.txn.run<"prewrite">(ctx, request, newDetails()));
    const error = mustFail(await storage.txn.get(ctx, enc("b"), 30n, newDetails()));
    assert.ok(error.kind === "keyIsLocked" && error.lock.lock.startTs === 25n);
    const keys = ["a", "b", "bb", "c"].map(enc);
    const batch = await storage.txn.batchGet(ctx, keys, 30n, newDetails());
    assert.equal(values(batch), ["a@10", "keyIsLocked", "c@10"]);
    const scanned = await storage.txn.scan(ctx, scanOf(30n), newDetails());
    assert.equal(values(scanned), ["a@10", "keyIsLocked", "c@10"]);
    const passing = { ...ctx, resolvedLocks: [25n] };
    assert.equal(values(await storage.txn.scan(passing, scanOf(30n), newDetails())), [
      "a@10",
      "c@10",
    ]);
    const backward = scanOf(24n, { startKey: enc("m"), endKey: EMPTY_BYTES, reverse: true });
    assert.equal(values(await storage.txn.scan(ctx, backward, newDetails())), ["c@10", "a@10"]);
    const locks = await storage.txn.scanLock(
      ctx,
      { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES, maxVersion: 30n, limit: 0 },
      newDetails(),
    );
    assert.equal(
      mustOk(locks).map(({ key }) => utf8Decode(key)),
      ["b"],
    );
  });
});

test("a batch get of many keys is read in slices, from one snapshot", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    const keys = Array.from({ length: 600 }, (_, i) => `a${String(i).padStart(4, "0")}`);
    await write(setup, 10n, 20n, ...keys);
    const wanted = keys.map(enc);
    const reading = storage.txn.batchGet(ctx, wanted, 30n, newDetails());
    assert.instance(reading, Promise);
    assert.equal(
      values(await reading),
      keys.map((key) => `${key}@10`),
    );
    const late = storage.txn.batchGet({ ...ctx, maxExecutionMs: 5 }, wanted, 30n, newDetails());
    setup.clock.advance(5);
    const busy = mustRefuse(await late);
    assert.is(busy.kind === "serverIsBusy" && busy.reason, "deadline is exceeded");
    assert.is(busy.message, "Deadline is exceeded");
    const outside = await storage.txn.batchGet(ctx, [...wanted, enc("x")], 30n, newDetails());
    assert.is(mustRefuse(outside).kind, "keyNotInRegion");
  });
});

test("a read far ahead of PD's clock is refused and raises nothing; PD is asked once more", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx, pd, clock } = setup;
    const { maxTs } = storage.txn;
    const ts = (ms: number): bigint => composeTs(BigInt(ms), 0n);
    pd.nextTs = ts(1_000_000);
    maxTs.start();
    await settle();
    mustOk(await storage.txn.get(ctx, enc("k"), ts(1_060_000), newDetails()));
    const before = storage.txn.concurrencyManager.maxTs;
    const refused = mustRefuse(await storage.txn.get(ctx, enc("k"), ts(1_060_100), newDetails()));
    const limit = ts(1_060_000);
    const text = `invalid max_ts update: ${ts(1_060_100)} exceeds the limit ${limit}`;
    assert.equal(refused, { kind: "other", message: text });
    assert.is(storage.txn.concurrencyManager.maxTs, before);
    // PD's clock goes on, and jumps.
    clock.advance(200);
    mustOk(await storage.txn.get(ctx, enc("k"), ts(1_060_100), newDetails()));
    pd.nextTs = ts(5_000_000);
    mustOk(await storage.txn.get(ctx, enc("k"), ts(5_000_001), newDetails()));
    // "Newest" is no timestamp.
    mustOk(await storage.txn.get(ctx, enc("k"), TS_MAX, newDetails()));
  });
});

test("API versions and key modes, and keys that are too long", async () => {
  const get = async (apiVersion: ApiVersion, request: number, key: string) =>
    withReply(apiVersion, async ({ storage, ctx }) => {
      const asked = { ...ctx, apiVersion: request };
      return storage.txn.get(asked, enc(key), 5n, newDetails());
    });
  for (const [version, request, key, expected] of [
    [API_VERSION.V1, 0, "k", undefined],
    [API_VERSION.V1, 2, "k", /cmd: get, storage: V1, request: V2/],
    [API_VERSION.V1TTL, 0, "k", /cmd: get, storage: V1ttl, request: V1/],
    [API_VERSION.V2, 0, "k", /Key mode mismatched .* cmd: get, storage: V2, key: 6B/],
    [API_VERSION.V2, 0, "l", /Key mode mismatched/],
    [API_VERSION.V2, 2, "k", /Key mode mismatched/],
  ] as const) {
    const reply = await get(version, request, key);
    if (expected === undefined) mustOk(reply);
    else {
      const error = mustFail(reply);
      assert.ok(error.kind === "invalidRequest");
      assert.match(error.kind === "invalidRequest" ? error.message : "", expected);
    }
  }
  await withTxnRegions(async ({ storage, ctx }) => {
    const primary = utf8("k".repeat(9000));
    for (const long of [
      prewriteOf(10n, [put("k".repeat(9000), "v")]),
      prewriteOf(10n, [put("k", "v")], { primary }),
      lockOf("k", 10n, { primary }),
    ]) {
      const error = mustFail(await storage.txn.run<TxnCommandKind>(ctx, long, newDetails()));
      assert.match(error.kind === "invalidRequest" ? error.message : "", /max key size exceeded/);
    }
  });
});

async function withReply<T>(
  apiVersion: ApiVersion,
  ask: (setup: TxnSetup) => Promise<T> | T,
): Promise<T> {
  let reply: T | undefined;
  await withTxnRegions(
    async (setup) => {
      reply = await ask(setup);
    },
    { apiVersion },
  );
  return reply as T;
}

test("contexts are checked in TiKV's order, keys after them", async () => {
  await withTxnRegions(async ({ storage, regions, left, right, ctx }) => {
    const other = txnContext(regions, right);
    const outside = mustRefuse(await storage.txn.get(other, enc("k"), 5n, newDetails()));
    assert.is(outside.kind, "keyNotInRegion");
    const commit = commitOf(["k"], 5n, 6n);
    const misplaced = await storage.txn.run<"commit">(other, commit, newDetails());
    assert.is(mustRefuse(misplaced).kind, "keyNotInRegion");
    const old = { ...ctx, version: 0n };
    assert.is(
      mustRefuse(await storage.txn.run<"commit">(old, commit, newDetails())).kind,
      "epochNotMatch",
    );
    regions.depose(left);
    assert.is(
      mustRefuse(await storage.txn.run<"commit">(ctx, commit, newDetails())).kind,
      "notLeader",
    );
    assert.is(mustRefuse(await storage.txn.get(ctx, enc("k"), 5n, newDetails())).kind, "notLeader");
  });
});

test("everything of a key and of a transaction is told", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    await write(setup, 10n, 20n, "k");
    await write(setup, 30n, 40n, "k");
    const info = mustOk(await storage.txn.mvccByKey(ctx, enc("k")));
    assert.equal(
      info.writes.map(({ commitTs }) => commitTs),
      [40n, 20n],
    );
    const found = mustOk(await storage.txn.mvccByStartTs(ctx, 30n));
    assert.equal(found?.key, enc("k"));
    assert.is(mustOk(await storage.txn.mvccByStartTs(ctx, 31n)), undefined);
  });
});

test("delete_range removes every version and lock; notify_only nothing", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    await write(setup, 10n, 20n, "a", "b");
    assert.ok((await storage.txn.deleteRange(ctx, enc("a"), enc("c"), true)).ok);
    assert.equal(values(await storage.txn.scan(ctx, scanOf(30n), newDetails())), ["a@10", "b@10"]);
    assert.ok((await storage.txn.deleteRange(ctx, enc("a"), enc("b"), false)).ok);
    assert.equal(values(await storage.txn.scan(ctx, scanOf(30n), newDetails())), ["b@10"]);
    const beyond = await storage.txn.deleteRange(ctx, enc("a"), enc("z"), false);
    assert.ok(!beyond.ok && beyond.error.type === "region");
  });
});

test("delete_range of an empty or crossed range is refused, and deletes nothing", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx } = setup;
    await write(setup, 10n, 20n, "a", "b");
    for (const [start, end] of [
      [enc("b"), enc("a")],
      [enc("a"), enc("a")],
      [enc("a"), EMPTY_BYTES],
    ] as const) {
      for (const notifyOnly of [false, true]) {
        const reply = await storage.txn.deleteRange(ctx, start, end, notifyOnly);
        assert.ok(!reply.ok && reply.error.type === "key");
        assert.match(
          (reply as { error: { message: string } }).error.message,
          /^invalid delete range/,
        );
      }
    }
    assert.equal(values(await storage.txn.scan(ctx, scanOf(30n), newDetails())), ["a@10", "b@10"]);
  });
});

test("reverse scan: an empty start_key is below all keys, as in TiKV, and outside of other regions", async () => {
  await withTxnRegions(async (setup) => {
    const { storage, ctx, regions, right } = setup;
    await write(setup, 10n, 20n, "a", "b");
    const back = { reverse: true, startKey: EMPTY_BYTES, endKey: EMPTY_BYTES };
    assert.equal(values(await storage.txn.scan(ctx, scanOf(30n, back), newDetails())), []);
    const bounded = { ...back, startKey: enc("b") };
    assert.equal(values(await storage.txn.scan(ctx, scanOf(30n, bounded), newDetails())), ["a@10"]);
    const whole = { ...back, startKey: enc("m") };
    const found = values(await storage.txn.scan(ctx, scanOf(30n, whole), newDetails()));
    assert.equal(found, ["b@10", "a@10"], "the region's end is inside");
    const other = txnContext(regions, right);
    const outside = await storage.txn.scan(other, scanOf(30n, back), newDetails());
    assert.is(mustRefuse(outside).kind, "keyNotInRegion");
  });
});

test("V2: what begins transactions and reads is checked for its mode, what ends them is not", async () => {
  const scanAll = { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES };
  await withTxnRegions(
    async ({ storage, ctx, regions, right }) => {
      const v2 = { ...txnContext(regions, right), apiVersion: API_VERSION.V2 };
      const locks = { startKey: enc("m"), endKey: EMPTY_BYTES, maxVersion: 9n, limit: 0 };
      for (const apiVersion of [0, API_VERSION.V2]) {
        const at = { ...v2, apiVersion };
        assert.equal(mustOk(await storage.txn.scanLock(at, locks, newDetails())), []);
        const all = { ...locks, startKey: EMPTY_BYTES };
        mustOk(await storage.txn.scanLock({ ...ctx, apiVersion }, all, newDetails()));
        mustFail(await storage.txn.scan(at, scanOf(9n, scanAll), newDetails()));
      }
      const raw = enc("r\0\0\0k");
      const rollback = { kind: "batchRollback", keys: [raw], startTs: 5n } as const;
      mustOk(await storage.txn.run<"batchRollback">(v2, rollback, newDetails()));
      const prewrite = prewriteOf(5n, [put("r\0\0\0k", "v")]);
      const refused = mustFail(await storage.txn.run<"prewrite">(v2, prewrite, newDetails()));
      assert.ok(refused.kind === "invalidRequest");
      const gone = await storage.txn.deleteRange(v2, enc("r"), enc("x"), false);
      assert.ok(!gone.ok && gone.error.type === "key", "no range reaches into raw data");
      const next = prewriteOf(7n, [put("x\0\0\0k", "v")]);
      mustOk(await storage.txn.run<"prewrite">(v2, next, newDetails()));
    },
    { apiVersion: API_VERSION.V2 },
  );
});

test.run();

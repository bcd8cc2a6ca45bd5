/** Timestamps of the far future do not get into max_ts, whichever request brings them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { composeTs, TS_MAX } from "../../../src/codec/index.js";
import { STORAGE_DEFAULTS } from "../../../src/storage/index.js";
import { raisedMaxTs, type TxnCommandKind, type TxnRequest } from "../../../src/txn/index.js";
import { TxnMust } from "../../support/txn_must.js";
import { mustRefuse, newDetails, settle, withTxnRegions } from "../../support/txn_regions.js";
import {
  acquireRequest,
  checkNotExists,
  checkTxnStatusRequest,
  encode,
  insert,
  prewriteRequest,
  put,
} from "../../support/txn_requests.js";

/** Requests that raise max_ts to `ts`. */
function raising(ts: bigint): readonly TxnRequest[] {
  const keys = [encode("k")];
  const reading = [{ returnValues: true }, { checkExistence: true }] as const;
  return [
    prewriteRequest([put("a", "1"), insert("k", "v")], "k", ts),
    prewriteRequest([checkNotExists("k")], "k", ts),
    ...reading.map((fields) => acquireRequest(["k"], "k", 5n, ts, fields)),
    acquireRequest(["k"], "k", 5n, ts, { keys: [{ key: encode("k"), shouldNotExist: true }] }),
    checkTxnStatusRequest("k", ts, 5n, 5n),
    checkTxnStatusRequest("k", 5n, ts, TS_MAX),
    checkTxnStatusRequest("k", 5n, TS_MAX, ts),
    { kind: "checkSecondaryLocks", keys, startTs: ts },
    { kind: "cleanup", key: encode("k"), startTs: ts, currentTs: 0n },
  ];
}

test("what a command raises max_ts to is known before it runs", () => {
  const others: readonly TxnRequest[] = [
    prewriteRequest([put("k", "v")], "k", 50n),
    acquireRequest(["k"], "k", 5n, 50n),
    { kind: "batchRollback", keys: [encode("k")], startTs: 50n },
    { kind: "pessimisticRollback", keys: [encode("k")], startTs: 50n, forUpdateTs: 50n },
  ];
  for (const request of [...raising(50n), ...others]) {
    const txn = new TxnMust();
    txn.run(request);
    const expected = others.includes(request) ? 0n : 50n;
    assert.is(raisedMaxTs(request), expected, request.kind);
    assert.is(txn.concurrencyManager.maxTs, expected === 0n ? 1n : expected, request.kind);
  }
});

test("commands with a timestamp too far ahead of PD's clock are refused", async () => {
  await withTxnRegions(async ({ storage, ctx }) => {
    const { concurrencyManager } = storage.txn;
    const run = (request: TxnRequest) =>
      storage.txn.run<TxnCommandKind>(ctx, request, newDetails());
    // Whether max_ts is synced is asked of PD, and so its clock is known.
    const first = prewriteRequest([put("k", "v")], "k", 5n, {
      useAsyncCommit: true,
      secondaries: [utf8("a")],
    });
    assert.is(mustRefuse(await run(first)).kind, "maxTimestampNotSynced");
    await settle();
    const driftMs = BigInt(STORAGE_DEFAULTS.txn.maxTsDriftMs);
    const before = concurrencyManager.maxTs;
    for (const request of raising(composeTs(2n * driftMs, 0n))) {
      const error = mustRefuse(await run(request));
      assert.is(error.kind, "other", request.kind);
      assert.match(error.message, /^invalid max_ts update: \d+ exceeds the limit \d+$/);
      assert.is(concurrencyManager.maxTs, before, request.kind);
    }
    assert.is(storage.txn.scheduler.running, 0);
    for (const request of raising(composeTs(driftMs / 2n, 0n))) {
      const reply = await run(request);
      const isRefused = !reply.ok && reply.error.type === "region";
      assert.is(isRefused, false, request.kind);
    }
    assert.is(concurrencyManager.maxTs, composeTs(driftMs / 2n, 0n));
  });
});

test.run();

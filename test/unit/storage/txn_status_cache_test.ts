/** Committed transactions that a store remembers: how many, which, and which not. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TxnStatusCache } from "../../../src/storage/txn_status_cache.js";

const commit = (startTs: number) => ({ startTs: BigInt(startTs), commitTs: BigInt(startTs + 1) });

for (const max of [1, 2, 3, 10, 1000]) {
  test(`at most ${max}, the newest half for certain`, () => {
    const cache = new TxnStatusCache(max);
    for (let ts = 1; ts <= 5 * max; ts++) {
      cache.note(commit(ts));
      assert.ok(cache.size <= max, `${cache.size} after ${ts}`);
      const certain = Math.max(1, Math.floor(max / 2));
      for (const kept of [ts, Math.max(1, ts - certain + 1)]) {
        assert.is(cache.committedTs(BigInt(kept)), BigInt(kept + 1), `${kept} after ${ts}`);
      }
      if (ts > max) assert.is(cache.committedTs(BigInt(ts - max)), undefined, `after ${ts}`);
    }
  });
}

test("rollbacks are not remembered, and without room nothing is", () => {
  const cache = new TxnStatusCache(10);
  cache.note({ startTs: 5n, commitTs: 0n });
  assert.is(cache.size, 0);
  assert.is(cache.committedTs(5n), undefined);
  const none = new TxnStatusCache(0);
  none.note(commit(5));
  assert.is(none.size, 0);
});

test.run();

/** ReadIndex with ranges, over the wire: a memory lock of the leader is told, or passed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { U64_MAX, utf8 } from "../../../src/base/index.js";
import { keyFromRaw, LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import type { RaftStorage } from "../../../src/storage/storage.js";
import { startServed, unary } from "../../support/tikv_server.js";

const range = (start: string, end: string) => ({ startKey: utf8(start), endKey: utf8(end) });

test("the first lock in the ranges that may commit at or below start_ts is the answer", async () => {
  const served = await startServed();
  const client = served.connect();
  const { concurrencyManager } = (served.fixture.store.storage as RaftStorage).txn;
  const guard = concurrencyManager.lockKey(keyFromRaw(utf8("k")));
  const fields = { type: LOCK_TYPE.put, primary: utf8("p"), startTs: 1010n, ttl: 3000n };
  guard.publish(newLock({ ...fields, minCommitTs: 1020n, useAsyncCommit: true }));
  const rows: readonly (readonly [bigint, readonly object[], boolean])[] = [
    [1019n, [range("a", "z")], false],
    [1020n, [range("a", "z")], true],
    [1020n, [range("a", "k"), range("l", "z")], false],
    [1020n, [range("a", "b"), range("k", "k\0")], true],
    [1020n, [range("k", "")], true],
    [1020n, [{}], true],
    [1020n, [], false],
    [0n, [range("a", "z")], false],
    [U64_MAX, [range("a", "z")], true],
  ];
  for (const [startTs, ranges, isMet] of rows) {
    const request = { context: served.context, startTs: fromBigInt(startTs), ranges };
    const { locked, readIndex, regionError } = await unary(client, "ReadIndex", request);
    const what = `${startTs} ${JSON.stringify(ranges)}`;
    assert.is(regionError, null, what);
    assert.is(locked !== null, isMet, what);
    assert.is(toBigInt(readIndex) > 0n, !isMet, what);
    if (locked === null) continue;
    assert.equal(
      [Buffer.from(locked.key).toString(), toBigInt(locked.lockVersion), locked.lockType],
      ["k", 1010n, kvrpcpb.Op.Put],
    );
    assert.equal([toBigInt(locked.minCommitTs), locked.useAsyncCommit], [1020n, true]);
  }
  assert.is(concurrencyManager.maxTs, 1020n, "of the largest start_ts that is a time");
  guard.release();
  await served.stop();
});

test.run();

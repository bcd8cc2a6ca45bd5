/** MvccReader: locks, the newest record, the newest Put, what became of a transaction. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { toHex, utf8 } from "../../../src/base/index.js";
import {
  encodeLock,
  keyFromRaw,
  LOCK_TYPE,
  newLock,
  newRollback,
  newWrite,
  TS_MAX,
  WRITE_TYPE,
  type Write,
} from "../../../src/codec/index.js";
import { DefaultNotFoundError, MvccReader, MvccTxn, Statistics } from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";

const K = keyFromRaw(utf8("k"));
const put = (startTs: bigint, fields: Partial<Write> = {}): Write =>
  newWrite({ type: WRITE_TYPE.put, startTs, shortValue: utf8(`v${startTs}`), ...fields });
const del = (startTs: bigint): Write => newWrite({ type: WRITE_TYPE.delete, startTs });
const lockRecord = (startTs: bigint, fields: Partial<Write> = {}): Write =>
  newWrite({ type: WRITE_TYPE.lock, startTs, ...fields });

/** Runs `check` with a reader over these versions of K; every cursor must be closed after it. */
function reading(versions: readonly [bigint, Write][], check: (reader: MvccReader) => void): void {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  for (const [commitTs, write] of versions) txn.putWrite(K, commitTs, write);
  txn.putWrite(keyFromRaw(utf8("k\0\0\0\0\0\0\0\0\0")), 50n, put(49n));
  txn.putWrite(keyFromRaw(utf8("l")), 50n, put(49n));
  engine.apply(txn.modifies);
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  check(reader);
  reader.close();
  assert.is(engine.openCursors, 0, "the reader closes its cursors");
}

const records = suite("records");

records("seekWrite finds the newest record at or below a timestamp", () => {
  reading(
    [
      [5n, put(3n)],
      [9n, del(8n)],
      [12n, newRollback(12n, false)],
    ],
    (reader) => {
      assert.is(reader.seekWrite(K, TS_MAX)?.commitTs, 12n);
      assert.is(reader.seekWrite(K, 11n)?.commitTs, 9n);
      assert.is(reader.seekWrite(K, 9n)?.commitTs, 9n);
      assert.is(reader.seekWrite(K, 8n)?.commitTs, 5n);
      assert.is(reader.seekWrite(K, 4n), undefined);
      assert.is(reader.seekWrite(K, 12n)?.commitTs, 12n, "a seek back");
    },
  );
});

records("getWrite walks over Lock and Rollback and ends at Put and Delete", () => {
  reading(
    [
      [5n, put(3n)],
      [7n, lockRecord(6n)],
      [8n, newRollback(8n, true)],
      [9n, del(8n)],
    ],
    (reader) => {
      assert.is(reader.getWrite(K, 8n)?.commitTs, 5n);
      assert.is(reader.getWrite(K, 9n), undefined);
      assert.is(reader.getWrite(K, 4n), undefined);
    },
  );
});

records("a fence hides a record from reads at or above it", () => {
  reading([[5n, put(3n, { gcFence: 8n })]], (reader) => {
    assert.is(reader.getWrite(K, 7n)?.commitTs, 5n);
    assert.is(reader.getWrite(K, 8n), undefined);
    assert.is(reader.getWrite(K, 9n, 0n)?.commitTs, 5n, "without fences");
  });
  reading([[5n, put(3n, { gcFence: 0n })]], (reader) => {
    assert.is(reader.getWrite(K, 9n)?.commitTs, 5n, "a fence of 0 hides nothing");
  });
});

records("last_change ends or shortens the walk", () => {
  const chain = (lastChange: Write["lastChange"]): [bigint, Write][] => [
    [5n, put(3n)],
    [6n, put(4n)],
    [10n, lockRecord(9n, { lastChange })],
  ];
  reading(chain({ ts: 0n, versions: 1n }), (reader) => {
    assert.is(reader.getWrite(K, 20n), undefined, "it says that there is nothing below");
  });
  reading(chain({ ts: 5n, versions: 8n }), (reader) => {
    assert.is(reader.getWrite(K, 20n)?.commitTs, 5n, "it is far: a jump");
    assert.is(reader.statistics.write.get, 1);
  });
  reading(chain({ ts: 5n, versions: 7n }), (reader) => {
    assert.is(reader.getWrite(K, 20n)?.commitTs, 6n, "it is near: a walk");
  });
  reading(chain({ ts: 4n, versions: 9n }), (reader) => {
    assert.is(reader.getWrite(K, 20n), undefined, "GC took it");
  });
});

records("neighbouring timestamps are each looked at", () => {
  const versions: [bigint, Write][] = [
    [5n, put(3n)],
    [6n, put(4n)],
    [7n, lockRecord(6n)],
    [8n, newRollback(8n, false)],
  ];
  reading(versions, (reader) => assert.is(reader.getWrite(K, 9n)?.commitTs, 6n));
  reading(versions, (reader) => {
    const found = reader.getTxnCommitRecord(K, 3n);
    assert.is(found.type === "singleRecord" && found.commitTs, 5n);
  });
  reading([[0n, lockRecord(0n)]], (reader) => assert.is(reader.getWrite(K, 9n), undefined));
});

records("a value is in its record, in the default CF, or damage", () => {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  txn.putValue(K, 5n, utf8("long"));
  engine.apply(txn.modifies);
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  assert.equal(reader.loadData(K, put(5n)), utf8("v5"));
  assert.equal(reader.loadData(K, { startTs: 5n, shortValue: undefined }), utf8("long"));
  assert.throws(
    () => reader.loadData(K, { startTs: 6n, shortValue: undefined }),
    (error: unknown) => error instanceof DefaultNotFoundError && error.key === K,
  );
  assert.is(reader.statistics.default.get, 2);
  assert.is(reader.statistics.default.processedKeys, 1);
});

records("mvccInfo tells everything of the key and nothing of its neighbours", () => {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  const lock = newLock({ type: LOCK_TYPE.put, primary: utf8("k"), startTs: 9n, ttl: 1n });
  txn.putLock(K, lock);
  for (const key of [K, keyFromRaw(utf8("k0")), keyFromRaw(utf8("j"))]) {
    txn.putWrite(key, 5n, put(4n));
    txn.putWrite(key, 7n, del(6n));
    txn.putValue(key, 9n, utf8("long"));
  }
  engine.apply(txn.modifies);
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  assert.equal(reader.mvccInfo(K), {
    lock,
    writes: [
      { commitTs: 7n, write: del(6n) },
      { commitTs: 5n, write: put(4n) },
    ],
    values: [{ startTs: 9n, value: utf8("long") }],
  });
  reader.close();
  assert.is(engine.openCursors, 0);
});

records("seekTs finds the first key of a transaction, in slices too", () => {
  const engine = new MvccEngine();
  const txn = new MvccTxn(0n);
  const keys = ["a", "b", "c", "d"].map((name) => keyFromRaw(utf8(name)));
  keys.forEach((key, i) => {
    txn.putWrite(key, 50n, put(i < 2 ? 40n : 30n));
  });
  engine.apply(txn.modifies);
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  assert.equal(reader.seekTs(30n), { type: "found", key: keys[2] });
  assert.equal(reader.seekTs(31n), { type: "none" });
  const first = reader.seekTs(30n, undefined, 2);
  assert.is(first.type, "more");
  const from = first.type === "more" ? first.nextKey : undefined;
  assert.equal(reader.seekTs(30n, from, 2), { type: "found", key: keys[2] });
  assert.equal(reader.seekTs(31n, from, 2), { type: "none" });
  reader.close();
});

const commitRecords = suite("getTxnCommitRecord");

commitRecords("finds a commit above a newer transaction's, and a rollback", () => {
  // Pessimistic: T3 starts first and commits last.
  reading(
    [
      [5n, newRollback(5n, false)],
      [7n, put(6n)],
      [9n, put(3n)],
    ],
    (reader) => {
      const mine = reader.getTxnCommitRecord(K, 3n);
      assert.is(mine.type === "singleRecord" && mine.commitTs, 9n);
      const rolledBack = reader.getTxnCommitRecord(K, 5n);
      assert.is(rolledBack.type === "singleRecord" && rolledBack.write.type, WRITE_TYPE.rollback);
      assert.equal(reader.getTxnCommitRecord(K, 4n), { type: "none", overlappedWrite: undefined });
    },
  );
});

commitRecords("tells a commit at the start_ts, its flag and the fence", () => {
  reading(
    [
      [7n, put(6n)],
      [9n, lockRecord(8n)],
      [10n, newRollback(10n, false)],
      [12n, del(11n)],
      [14n, put(13n)],
    ],
    (reader) => {
      const found = reader.getTxnCommitRecord(K, 7n);
      assert.is(found.type === "none" && found.overlappedWrite?.gcFence, 12n);
      assert.is(found.type === "none" && found.overlappedWrite?.write.startTs, 6n);
      const newest = reader.getTxnCommitRecord(K, 14n);
      assert.is(newest.type === "none" && newest.overlappedWrite?.gcFence, 0n);
    },
  );
  reading([[7n, put(6n, { hasOverlappedRollback: true })]], (reader) => {
    assert.equal(reader.getTxnCommitRecord(K, 7n), { type: "overlappedRollback", commitTs: 7n });
  });
});

const locks = suite("locks");

locks("scanLocks takes a filter, a limit, a range, and says where to go on", () => {
  const engine = new MvccEngine();
  const names = ["a", "b", "c", "d", "e"].map((name) => keyFromRaw(utf8(name)));
  const lockOf = (i: number) =>
    newLock({ type: LOCK_TYPE.put, primary: utf8("a"), startTs: BigInt(i), ttl: 1n });
  engine.apply(names.map((key, i) => ({ cf: "lock", key, value: encodeLock(lockOf(i)) })));
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  const scan = (from: number, to: number, limit: number, scanned = 0) =>
    reader.scanLocks(
      names[from] as Uint8Array,
      names[to] ?? new Uint8Array(),
      (_, lock) => lock.startTs !== 1n,
      limit,
      scanned,
    );
  assert.equal(
    scan(0, 9, 0).locks.map(({ lock }) => lock.startTs),
    [0n, 2n, 3n, 4n],
  );
  assert.equal(
    scan(0, 3, 0).locks.map(({ lock }) => lock.startTs),
    [0n, 2n],
  );
  const limited = scan(0, 9, 2);
  assert.ok(limited.hasRemaining);
  assert.is(toHex(limited.nextKey), toHex(names[3] as Uint8Array));
  assert.is(scan(0, 3, 2).hasRemaining, false, "nothing is left in the range");
  const sliced = scan(1, 9, 0, 2);
  assert.is(toHex(sliced.nextKey), toHex(names[3] as Uint8Array));
  assert.is(sliced.locks.length, 1);
  assert.is(reader.loadLock(names[1] as Uint8Array)?.startTs, 1n);
  assert.is(reader.loadLock(keyFromRaw(utf8("x"))), undefined);
  reader.close();
});

locks("a lock in memory hides the stored one, in key order", () => {
  const engine = new MvccEngine();
  const [a, b, c] = ["a", "b", "c"].map((name) => keyFromRaw(utf8(name))) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const lockOf = (startTs: bigint) =>
    newLock({ type: LOCK_TYPE.pessimistic, primary: utf8("a"), startTs, ttl: 1n });
  const stored = [a, c].map((key) => ({ cf: "lock" as const, key, value: encodeLock(lockOf(1n)) }));
  engine.apply(stored);
  const held = [b, c].map((key) => ({ key, lock: lockOf(2n) }));
  const snapshot = Object.assign(engine.snapshot(), {
    memoryLocks: {
      get: (key: Uint8Array) => held.find((entry) => toHex(entry.key) === toHex(key))?.lock,
      range: () => held,
    },
  });
  const reader = new MvccReader(snapshot, new Statistics());
  const found = reader.scanLocks(a, new Uint8Array(), () => true, 0).locks;
  assert.equal(
    found.map(({ key, lock }) => [toHex(key), lock.startTs]),
    [
      [toHex(a), 1n],
      [toHex(b), 2n],
      [toHex(c), 2n],
    ],
  );
  assert.is(reader.loadLock(c)?.startTs, 2n);
  reader.close();
});

for (const each of [records, commitRecords, locks]) each.run();

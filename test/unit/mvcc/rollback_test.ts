/** Rollback records: protection, collapse, overlap with commits and locks of others. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  keyAppendTs,
  keyFromRaw,
  keyTs,
  LOCK_TYPE,
  type Lock,
  newLock,
  newRollback,
  newWrite,
  parseLock,
  parseWrite,
  TS_MAX,
  WRITE_TYPE,
  type Write,
} from "../../../src/codec/index.js";
import {
  collapsePrevRollback,
  isRollbackProtected,
  MvccReader,
  MvccTxn,
  makeRollback,
  markRollbackOnMismatchingLock,
  rollbackLock,
  Statistics,
} from "../../../src/mvcc/index.js";
import { MvccEngine } from "../../support/mvcc_engine.js";

const K = keyFromRaw(utf8("k"));
const put = (startTs: bigint): Write =>
  newWrite({ type: WRITE_TYPE.put, startTs, shortValue: utf8("v") });

function lockOf(fields: Partial<Lock> = {}): Lock {
  return newLock({
    type: LOCK_TYPE.put,
    primary: utf8("primary"),
    startTs: 10n,
    ttl: 3000n,
    shortValue: utf8("v"),
    ...fields,
  });
}

/** Runs `act` for the transaction 10 on these versions; returns what it wrote, readable. */
function changes(
  versions: readonly [bigint, Write][],
  act: (txn: MvccTxn, reader: MvccReader) => void,
): string[] {
  const engine = new MvccEngine();
  const before = new MvccTxn(0n);
  for (const [commitTs, write] of versions) before.putWrite(K, commitTs, write);
  engine.apply(before.modifies);
  const txn = new MvccTxn(10n);
  const reader = new MvccReader(engine.snapshot(), new Statistics());
  act(txn, reader);
  reader.close();
  return txn.modifies.map(({ cf, key, value }) => {
    const at = cf === "lock" ? "" : `@${keyTs(key)}`;
    if (value === undefined) return `${cf}${at} deleted`;
    if (cf !== "write") return `${cf}${at}`;
    const { type, shortValue, hasOverlappedRollback, gcFence } = parseWrite(value);
    const text = shortValue === undefined ? "" : Buffer.from(shortValue).toString();
    const flag = hasOverlappedRollback ? `,R,fence ${gcFence}` : "";
    return `${cf}${at} ${String.fromCharCode(type)}${text}${flag}`;
  });
}

const records = suite("records");

records("a free place takes a rollback, protected or not", () => {
  assert.equal(makeRollback(10n, false, undefined), newRollback(10n, false));
  assert.equal(makeRollback(10n, true, undefined), newRollback(10n, true));
});

records("another commit in its place takes a protected rollback as a flag, and no other", () => {
  const overlapped = { write: put(8n), gcFence: 17n };
  assert.is(makeRollback(10n, false, overlapped), undefined);
  const expected = { ...put(8n), hasOverlappedRollback: true, gcFence: 17n };
  assert.equal(makeRollback(10n, true, overlapped), expected);
  assert.throws(() => makeRollback(8n, true, overlapped), /earlier/);
});

records("the unprotected rollback before it collapses, nothing else does", () => {
  const collapse = (versions: readonly [bigint, Write][]): string[] =>
    changes(versions, (txn, reader) => collapsePrevRollback(txn, reader, K));
  assert.equal(collapse([[7n, newRollback(7n, false)]]), ["write@7 deleted"]);
  assert.equal(collapse([[7n, newRollback(7n, true)]]), []);
  assert.equal(collapse([[7n, put(6n)]]), []);
  assert.equal(collapse([[12n, newRollback(12n, false)]]), [], "a newer one stays");
  const hidden: [bigint, Write][] = [
    [6n, newRollback(6n, false)],
    [8n, put(7n)],
  ];
  assert.equal(collapse(hidden), [], "only the newest one counts");
  assert.equal(collapse([]), []);
});

records("rollbacks of primaries and of flushed locks are protected", () => {
  assert.not(isRollbackProtected(K, lockOf()));
  assert.ok(isRollbackProtected(K, lockOf({ primary: utf8("k") })));
  assert.ok(isRollbackProtected(K, lockOf({ generation: 1n })));
});

const marks = suite("marks on locks of others");

function marked(lock: Partial<Lock>, isProtected: boolean): readonly bigint[] | undefined {
  const txn = new MvccTxn(10n);
  const other = lockOf({ startTs: 5n, useAsyncCommit: true, minCommitTs: 10n, ...lock });
  markRollbackOnMismatchingLock(txn, K, other, isProtected);
  const [change] = txn.modifies;
  return change && parseLock(change.value as Uint8Array).rollbackTs;
}

marks("a lock that may commit at this start_ts remembers the rollback", () => {
  assert.equal(marked({}, true), [10n]);
  assert.equal(marked({ rollbackTs: [3n] }, true), [3n, 10n]);
});

marks("other locks do not", () => {
  assert.is(marked({}, false), undefined, "an unprotected rollback may be overwritten");
  assert.is(marked({ minCommitTs: 11n }, true), undefined, "it commits above");
  assert.is(
    marked({ useAsyncCommit: false }, true),
    undefined,
    "PD gives it a commit_ts of its own",
  );
  assert.throws(() => marked({ startTs: 10n }, true), /another/);
});

const locks = suite("rollback of a lock");

function rolledBack(
  lock: Partial<Lock>,
  versions: readonly [bigint, Write][] = [],
  collapse = true,
): string[] {
  return changes(versions, (txn, reader) => {
    const whole = lockOf(lock);
    const released = rollbackLock(txn, reader, K, whole, { collapse });
    assert.equal(released, {
      startTs: 10n,
      commitTs: 0n,
      key: K,
      pessimistic: whole.forUpdateTs !== 0n,
    });
  });
}

locks("the lock goes, a record comes", () => {
  assert.equal(rolledBack({}), ["write@10 R", "lock deleted"]);
  assert.equal(rolledBack({ primary: utf8("k") }), ["write@10 Rp", "lock deleted"]);
  assert.equal(rolledBack({ forUpdateTs: 11n }), ["write@10 R", "lock deleted"]);
});

locks("a long value goes too, where there is one", () => {
  const long = { shortValue: undefined };
  const all = ["default@10 deleted", "write@10 R", "lock deleted"];
  assert.equal(rolledBack(long), all);
  assert.equal(rolledBack({ ...long, type: LOCK_TYPE.delete }), ["write@10 R", "lock deleted"]);
  assert.equal(rolledBack({ ...long, type: LOCK_TYPE.pessimistic }), [
    "write@10 R",
    "lock deleted",
  ]);
});

locks("the rollback before it collapses if asked", () => {
  const before: [bigint, Write][] = [[7n, newRollback(7n, false)]];
  assert.equal(rolledBack({}, before), ["write@10 R", "write@7 deleted", "lock deleted"]);
  assert.equal(rolledBack({}, before, false), ["write@10 R", "lock deleted"]);
});

locks("a commit in its place is flagged for the primary, with the next newer data as fence", () => {
  const versions: [bigint, Write][] = [
    [10n, put(8n)],
    [12n, newWrite({ type: WRITE_TYPE.lock, startTs: 11n })],
    [14n, newWrite({ type: WRITE_TYPE.delete, startTs: 13n })],
    [16n, put(15n)],
  ];
  assert.equal(rolledBack({}, versions), ["lock deleted"]);
  const primary = { primary: utf8("k") };
  assert.equal(rolledBack(primary, versions), ["write@10 Pv,R,fence 14", "lock deleted"]);
  assert.equal(rolledBack(primary, versions.slice(0, 2)), [
    "write@10 Pv,R,fence 0",
    "lock deleted",
  ]);
});

locks("a transaction that is rolled back already only loses the lock", () => {
  assert.equal(rolledBack({}, [[10n, newRollback(10n, false)]]), ["lock deleted"]);
  const overlapped = { ...put(8n), hasOverlappedRollback: true };
  assert.equal(rolledBack({ primary: utf8("k") }, [[10n, overlapped]]), ["lock deleted"]);
});

locks("a committed transaction has no lock", () => {
  assert.throws(() => rolledBack({}, [[12n, put(10n)]]), /not committed/);
});

const txns = suite("collected changes");

txns("keys carry the timestamps of their CF, sizes add up", () => {
  const txn = new MvccTxn(10n);
  assert.ok(txn.isEmpty);
  txn.putLock(K, lockOf());
  txn.putValue(K, 10n, utf8("long"));
  txn.putWrite(K, 12n, put(10n));
  txn.deleteWrite(K, TS_MAX);
  const released = txn.unlockKey(K, true, 12n);
  assert.equal(
    txn.modifies.map(({ cf, key }) => [cf, key]),
    [
      ["lock", K],
      ["default", keyAppendTs(K, 10n)],
      ["write", keyAppendTs(K, 12n)],
      ["write", keyAppendTs(K, TS_MAX)],
      ["lock", K],
    ],
  );
  const bytes = txn.modifies.map(({ key, value }) => key.length + (value?.length ?? 0));
  assert.is(
    txn.writeSize,
    bytes.reduce((sum, each) => sum + each),
  );
  assert.equal(released, { startTs: 10n, commitTs: 12n, key: K, pessimistic: true });
  txn.clear();
  assert.is(txn.writeSize, 0);
  assert.ok(txn.isEmpty);
});

for (const each of [records, marks, locks, txns]) each.run();

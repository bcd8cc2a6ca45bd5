/** Which locks block which reads: each rule, and that the first rule that fits wins. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { keyFromRaw, LOCK_TYPE, type Lock, newLock, TS_MAX } from "../../../src/codec/index.js";
import {
  checkTsConflict,
  type LockCheck,
  lockConflict,
  type ReadPoint,
} from "../../../src/mvcc/index.js";

const KEY = keyFromRaw(utf8("k"));
const POINT: ReadPoint = {
  ts: 10n,
  isolation: "si",
  bypassLocks: [],
  accessLocks: [],
  isReplicaRead: false,
};

function outcome(check: LockCheck): string {
  return typeof check === "string" ? check : check.kind;
}

function judge(lock: Partial<Lock>, point: Partial<ReadPoint> = {}): string {
  const whole = newLock({
    type: LOCK_TYPE.put,
    primary: utf8("p"),
    startTs: 5n,
    ttl: 3000n,
    ...lock,
  });
  return outcome(checkTsConflict(KEY, whole, { ...POINT, ...point }));
}

const si = suite("snapshot isolation");

si("a lock of data at or below the read's timestamp blocks", () => {
  assert.is(judge({}), "keyIsLocked");
  assert.is(judge({ type: LOCK_TYPE.delete }), "keyIsLocked");
  assert.is(judge({ startTs: 10n }), "keyIsLocked");
  assert.is(judge({ startTs: 11n }), "pass");
});

si("locks that change nothing do not block", () => {
  for (const type of [LOCK_TYPE.lock, LOCK_TYPE.pessimistic, LOCK_TYPE.shared]) {
    assert.is(judge({ type }), "pass", `type ${type}`);
    assert.is(judge({ type }, { accessLocks: [5n] }), "pass", `type ${type} is not read from`);
  }
});

si("a transaction that commits above the read does not block it", () => {
  assert.is(judge({ minCommitTs: 11n }), "pass");
  assert.is(judge({ minCommitTs: 10n }), "keyIsLocked");
});

si("resolved transactions are passed, committed ones are read", () => {
  assert.is(judge({}, { bypassLocks: [4n, 5n] }), "pass");
  assert.is(judge({}, { bypassLocks: [4n] }), "keyIsLocked");
  assert.is(judge({}, { accessLocks: [5n] }), "readFromLock");
  assert.is(judge({}, { bypassLocks: [5n], accessLocks: [5n] }), "pass");
  assert.is(judge({ minCommitTs: 11n }, { accessLocks: [5n] }), "pass");
});

si("the newest value of a primary is what is committed now", () => {
  const newest = { ts: TS_MAX };
  const primary = { primary: utf8("k") };
  assert.is(judge(primary, newest), "pass");
  assert.is(judge({}, newest), "keyIsLocked", "not the primary");
  assert.is(judge(primary), "keyIsLocked", "not the newest");
  assert.is(judge({ ...primary, useAsyncCommit: true }, newest), "keyIsLocked");
  assert.is(judge({ ...primary, useOnePc: true }, newest), "keyIsLocked");
  assert.is(judge(primary, { ...newest, isReplicaRead: true }), "keyIsLocked");
  assert.is(judge({ ...primary, useAsyncCommit: true, minCommitTs: 9n }, newest), "keyIsLocked");
});

si("the error tells the user key and the lock", () => {
  const lock = newLock({ type: LOCK_TYPE.put, primary: utf8("p"), startTs: 5n, ttl: 1n });
  assert.equal(checkTsConflict(KEY, lock, POINT), {
    kind: "keyIsLocked",
    lock: { key: utf8("k"), lock },
  });
});

si("locks in memory are not read from", () => {
  const lock = newLock({ type: LOCK_TYPE.put, primary: utf8("p"), startTs: 5n, ttl: 1n });
  assert.is(
    lockConflict(KEY, lock, { ...POINT, accessLocks: [5n] } as ReadPoint)?.kind,
    "keyIsLocked",
  );
  assert.is(lockConflict(KEY, lock, { ...POINT, ts: 4n }), undefined);
});

const rc = suite("read committed");

rc("rc looks at no lock", () => {
  assert.is(judge({}, { isolation: "rc" }), "pass");
  assert.is(judge({}, { isolation: "rc", accessLocks: [5n] }), "pass");
});

rc("rcCheckTs is ended by any lock of data that is not passed, whatever its timestamps", () => {
  const isolation = "rcCheckTs" as const;
  assert.is(judge({}, { isolation }), "writeConflict");
  assert.is(judge({ startTs: 11n }, { isolation }), "writeConflict");
  assert.is(judge({ minCommitTs: 11n }, { isolation }), "writeConflict");
  assert.is(judge({ type: LOCK_TYPE.lock }, { isolation }), "pass");
  assert.is(judge({ type: LOCK_TYPE.pessimistic }, { isolation }), "pass");
  assert.is(judge({}, { isolation, bypassLocks: [5n] }), "pass");
  assert.is(judge({}, { isolation, accessLocks: [5n] }), "readFromLock");
  const lock = newLock({ type: LOCK_TYPE.put, primary: utf8("p"), startTs: 5n, ttl: 1n });
  assert.equal(checkTsConflict(KEY, lock, { ...POINT, isolation }), {
    kind: "writeConflict",
    startTs: 10n,
    conflictStartTs: 5n,
    conflictCommitTs: 0n,
    key: utf8("k"),
    primary: utf8("p"),
    reason: "rcCheckTs",
  });
});

for (const each of [si, rc]) each.run();

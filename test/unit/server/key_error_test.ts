/** Each error of a transaction as the KeyError that clients act on; tikv src/storage/errors.rs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LOCK_TYPE, newLock } from "../../../src/codec/index.js";
import { kvrpcpb } from "../../../src/pb/index.js";
import { keyErrorToProto, lockInfoToProto } from "../../../src/server/key_error.js";
import type { LockInfo, TxnError } from "../../../src/txn/index.js";

const KEY = Buffer.from("k");
const PRIMARY = Buffer.from("pk");
const LOCK: LockInfo = {
  key: KEY,
  lock: newLock({
    type: LOCK_TYPE.pessimistic,
    primary: PRIMARY,
    startTs: 5n,
    ttl: 3000n,
    forUpdateTs: 7n,
    txnSize: 9n,
    minCommitTs: 11n,
    useAsyncCommit: true,
    secondaries: [Buffer.from("s")],
  }),
};

/** What a client decodes, with 64-bit fields as text and bytes as text, unset fields left out. */
function wire(error: TxnError): unknown {
  const bytes = kvrpcpb.KeyError.encode(keyErrorToProto(error)).finish();
  return plain(kvrpcpb.KeyError.decode(bytes));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("low" in value) return String(value);
  const set = Object.entries(value).filter(([, field]) => isSet(field));
  return Object.fromEntries(set.map(([name, field]) => [name, plain(field)]));
}

function isSet(field: unknown): boolean {
  if (field === null || field === undefined || field === false) return false;
  if (field === 0 || field === "" || String(field) === "0") return false;
  return !(Array.isArray(field) && field.length === 0) && typeof field !== "function";
}

const LOCK_ON_WIRE = {
  primaryLock: "pk",
  lockVersion: "5",
  key: "k",
  lockTtl: "3000",
  txnSize: "9",
  lockType: kvrpcpb.Op.PessimisticLock,
  lockForUpdateTs: "7",
  useAsyncCommit: true,
  minCommitTs: "11",
  secondaries: ["s"],
};

const mvcc = (text: string): string => `Error(Txn(Error(Mvcc(Error(${text})))))`;

const ROWS: { readonly [K in TxnError["kind"]]: readonly [TxnError & { kind: K }, unknown] } = {
  keyIsLocked: [{ kind: "keyIsLocked", lock: LOCK }, { locked: LOCK_ON_WIRE }],
  writeConflict: [
    {
      kind: "writeConflict",
      startTs: 1n,
      conflictStartTs: 2n,
      conflictCommitTs: 3n,
      key: KEY,
      primary: PRIMARY,
      reason: "pessimisticRetry",
    },
    {
      conflict: {
        startTs: "1",
        conflictTs: "2",
        conflictCommitTs: "3",
        key: "k",
        primary: "pk",
        reason: kvrpcpb.WriteConflict.Reason.PessimisticRetry,
      },
      retryable: mvcc(
        "WriteConflict { start_ts: TimeStamp(1), conflict_start_ts: TimeStamp(2), " +
          "conflict_commit_ts: TimeStamp(3), key: [107], primary: [112, 107], " +
          "reason: PessimisticRetry }",
      ),
    },
  ],
  alreadyExist: [{ kind: "alreadyExist", key: KEY }, { alreadyExist: { key: "k" } }],
  txnLockNotFound: [
    { kind: "txnLockNotFound", startTs: 1n, commitTs: 2n, key: KEY },
    {
      retryable: mvcc(
        "TxnLockNotFound { start_ts: TimeStamp(1), commit_ts: TimeStamp(2), key: [107] }",
      ),
      txnLockNotFound: { key: "k" },
    },
  ],
  txnNotFound: [
    { kind: "txnNotFound", startTs: 1n, key: KEY },
    { txnNotFound: { startTs: "1", primaryKey: "k" } },
  ],
  committed: [
    { kind: "committed", startTs: 1n, commitTs: 2n, key: KEY },
    { abort: mvcc("Committed { start_ts: TimeStamp(1), commit_ts: TimeStamp(2), key: [107] }") },
  ],
  commitTsExpired: [
    { kind: "commitTsExpired", startTs: 1n, commitTs: 2n, key: KEY, minCommitTs: 3n },
    { commitTsExpired: { startTs: "1", attemptedCommitTs: "2", key: "k", minCommitTs: "3" } },
  ],
  commitTsTooLarge: [
    { kind: "commitTsTooLarge", startTs: 1n, minCommitTs: 2n, maxCommitTs: 3n },
    { commitTsTooLarge: { commitTs: "2" } },
  ],
  pessimisticLockNotFound: [
    { kind: "pessimisticLockNotFound", startTs: 1n, key: KEY, reason: "lockMissingAmendFail" },
    {
      abort: mvcc(
        "PessimisticLockNotFound { start_ts: TimeStamp(1), key: [107], " +
          "reason: LockMissingAmendFail }",
      ),
    },
  ],
  pessimisticLockRolledBack: [
    { kind: "pessimisticLockRolledBack", startTs: 1n, key: KEY },
    { abort: mvcc("PessimisticLockRolledBack { start_ts: TimeStamp(1), key: [107] }") },
  ],
  lockTypeNotMatch: [
    { kind: "lockTypeNotMatch", startTs: 1n, key: KEY, pessimistic: true },
    { abort: mvcc("LockTypeNotMatch { start_ts: TimeStamp(1), key: [107], pessimistic: true }") },
  ],
  assertionFailed: [
    {
      kind: "assertionFailed",
      startTs: 1n,
      key: KEY,
      assertion: "notExist",
      existingStartTs: 2n,
      existingCommitTs: 3n,
    },
    {
      assertionFailed: {
        startTs: "1",
        key: "k",
        assertion: kvrpcpb.Assertion.NotExist,
        existingStartTs: "2",
        existingCommitTs: "3",
      },
    },
  ],
  primaryMismatch: [
    { kind: "primaryMismatch", lock: LOCK },
    { primaryMismatch: { lockInfo: LOCK_ON_WIRE } },
  ],
  deadlock: [
    {
      kind: "deadlock",
      startTs: 1n,
      lockTs: 2n,
      lockKey: KEY,
      deadlockKeyHash: 0xffff_ffff_ffff_ffffn,
      waitChain: [
        {
          txn: 2n,
          waitForTxn: 1n,
          keyHash: 8n,
          key: PRIMARY,
          resourceGroupTag: Buffer.from("tag"),
        },
      ],
    },
    {
      deadlock: {
        lockTs: "2",
        lockKey: "k",
        deadlockKeyHash: "18446744073709551615",
        waitChain: [
          { txn: "2", waitForTxn: "1", keyHash: "8", key: "pk", resourceGroupTag: "tag" },
        ],
      },
    },
  ],
  invalidTxnTso: [
    { kind: "invalidTxnTso", startTs: 2n, commitTs: 1n },
    {
      abort: "Error(Txn(Error(InvalidTxnTso { start_ts: TimeStamp(2), commit_ts: TimeStamp(1) })))",
    },
  ],
  lockIfExistsFailed: [
    { kind: "lockIfExistsFailed", startTs: 1n, key: KEY },
    { abort: mvcc("LockIfExistsFailed { start_ts: TimeStamp(1), key: [107] }") },
  ],
  generationOutOfOrder: [
    { kind: "generationOutOfOrder", generation: 4n, key: KEY, lock: LOCK },
    /GenerationOutOfOrder \{ generation: TimeStamp\(4\), key: \[107\]/,
  ],
  maxTimestampNotSynced: [
    { kind: "maxTimestampNotSynced", startTs: 1n },
    { abort: "Error(Txn(Error(MaxTimestampNotSynced { start_ts: TimeStamp(1) })))" },
  ],
  defaultNotFound: [
    { kind: "defaultNotFound", key: KEY },
    { abort: mvcc("DefaultNotFound { key: [107] }") },
  ],
  invalidRequest: [
    { kind: "invalidRequest", message: "max key size exceeded, size: 2, limit: 1" },
    { abort: "max key size exceeded, size: 2, limit: 1" },
  ],
};

for (const [kind, [error, expected]] of Object.entries(ROWS)) {
  test(`KeyError of ${kind}`, () => {
    const got = wire(error) as { abort?: string };
    if (expected instanceof RegExp) assert.match(got.abort ?? "", expected);
    else assert.equal(got, expected);
  });
}

test("every reason of a conflict has its number on the wire", () => {
  const reasons = {
    optimistic: 1,
    pessimisticRetry: 2,
    selfRolledBack: 3,
    rcCheckTs: 4,
    lazyUniquenessCheck: 5,
    notLockedKeyConflict: 6,
  } as const;
  const [conflict] = ROWS.writeConflict;
  for (const [reason, number] of Object.entries(reasons)) {
    const error = { ...conflict, reason: reason as keyof typeof reasons };
    assert.is(keyErrorToProto(error).conflict?.reason, number, reason);
  }
});

test("a lock is told with its type, another ttl, and how long it has not changed", () => {
  const types = { put: 0, delete: 1, lock: 2, pessimistic: 5, shared: 7 } as const;
  for (const [name, op] of Object.entries(types)) {
    const type = LOCK_TYPE[name as keyof typeof types];
    const lock = newLock({ type, primary: PRIMARY, startTs: 1n, ttl: 2n });
    assert.is(lockInfoToProto({ key: KEY, lock }).lockType, op, name);
  }
  const info = lockInfoToProto({ ...LOCK, ttlOverride: 0n, sinceUpdateMs: 12.7 });
  assert.is(String(info.lockTtl), "0");
  assert.is(info.durationToLastUpdateMs, 12);
});

test("a shared lock is told as those who share it, and nothing of its own", () => {
  const sharedBy = [3n, 5n].map((startTs) =>
    newLock({ type: LOCK_TYPE.pessimistic, primary: PRIMARY, startTs, ttl: 2n }),
  );
  const fields = { type: LOCK_TYPE.shared, primary: PRIMARY, startTs: 3n, ttl: 2n };
  const info = lockInfoToProto({ key: KEY, lock: newLock({ ...fields, sharedBy }) });
  const { key, lockType, sharedLockInfos, ...rest } = info;
  assert.equal([key, lockType, rest], [KEY, kvrpcpb.Op.SharedLock, {}]);
  assert.equal(
    sharedLockInfos,
    sharedBy.map((lock) => lockInfoToProto({ key: KEY, lock })),
  );
});

test.run();

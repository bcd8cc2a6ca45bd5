/**
 * Random contents of the write and lock CF over a tiny key space, and a naive reader of them that
 * knows the rules of semantics.md 2.8 over plain objects. It shares no code with kernels or src/mvcc.
 */
import * as fc from "fast-check";
import { compareBytes, toHex } from "../../src/base/index.js";
import {
  encodeLock,
  encodeU64Desc,
  encodeWrite,
  keyFromRaw,
  type LastChange,
  LOCK_TYPE,
  type Lock,
  type LockType,
  newLock,
  newWrite,
  WRITE_TYPE,
  type Write,
  type WriteType,
} from "../../src/codec/index.js";
import {
  MVCC_CONFLICT_LOCK,
  MVCC_CONFLICT_WRITE,
  MVCC_DEFAULT,
  MVCC_LOCKED,
  MVCC_VALUE,
} from "../../src/kernel/index.js";
import { type BlockEntry, lockEntry, writeEntry } from "./mvcc_blocks.js";

export const TS_MAX = (1n << 64n) - 1n;

export interface Version {
  readonly commitTs: bigint;
  readonly write: Write;
}

/** All there is of one key; versions newest first. */
export interface KeyHistory {
  readonly userKey: Uint8Array;
  readonly key: Uint8Array;
  readonly versions: readonly Version[];
  readonly lock: Lock | undefined;
}

export interface PlainReader {
  readonly readTs: bigint;
  readonly isolation: "si" | "rc" | "rcCheckTs";
  readonly keyOnly: boolean;
  readonly replicaRead: boolean;
  readonly bypass: readonly bigint[];
  readonly access: readonly bigint[];
}

/** What a reader sees of a key; as a row of the kernel without what it looked at. */
export interface Seen {
  readonly outcome: number;
  readonly key: string;
  readonly value: string;
  readonly commitTs: bigint;
  readonly startTs: bigint;
}

const USER_KEYS: readonly Uint8Array[] = [
  "",
  "00",
  "6b",
  "6b00",
  "6b6b6b6b6b6b6b6b",
  "6b6b6b6b6b6b6b6b00",
  "6b6b6b6b6b6b6b6bff",
  "ff",
  "ffffffffffffffff6b6b6b6b6b6b6b6b6b",
].map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));

/** Timestamps near each other, and the ends of the range. */
const tsArbitrary = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt({ min: 1n, max: 24n }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom((1n << 32n) - 1n, 1n << 32n, 1n << 63n, TS_MAX - 1n, TS_MAX),
  },
);

const valueArbitrary = fc.option(fc.uint8Array({ maxLength: 12 }), { nil: undefined, freq: 4 });

interface RawVersion {
  readonly commitTs: bigint;
  readonly type: WriteType;
  readonly startTs: bigint;
  readonly shortValue: Uint8Array | undefined;
  readonly overlapped: boolean;
  readonly fence: bigint | undefined;
  readonly tells: boolean;
  readonly txnSource: bigint;
}

const versionArbitrary: fc.Arbitrary<RawVersion> = fc.record({
  commitTs: tsArbitrary,
  type: fc.constantFrom(
    WRITE_TYPE.put,
    WRITE_TYPE.put,
    WRITE_TYPE.delete,
    WRITE_TYPE.lock,
    WRITE_TYPE.lock,
    WRITE_TYPE.rollback,
    WRITE_TYPE.rollback,
  ),
  startTs: tsArbitrary,
  shortValue: valueArbitrary,
  overlapped: fc.boolean(),
  fence: fc.option(fc.oneof(fc.constant(0n), tsArbitrary), { nil: undefined, freq: 3 }),
  tells: fc.boolean(),
  txnSource: fc.constantFrom(0n, 0n, 1n, 300n),
});

const isData = (type: WriteType): boolean => type === WRITE_TYPE.put || type === WRITE_TYPE.delete;

/** Where the newest data below `versions[index]` are. */
function lastChangeOf(versions: readonly RawVersion[], index: number): LastChange {
  for (let at = index + 1; at < versions.length; at++) {
    const { type, commitTs } = versions[at] as RawVersion;
    if (isData(type)) return { ts: commitTs, versions: BigInt(at - index) };
  }
  return { ts: 0n, versions: BigInt(versions.length - index) };
}

function versionsOf(raw: readonly RawVersion[]): Version[] {
  const sorted = [...raw].sort((a, b) => (a.commitTs > b.commitTs ? -1 : 1));
  return sorted.map((version, i) => {
    const data = isData(version.type);
    const write = newWrite({
      type: version.type,
      startTs: version.startTs,
      ...(version.type === WRITE_TYPE.put ? { shortValue: version.shortValue } : {}),
      hasOverlappedRollback: version.overlapped,
      gcFence: data ? version.fence : undefined,
      txnSource: version.txnSource,
      ...(!data && version.tells ? { lastChange: lastChangeOf(sorted, i) } : {}),
    });
    return { commitTs: version.commitTs, write };
  });
}

const lockArbitrary: fc.Arbitrary<Lock> = fc
  .record({
    type: fc.constantFrom<LockType>(
      LOCK_TYPE.put,
      LOCK_TYPE.put,
      LOCK_TYPE.delete,
      LOCK_TYPE.lock,
      LOCK_TYPE.pessimistic,
      LOCK_TYPE.shared,
    ),
    primary: fc.constantFrom(...USER_KEYS),
    startTs: tsArbitrary,
    ttl: fc.constantFrom(0n, 3000n),
    shortValue: valueArbitrary,
    forUpdateTs: fc.constantFrom(0n, 9n),
    txnSize: fc.constantFrom(0n, 1n),
    minCommitTs: fc.oneof(fc.constant(0n), tsArbitrary),
    useAsyncCommit: fc.boolean(),
    secondaries: fc.array(fc.constantFrom(...USER_KEYS), { maxLength: 3 }),
    rollbackTs: fc.array(tsArbitrary, { maxLength: 3 }),
    txnSource: fc.constantFrom(0n, 300n),
    isLockedWithConflict: fc.boolean(),
    generation: fc.constantFrom(0n, 7n),
  })
  .map((fields) => newLock(fields));

/** Keys in order, each with up to `versionsMax` versions and a lock, most of them. */
export function historyArbitrary(versionsMax: number): fc.Arbitrary<KeyHistory[]> {
  const one = fc.record({
    userKey: fc.constantFrom(...USER_KEYS),
    raw: fc.uniqueArray(versionArbitrary, {
      maxLength: versionsMax,
      selector: ({ commitTs }) => commitTs,
    }),
    lock: fc.option(lockArbitrary, { nil: undefined, freq: 1 }),
  });
  return fc
    .uniqueArray(one, { maxLength: USER_KEYS.length, selector: ({ userKey }) => toHex(userKey) })
    .map((keys) =>
      keys
        .map(({ userKey, raw, lock }) => {
          return { userKey, key: keyFromRaw(userKey), versions: versionsOf(raw), lock };
        })
        .sort((a, b) => compareBytes(a.key, b.key)),
    );
}

export const readerArbitrary: fc.Arbitrary<PlainReader> = fc.record({
  readTs: fc.oneof(
    { weight: 4, arbitrary: tsArbitrary },
    { weight: 1, arbitrary: fc.constant(TS_MAX) },
  ),
  isolation: fc.constantFrom("si", "si", "si", "rc", "rcCheckTs"),
  keyOnly: fc.boolean(),
  replicaRead: fc.boolean(),
  bypass: fc.array(tsArbitrary, { maxLength: 3 }),
  access: fc.array(tsArbitrary, { maxLength: 6 }),
});

/** The write block of some keys, in key order. */
export function writeBlock(history: readonly KeyHistory[]): BlockEntry[] {
  return history.flatMap(({ key, versions }) =>
    versions.map(({ commitTs, write }) => writeEntry(key, commitTs, encodeWrite(write))),
  );
}

/** The lock block of some keys, in key order. */
export function lockBlock(history: readonly KeyHistory[]): BlockEntry[] {
  return history.flatMap(({ key, lock }) =>
    lock === undefined ? [] : [lockEntry(key, encodeLock(lock))],
  );
}

function defaultKey(key: Uint8Array, startTs: bigint): string {
  return `647a${toHex(key)}${toHex(encodeU64Desc(startTs))}`;
}

/** The row of a value, wherever it lies. */
function valueRow(
  { keyOnly }: PlainReader,
  key: Uint8Array,
  shortValue: Uint8Array | undefined,
  startTs: bigint,
  commitTs: bigint,
): Seen {
  const common = { key: toHex(key), commitTs, startTs };
  if (keyOnly) return { ...common, outcome: MVCC_VALUE, value: "" };
  return shortValue === undefined
    ? { ...common, outcome: MVCC_DEFAULT, value: defaultKey(key, startTs) }
    : { ...common, outcome: MVCC_VALUE, value: toHex(shortValue) };
}

/** What a lock does to a reader: a row, nothing visible ("none"), or "pass". */
function seenLock(reader: PlainReader, { key, userKey, lock }: KeyHistory): Seen | "none" | "pass" {
  const { readTs, isolation, bypass, access } = reader;
  if (lock === undefined || isolation === "rc") return "pass";
  const { type, startTs } = lock;
  const row = { key: toHex(key), value: toHex(encodeLock(lock)), commitTs: 0n, startTs };
  if (type !== LOCK_TYPE.put && type !== LOCK_TYPE.delete) return "pass";
  if (bypass.includes(startTs)) return "pass";
  if (isolation === "si") {
    if (startTs > readTs || lock.minCommitTs > readTs) return "pass";
    const isPrimary = toHex(lock.primary) === toHex(userKey);
    const newest = readTs === TS_MAX && !reader.replicaRead && !lock.useAsyncCommit;
    if (newest && isPrimary) return "pass";
  }
  const outcome = isolation === "si" ? MVCC_LOCKED : MVCC_CONFLICT_LOCK;
  if (!access.includes(startTs)) return { ...row, outcome };
  return type === LOCK_TYPE.put ? valueRow(reader, key, lock.shortValue, startTs, 0n) : "none";
}

/** What a reader sees of one key; undefined = nothing. */
export function seenOf(reader: PlainReader, history: KeyHistory): Seen | undefined {
  const { key, versions } = history;
  const lock = seenLock(reader, history);
  if (lock === "none") return undefined;
  if (lock !== "pass") return lock;
  for (const { commitTs, write } of versions) {
    if (commitTs > reader.readTs) {
      if (reader.isolation !== "rcCheckTs") continue;
      const { startTs } = write;
      return { outcome: MVCC_CONFLICT_WRITE, key: toHex(key), value: "", commitTs, startTs };
    }
    const { type, gcFence } = write;
    if (gcFence !== undefined && gcFence !== 0n && gcFence <= reader.readTs) return undefined;
    if (type === WRITE_TYPE.delete) return undefined;
    if (type === WRITE_TYPE.put) {
      return valueRow(reader, key, write.shortValue, write.startTs, commitTs);
    }
  }
  return undefined;
}

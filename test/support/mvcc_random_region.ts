/**
 * Random contents of the three CFs over a tiny key space, and a reader that knows the rules in
 * their plainest form: everything in arrays, no cursors, no shortcuts. Readers are compared to it.
 */
import { compareBytes, type Prng, toHex, utf8 } from "../../src/base/index.js";
import {
  encodeLock,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  LAST_CHANGE_UNKNOWN,
  type LastChange,
  LOCK_TYPE,
  type Lock,
  newLock,
  newWrite,
  WRITE_TYPE,
  type Write,
} from "../../src/codec/index.js";
import type { Modify, ReadPoint } from "../../src/mvcc/index.js";

/** User keys, ascending; some are prefixes of others, also across a group of 8 bytes. */
export const HISTORY_KEYS = ["a", "a\0", "aaaaaaaa", "aaaaaaaa\0", "b", "zz"].map(utf8);

export interface KeyHistory {
  readonly userKey: Uint8Array;
  /** Encoded. */
  readonly key: Uint8Array;
  /** Newest first. */
  readonly versions: readonly { readonly commitTs: bigint; readonly write: Write }[];
  /** By start_ts. */
  readonly values: ReadonlyMap<bigint, Uint8Array>;
  readonly lock: Lock | undefined;
}

/** What a reader is to find: a value, an error's kind, or undefined for nothing. */
export type Expected =
  | { readonly value: string; readonly commitTs: bigint }
  | { readonly error: string }
  | undefined;

/**
 * "any": records that each parse, in any combination. "possible": such as commands leave them, where
 * fences are on data only and last_change tells the truth.
 */
export type HistoryKind = "any" | "possible";

/** Commit timestamps are 10 to 10 + 2 * the number of versions, or so. */
export function randomHistory(prng: Prng, kind: HistoryKind = "any"): KeyHistory[] {
  return HISTORY_KEYS.map((userKey) => randomKey(prng, userKey, kind));
}

function randomKey(prng: Prng, userKey: Uint8Array, kind: HistoryKind): KeyHistory {
  const count = prng.pick([0, 1, 1, 2, 3, 5, 9, 20, 40]);
  const values = new Map<bigint, Uint8Array>();
  const versions: { commitTs: bigint; write: Write }[] = [];
  let commitTs = BigInt(prng.range(10, 20));
  let lastData: { ts: bigint; versions: bigint } | undefined;
  const quiet = prng.ratio(1, 3);
  for (let i = 0; i < count; i++) {
    const type = quiet && i > 0 ? prng.pick([0x4c, 0x52] as const) : randomType(prng);
    const isRollback = type === WRITE_TYPE.rollback;
    const startTs = isRollback ? commitTs : commitTs - BigInt(prng.range(1, 5));
    const isData = type === WRITE_TYPE.put || type === WRITE_TYPE.delete;
    const isLong = type === WRITE_TYPE.put && prng.ratio(1, 3) && !values.has(startTs);
    const value = utf8(`${toHex(userKey)}@${startTs}`);
    if (isLong && prng.ratio(9, 10)) values.set(startTs, value);
    const write = newWrite({
      type,
      startTs,
      shortValue: type === WRITE_TYPE.put && !isLong ? value : undefined,
      hasOverlappedRollback: !isRollback && prng.ratio(1, 8),
      gcFence:
        (isData || kind === "any") && prng.ratio(1, 10)
          ? prng.pick([0n, commitTs + 2n, commitTs + 9n])
          : undefined,
      lastChange: isData ? LAST_CHANGE_UNKNOWN : randomLastChange(prng, kind, lastData),
    });
    versions.unshift({ commitTs, write });
    if (isData) lastData = { ts: commitTs, versions: 1n };
    else if (lastData !== undefined) lastData.versions++;
    commitTs += BigInt(prng.range(1, 4));
  }
  const lock = prng.ratio(1, 3) ? randomLock(prng, userKey, commitTs, values) : undefined;
  return { userKey, key: keyFromRaw(userKey), versions, values, lock };
}

function randomType(prng: Prng): Write["type"] {
  return prng.pick([0x50, 0x50, 0x50, 0x44, 0x4c, 0x52] as const);
}

function randomLastChange(
  prng: Prng,
  kind: HistoryKind,
  lastData: { ts: bigint; versions: bigint } | undefined,
): LastChange {
  if (prng.ratio(1, 2)) return LAST_CHANGE_UNKNOWN;
  if (lastData === undefined) return { ts: 0n, versions: 1n };
  // The distance is an estimate, so a jump may be short; the data may be gone.
  const versions = prng.ratio(1, 3) ? 8n : lastData.versions;
  const isGone = kind === "any" && prng.ratio(1, 12);
  return { ts: isGone ? 1n : lastData.ts, versions };
}

function randomLock(
  prng: Prng,
  userKey: Uint8Array,
  newest: bigint,
  values: Map<bigint, Uint8Array>,
): Lock {
  const startTs = newest + BigInt(prng.range(-6, 3));
  const type = prng.pick(Object.values(LOCK_TYPE));
  const value = utf8(`lock${startTs}`);
  const isLong = type === LOCK_TYPE.put && prng.ratio(1, 3) && !values.has(startTs);
  if (isLong) values.set(startTs, value);
  return newLock({
    type,
    primary: prng.ratio(1, 2) ? userKey : utf8("elsewhere"),
    startTs,
    ttl: 3000n,
    shortValue: type === LOCK_TYPE.put && !isLong ? value : undefined,
    minCommitTs: prng.ratio(1, 2) ? startTs + BigInt(prng.range(1, 6)) : 0n,
    useAsyncCommit: prng.ratio(1, 3),
  });
}

/** Returns the changes that put a history into an empty region. */
export function modifiesOf(history: readonly KeyHistory[]): Modify[] {
  return history.flatMap(({ key, versions, values, lock }) => [
    ...versions.map(({ commitTs, write }) => ({
      cf: "write" as const,
      key: keyAppendTs(key, commitTs),
      value: encodeWrite(write),
    })),
    ...[...values].map(([startTs, value]) => ({
      cf: "default" as const,
      key: keyAppendTs(key, startTs),
      value,
    })),
    ...(lock === undefined ? [] : [{ cf: "lock" as const, key, value: encodeLock(lock) }]),
  ]);
}

/** What a read of one key finds, by the rules alone. */
export function naiveRead(history: KeyHistory, point: ReadPoint): Expected {
  const { lock } = history;
  if (lock !== undefined && point.isolation !== "rc") {
    const blocked = naiveLock(history, lock, point);
    if (blocked !== undefined) {
      if (!point.accessLocks.includes(lock.startTs)) return { error: blocked };
      if (lock.type === LOCK_TYPE.delete) return undefined;
      return naiveValue(history, lock, 0n);
    }
  }
  if (point.isolation === "rcCheckTs" && (history.versions[0]?.commitTs ?? 0n) > point.ts) {
    return { error: "writeConflict" };
  }
  let at = history.versions.findIndex(({ commitTs }) => commitTs <= point.ts);
  while (at >= 0 && at < history.versions.length) {
    const { commitTs, write } = history.versions[at] as KeyHistory["versions"][number];
    const { gcFence, lastChange, type } = write;
    if (gcFence !== undefined && gcFence > 0n && gcFence <= point.ts) return undefined;
    if (type === WRITE_TYPE.delete) return undefined;
    if (type === WRITE_TYPE.put) return naiveValue(history, write, commitTs);
    if (lastChange.ts === 0n && lastChange.versions > 0n) return undefined;
    const jumps = lastChange.ts > 0n && lastChange.versions >= 8n;
    at = jumps ? history.versions.findIndex((v) => v.commitTs === lastChange.ts) : at + 1;
  }
  return undefined;
}

function naiveValue(
  { values }: KeyHistory,
  { shortValue, startTs }: Pick<Write, "shortValue" | "startTs">,
  commitTs: bigint,
): Expected {
  const value = shortValue ?? values.get(startTs);
  if (value === undefined) return { error: "defaultNotFound" };
  return { value: Buffer.from(value).toString(), commitTs };
}

/** The kind of error that a lock is, before access locks are considered. */
function naiveLock({ userKey }: KeyHistory, lock: Lock, point: ReadPoint): string | undefined {
  const isData = lock.type === LOCK_TYPE.put || lock.type === LOCK_TYPE.delete;
  const bypassed = point.bypassLocks.includes(lock.startTs);
  if (!isData || bypassed) return undefined;
  if (point.isolation === "rcCheckTs") return "writeConflict";
  if (lock.startTs > point.ts || lock.minCommitTs > point.ts) return undefined;
  const isNewest = point.ts === (1n << 64n) - 1n;
  const isPrimary = compareBytes(lock.primary, userKey) === 0;
  if (isNewest && isPrimary && !lock.useAsyncCommit && !point.isReplicaRead) return undefined;
  return "keyIsLocked";
}

/** Returns where to read from: any isolation, timestamps around those of the history. */
export function randomPoint(prng: Prng, history: readonly KeyHistory[]): ReadPoint {
  const starts = history.flatMap(({ lock }) => (lock === undefined ? [] : [lock.startTs]));
  const newest = history.flatMap(({ versions }) => versions.map((v) => v.commitTs));
  const some = (): bigint[] => starts.filter(() => prng.ratio(1, 3));
  const ts = prng.ratio(1, 8)
    ? (1n << 64n) - 1n
    : (newest.length > 0 ? prng.pick(newest) : 10n) + BigInt(prng.range(-2, 5));
  return {
    ts,
    isolation: prng.pick(["si", "si", "si", "rc", "rcCheckTs"] as const),
    bypassLocks: some(),
    accessLocks: some(),
    isReplicaRead: prng.ratio(1, 4),
  };
}

/**
 * What a follower's read has the leader do before it confirms: raise max_ts, and look for memory
 * locks in its ranges. The bytes travel in the contexts of Raft's read index messages.
 * Source: tikv src/server/raftkv/mod.rs ReplicaReadLockChecker, kvproto ReadIndexRequest.
 *
 *   checks   u32 count · per read: u8 0 (nothing) or 1 · u64 ts · u32 ranges · (start, end) each
 *   verdict  per blocked read: u32 its place in the checks · user key · lock record
 *   strings  u32 length · bytes
 */
import { assert } from "../base/index.js";
import { encodeLock, parseLock } from "../codec/index.js";
import { lockConflict } from "../mvcc/index.js";
import type { ConcurrencyManager, LockInfo } from "../txn/index.js";

/** A read: its timestamp, and where it looks, `[start, end)` in encoded keys, empty end = +inf. */
export interface ReadCheck {
  readonly ts: bigint;
  readonly ranges: readonly { readonly start: Uint8Array; readonly end: Uint8Array }[];
}

class Writer {
  private readonly parts: Uint8Array[] = [];

  u8(value: number): void {
    this.parts.push(Uint8Array.of(value));
  }

  u32(value: number): void {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value);
    this.parts.push(part);
  }

  u64(value: bigint): void {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(value);
    this.parts.push(part);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.parts.push(value);
  }

  finish(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}

class Reader {
  private at = 0;
  private readonly view: Buffer;

  constructor(bytes: Uint8Array) {
    this.view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ended(): boolean {
    return this.at >= this.view.length;
  }

  u8(): number {
    return this.view.readUInt8(this.skip(1));
  }

  u32(): number {
    return this.view.readUInt32BE(this.skip(4));
  }

  u64(): bigint {
    return this.view.readBigUInt64BE(this.skip(8));
  }

  bytes(): Uint8Array {
    const length = this.u32();
    const at = this.skip(length);
    return new Uint8Array(this.view.subarray(at, at + length));
  }

  private skip(length: number): number {
    const { at } = this;
    this.at += length;
    assert(this.at <= this.view.length, "a check of a read is whole");
    return at;
  }
}

/** Returns the bytes of the checks of several reads; undefined = a read without one. */
export function encodeChecks(checks: readonly (ReadCheck | undefined)[]): Uint8Array {
  const out = new Writer();
  out.u32(checks.length);
  for (const check of checks) {
    out.u8(check === undefined ? 0 : 1);
    if (check === undefined) continue;
    out.u64(check.ts);
    out.u32(check.ranges.length);
    for (const { start, end } of check.ranges) {
      out.bytes(start);
      out.bytes(end);
    }
  }
  return out.finish();
}

/** Makes checks on the leader. Returns the bytes of the verdict, empty if nothing blocks. */
export function judgeChecks(manager: ConcurrencyManager, checks: Uint8Array): Uint8Array {
  const from = new Reader(checks);
  const out = new Writer();
  const count = from.u32();
  for (let i = 0; i < count; i++) {
    if (from.u8() === 0) continue;
    const ts = from.u64();
    manager.updateMaxTs(ts);
    let blocked: LockInfo | undefined;
    for (let ranges = from.u32(); ranges > 0; ranges--) {
      const [start, end] = [from.bytes(), from.bytes()];
      blocked ??= blockingLock(manager, ts, start, end);
    }
    if (blocked === undefined) continue;
    out.u32(i);
    out.bytes(blocked.key);
    out.bytes(encodeLock(blocked.lock));
  }
  return out.finish();
}

/** Returns the lock that blocks each read; what no verdict names is not blocked. */
export function decodeVerdict(verdict: Uint8Array): (LockInfo | undefined)[] {
  const blocked: (LockInfo | undefined)[] = [];
  const from = new Reader(verdict);
  while (!from.ended) {
    const i = from.u32();
    const key = from.bytes();
    blocked[i] = { key, lock: parseLock(from.bytes()) };
  }
  return blocked;
}

function blockingLock(
  manager: ConcurrencyManager,
  ts: bigint,
  start: Uint8Array,
  end: Uint8Array,
): LockInfo | undefined {
  if (manager.size === 0) return undefined;
  // The leader does not know which locks the reader may pass: it meets all, as in TiKV.
  const point = { ts, isolation: "si", bypassLocks: [], isReplicaRead: true } as const;
  const checked = manager.readRangeCheck<LockInfo>(start, end, (key, lock) => {
    const error = lockConflict(key, lock, point);
    return error?.kind === "keyIsLocked" ? error.lock : undefined;
  });
  return checked.ok ? undefined : checked.error;
}

/**
 * Collects what a command changes. It decides nothing: which records a command writes is in
 * txn/actions. Guards of memory locks are the command's. Source: tikv src/storage/mvcc/txn.rs.
 */
import { encodeLock, encodeWrite, keyAppendTs, type Lock, type Write } from "../codec/index.js";
import type { Modify } from "./modify.js";
import type { MvccCf } from "./snapshot.js";

/** A lock that a command removed; the lock manager wakes who waits for it. */
export interface ReleasedLock {
  /** Of the transaction that held it. */
  readonly startTs: bigint;
  /** 0n: rolled back, or released without a decision. */
  readonly commitTs: bigint;
  /** Encoded. */
  readonly key: Uint8Array;
  readonly pessimistic: boolean;
}

/** The changes of one transaction in one command. Keys are encoded, without timestamps. */
export class MvccTxn {
  private readonly list: Modify[] = [];
  private size = 0;

  constructor(
    /** Of the transaction that the changes belong to. */
    readonly startTs: bigint,
  ) {}

  /** The changes in the order of the calls. */
  get modifies(): readonly Modify[] {
    return this.list;
  }

  /** Bytes of keys and values collected so far. */
  get writeSize(): number {
    return this.size;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** Forgets what was collected: the command answers without writing. */
  clear(): void {
    this.list.length = 0;
    this.size = 0;
  }

  putLock(key: Uint8Array, lock: Lock): void {
    this.push("lock", key, encodeLock(lock));
  }

  /** Removes the lock of this transaction. `commitTs` 0n = rolled back or just released. */
  unlockKey(key: Uint8Array, pessimistic: boolean, commitTs: bigint): ReleasedLock {
    this.push("lock", key, undefined);
    return { startTs: this.startTs, commitTs, key, pessimistic };
  }

  /** Writes a value that is too long for its record. */
  putValue(key: Uint8Array, startTs: bigint, value: Uint8Array): void {
    this.push("default", keyAppendTs(key, startTs), value);
  }

  deleteValue(key: Uint8Array, startTs: bigint): void {
    this.push("default", keyAppendTs(key, startTs), undefined);
  }

  putWrite(key: Uint8Array, commitTs: bigint, write: Write): void {
    this.push("write", keyAppendTs(key, commitTs), encodeWrite(write));
  }

  deleteWrite(key: Uint8Array, commitTs: bigint): void {
    this.push("write", keyAppendTs(key, commitTs), undefined);
  }

  private push(cf: MvccCf, key: Uint8Array, value: Uint8Array | undefined): void {
    this.list.push({ cf, key, value });
    this.size += key.length + (value?.length ?? 0);
  }
}

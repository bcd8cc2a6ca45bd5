/**
 * What transactions throw beside plain ClientErrors. Each class has one code; keys are the caller's
 * own, timestamps those of the TSO.
 */
import { type ErrorCode, toHex } from "../../base/index.js";
import { ClientError } from "../errors.js";

/** An error about a key of a transaction. */
class KeyedError extends ClientError {
  readonly key: Uint8Array;

  constructor(code: ErrorCode, key: Uint8Array, message: string) {
    super(code, `key ${toHex(key)}: ${message}`);
    this.key = key;
  }
}

/** Another transaction has written the key since this one began. */
export class WriteConflictError extends KeyedError {
  override readonly name = "WriteConflictError";
  /** start_ts of the other transaction. */
  readonly conflictTs: bigint;
  /** 0n while it is not committed. */
  readonly conflictCommitTs: bigint;

  constructor(key: Uint8Array, conflictTs: bigint, conflictCommitTs: bigint, reason: string) {
    super("KV:Storage:WriteConflict", key, `${reason}, with transaction ${conflictTs}`);
    this.conflictTs = conflictTs;
    this.conflictCommitTs = conflictCommitTs;
  }
}

/** The key of an insert has a value. */
export class KeyExistsError extends KeyedError {
  override readonly name = "KeyExistsError";

  constructor(key: Uint8Array) {
    super("KV:Storage:AlreadyExist", key, "it has a value");
  }
}

/** A lock could not be had in time. */
export class LockTimeoutError extends KeyedError {
  override readonly name = "LockTimeoutError";
  /** start_ts of the transaction that holds the lock. */
  readonly heldBy: bigint;

  constructor(key: Uint8Array, heldBy: bigint, waitedMs: number) {
    const waited = `waited ${Math.round(waitedMs)} ms`;
    super("RUTILE:Client:LockTimeout", key, `locked by transaction ${heldBy}, ${waited}`);
    this.heldBy = heldBy;
  }
}

/** One edge of a deadlock: `txn` waits for `waitForTxn`, which holds `key`. */
export interface DeadlockEdge {
  readonly txn: bigint;
  readonly waitForTxn: bigint;
  readonly key: Uint8Array;
}

/** Waiting for the key's lock would have closed a circle. */
export class DeadlockError extends KeyedError {
  override readonly name = "DeadlockError";
  /** start_ts of the transaction that holds the lock. */
  readonly heldBy: bigint;
  /** The circle, as far as the detector knows it. */
  readonly chain: readonly DeadlockEdge[];

  constructor(key: Uint8Array, heldBy: bigint, chain: readonly DeadlockEdge[]) {
    const text = chain.map(({ txn, waitForTxn }) => `${txn} waits for ${waitForTxn}`).join(", ");
    super("KV:Storage:Deadlock", key, `locked by transaction ${heldBy}; ${text}`);
    this.heldBy = heldBy;
    this.chain = chain;
  }
}

/** What was asserted of the key does not hold. */
export class AssertionFailedError extends KeyedError {
  override readonly name = "AssertionFailedError";
  /** commit_ts of the version that was found; 0n if there is none. */
  readonly existingCommitTs: bigint;

  constructor(key: Uint8Array, assertion: string, existingCommitTs: bigint) {
    super("KV:Storage:AssertionFailed", key, `asserted ${assertion}`);
    this.existingCommitTs = existingCommitTs;
  }
}

/** The transaction or one of its values is too large. */
export class TxnTooLargeError extends ClientError {
  override readonly name = "TxnTooLargeError";
  readonly sizeBytes: number;
  readonly maxBytes: number;

  constructor(what: string, sizeBytes: number, maxBytes: number) {
    super(
      "RUTILE:Client:TxnTooLarge",
      `${what} has ${sizeBytes} bytes, at most ${maxBytes} may be`,
    );
    this.sizeBytes = sizeBytes;
    this.maxBytes = maxBytes;
  }
}

/** Others have rolled the transaction back. */
export class TxnAbortedError extends ClientError {
  override readonly name = "TxnAbortedError";

  constructor(startTs: bigint, reason: string) {
    super("RUTILE:Client:TxnAborted", `transaction ${startTs}: ${reason}`);
  }
}

/** The primary lock of a transaction is gone. */
export class TxnNotFoundError extends ClientError {
  override readonly name = "TxnNotFoundError";

  constructor(startTs: bigint) {
    super("KV:Storage:TxnNotFound", `transaction ${startTs} has no primary lock`);
  }
}

/** Whether the transaction was committed is not known. Never repeat it blindly. */
export class CommitUndeterminedError extends ClientError {
  override readonly name = "CommitUndeterminedError";
  readonly startTs: bigint;

  constructor(startTs: bigint, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super("RUTILE:Client:CommitUndetermined", `transaction ${startTs}: ${why}`, { cause });
    this.startTs = startTs;
  }
}

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "KV:Storage:WriteConflict",
  "KV:Storage:Deadlock",
  "KV:Storage:TxnNotFound",
  "RUTILE:Client:TxnAborted",
]);

/**
 * Returns whether running the transaction again from its start may succeed, and is safe: it was
 * certainly not committed.
 */
export function isRetryable(error: unknown): boolean {
  return error instanceof ClientError && RETRYABLE.has(error.code);
}

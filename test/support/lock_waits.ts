/** Requests that wait for locks, in a few words, and a detector that notes what it is told. */
import { utf8 } from "../../src/base/index.js";
import { LOCK_TYPE, type Lock, newLock } from "../../src/codec/index.js";
import type {
  AcquirePessimisticLockRequest,
  DeadlockDetector,
  DeadlockFound,
  LockWait,
  LockWaitEffect,
  ReleasedLock,
  WaitForEntry,
} from "../../src/txn/index.js";
import { acquireRequest, encode } from "./txn_requests.js";

export function pessimisticLock(key: string, startTs: number): Lock {
  const type = LOCK_TYPE.pessimistic;
  const ts = BigInt(startTs);
  return newLock({ type, primary: utf8(key), startTs: ts, ttl: 3000n, forUpdateTs: ts });
}

/** The transaction `startTs` waits for `lockTs`, which holds `key`. */
export function waitFor(
  key: string,
  startTs: number,
  lockTs: number,
  fields: Partial<AcquirePessimisticLockRequest> & Pick<LockWait, "deadlineMs"> = {},
): LockWait {
  const { deadlineMs, ...requested } = fields;
  const request = acquireRequest([key], key, startTs, startTs, { waitTimeoutMs: 0, ...requested });
  const lock = { key: utf8(key), lock: pessimisticLock(key, lockTs) };
  const wait = { request, key: encode(key), lock };
  return deadlineMs === undefined ? wait : { ...wait, deadlineMs };
}

/** The lock of `startTs` on `key` is gone; commitTs 0 = rolled back. */
export function released(key: string, startTs: number, commitTs: number): ReleasedLock {
  const [start, commit] = [BigInt(startTs), BigInt(commitTs)];
  return { key: encode(key), startTs: start, commitTs: commit, pessimistic: true };
}

/** Effects as text: `3 resume`, `4 writeConflict`. */
export function told(effects: readonly LockWaitEffect[]): string[] {
  return effects.map((effect) => {
    const what = effect.type === "resume" ? "resume" : effect.error.kind;
    return `${effect.token} ${what}`;
  });
}

/** Notes `+txn>lock` for each edge it is given and `-txn>lock` for each that is taken back. */
export class NotingDetector implements DeadlockDetector {
  readonly notes: string[] = [];
  /** What the next `detect` answers. */
  found: DeadlockFound | undefined;

  detect(_: number, { txn, waitForTxn }: WaitForEntry): DeadlockFound | undefined {
    this.notes.push(`+${txn}>${waitForTxn}`);
    const { found } = this;
    this.found = undefined;
    return found;
  }

  cleanUpWaitFor(_: number, { txn, waitForTxn }: WaitForEntry): void {
    this.notes.push(`-${txn}>${waitForTxn}`);
  }
}

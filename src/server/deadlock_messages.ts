/** deadlock.proto's messages and what the detector knows of them; both ends of a Detect stream. */
import { deadlock, fromBigInt, toBigInt } from "../pb/index.js";
import type { DeadlockFound, DeadlockRequest, WaitForEntry } from "../txn/index.js";

const { Detect, CleanUpWaitFor, CleanUp } = deadlock.DeadlockRequestType;
const TYPES = { detect: Detect, cleanUpWaitFor: CleanUpWaitFor, cleanUp: CleanUp } as const;

/** Returns the deadlock.WaitForEntry that says the same. */
export function waitForEntryToProto(entry: WaitForEntry): deadlock.IWaitForEntry {
  return {
    txn: fromBigInt(entry.txn),
    waitForTxn: fromBigInt(entry.waitForTxn),
    keyHash: fromBigInt(entry.keyHash),
    key: entry.key,
    resourceGroupTag: entry.resourceGroupTag,
  };
}

/** Returns an edge; its bytes are copies, since the graph keeps it. */
function waitForEntryOf(entry: deadlock.WaitForEntry | null): WaitForEntry {
  const { txn, waitForTxn, keyHash, key, resourceGroupTag } = entry ?? new deadlock.WaitForEntry();
  return {
    txn: toBigInt(txn),
    waitForTxn: toBigInt(waitForTxn),
    keyHash: toBigInt(keyHash),
    key: Uint8Array.from(key),
    resourceGroupTag: Uint8Array.from(resourceGroupTag),
  };
}

/** Returns what goes to the leader. */
export function requestToProto({ type, entry }: DeadlockRequest): deadlock.IDeadlockRequest {
  return { tp: TYPES[type], entry: waitForEntryToProto(entry) };
}

/** Returns what came from another store; undefined: a type that is not spoken here. */
export function requestOf({ tp, entry }: deadlock.DeadlockRequest): DeadlockRequest | undefined {
  const types = ["detect", "cleanUpWaitFor", "cleanUp"] as const;
  const type = types.find((name) => TYPES[name] === tp);
  return type === undefined ? undefined : { type, entry: waitForEntryOf(entry) };
}

/** Returns what the leader tells of a deadlock. */
export function foundToProto(found: DeadlockFound): deadlock.IDeadlockResponse {
  return {
    entry: waitForEntryToProto(found.edge),
    deadlockKeyHash: fromBigInt(found.deadlockKeyHash),
    waitChain: found.waitChain.map(waitForEntryToProto),
  };
}

/** Returns what the leader told. */
export function foundOf(response: deadlock.DeadlockResponse): DeadlockFound {
  return {
    edge: waitForEntryOf(response.entry),
    deadlockKeyHash: toBigInt(response.deadlockKeyHash),
    waitChain: response.waitChain.map(waitForEntryOf),
  };
}

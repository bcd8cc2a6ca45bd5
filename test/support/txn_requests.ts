/** Requests of transactional commands with all fields, from the few that a test cares about. */
import { EMPTY_BYTES, utf8 } from "../../src/base/index.js";
import { keyFromRaw } from "../../src/codec/index.js";
import type {
  AcquirePessimisticLockRequest,
  CheckTxnStatusRequest,
  Mutation,
  MutationOp,
  PrewriteRequest,
} from "../../src/txn/index.js";

export type Ts = bigint | number;

/** Returns a timestamp. */
export function ts(value: Ts): bigint {
  return BigInt(value);
}

/** Returns the encoded form of a user key. */
export function encode(key: string): Uint8Array {
  return keyFromRaw(utf8(key));
}

type MutationFields = Partial<
  Pick<Mutation, "assertion" | "pessimisticAction" | "expectedForUpdateTs">
>;

function mutation(
  op: MutationOp,
  key: string,
  value: Uint8Array,
  fields: MutationFields,
): Mutation {
  return {
    op,
    key: encode(key),
    value,
    assertion: "none",
    pessimisticAction: "skipPessimisticCheck",
    expectedForUpdateTs: 0n,
    ...fields,
  };
}

export function put(key: string, value: string, fields: MutationFields = {}): Mutation {
  return mutation("put", key, utf8(value), fields);
}

export function insert(key: string, value: string, fields: MutationFields = {}): Mutation {
  return mutation("insert", key, utf8(value), fields);
}

export function del(key: string, fields: MutationFields = {}): Mutation {
  return mutation("delete", key, EMPTY_BYTES, fields);
}

export function lockOnly(key: string, fields: MutationFields = {}): Mutation {
  return mutation("lock", key, EMPTY_BYTES, fields);
}

export function checkNotExists(key: string, fields: MutationFields = {}): Mutation {
  return mutation("checkNotExists", key, EMPTY_BYTES, fields);
}

/** A prewrite; optimistic and in two phases unless `fields` say otherwise. */
export function prewriteRequest(
  mutations: readonly Mutation[],
  primary: string,
  startTs: Ts,
  fields: Partial<PrewriteRequest> = {},
): PrewriteRequest {
  return {
    kind: "prewrite",
    mutations,
    primary: utf8(primary),
    startTs: ts(startTs),
    lockTtlMs: 0n,
    forUpdateTs: 0n,
    txnSize: 0n,
    minCommitTs: 0n,
    maxCommitTs: 0n,
    skipConstraintCheck: false,
    isRetryRequest: false,
    secondaries: undefined,
    useAsyncCommit: false,
    tryOnePc: false,
    assertionLevel: "off",
    txnSource: 0n,
    ...fields,
  };
}

/** Fields of a prewrite with async commit. */
export function asyncCommit(...secondaries: string[]): Partial<PrewriteRequest> {
  return { useAsyncCommit: true, secondaries: secondaries.map(utf8) };
}

/** A request for pessimistic locks that does not wait. */
export function acquireRequest(
  keys: readonly string[],
  primary: string,
  startTs: Ts,
  forUpdateTs: Ts,
  fields: Partial<AcquirePessimisticLockRequest> = {},
): AcquirePessimisticLockRequest {
  return {
    kind: "acquirePessimisticLock",
    keys: keys.map((key) => ({ key: encode(key), shouldNotExist: false })),
    primary: utf8(primary),
    startTs: ts(startTs),
    lockTtlMs: 0n,
    isFirstLock: false,
    forUpdateTs: ts(forUpdateTs),
    waitTimeoutMs: -1,
    returnValues: false,
    checkExistence: false,
    minCommitTs: 0n,
    lockOnlyIfExists: false,
    allowLockWithConflict: false,
    resourceGroupTag: EMPTY_BYTES,
    ...fields,
  };
}

/** A check of a transaction's primary; rollbackIfNotExist unless `fields` say otherwise. */
export function checkTxnStatusRequest(
  primary: string,
  lockTs: Ts,
  callerStartTs: Ts,
  currentTs: Ts,
  fields: Partial<CheckTxnStatusRequest> = {},
): CheckTxnStatusRequest {
  return {
    kind: "checkTxnStatus",
    primaryKey: encode(primary),
    lockTs: ts(lockTs),
    callerStartTs: ts(callerStartTs),
    currentTs: ts(currentTs),
    rollbackIfNotExist: true,
    forceSyncCommit: false,
    resolvingPessimisticLock: false,
    verifyIsPrimary: false,
    ...fields,
  };
}

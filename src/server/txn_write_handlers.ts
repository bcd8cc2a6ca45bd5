/**
 * The commands of transactions that write, from protobuf to TxnStorage and back; unary calls and
 * BatchCommands. Decoding is txn_requests.ts's, errors are key_error.ts's.
 */
import { keyFromRaw } from "../codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";
import type { TxnReply } from "../storage/index.js";
import type {
  CommitResult,
  PrewriteResult,
  SecondaryLocksStatus,
  TxnStatus,
  TxnStatusAction,
} from "../txn/index.js";
import { regionErrorToProto } from "./error_map.js";
import { keyErrorToProto, lockInfoToProto } from "./key_error.js";
import { type RpcAnswer, Unsupported } from "./rpc.js";
import { txnContext } from "./txn_context.js";
import { encodedKeys, prewriteRequest, resolveLockRequest } from "./txn_requests.js";
import {
  failed,
  failedKeys,
  type RegionFailure,
  type TxnCall,
  type WriteCosts,
} from "./txn_rpc.js";

const { Action } = kvrpcpb;
const ACTIONS: Readonly<Record<TxnStatusAction, number>> = {
  noAction: Action.NoAction,
  ttlExpireRollback: Action.TTLExpireRollback,
  lockNotExistRollback: Action.LockNotExistRollback,
  minCommitTsPushed: Action.MinCommitTSPushed,
  ttlExpirePessimisticRollback: Action.TTLExpirePessimisticRollback,
  lockNotExistDoNothing: Action.LockNotExistDoNothing,
};

type Outcome<R> =
  | RegionFailure
  | { error: kvrpcpb.IKeyError; execDetailsV2: kvrpcpb.IExecDetailsV2 }
  | (R & { execDetailsV2: kvrpcpb.IExecDetailsV2 });

/** Returns the fields of a response with `error: KeyError` and details; routing errors stand alone. */
function outcome<T, R extends object>(
  call: WriteCosts,
  reply: TxnReply<T>,
  fields: (value: T) => R,
): Outcome<R> {
  if (reply.ok) return { ...fields(reply.value), execDetailsV2: call.writeDetails() };
  const failure = failed(reply.error);
  return "error" in failure ? { ...failure, execDetailsV2: call.writeDetails() } : failure;
}

/** Keys that others have locked stand in `errors`; then nothing was written. */
export async function kvPrewrite(
  call: TxnCall,
  request: kvrpcpb.PrewriteRequest,
): Promise<RpcAnswer<"KvPrewrite">> {
  const decoded = prewriteRequest(request);
  if (!decoded.ok) {
    const response = { errors: [keyErrorToProto(decoded.error)] };
    const isShared = request.mutations.some(({ op }) => op === kvrpcpb.Op.SharedLock);
    return isShared ? new Unsupported(decoded.error.message, response) : response;
  }
  return prewriteResponse(call, await call.run<"prewrite">(request.context, decoded.value));
}

/** Returns the response that tells what storage answered. */
export function prewriteResponse(
  call: WriteCosts,
  reply: TxnReply<PrewriteResult>,
): kvrpcpb.IPrewriteResponse {
  if (!reply.ok) return failedKeys(reply.error, call);
  const { locks, minCommitTs, onePcCommitTs } = reply.value;
  return {
    errors: locks.map((lock) => ({ locked: lockInfoToProto(lock) })),
    minCommitTs: fromBigInt(minCommitTs),
    onePcCommitTs: fromBigInt(onePcCommitTs),
    execDetailsV2: call.writeDetails(),
  };
}

export async function kvCommit(
  call: TxnCall,
  { context, keys, startVersion, commitVersion }: kvrpcpb.CommitRequest,
): Promise<kvrpcpb.ICommitResponse> {
  const reply = await call.run<"commit">(context, {
    kind: "commit",
    keys: encodedKeys(keys),
    startTs: toBigInt(startVersion),
    commitTs: toBigInt(commitVersion),
  });
  return commitResponse(call, reply);
}

/** As `prewriteResponse`. */
export function commitResponse(
  call: WriteCosts,
  reply: TxnReply<CommitResult>,
): kvrpcpb.ICommitResponse {
  return outcome(call, reply, ({ commitTs }) => ({ commitVersion: fromBigInt(commitTs) }));
}

export async function kvBatchRollback(
  call: TxnCall,
  { context, keys, startVersion }: kvrpcpb.BatchRollbackRequest,
): Promise<kvrpcpb.IBatchRollbackResponse> {
  const reply = await call.run<"batchRollback">(context, {
    kind: "batchRollback",
    keys: encodedKeys(keys),
    startTs: toBigInt(startVersion),
  });
  return outcome(call, reply, () => ({}));
}

/** A transaction that is committed already is no error here: its timestamp is the answer. */
export async function kvCleanup(
  call: TxnCall,
  { context, key, startVersion, currentTs }: kvrpcpb.CleanupRequest,
): Promise<kvrpcpb.ICleanupResponse> {
  const reply = await call.run<"cleanup">(context, {
    kind: "cleanup",
    key: keyFromRaw(key),
    startTs: toBigInt(startVersion),
    currentTs: toBigInt(currentTs),
  });
  if (reply.ok) return {};
  const { error } = reply;
  if (error.type === "txn" && error.error.kind === "committed") {
    return { commitVersion: fromBigInt(error.error.commitTs) };
  }
  return failed(error);
}

export async function kvTxnHeartBeat(
  call: TxnCall,
  request: kvrpcpb.TxnHeartBeatRequest,
): Promise<kvrpcpb.ITxnHeartBeatResponse> {
  const reply = await call.run<"txnHeartBeat">(request.context, {
    kind: "txnHeartBeat",
    primaryKey: keyFromRaw(request.primaryLock),
    startTs: toBigInt(request.startVersion),
    adviseTtlMs: toBigInt(request.adviseLockTtl),
    minCommitTs: toBigInt(request.minCommitTs),
  });
  return outcome(call, reply, ({ lockTtlMs }) => ({ lockTtl: fromBigInt(lockTtlMs) }));
}

/** A status as fields: a commit_version, a ttl with the lock, or neither: rolled back, by `action`. */
function statusFields(status: TxnStatus): kvrpcpb.ICheckTxnStatusResponse {
  const action = ACTIONS[status.action];
  if (status.type === "committed") return { action, commitVersion: fromBigInt(status.commitTs) };
  if (status.type !== "uncommitted") return { action };
  const { lock } = status.lock;
  // The key is told as the primary, as TiKV does, also where another key was asked.
  const lockInfo = lockInfoToProto({ ...status.lock, key: lock.primary });
  return { action, lockTtl: fromBigInt(lock.ttl), lockInfo };
}

export async function kvCheckTxnStatus(
  call: TxnCall,
  request: kvrpcpb.CheckTxnStatusRequest,
): Promise<kvrpcpb.ICheckTxnStatusResponse> {
  const reply = await call.run<"checkTxnStatus">(request.context, {
    kind: "checkTxnStatus",
    primaryKey: keyFromRaw(request.primaryKey),
    lockTs: toBigInt(request.lockTs),
    callerStartTs: toBigInt(request.callerStartTs),
    currentTs: toBigInt(request.currentTs),
    rollbackIfNotExist: request.rollbackIfNotExist,
    forceSyncCommit: request.forceSyncCommit,
    resolvingPessimisticLock: request.resolvingPessimisticLock,
    verifyIsPrimary: request.verifyIsPrimary,
  });
  return outcome(call, reply, statusFields);
}

/** Neither locks nor a commit_ts: the transaction is rolled back. */
function secondaryFields(status: SecondaryLocksStatus): kvrpcpb.ICheckSecondaryLocksResponse {
  if (status.type === "locked") return { locks: status.locks.map(lockInfoToProto) };
  return status.type === "committed" ? { commitTs: fromBigInt(status.commitTs) } : {};
}

export async function kvCheckSecondaryLocks(
  call: TxnCall,
  { context, keys, startVersion }: kvrpcpb.CheckSecondaryLocksRequest,
): Promise<kvrpcpb.ICheckSecondaryLocksResponse> {
  const reply = await call.run<"checkSecondaryLocks">(context, {
    kind: "checkSecondaryLocks",
    keys: encodedKeys(keys),
    startTs: toBigInt(startVersion),
  });
  return outcome(call, reply, secondaryFields);
}

/** With keys those alone ("lite"), else every lock of the region that `txn_infos` names. */
export async function kvResolveLock(
  call: TxnCall,
  request: kvrpcpb.ResolveLockRequest,
): Promise<kvrpcpb.IResolveLockResponse> {
  const decoded = resolveLockRequest(request);
  if (!decoded.ok) return { error: keyErrorToProto(decoded.error) };
  const reply = await call.run<"resolveLock">(request.context, decoded.value);
  return outcome(call, reply, () => ({}));
}

/** What the client of a large transaction tells every store. The answer says nothing, as in TiKV. */
export function broadcastTxnStatus(
  call: TxnCall,
  { txnStatus }: kvrpcpb.BroadcastTxnStatusRequest,
): kvrpcpb.IBroadcastTxnStatusResponse {
  call.storage.noteTxnStatus(
    txnStatus.map(({ startTs, commitTs }) => ({
      startTs: toBigInt(startTs),
      commitTs: toBigInt(commitTs),
    })),
  );
  return {};
}

/** All versions between the bounds go, whoever reads them. An empty end is a key here, as in TiKV. */
export async function kvDeleteRange(
  call: TxnCall,
  { context, startKey, endKey, notifyOnly }: kvrpcpb.DeleteRangeRequest,
): Promise<kvrpcpb.IDeleteRangeResponse> {
  const reply = await call.storage.deleteRange(
    txnContext(context),
    keyFromRaw(startKey),
    keyFromRaw(endKey),
    notifyOnly,
  );
  if (reply.ok) return {};
  const { error } = reply;
  return error.type === "region"
    ? { regionError: regionErrorToProto(error.error) }
    : { error: error.message };
}

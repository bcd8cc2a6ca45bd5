/** Pessimistic locks, from protobuf to TxnStorage and back, and who waits for one. */
import { EMPTY_BYTES } from "../base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";
import type { PessimisticLockKeyResult, TxnError } from "../txn/index.js";
import { lockWaitsToProto } from "./deadlock_service.js";
import { keyErrorToProto } from "./key_error.js";
import { type RpcAnswer, Unsupported } from "./rpc.js";
import { encodedKeys, pessimisticLockRequest } from "./txn_requests.js";
import { failedKeys, type TxnCall } from "./txn_rpc.js";

const { LockResultNormal, LockResultLockedWithConflict, LockResultFailed } =
  kvrpcpb.PessimisticLockKeyResultType;

type Results = readonly PessimisticLockKeyResult[];

/** The error of the first key that could not be locked. */
function firstError(results: Results): TxnError | undefined {
  for (const result of results) if (result.type === "failed") return result.error;
  return undefined;
}

/** Normal mode: one value and one flag a key, as far as they were asked for; `results` stays empty. */
function legacyFields(results: Results): kvrpcpb.IPessimisticLockResponse {
  const values: Uint8Array[] = [];
  const notFounds: boolean[] = [];
  for (const result of results) {
    if (result.type === "value") {
      values.push(result.value ?? EMPTY_BYTES);
      notFounds.push(result.value === undefined);
    } else if (result.type === "existence") notFounds.push(!result.exists);
  }
  return { values, notFounds };
}

function resultToProto(result: PessimisticLockKeyResult): kvrpcpb.IPessimisticLockKeyResult {
  switch (result.type) {
    case "empty":
      return { type: LockResultNormal };
    case "existence":
      return { type: LockResultNormal, existence: result.exists };
    case "failed":
      return { type: LockResultFailed };
    default: {
      const { value } = result;
      const read = { value: value ?? EMPTY_BYTES, existence: value !== undefined };
      if (result.type === "value") return { type: LockResultNormal, ...read };
      const lockedWithConflictTs = fromBigInt(result.conflictTs);
      return { type: LockResultLockedWithConflict, ...read, lockedWithConflictTs };
    }
  }
}

/** In normal mode an error is all that is told; force-lock mode tells one result a key. */
export async function kvPessimisticLock(
  call: TxnCall,
  request: kvrpcpb.PessimisticLockRequest,
): Promise<RpcAnswer<"KvPessimisticLock">> {
  const decoded = pessimisticLockRequest(request);
  if (!decoded.ok) {
    const response = { errors: [keyErrorToProto(decoded.error)] };
    const isShared = request.mutations.some(({ op }) => op === kvrpcpb.Op.SharedPessimisticLock);
    return isShared ? new Unsupported(decoded.error.message, response) : response;
  }
  const reply = await call.run<"acquirePessimisticLock">(request.context, decoded.value);
  const isForced = decoded.value.allowLockWithConflict;
  if (!reply.ok) {
    const fields = failedKeys(reply.error, call);
    // Without a result a forced lock's response counts as damaged.
    if (!isForced || "regionError" in fields) return fields;
    return { ...fields, results: request.mutations.map(() => ({ type: LockResultFailed })) };
  }
  const { results } = reply.value;
  const error = firstError(results);
  const fields: kvrpcpb.IPessimisticLockResponse = {
    ...(error !== undefined && { errors: [keyErrorToProto(error)] }),
    execDetailsV2: call.writeDetails(),
  };
  if (isForced) return { ...fields, results: results.map(resultToProto) };
  return error === undefined ? { ...fields, ...legacyFields(results) } : fields;
}

/** Without keys, every pessimistic lock of the transaction in the region. */
export async function kvPessimisticRollback(
  call: TxnCall,
  { context, keys, startVersion, forUpdateTs }: kvrpcpb.PessimisticRollbackRequest,
): Promise<kvrpcpb.IPessimisticRollbackResponse> {
  const reply = await call.run<"pessimisticRollback">(context, {
    kind: "pessimisticRollback",
    keys: encodedKeys(keys),
    startTs: toBigInt(startVersion),
    forUpdateTs: toBigInt(forUpdateTs),
  });
  return reply.ok ? { execDetailsV2: call.writeDetails() } : failedKeys(reply.error, call);
}

/** Who waits for a lock of this store, and how long already. */
export function getLockWaitInfo(call: TxnCall): kvrpcpb.IGetLockWaitInfoResponse {
  return { entries: lockWaitsToProto(call.storage) };
}

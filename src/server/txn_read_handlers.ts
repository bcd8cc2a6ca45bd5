/** The reads of transactions, from protobuf to TxnStorage and back; unary calls and BatchCommands. */
import { concatBytes } from "../base/index.js";
import { keyFromRaw, keyToRaw } from "../codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../pb/index.js";
import type { GetResult, TxnPair, TxnReply } from "../storage/index.js";
import type { MvccInfo } from "../txn/index.js";
import { lockInfoToProto } from "./key_error.js";
import { mvccInfoToProto } from "./mvcc_info.js";
import { encodePairs } from "./pairs_wire.js";
import { EncodedResponse } from "./rpc.js";
import { txnContext } from "./txn_context.js";
import { encodedBound, encodedKeys } from "./txn_requests.js";
import { failed, failedText, type TxnCall } from "./txn_rpc.js";

/** A response, now or once the log has confirmed the read. */
type Answer<R> = R | Promise<R>;

function answered<T, R>(
  reply: TxnReply<T> | Promise<TxnReply<T>>,
  convert: (reply: TxnReply<T>) => R,
): Answer<R> {
  return reply instanceof Promise ? reply.then(convert) : convert(reply);
}

/** `value` and `not_found` tell an empty value from a missing key. */
export function kvGet(call: TxnCall, request: kvrpcpb.GetRequest): Answer<kvrpcpb.IGetResponse> {
  const { context, key, needCommitTs } = request;
  const version = toBigInt(request.version);
  const convert = (reply: TxnReply<GetResult>): kvrpcpb.IGetResponse => {
    if (!reply.ok) return failed(reply.error);
    const { value, commitTs } = reply.value;
    const execDetailsV2 = call.readDetails();
    if (value === undefined) return { notFound: true, execDetailsV2 };
    return { value, execDetailsV2, ...(needCommitTs && { commitTs: fromBigInt(commitTs) }) };
  };
  const { storage, details } = call;
  return answered(storage.get(txnContext(context), keyFromRaw(key), version, details), convert);
}

/** Where a response has pairs, a failure of the whole stands in a pair, too, for old clients. */
function failedPairs(
  error: Parameters<typeof failed>[0],
): kvrpcpb.IBatchGetResponse & kvrpcpb.IScanResponse {
  const fields = failed(error);
  return "error" in fields ? { ...fields, pairs: [{ error: fields.error }] } : fields;
}

/** Missing keys are left out. */
export function kvBatchGet(
  call: TxnCall,
  request: kvrpcpb.BatchGetRequest,
): Answer<kvrpcpb.IBatchGetResponse | EncodedResponse> {
  const { context, keys, needCommitTs } = request;
  const convert = (reply: TxnReply<readonly TxnPair[]>) => {
    if (!reply.ok) return failedPairs(reply.error);
    const pairs = encodePairs(reply.value, needCommitTs);
    const rest = kvrpcpb.BatchGetResponse.encode({ execDetailsV2: call.readDetails() }).finish();
    return new EncodedResponse(concatBytes(pairs, rest));
  };
  const version = toBigInt(request.version);
  const encoded = encodedKeys(keys);
  return answered(
    call.storage.batchGet(txnContext(context), encoded, version, call.details),
    convert,
  );
}

/** In reverse, start_key is the exclusive upper bound; empty bounds are open. */
export async function kvScan(
  call: TxnCall,
  request: kvrpcpb.ScanRequest,
): Promise<kvrpcpb.IScanResponse | EncodedResponse> {
  const { context, limit, keyOnly, reverse, sampleStep } = request;
  const range = {
    startKey: encodedBound(request.startKey),
    endKey: encodedBound(request.endKey),
    version: toBigInt(request.version),
    limit,
    keyOnly,
    reverse,
    sampleStep,
  };
  const reply = await call.storage.scan(txnContext(context), range, call.details);
  if (!reply.ok) return failedPairs(reply.error);
  return new EncodedResponse(encodePairs(reply.value, false));
}

export async function kvScanLock(
  call: TxnCall,
  request: kvrpcpb.ScanLockRequest,
): Promise<kvrpcpb.IScanLockResponse> {
  const range = {
    startKey: encodedBound(request.startKey),
    endKey: encodedBound(request.endKey),
    maxVersion: toBigInt(request.maxVersion),
    limit: request.limit,
  };
  const reply = await call.storage.scanLock(txnContext(request.context), range, call.details);
  return reply.ok ? { locks: reply.value.map(lockInfoToProto) } : failed(reply.error);
}

export async function mvccGetByKey(
  call: TxnCall,
  { context, key }: kvrpcpb.MvccGetByKeyRequest,
): Promise<kvrpcpb.IMvccGetByKeyResponse> {
  const reply = await call.storage.mvccByKey(txnContext(context), keyFromRaw(key));
  return reply.ok ? { info: mvccInfoToProto(reply.value) } : failedText(reply.error);
}

const NOTHING: MvccInfo = { lock: undefined, writes: [], values: [] };

/** A transaction that left nothing has an info without fields and no key. */
export async function mvccGetByStartTs(
  call: TxnCall,
  { context, startTs }: kvrpcpb.MvccGetByStartTsRequest,
): Promise<kvrpcpb.IMvccGetByStartTsResponse> {
  const reply = await call.storage.mvccByStartTs(txnContext(context), toBigInt(startTs));
  if (!reply.ok) return failedText(reply.error);
  if (reply.value === undefined) return { info: mvccInfoToProto(NOTHING) };
  return { key: keyToRaw(reply.value.key), info: mvccInfoToProto(reply.value.info) };
}

/**
 * The Raw RPCs, from protobuf to RawStorage and back; unary calls and the cold path of
 * BatchCommands share them. Not hot: plain RawGet, RawPut and RawDelete of a batch do not come here.
 */
import { fromBigInt, type kvrpcpb, toBigInt } from "../pb/index.js";
import type { KvPair, RawPair, ReadReply, Reply, Storage, StorageError } from "../storage/index.js";
import { requestContext } from "./context.js";
import { errorPairs, regionErrorToProto } from "./error_map.js";

/** A response, now or once the log has confirmed the read. */
type Answer<R> = R | Promise<R>;

/** Returns the fields by which a response with `error: string` reports a failure. */
function failure(error: StorageError): Pick<kvrpcpb.IRawPutResponse, "regionError" | "error"> {
  return error.type === "region"
    ? { regionError: regionErrorToProto(error.error) }
    : { error: error.message };
}

function done(reply: Reply<void>): Pick<kvrpcpb.IRawPutResponse, "regionError" | "error"> {
  return reply.ok ? {} : failure(reply.error);
}

function scanned(reply: Reply<KvPair[]>): kvrpcpb.IRawScanResponse {
  if (reply.ok) return { kvs: reply.value };
  return reply.error.type === "region"
    ? { regionError: regionErrorToProto(reply.error.error) }
    : { kvs: errorPairs(reply.error.message) };
}

/** Returns `convert(reply)`, now if the reply is there now. */
function answered<T, R>(reply: ReadReply<T>, convert: (reply: Reply<T>) => R): R | Promise<R> {
  return reply instanceof Promise ? reply.then(convert) : convert(reply);
}

function got(reply: Reply<Uint8Array | undefined>): kvrpcpb.IRawGetResponse {
  if (!reply.ok) return failure(reply.error);
  return reply.value === undefined ? { notFound: true } : { value: reply.value };
}

/** `value` and `not_found` tell an empty value from a missing key. */
export function rawGet(
  storage: Storage,
  request: kvrpcpb.RawGetRequest,
): Answer<kvrpcpb.IRawGetResponse> {
  const { context, cf, key } = request;
  return answered(storage.raw.get(requestContext(context), cf, key), got);
}

function gotPairs(reply: Reply<KvPair[]>): kvrpcpb.IRawBatchGetResponse {
  if (reply.ok) return { pairs: reply.value };
  return reply.error.type === "region"
    ? { regionError: regionErrorToProto(reply.error.error) }
    : { pairs: errorPairs(reply.error.message) };
}

/** Missing keys are left out. */
export function rawBatchGet(
  storage: Storage,
  request: kvrpcpb.RawBatchGetRequest,
): Answer<kvrpcpb.IRawBatchGetResponse> {
  const { context, cf, keys } = request;
  return answered(storage.raw.batchGet(requestContext(context), cf, keys), gotPairs);
}

export async function rawPut(
  storage: Storage,
  request: kvrpcpb.RawPutRequest,
): Promise<kvrpcpb.IRawPutResponse> {
  const { key, value, cf, forCas } = request;
  const pair: RawPair = { key, value, ttl: toBigInt(request.ttl) };
  return done(await storage.raw.put(requestContext(request.context), cf, pair, forCas));
}

/** One ttl stands for all pairs, none for 0; the deprecated `ttl` field is ignored, as in TiKV. */
export async function rawBatchPut(
  storage: Storage,
  request: kvrpcpb.RawBatchPutRequest,
): Promise<kvrpcpb.IRawBatchPutResponse> {
  const { pairs, ttls, cf, forCas } = request;
  if (ttls.length > 1 && ttls.length !== pairs.length) {
    return { error: "The length of ttls does not equal to the length of pairs" };
  }
  const rawPairs = pairs.map(({ key, value }, index): RawPair => {
    const ttl = ttls.length === 1 ? ttls[0] : ttls[index];
    return { key, value, ttl: ttl === undefined ? 0n : toBigInt(ttl) };
  });
  return done(await storage.raw.batchPut(requestContext(request.context), cf, rawPairs, forCas));
}

export async function rawDelete(
  storage: Storage,
  request: kvrpcpb.RawDeleteRequest,
): Promise<kvrpcpb.IRawDeleteResponse> {
  const { key, cf, forCas } = request;
  return done(await storage.raw.delete(requestContext(request.context), cf, key, forCas));
}

export async function rawBatchDelete(
  storage: Storage,
  request: kvrpcpb.RawBatchDeleteRequest,
): Promise<kvrpcpb.IRawBatchDeleteResponse> {
  const { keys, cf, forCas } = request;
  return done(await storage.raw.batchDelete(requestContext(request.context), cf, keys, forCas));
}

export async function rawDeleteRange(
  storage: Storage,
  request: kvrpcpb.RawDeleteRangeRequest,
): Promise<kvrpcpb.IRawDeleteRangeResponse> {
  const { startKey, endKey, cf } = request;
  const context = requestContext(request.context);
  return done(await storage.raw.deleteRange(context, cf, startKey, endKey));
}

export async function rawScan(
  storage: Storage,
  request: kvrpcpb.RawScanRequest,
): Promise<kvrpcpb.IRawScanResponse> {
  const { startKey, endKey, limit, keyOnly, reverse, cf } = request;
  const options = { startKey, endKey, limit, keyOnly, reverse };
  return scanned(await storage.raw.scan(requestContext(request.context), cf, options));
}

export async function rawBatchScan(
  storage: Storage,
  request: kvrpcpb.RawBatchScanRequest,
): Promise<kvrpcpb.IRawBatchScanResponse> {
  const { ranges, eachLimit, keyOnly, reverse, cf } = request;
  const context = requestContext(request.context);
  const options = { keyOnly, reverse };
  return scanned(await storage.raw.batchScan(context, cf, ranges, eachLimit, options));
}

function gotTtl(reply: Reply<bigint | undefined>): kvrpcpb.IRawGetKeyTTLResponse {
  if (!reply.ok) return failure(reply.error);
  return reply.value === undefined ? { notFound: true } : { ttl: fromBigInt(reply.value) };
}

export function rawGetKeyTtl(
  storage: Storage,
  request: kvrpcpb.RawGetKeyTTLRequest,
): Answer<kvrpcpb.IRawGetKeyTTLResponse> {
  const { context, cf, key } = request;
  return answered(storage.raw.getKeyTtl(requestContext(context), cf, key), gotTtl);
}

/** A lost race answers `succeed: false` with the value that was found. */
export async function rawCompareAndSwap(
  storage: Storage,
  request: kvrpcpb.RawCASRequest,
): Promise<kvrpcpb.IRawCASResponse> {
  const reply = await storage.raw.compareAndSwap(
    requestContext(request.context),
    request.cf,
    request.key,
    request.previousNotExist ? undefined : request.previousValue,
    request.value,
    toBigInt(request.ttl),
    request.delete,
  );
  if (!reply.ok) return failure(reply.error);
  const { swapped, previous } = reply.value;
  return previous === undefined
    ? { succeed: swapped, previousNotExist: true }
    : { succeed: swapped, previousValue: previous };
}

export async function rawChecksum(
  storage: Storage,
  request: kvrpcpb.RawChecksumRequest,
): Promise<kvrpcpb.IRawChecksumResponse> {
  const reply = await storage.raw.checksum(requestContext(request.context), request.ranges);
  if (!reply.ok) return failure(reply.error);
  const { checksum, totalKvs, totalBytes } = reply.value;
  return {
    checksum: fromBigInt(checksum),
    totalKvs: fromBigInt(totalKvs),
    totalBytes: fromBigInt(totalBytes),
  };
}

/** Acts on the store, past regions and epochs; used by GC after a table is dropped. */
export async function unsafeDestroyRange(
  storage: Storage,
  request: kvrpcpb.UnsafeDestroyRangeRequest,
): Promise<kvrpcpb.IUnsafeDestroyRangeResponse> {
  return done(await storage.unsafeDestroyRange(request.startKey, request.endKey));
}

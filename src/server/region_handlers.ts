/** The RPCs on regions, from protobuf to RegionAdmin and back. Not hot. */
import { fromBigInt, type kvrpcpb, toBigInt } from "../pb/index.js";
import type { ReadCheck, RegionInfo, Storage } from "../storage/index.js";
import { requestContext } from "./context.js";
import { regionErrorToProto, regionToProto } from "./error_map.js";
import { lockInfoToProto } from "./key_error.js";
import { encodedBound } from "./txn_requests.js";

/** The fields of an answer: all resulting regions; two are also left and right, as older clients ask. */
function splitInto(regions: readonly RegionInfo[]): kvrpcpb.ISplitRegionResponse {
  const all = regions.map(regionToProto);
  const [left, right] = all;
  if (left === undefined || right === undefined) {
    return { regionError: { message: `Internal Error: invalid response: ${all.length} regions` } };
  }
  return all.length === 2 ? { regions: all, left, right } : { regions: all };
}

/** Split keys are user keys: the server encodes them. `split_key` is the field of older clients. */
export async function splitRegion(
  storage: Storage,
  request: kvrpcpb.SplitRegionRequest,
): Promise<kvrpcpb.ISplitRegionResponse> {
  const { splitKey, splitKeys, isRawKv } = request;
  const keys = splitKey.length > 0 ? [splitKey] : splitKeys;
  const context = requestContext(request.context);
  const reply = await storage.regions.split(context, keys, isRawKv);
  if (reply.ok) return splitInto(reply.value);
  const { error } = reply;
  return error.type === "region"
    ? { regionError: regionErrorToProto(error.error) }
    : { regionError: { message: error.message } };
}

/** What the read that asks looks at; undefined: it asks for the index alone. Bounds are user keys. */
function checkOf({ startTs, ranges }: kvrpcpb.ReadIndexRequest): ReadCheck | undefined {
  const ts = toBigInt(startTs);
  if (ts === 0n && ranges.length === 0) return undefined;
  return {
    ts,
    ranges: ranges.map(({ startKey, endKey }) => ({
      start: encodedBound(startKey),
      end: encodedBound(endKey),
    })),
  };
}

/** The index, or the memory lock of the leader that blocks a read at start_ts in these ranges. */
export async function readIndex(
  storage: Storage,
  request: kvrpcpb.ReadIndexRequest,
): Promise<kvrpcpb.IReadIndexResponse> {
  const reply = await storage.regions.readIndex(requestContext(request.context), checkOf(request));
  if (reply.ok) {
    return "locked" in reply.value
      ? { locked: lockInfoToProto(reply.value.locked) }
      : { readIndex: fromBigInt(reply.value.readIndex) };
  }
  const { error } = reply;
  return error.type === "region"
    ? { regionError: regionErrorToProto(error.error) }
    : { regionError: { message: error.message } };
}

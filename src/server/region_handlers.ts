/** The RPCs on regions, from protobuf to RegionAdmin and back. Not hot. */
import { fromBigInt, type kvrpcpb } from "../pb/index.js";
import type { RegionInfo, Storage } from "../storage/index.js";
import { requestContext } from "./context.js";
import { regionErrorToProto, regionToProto } from "./error_map.js";

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

/** Memory locks of `ranges` are not looked at; replica reads of transactions do not come this way. */
export async function readIndex(
  storage: Storage,
  request: kvrpcpb.ReadIndexRequest,
): Promise<kvrpcpb.IReadIndexResponse> {
  const reply = await storage.regions.readIndex(requestContext(request.context));
  if (reply.ok) return { readIndex: fromBigInt(reply.value) };
  const { error } = reply;
  return error.type === "region"
    ? { regionError: regionErrorToProto(error.error) }
    : { regionError: { message: error.message } };
}

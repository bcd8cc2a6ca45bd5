/** Queries about regions and stores. Results are copies; an unknown region is undefined. */
import { ok } from "../base/index.js";
import { fromBigInt, type MethodInfo, methodInfo, type pdpb } from "../pb/index.js";
import type { Caller } from "./caller.js";
import { locatedRegion, storeRecord } from "./convert.js";
import type { CallOptions, LocatedRegion, PdReply, StoreRecord } from "./types.js";

const GET_REGION = methodInfo("pdpb.PD", "GetRegion");
const GET_PREV_REGION = methodInfo("pdpb.PD", "GetPrevRegion");
const GET_REGION_BY_ID = methodInfo("pdpb.PD", "GetRegionByID");
const SCAN_REGIONS = methodInfo("pdpb.PD", "ScanRegions");
const GET_STORE = methodInfo("pdpb.PD", "GetStore");
const GET_ALL_STORES = methodInfo("pdpb.PD", "GetAllStores");

type GetRegion<ReqIn> = MethodInfo<ReqIn, unknown, pdpb.IGetRegionResponse, pdpb.GetRegionResponse>;

async function oneRegion<ReqIn>(
  caller: Caller,
  info: GetRegion<ReqIn>,
  build: (header: pdpb.IRequestHeader) => ReqIn,
  options?: CallOptions,
): Promise<PdReply<LocatedRegion | undefined>> {
  const reply = await caller.call(info, build, options);
  if (!reply.ok) return reply;
  const { region, leader, downPeers, pendingPeers } = reply.value;
  return ok(region === null ? undefined : locatedRegion(region, leader, downPeers, pendingPeers));
}

/** Returns the region that holds `key`, which is encoded as region boundaries are. */
export function getRegion(
  caller: Caller,
  key: Uint8Array,
  options?: CallOptions,
): Promise<PdReply<LocatedRegion | undefined>> {
  return oneRegion(caller, GET_REGION, (header) => ({ header, regionKey: key }), options);
}

/** Returns the region before the one that holds `key`. */
export function getPrevRegion(
  caller: Caller,
  key: Uint8Array,
  options?: CallOptions,
): Promise<PdReply<LocatedRegion | undefined>> {
  return oneRegion(caller, GET_PREV_REGION, (header) => ({ header, regionKey: key }), options);
}

/** Returns the region with this id. */
export function getRegionById(
  caller: Caller,
  id: bigint,
  options?: CallOptions,
): Promise<PdReply<LocatedRegion | undefined>> {
  const regionId = fromBigInt(id);
  return oneRegion(caller, GET_REGION_BY_ID, (header) => ({ header, regionId }), options);
}

/**
 * Returns up to `limit` regions in key order that overlap `[startKey, endKey)`, the first of which
 * holds startKey. Limit 0 means no limit.
 */
export async function scanRegions(
  caller: Caller,
  startKey: Uint8Array,
  endKey: Uint8Array,
  limit: number,
  options?: CallOptions,
): Promise<PdReply<LocatedRegion[]>> {
  const build = (header: pdpb.IRequestHeader): pdpb.IScanRegionsRequest => ({
    header,
    startKey,
    endKey,
    limit,
  });
  const reply = await caller.call(SCAN_REGIONS, build, options);
  if (!reply.ok) return reply;
  const regions: LocatedRegion[] = [];
  for (const { region, leader, downPeers, pendingPeers } of reply.value.regions) {
    if (region !== null) regions.push(locatedRegion(region, leader, downPeers, pendingPeers));
  }
  if (regions.length > 0) return ok(regions);
  const { leaders, regionMetas } = reply.value;
  return ok(regionMetas.map((region, i) => locatedRegion(region, leaders[i] ?? null, [], [])));
}

/** Text by which PD says that it has no such store. Source: pd server/grpc_service.go. */
const NO_SUCH_STORE = /invalid store ID.*not found/;

/** Returns a store; undefined if PD does not know it. */
export async function getStore(
  caller: Caller,
  id: bigint,
  options?: CallOptions,
): Promise<PdReply<StoreRecord | undefined>> {
  const storeId = fromBigInt(id);
  const reply = await caller.call(GET_STORE, (header) => ({ header, storeId }), options);
  if (!reply.ok) return NO_SUCH_STORE.test(reply.error.message) ? ok(undefined) : reply;
  return ok(reply.value.store === null ? undefined : storeRecord(reply.value.store));
}

/** Returns all stores, those that are gone only if asked for. */
export async function getAllStores(
  caller: Caller,
  withTombstones: boolean,
  options?: CallOptions,
): Promise<PdReply<StoreRecord[]>> {
  const build = (header: pdpb.IRequestHeader): pdpb.IGetAllStoresRequest => ({
    header,
    excludeTombstoneStores: !withTombstones,
  });
  const reply = await caller.call(GET_ALL_STORES, build, options);
  return reply.ok ? ok(reply.value.stores.map(storeRecord)) : reply;
}

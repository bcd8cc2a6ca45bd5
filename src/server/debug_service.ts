/**
 * debugpb.Debug, the part that tikv-ctl's `raft region` and `store` ask for. Everything else of it
 * is UNIMPLEMENTED. Not hot. Source: tikv src/server/service/debug.rs.
 */
import {
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { type debugpb, fromBigInt, raft_serverpb, toBigInt } from "../pb/index.js";
import type { Storage } from "../storage/index.js";

const MAX_U64 = (1n << 64n) - 1n;

function regionInfo(storage: Storage, id: bigint): debugpb.IRegionInfoResponse | undefined {
  if (id === 0n || id === MAX_U64) return undefined;
  const records = storage.debug.regionRecords(id);
  if (records === undefined) return undefined;
  const { raftState, applyState, regionState } = records;
  return {
    raftLocalState: raftState === undefined ? null : raft_serverpb.RaftLocalState.decode(raftState),
    raftApplyState:
      applyState === undefined ? null : raft_serverpb.RaftApplyState.decode(applyState),
    regionLocalState:
      regionState === undefined ? null : raft_serverpb.RegionLocalState.decode(regionState),
  };
}

type Unary<Q, R> = (call: ServerUnaryCall<Q, R>, respond: sendUnaryData<R>) => void;

/** Returns grpc-js handlers by method name. */
export function debugHandlers(storage: Storage): UntypedServiceImplementation {
  const RegionInfo: Unary<debugpb.RegionInfoRequest, debugpb.IRegionInfoResponse> = (
    { request },
    respond,
  ) => {
    const id = toBigInt(request.regionId);
    const info = regionInfo(storage, id);
    if (info !== undefined) respond(null, info);
    else respond({ code: status.NOT_FOUND, details: `Not Found "info for region ${id}"` });
  };
  const GetStoreInfo: Unary<unknown, debugpb.IGetStoreInfoResponse> = (_, respond) => {
    const { storeId, batch } = storage;
    respond(null, { storeId: fromBigInt(storeId), apiVersion: batch.apiVersion });
  };
  const GetClusterInfo: Unary<unknown, debugpb.IGetClusterInfoResponse> = (_, respond) => {
    respond(null, { clusterId: fromBigInt(storage.clusterId) });
  };
  const GetAllRegionsInStore: Unary<unknown, debugpb.IGetAllRegionsInStoreResponse> = (
    _,
    respond,
  ) => {
    respond(null, { regions: storage.debug.regionIds().map(fromBigInt) });
  };
  return { RegionInfo, GetStoreInfo, GetClusterInfo, GetAllRegionsInStore };
}

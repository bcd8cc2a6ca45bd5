/**
 * pdpb.PD: the unary methods. Streams are in streams.ts, everything else answers UNIMPLEMENTED.
 * Refusals that clients expect are header errors; a wrong cluster is a failed call. Every method
 * but GetMembers and GetClusterInfo checks the cluster id.
 * Source: pd server/grpc_service.go, pkg/utils/grpcutil/cluster.go.
 */
import { status } from "@grpc/grpc-js";
import { compareBytes } from "../../base/index.js";
import { fromBigInt, fromSignedBigInt, metapb, pdpb, toBigInt } from "../../pb/index.js";
import {
  isRemoved,
  regionFromPb,
  statsFromPb,
  statsToPb,
  storeFromPb,
  storeToPb,
} from "../core/index.js";
import type { Timestamp, TsoAnswer } from "../tso/index.js";
import type { RaftCluster } from "./cluster.js";
import type { GcManager } from "./gc_manager.js";
import { gcHandlers } from "./gc_service.js";
import { bootstrapped, checked } from "./guards.js";
import { errorHeader, okHeader, refusalHeader, statusError } from "./header.js";
import type { IdService } from "./id.js";
import type { Member } from "./member.js";
import { PD_VERSION } from "./options.js";
import { regionAnswer, scannedRegion } from "./region_answers.js";
import { scheduleHandlers } from "./schedule_service.js";
import type { TsoService } from "./tso.js";
import type { Handlers } from "./unary.js";

export interface PdServiceDeps {
  readonly cluster: RaftCluster;
  readonly tso: TsoService;
  readonly ids: IdService;
  readonly gc: GcManager;
  /** Known once the port is bound. */
  readonly member: () => Member;
}

/** Returns a member as pdpb carries it. */
export function memberToPb(member: Member): pdpb.IMember {
  return {
    name: member.name,
    memberId: fromBigInt(member.id),
    clientUrls: [...member.clientUrls],
    peerUrls: [...member.peerUrls],
    binaryVersion: PD_VERSION,
  };
}

/** Returns a timestamp as pdpb carries it. */
export function timestampToPb(timestamp: Timestamp): pdpb.ITimestamp {
  return {
    physical: fromSignedBigInt(BigInt(timestamp.physical)),
    logical: fromSignedBigInt(BigInt(timestamp.logical)),
  };
}

/** Returns the unary methods of pdpb.PD. */
export function pdHandlers(deps: PdServiceDeps): Handlers<"pdpb.PD"> {
  return {
    ...memberHandlers(deps),
    ...bootstrapHandlers(deps),
    ...storeHandlers(deps.cluster),
    ...regionHandlers(deps.cluster),
    ...scheduleHandlers(deps.cluster),
    ...gcHandlers(deps.cluster, deps.gc),
  };
}

function memberHandlers({ cluster, tso, ids, member }: PdServiceDeps): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    GetMembers: () => {
      const self = memberToPb(member());
      return { header, members: [self], leader: self, etcdLeader: self };
    },
    GetClusterInfo: () => ({ header, serviceModes: [pdpb.ServiceMode.PD_SVC_MODE] }),
    GetMinTS: checked(cluster, async () => {
      const answer = await new Promise<TsoAnswer>((resolve) => tso.request(1, resolve));
      return answer.kind === "ok"
        ? { header, timestamp: timestampToPb(answer.timestamp) }
        : { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, answer.message) };
    }),
    AllocID: checked(cluster, async (request: pdpb.AllocIDRequest) => {
      const count = request.count === 0 ? 1 : request.count;
      const id = await ids.alloc(BigInt(count));
      if (id === undefined) {
        const text = "id is exhausted";
        return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, text) };
      }
      return { header, id: fromBigInt(id), count: count > 1 ? count : 0 };
    }),
  };
}

function bootstrapHandlers({ cluster }: PdServiceDeps): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    IsBootstrapped: checked(cluster, () => ({ header, bootstrapped: cluster.bootstrapped })),
    Bootstrap: checked(cluster, async ({ store, region }: pdpb.BootstrapRequest) => {
      const outcome = await cluster.bootstrap(
        store === null ? undefined : storeFromPb(store),
        region === null ? undefined : regionFromPb(region),
      );
      if (outcome.kind === "ok") return { header };
      if (outcome.kind === "invalid") {
        return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, outcome.message) };
      }
      const text = "cluster is already bootstrapped";
      return { header: errorHeader(cluster.id, pdpb.ErrorType.ALREADY_BOOTSTRAPPED, text) };
    }),
    GetClusterConfig: bootstrapped(cluster, () => ({ header, cluster: clusterToPb(cluster) })),
    PutClusterConfig: bootstrapped(cluster, async (request: pdpb.PutClusterConfigRequest) => {
      const given = request.cluster;
      if (given === null || toBigInt(given.id) !== cluster.id) {
        const text = `invalid cluster ${given === null ? "" : `id ${toBigInt(given.id)}`}`;
        return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, text) };
      }
      const wrong = await cluster.changeConfig({ "max-replicas": given.maxPeerCount });
      if (wrong === undefined) return { header };
      return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, wrong) };
    }),
  };
}

function clusterToPb(cluster: RaftCluster): pdpb.IGetClusterConfigResponse["cluster"] {
  return { id: fromBigInt(cluster.id), maxPeerCount: cluster.clusterMeta.maxPeerCount };
}

function storeHandlers(cluster: RaftCluster): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  return {
    PutStore: bootstrapped(cluster, async ({ store }: pdpb.PutStoreRequest) => {
      const refusal = await cluster.putStore(storeFromPb(store ?? new metapb.Store()));
      return { header: refusal === undefined ? header : refusalHeader(cluster.id, refusal) };
    }),
    GetStore: bootstrapped(cluster, (request: pdpb.GetStoreRequest): pdpb.IGetStoreResponse => {
      const id = toBigInt(request.storeId);
      const store = cluster.basic.getStore(id);
      if (store === undefined) {
        const text = `invalid store ID ${id}, not found`;
        return { header: errorHeader(cluster.id, pdpb.ErrorType.UNKNOWN, text) };
      }
      const stats = store.stats === undefined ? null : statsToPb(id, store.stats);
      return { header, store: storeToPb(store.meta), stats };
    }),
    GetAllStores: bootstrapped(cluster, (request: pdpb.GetAllStoresRequest) => ({
      header,
      stores: cluster.basic
        .getStores()
        .filter(({ meta }) => !(request.excludeTombstoneStores && isRemoved(meta)))
        .map(({ meta }) => storeToPb(meta)),
    })),
    StoreHeartbeat: bootstrapped(cluster, async ({ stats }: pdpb.StoreHeartbeatRequest) => {
      if (stats === null) {
        throw statusError(status.UNKNOWN, "invalid store heartbeat command, but no stats");
      }
      const id = toBigInt(stats.storeId);
      const refusal = await cluster.storeHeartbeat(id, statsFromPb(stats));
      if (refusal !== undefined) return { header: refusalHeader(cluster.id, refusal) };
      const state = cluster.basic.getStore(id)?.meta.nodeState ?? 0;
      return { header, clusterVersion: PD_VERSION, state };
    }),
  };
}

function regionHandlers(cluster: RaftCluster): Handlers<"pdpb.PD"> {
  const header = okHeader(cluster.id);
  const { basic } = cluster;
  /** No region is no error: the answer has a header only. */
  const answer = (region: ReturnType<typeof basic.getRegion>, needBuckets: boolean) =>
    region === undefined ? { header } : { header, ...regionAnswer(region, needBuckets) };
  return {
    GetRegion: bootstrapped(cluster, ({ regionKey, needBuckets }: pdpb.GetRegionRequest) =>
      answer(basic.tree.search(regionKey), needBuckets),
    ),
    GetPrevRegion: bootstrapped(cluster, ({ regionKey, needBuckets }: pdpb.GetRegionRequest) =>
      answer(basic.tree.searchPrev(regionKey), needBuckets),
    ),
    GetRegionByID: bootstrapped(cluster, ({ regionId, needBuckets }: pdpb.GetRegionByIDRequest) =>
      answer(basic.getRegion(toBigInt(regionId)), needBuckets),
    ),
    ScanRegions: bootstrapped(cluster, (request: pdpb.ScanRegionsRequest) => {
      const found = basic.scanRegions(request.startKey, request.endKey, request.limit);
      const regions = Array.isArray(found) ? found.map((one) => scannedRegion(one, false)) : [];
      return {
        header,
        regionMetas: regions.map((one) => one.region ?? {}),
        leaders: regions.map((one) => one.leader ?? {}),
        regions,
      };
    }),
    BatchScanRegions: bootstrapped(cluster, (request: pdpb.BatchScanRegionsRequest) => {
      const found = batchScan(cluster, request);
      if (Array.isArray(found)) return { header, regions: found };
      return { header: errorHeader(cluster.id, found.type, found.message) };
    }),
  };
}

/** Returns the regions of several ascending ranges, each once, or why the request is refused. */
function batchScan(
  cluster: RaftCluster,
  request: pdpb.BatchScanRegionsRequest,
): pdpb.IRegion[] | { readonly type: number; readonly message: string } {
  const { ranges, limit, needBuckets } = request;
  const invalid = (message: string) => ({ type: pdpb.ErrorType.UNKNOWN, message });
  const regions: pdpb.IRegion[] = [];
  let lastId = 0n;
  for (const [at, { startKey, endKey }] of ranges.entries()) {
    const before = ranges[at - 1];
    if (before !== undefined && compareBytes(startKey, before.endKey) < 0) {
      return invalid("invalid key range, ranges overlapped");
    }
    if (endKey.length > 0 && compareBytes(startKey, endKey) > 0) {
      return invalid("invalid key range, start key > end key");
    }
    const found = cluster.basic.scanRegions(startKey, endKey, limit, request.containAllKeyRange);
    if (!Array.isArray(found)) {
      const type = pdpb.ErrorType.REGIONS_NOT_CONTAIN_ALL_KEY_RANGE;
      return { type, message: found.message };
    }
    for (const region of found) {
      if (region.meta.id === lastId) continue;
      lastId = region.meta.id;
      regions.push(scannedRegion(region, needBuckets));
      if (limit > 0 && regions.length >= limit) return regions;
    }
  }
  return regions;
}

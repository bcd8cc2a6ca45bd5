/** The cluster's id, whether it is bootstrapped, its stores and regions. */
import { errorMessage, TikvError } from "../../../base/index.js";
import { fromBigInt, metapb } from "../../../pb/index.js";
import {
  type RegionMeta,
  regionFromPb,
  regionToPb,
  type StoreMeta,
  storeFromPb,
  storeToPb,
} from "../../core/index.js";
import type { Kv, KvChange } from "../kv.js";
import { CLUSTER_ID_PATH, keyPath } from "./key_path.js";
import { loadU64, u64Bytes } from "./u64_value.js";

export interface ClusterMeta {
  readonly id: bigint;
  readonly maxPeerCount: number;
}

/** Returns the id that this directory belongs to; undefined for a new one. */
export function loadClusterId(kv: Kv): bigint | undefined {
  return loadU64(kv, CLUSTER_ID_PATH);
}

export function saveClusterId(kv: Kv, id: bigint): Promise<void> {
  return kv.save([{ key: CLUSTER_ID_PATH, value: u64Bytes(id) }]);
}

function decoded<T>(key: string, bytes: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  try {
    return decode(bytes);
  } catch (cause) {
    const text = `PD's data is damaged: ${key}: ${errorMessage(cause)}`;
    throw new TikvError("KV:Engine:Codec", text, { cause });
  }
}

/** Returns the cluster's metadata; undefined before bootstrap. */
export function loadCluster(kv: Kv, clusterId: bigint): ClusterMeta | undefined {
  const key = keyPath.cluster(clusterId);
  const bytes = kv.load(key);
  if (bytes === undefined) return undefined;
  const cluster = decoded(key, bytes, (value) => metapb.Cluster.decode(value));
  return { id: clusterId, maxPeerCount: cluster.maxPeerCount };
}

export function clusterChange(cluster: ClusterMeta): KvChange {
  const message = { id: fromBigInt(cluster.id), maxPeerCount: cluster.maxPeerCount };
  return { key: keyPath.cluster(cluster.id), value: metapb.Cluster.encode(message).finish() };
}

/** Returns the time of bootstrap in nanoseconds since the Unix epoch; 0 before. */
export function loadBootstrapTime(kv: Kv, clusterId: bigint): bigint {
  return loadU64(kv, keyPath.bootstrapTime(clusterId)) ?? 0n;
}

export function bootstrapTimeChange(clusterId: bigint, nanos: bigint): KvChange {
  return { key: keyPath.bootstrapTime(clusterId), value: u64Bytes(nanos) };
}

export function storeChange(clusterId: bigint, store: StoreMeta): KvChange {
  const value = metapb.Store.encode(storeToPb(store)).finish();
  return { key: keyPath.store(clusterId, store.id), value };
}

export function storeRemoval(clusterId: bigint, id: bigint): KvChange {
  return { key: keyPath.store(clusterId, id), value: undefined };
}

export function loadStores(kv: Kv, clusterId: bigint, visit: (store: StoreMeta) => void): void {
  kv.loadPrefix(keyPath.storePrefix(clusterId), (key, bytes) => {
    visit(storeFromPb(decoded(key, bytes, (value) => metapb.Store.decode(value))));
  });
}

export function regionChange(clusterId: bigint, region: RegionMeta): KvChange {
  const value = metapb.Region.encode(regionToPb(region)).finish();
  return { key: keyPath.region(clusterId, region.id), value };
}

export function regionRemoval(clusterId: bigint, id: bigint): KvChange {
  return { key: keyPath.region(clusterId, id), value: undefined };
}

export function loadRegions(kv: Kv, clusterId: bigint, visit: (region: RegionMeta) => void): void {
  kv.loadPrefix(keyPath.regionPrefix(clusterId), (key, bytes) => {
    visit(regionFromPb(decoded(key, bytes, (value) => metapb.Region.decode(value))));
  });
}

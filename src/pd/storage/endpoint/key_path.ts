/**
 * Keys of PD's metadata. PERSISTED: PD's own paths, but for what PD keeps in etcd outside of them or
 * has no word for (txn safe point, global barriers, who leads GC). Source: pd pkg/utils/keypath.
 */

const ID_DIGITS = 20;

export const CLUSTER_ID_PATH = "/pd/cluster_id";

function id20(id: bigint): string {
  return id.toString().padStart(ID_DIGITS, "0");
}

export const keyPath = {
  timestamp: (cluster: bigint) => `/pd/${cluster}/timestamp`,
  allocId: (cluster: bigint) => `/pd/${cluster}/alloc_id`,
  gcSafePoint: (cluster: bigint) => `/pd/${cluster}/gc/safe_point`,
  gcBarrierPrefix: (cluster: bigint) => `/pd/${cluster}/gc/safe_point/service/`,
  gcTxnSafePoint: (cluster: bigint) => `/pd/${cluster}/gc/txn_safe_point`,
  gcGlobalBarrierPrefix: (cluster: bigint) => `/pd/${cluster}/gc/global_gc_barrier/`,
  gcExternalLeader: (cluster: bigint) => `/pd/${cluster}/gc/external_leader`,
  config: (cluster: bigint) => `/pd/${cluster}/config`,
  cluster: (cluster: bigint) => `/pd/${cluster}/raft`,
  bootstrapTime: (cluster: bigint) => `/pd/${cluster}/raft/status/raft_bootstrap_time`,
  storePrefix: (cluster: bigint) => `/pd/${cluster}/raft/s/`,
  store: (cluster: bigint, id: bigint) => `/pd/${cluster}/raft/s/${id20(id)}`,
  regionPrefix: (cluster: bigint) => `/pd/${cluster}/raft/r/`,
  region: (cluster: bigint, id: bigint) => `/pd/${cluster}/raft/r/${id20(id)}`,
} as const;

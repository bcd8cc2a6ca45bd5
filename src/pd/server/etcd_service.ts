/**
 * The etcd v3 API on PD's port, as far as clients need it to find members: Cluster/MemberList and
 * Maintenance/Status. KV is in etcd_kv_service.ts; Watch and Lease answer UNIMPLEMENTED.
 */
import { type etcdserverpb, fromBigInt } from "../../pb/index.js";
import type { Member } from "./member.js";
import type { Handlers } from "./unary.js";

/** The etcd version whose API this follows; clients refuse versions they do not know. */
const ETCD_VERSION = "3.4.31";

export interface EtcdDeps {
  readonly clusterId: bigint;
  readonly member: () => Member;
}

function header({ clusterId, member }: EtcdDeps): etcdserverpb.IResponseHeader {
  return { clusterId: fromBigInt(clusterId), memberId: fromBigInt(member().id), raftTerm: 1 };
}

/** Returns the methods of etcdserverpb.Cluster. */
export function etcdCluster(deps: EtcdDeps): Handlers<"etcdserverpb.Cluster"> {
  return {
    MemberList: () => {
      const { id, name, peerUrls, clientUrls } = deps.member();
      const self = {
        ID: fromBigInt(id),
        name,
        peerURLs: [...peerUrls],
        clientURLs: [...clientUrls],
      };
      return { header: header(deps), members: [self] };
    },
  };
}

/** Returns the methods of etcdserverpb.Maintenance. */
export function etcdMaintenance(deps: EtcdDeps): Handlers<"etcdserverpb.Maintenance"> {
  return {
    Status: () => ({
      header: header(deps),
      version: ETCD_VERSION,
      leader: fromBigInt(deps.member().id),
      raftTerm: 1,
    }),
  };
}

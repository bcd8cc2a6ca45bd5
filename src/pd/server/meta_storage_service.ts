/**
 * meta_storagepb.MetaStorage: reads of a store that nothing has written to yet. Put and Watch are
 * not served. Without Get, a current Go client spends 5 seconds of retries on every start.
 */
import { fromBigInt, fromSignedBigInt, isZero } from "../../pb/index.js";
import type { RaftCluster } from "./cluster.js";
import { mismatch } from "./header.js";
import type { Handlers } from "./unary.js";

/** Revision of an etcd that holds nothing. */
const FIRST_REVISION = 1n;

/** Returns the methods of meta_storagepb.MetaStorage. */
export function metaStorageHandlers(cluster: RaftCluster): Handlers<"meta_storagepb.MetaStorage"> {
  const header = { clusterId: fromBigInt(cluster.id), revision: fromSignedBigInt(FIRST_REVISION) };
  return {
    Get: (request) => {
      // Clients of this service may leave the cluster id out.
      if (request.header !== null && !isZero(request.header.clusterId)) {
        const wrong = mismatch(cluster.id, request.header);
        if (wrong !== undefined) throw wrong;
      }
      return { header, kvs: [], more: false, count: 0 };
    },
  };
}

/** keyspacepb.Keyspace: the DEFAULT keyspace, which every cluster has; no others yet. */
import { keyspacepb, pdpb } from "../../pb/index.js";
import type { RaftCluster } from "./cluster.js";
import { errorHeader, mismatch, notBootstrapped, okHeader } from "./header.js";
import type { Handlers } from "./unary.js";

const DEFAULT_KEYSPACE: keyspacepb.IKeyspaceMeta = {
  id: 0,
  name: "DEFAULT",
  state: keyspacepb.KeyspaceState.ENABLED,
};

/** Returns the methods of keyspacepb.Keyspace. */
export function keyspaceHandlers(cluster: RaftCluster): Handlers<"keyspacepb.Keyspace"> {
  const header = okHeader(cluster.id);
  /** Throws for another cluster; returns the header of an answer before bootstrap. */
  const refused = (given: pdpb.RequestHeader | null): pdpb.IResponseHeader | undefined => {
    const wrong = mismatch(cluster.id, given);
    if (wrong !== undefined) throw wrong;
    return cluster.bootstrapped ? undefined : notBootstrapped(cluster.id);
  };
  const notFound = errorHeader(
    cluster.id,
    pdpb.ErrorType.ENTRY_NOT_FOUND,
    "[PD:keyspace:ErrKeyspaceNotFound]keyspace does not exist",
  );
  return {
    LoadKeyspace: (request) => {
      const refusal = refused(request.header);
      if (refusal !== undefined) return { header: refusal };
      if (request.name !== DEFAULT_KEYSPACE.name) return { header: notFound };
      return { header, keyspace: DEFAULT_KEYSPACE };
    },
    LoadKeyspaceByID: (request) => {
      const refusal = refused(request.header);
      if (refusal !== undefined) return { header: refusal };
      if (request.id !== DEFAULT_KEYSPACE.id) return { header: notFound };
      return { header, keyspace: DEFAULT_KEYSPACE };
    },
    GetAllKeyspaces: (request) => {
      const refusal = refused(request.header);
      if (refusal !== undefined) return { header: refusal };
      const all = (request.startId ?? 0) <= 0 ? [DEFAULT_KEYSPACE] : [];
      return { header, keyspaces: all };
    },
  };
}

/**
 * etcdserverpb.KV on PD's port: what SQL nodes and GC leaders keep beside PD. An answer leaves when
 * what it tells is on disk. Watch and Lease are not served, nor are revisions of the past.
 */
import type { etcdserverpb } from "../../pb/index.js";
import { fromBigInt, fromSignedBigInt } from "../../pb/index.js";
import type { EtcdStore } from "../storage/index.js";
import { EtcdKv } from "./etcd_kv.js";
import type { GcManager } from "./gc_manager.js";
import type { Member } from "./member.js";
import type { Saves } from "./saves.js";
import type { Handlers } from "./unary.js";

export interface EtcdKvDeps {
  readonly clusterId: bigint;
  readonly member: () => Member;
  readonly store: EtcdStore;
  readonly saves: Saves;
  readonly gc: GcManager;
}

/** Returns the methods of etcdserverpb.KV. */
export function etcdKvHandlers(deps: EtcdKvDeps): Handlers<"etcdserverpb.KV"> {
  const { clusterId, gc, member, saves, store } = deps;
  const kv = new EtcdKv(store);
  const header = (): etcdserverpb.IResponseHeader => ({
    clusterId: fromBigInt(clusterId),
    memberId: fromBigInt(member().id),
    revision: fromSignedBigInt(store.revision),
    raftTerm: 1,
  });
  /** Writes what `change` did; the header has the revision that it made. */
  const written = async <T extends object>(response: T, puts: readonly Pair[]): Promise<T> => {
    const saved = saves.save(store.commit());
    const whole = { ...response, header: header() };
    for (const { key, value } of puts) gc.onEtcdPut(key, value);
    await saved;
    await saves.settled();
    return whole;
  };
  return {
    Range: async (request) => {
      const response = { ...kv.range(request), header: header() };
      await saves.settled();
      return response;
    },
    Put: (request) => written(kv.put(request), [request]),
    DeleteRange: (request) => written(kv.deleteRange(request), []),
    Txn: (request) => {
      const response = kv.txn(request);
      const branch = response.succeeded === true ? request.success : request.failure;
      const puts = branch.map(({ requestPut }) => requestPut).filter((put) => put !== null);
      return written(response, puts);
    },
  };
}

interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

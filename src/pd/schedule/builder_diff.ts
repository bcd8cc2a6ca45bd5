/** What has to change from the peers of a region to those it shall have. PURE. */
import { err, ok, type Result } from "../../base/index.js";
import { isLearner, PEER_ROLE, type PeerMeta, type RegionInfo, storePeer } from "../core/index.js";
import type { TargetPeer } from "./builder.js";
import type { ScheduleCluster } from "./cluster.js";

/** Peers by what happens to them, each list by ascending store id. `add` has new ids. */
export interface PeersDiff {
  readonly add: readonly PeerMeta[];
  readonly remove: readonly PeerMeta[];
  readonly promote: readonly PeerMeta[];
  readonly demote: readonly PeerMeta[];
}

function byStore(a: { storeId: bigint }, b: { storeId: bigint }): number {
  return a.storeId < b.storeId ? -1 : 1;
}

/** Returns the difference; an error when no id is at hand for a new peer, or a store is doubled. */
export function peersDiff(
  cluster: ScheduleCluster,
  { meta }: RegionInfo,
  target: readonly TargetPeer[],
): Result<PeersDiff, string> {
  const add: PeerMeta[] = [];
  const [promote, demote]: [PeerMeta[], PeerMeta[]] = [[], []];
  const wanted = new Set<bigint>();
  for (const { storeId, role } of [...target].sort(byStore)) {
    if (wanted.has(storeId)) return err(`store ${storeId} is wanted twice`);
    wanted.add(storeId);
    const peer = storePeer(meta, storeId);
    if (peer === undefined) {
      const id = cluster.allocId();
      if (id === undefined) return err("no peer id is at hand");
      add.push({ id, storeId, role: PEER_ROLE[role], isWitness: false });
    } else if (role === "voter" && isLearner(peer)) promote.push(peer);
    else if (role === "learner" && !isLearner(peer)) demote.push(peer);
  }
  const remove = meta.peers.filter((peer) => !wanted.has(peer.storeId)).sort(byStore);
  return ok({ add, remove, promote, demote });
}

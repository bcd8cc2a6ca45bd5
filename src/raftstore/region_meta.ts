/**
 * A region as JSON for people and tests: the shape of TiKV's GET /region/{id}. u64 fields are
 * JSON numbers where they are exact, as with TiKV; keys are arrays of bytes.
 * Source: tikv raftstore/store/region_meta.rs.
 */
import type { Engine } from "../engine/index.js";
import { readRaftApplyState, readRaftLocalState } from "./local_state.js";
import type { Peer } from "./peer.js";

const ROLE_NAMES = ["Voter", "Learner", "IncomingVoter", "DemotingVoter"] as const;
const PROGRESS_NAMES = ["Probe", "Replicate", "Snapshot"] as const;

/** What a leader knows of each replica's log, by peer id. */
function progressOf({ rawNode }: Peer): Record<string, unknown> {
  return Object.fromEntries(
    rawNode.status().progress.map((one) => [
      String(one.id),
      {
        matched: one.match,
        next_idx: one.next,
        state: PROGRESS_NAMES[one.state],
        paused: false,
        pending_snapshot: one.pendingSnapshot,
        pending_request_snapshot: 0,
        recent_active: one.recentActive,
      },
    ]),
  );
}

/** Returns the JSON value of one region. */
export function regionMeta(engine: Engine, peer: Peer): Record<string, unknown> {
  const { region } = peer;
  const raft = readRaftLocalState(engine, region.id);
  const apply = readRaftApplyState(engine, region.id);
  const applied = Number(apply?.appliedIndex ?? 0n);
  return {
    group_state: "Ordered",
    raft_status: {
      id: Number(peer.peerId),
      hard_state: {
        term: Number(raft?.term ?? 0n),
        vote: Number(raft?.vote ?? 0n),
        commit: Number(raft?.commit ?? 0n),
      },
      soft_state: {
        leader_id: Number(peer.leader?.id ?? 0n),
        raft_state: peer.isLeader ? "Leader" : "Follower",
      },
      applied,
      progress: progressOf(peer),
    },
    raft_apply: {
      applied_index: applied,
      commit_index: Number(apply?.commitIndex ?? 0n),
      commit_term: Number(apply?.commitTerm ?? 0n),
      truncated_state: {
        index: Number(apply?.truncatedIndex ?? 0n),
        term: Number(apply?.truncatedTerm ?? 0n),
      },
    },
    region_state: {
      id: Number(region.id),
      start_key: [...region.startKey],
      end_key: [...region.endKey],
      epoch: { conf_ver: Number(region.confVer), version: Number(region.version) },
      peers: region.peers.map((one) => ({
        id: Number(one.id),
        store_id: Number(one.storeId),
        role: ROLE_NAMES[one.role],
        is_witness: false,
      })),
      merge_state: null,
      tablet_index: 0,
    },
    bucket_keys: [],
  };
}

/**
 * The steps that operators are made of: what each asks of the leader, when it is done, when it
 * cannot go on, by how much it explains a grown conf_ver, how long it may take. PURE.
 * Source: pd pkg/schedule/operator/step.go; conf_ver by the conf-change rules of raftstore.
 */
import { equalBytes } from "../../base/index.js";
import {
  inJointState,
  isDown,
  isLearner,
  isLearnerOrDemoting,
  isPending,
  isRemoved,
  isRemoving,
  isVoterOrIncoming,
  PEER_ROLE,
  type PeerMeta,
  type RegionInfo,
  storePeer,
  storeVoter,
} from "../core/index.js";
import type { ScheduleCluster } from "./cluster.js";
import { checkJointInProgress } from "./joint_steps.js";
import { CHANGE_TYPE, type OrderBody } from "./order.js";

/** A peer of a step by its place. */
export interface StepPeer {
  readonly storeId: bigint;
  readonly peerId: bigint;
}

export type OpStep =
  | ({ readonly kind: "add_learner" | "add_peer" | "promote_learner" | "demote_voter" } & StepPeer)
  | ({ readonly kind: "remove_peer"; readonly isDownStore: boolean } & StepPeer)
  | { readonly kind: "transfer_leader"; readonly from: bigint; readonly to: bigint }
  | JointStep
  | {
      readonly kind: "split_region";
      /** The region's range when the step was made; it is done once that changed. */
      readonly startKey: Uint8Array;
      readonly endKey: Uint8Array;
      readonly keys: readonly Uint8Array[];
    };

/** Several role changes at once: into the joint state and out of it. */
export interface JointStep {
  readonly kind: "change_peer_v2_enter" | "change_peer_v2_leave";
  readonly promote: readonly StepPeer[];
  readonly demote: readonly StepPeer[];
}

/** Source: pd FastStepWaitTime. */
const FAST_STEP_MS = 60_000;
/** Source: pd SlowStepWaitTime. */
const SLOW_STEP_MS = 600_000;
/** Time that a slow step gets per MiB of the region. Source: pd DefaultSlowExecutorRate. */
const SLOW_MS_PER_MIB = 6000;
/** Time that a fast step gets per MiB of the region. Source: pd DefaultFastExecutorRate. */
const FAST_MS_PER_MIB = 10;

function voterRole(peer: StepPeer, role: 0 | 1): PeerMeta {
  return { id: peer.peerId, storeId: peer.storeId, role, isWitness: false };
}

function changeRole(peer: StepPeer, role: "voter" | "learner"): OrderBody["changePeers"] {
  const type = role === "voter" ? CHANGE_TYPE.addNode : CHANGE_TYPE.addLearnerNode;
  return [{ type, peer: voterRole(peer, PEER_ROLE[role]) }];
}

/**
 * Returns what to ask of the leader, or undefined when it has been done and only has to show: a new
 * peer that waits for its snapshot.
 */
export function stepOrder(step: OpStep, { meta }: RegionInfo): OrderBody | undefined {
  switch (step.kind) {
    case "add_learner":
    case "add_peer": {
      if (storePeer(meta, step.storeId) !== undefined) return undefined;
      return {
        changePeers: changeRole(step, step.kind === "add_peer" ? "voter" : "learner") ?? [],
      };
    }
    case "promote_learner":
      return { changePeers: changeRole(step, "voter") ?? [] };
    case "demote_voter":
      return { changePeers: changeRole(step, "learner") ?? [] };
    case "remove_peer": {
      const peer = storePeer(meta, step.storeId) ?? voterRole(step, PEER_ROLE.voter);
      return { changePeers: [{ type: CHANGE_TYPE.removeNode, peer }] };
    }
    case "transfer_leader": {
      const peer = storePeer(meta, step.to);
      return peer === undefined ? undefined : { transferLeader: [peer] };
    }
    case "change_peer_v2_enter":
      return {
        changePeers: [
          ...step.promote.flatMap((peer) => changeRole(peer, "voter") ?? []),
          ...step.demote.flatMap((peer) => changeRole(peer, "learner") ?? []),
        ],
      };
    case "change_peer_v2_leave":
      return { changePeers: [] };
    case "split_region":
      return { splitRegion: { keys: step.keys } };
  }
}

/** Returns whether the region shows that the step is done. */
export function stepFinished(step: OpStep, region: RegionInfo): boolean {
  const { meta, leader } = region;
  switch (step.kind) {
    case "add_learner": {
      const peer = storePeer(meta, step.storeId);
      const added = peer?.id === step.peerId && isLearner(peer);
      return added && !isPending(region, peer.id) && !isDown(region, peer.id);
    }
    case "add_peer": {
      const peer = storeVoter(meta, step.storeId);
      return peer?.id === step.peerId && !isPending(region, peer.id);
    }
    case "promote_learner": {
      const peer = storePeer(meta, step.storeId);
      return peer?.id === step.peerId && peer.role === PEER_ROLE.voter;
    }
    case "demote_voter": {
      const peer = storePeer(meta, step.storeId);
      return peer?.id === step.peerId && isLearner(peer);
    }
    case "remove_peer":
      return storePeer(meta, step.storeId) === undefined;
    case "transfer_leader":
      return leader?.storeId === step.to;
    case "change_peer_v2_enter":
      return entered(step, region);
    case "change_peer_v2_leave":
      return left(step, region) && !inJointState(meta.peers);
    case "split_region":
      return !equalBytes(meta.startKey, step.startKey) || !equalBytes(meta.endKey, step.endKey);
  }
}

/** Returns whether every change of the step shows, as joint roles or as final ones. */
function entered(step: JointStep, { meta }: RegionInfo): boolean {
  const promoted = step.promote.every(({ storeId, peerId }) => {
    const peer = storePeer(meta, storeId);
    return peer?.id === peerId && isVoterOrIncoming(peer);
  });
  const demoted = step.demote.every(({ storeId, peerId }) => {
    const peer = storePeer(meta, storeId);
    return peer === undefined || (peer.id === peerId && isLearnerOrDemoting(peer));
  });
  return promoted && demoted;
}

/** Returns whether every change of the step shows as a final role. */
function left(step: JointStep, { meta }: RegionInfo): boolean {
  const promoted = step.promote.every(({ storeId, peerId }) => {
    const peer = storePeer(meta, storeId);
    return peer?.id === peerId && peer.role === PEER_ROLE.voter;
  });
  const demoted = step.demote.every(({ storeId, peerId }) => {
    const peer = storePeer(meta, storeId);
    return peer === undefined || (peer.id === peerId && isLearner(peer));
  });
  return promoted && demoted;
}

/** Returns by how much the step, as far as it has got, raised the region's conf_ver. */
export function stepConfVer(step: OpStep, region: RegionInfo): number {
  const { meta } = region;
  switch (step.kind) {
    case "add_learner":
      return storePeer(meta, step.storeId)?.id === step.peerId ? 1 : 0;
    case "add_peer":
    case "promote_learner":
      return storeVoter(meta, step.storeId)?.id === step.peerId ? 1 : 0;
    case "demote_voter": {
      const peer = storePeer(meta, step.storeId);
      return peer?.id === step.peerId && isLearner(peer) ? 1 : 0;
    }
    case "remove_peer": {
      const peer = storePeer(meta, step.storeId);
      return peer === undefined || peer.id !== step.peerId ? 1 : 0;
    }
    case "change_peer_v2_enter":
      return entered(step, region) ? step.promote.length + step.demote.length : 0;
    case "change_peer_v2_leave":
      return left(step, region) ? step.promote.length + step.demote.length : 0;
    case "transfer_leader":
    case "split_region":
      return 0;
  }
}

/** Returns why a store cannot take a peer or a leader any more, or undefined. */
function checkStore(cluster: ScheduleCluster, storeId: bigint): string | undefined {
  const store = cluster.basic.getStore(storeId);
  if (store === undefined) return `target store ${storeId} does not exist`;
  if (isRemoving(store.meta) || isRemoved(store.meta)) {
    return `target store ${storeId} is being removed`;
  }
  const isOver = cluster.nowMs() - store.seenMs > cluster.config.maxStoreDownTimeMs;
  return isOver ? `target store ${storeId} is down` : undefined;
}

/**
 * Returns why the step must not go on with the region as it is, or undefined. A step that is not
 * safe ends its operator.
 */
export function stepProblem(
  step: OpStep,
  cluster: ScheduleCluster,
  region: RegionInfo,
): string | undefined {
  const { meta, leader } = region;
  switch (step.kind) {
    case "add_learner":
    case "add_peer": {
      const down = checkStore(cluster, step.storeId);
      if (down !== undefined) return down;
      const peer = storePeer(meta, step.storeId);
      if (peer !== undefined && peer.id !== step.peerId) {
        return `store ${step.storeId} has peer ${peer.id}, not ${step.peerId}`;
      }
      const isVoter = peer !== undefined && !isLearner(peer);
      return step.kind === "add_learner" && isVoter ? "the peer is a voter already" : undefined;
    }
    case "promote_learner":
    case "demote_voter": {
      const peer = storePeer(meta, step.storeId);
      if (peer?.id !== step.peerId) return `peer ${step.peerId} does not exist`;
      const demotesLeader = step.kind === "demote_voter" && leader?.id === peer.id;
      return demotesLeader ? "cannot demote the leader" : undefined;
    }
    case "remove_peer":
      return leader?.storeId === step.storeId ? "cannot remove the leader" : undefined;
    case "transfer_leader": {
      const peer = storePeer(meta, step.to);
      if (peer === undefined) return `store ${step.to} has no peer`;
      return isLearner(peer) ? "a learner cannot lead" : checkStore(cluster, step.to);
    }
    case "change_peer_v2_enter":
    case "change_peer_v2_leave":
      return checkJointInProgress(step, region);
    case "split_region":
      return undefined;
  }
}

/** Returns how long the step may take, in milliseconds, for a region of `sizeMiB`. */
export function stepTimeoutMs(step: OpStep, sizeMiB: number): number {
  const fast = Math.max(FAST_STEP_MS, FAST_MS_PER_MIB * sizeMiB);
  switch (step.kind) {
    case "add_learner":
    case "add_peer":
      return Math.max(SLOW_STEP_MS, SLOW_MS_PER_MIB * sizeMiB);
    case "change_peer_v2_enter":
    case "change_peer_v2_leave":
      return fast * (step.promote.length + step.demote.length + 1);
    default:
      return fast;
  }
}

function peersText(peers: readonly StepPeer[]): string {
  return peers.map(({ storeId, peerId }) => `peer ${peerId} on store ${storeId}`).join(", ");
}

/** Returns the step for people. */
export function stepText(step: OpStep): string {
  switch (step.kind) {
    case "add_learner":
      return `add learner peer ${step.peerId} on store ${step.storeId}`;
    case "add_peer":
      return `add peer ${step.peerId} on store ${step.storeId}`;
    case "promote_learner":
      return `promote learner peer ${step.peerId} on store ${step.storeId} to voter`;
    case "demote_voter":
      return `demote voter peer ${step.peerId} on store ${step.storeId} to learner`;
    case "remove_peer":
      return `remove peer on store ${step.storeId}`;
    case "transfer_leader":
      return `transfer leader from store ${step.from} to store ${step.to}`;
    case "change_peer_v2_enter":
    case "change_peer_v2_leave": {
      const parts = [
        ...(step.promote.length > 0 ? [`promote ${peersText(step.promote)}`] : []),
        ...(step.demote.length > 0 ? [`demote ${peersText(step.demote)}`] : []),
      ];
      const verb = step.kind === "change_peer_v2_enter" ? "enter" : "leave";
      return `${verb} joint state: ${parts.join("; ")}`;
    }
    case "split_region":
      return step.keys.length === 0 ? "split region by size" : `split at ${step.keys.length} keys`;
  }
}

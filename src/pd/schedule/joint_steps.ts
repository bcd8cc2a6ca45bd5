/**
 * Whether a step into or out of a joint state may go on: all its changes show the same stage, no
 * other peer is between configurations, and the leader is not voted out. PURE.
 * Source: pd pkg/schedule/operator/step.go ChangePeerV2Enter/Leave CheckInProgress.
 */
import { inJointState, PEER_ROLE, type RegionInfo, storePeer } from "../core/index.js";
import type { JointStep } from "./steps.js";

/** Before the joint state, in it, or after it; undefined: neither. */
type Stage = "before" | "joint" | "after" | undefined;

function promoteStage(role: number): Stage {
  if (role === PEER_ROLE.learner) return "before";
  if (role === PEER_ROLE.incomingVoter) return "joint";
  return role === PEER_ROLE.voter ? "after" : undefined;
}

function demoteStage(role: number): Stage {
  if (role === PEER_ROLE.voter) return "before";
  if (role === PEER_ROLE.demotingVoter) return "joint";
  return role === PEER_ROLE.learner ? "after" : undefined;
}

/** Returns why the step must not go on, or undefined. */
export function checkJointInProgress(step: JointStep, region: RegionInfo): string | undefined {
  const { meta, leader } = region;
  const stages = new Set<Stage>();
  for (const [peers, stageOf] of [
    [step.promote, promoteStage],
    [step.demote, demoteStage],
  ] as const) {
    for (const { storeId, peerId } of peers) {
      const peer = storePeer(meta, storeId);
      if (peer?.id !== peerId) return `peer ${peerId} does not exist`;
      const stage = stageOf(peer.role);
      if (stage === undefined) return `peer ${peerId} has role ${peer.role}`;
      stages.add(stage);
    }
  }
  if (stages.size > 1) return "the changes of a joint step show different stages";
  const isJoint = stages.has("joint");
  const changing = new Set([...step.promote, ...step.demote].map(({ peerId }) => peerId));
  const others = meta.peers.filter((peer) => !changing.has(peer.id));
  if (inJointState(others)) return "other peers are in a joint state";
  const leaves = step.kind === "change_peer_v2_leave";
  if (leaves && stages.has("before")) return "the region is not in the joint state";
  const demotesLeader = step.demote.some(({ peerId }) => peerId === leader?.id);
  return leaves && isJoint && demotesLeader ? "cannot demote the leader" : undefined;
}

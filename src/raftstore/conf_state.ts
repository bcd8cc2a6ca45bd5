/** The Raft members that the peers of a region are. Source: tikv raftstore/store/util.rs. */
import { idToNumber, unreachable } from "../base/index.js";
import type { ConfState } from "../raft/index.js";
import { PEER_ROLE, type PeerInfo, type RegionInfo } from "./region.js";

/**
 * Returns the members of a region. In a joint state an IncomingVoter votes in the new half only, a
 * DemotingVoter in the old half only, and becomes a learner when it is left, which is on request.
 */
export function confStateOf(region: RegionInfo): ConfState {
  const voters: number[] = [];
  const learners: number[] = [];
  const votersOutgoing: number[] = [];
  const learnersNext: number[] = [];
  const joint = region.peers.some(isJoint);
  for (const { id, role } of region.peers) {
    const number = idToNumber(id);
    switch (role) {
      case PEER_ROLE.Voter:
        voters.push(number);
        if (joint) votersOutgoing.push(number);
        break;
      case PEER_ROLE.Learner:
        learners.push(number);
        break;
      case PEER_ROLE.IncomingVoter:
        voters.push(number);
        break;
      case PEER_ROLE.DemotingVoter:
        votersOutgoing.push(number);
        learnersNext.push(number);
        break;
      default:
        unreachable(role);
    }
  }
  for (const list of [voters, learners, votersOutgoing, learnersNext]) list.sort((a, b) => a - b);
  return { voters, learners, votersOutgoing, learnersNext, autoLeave: false };
}

/** Returns whether the peer's role exists in a joint state only. */
export function isJoint(peer: PeerInfo): boolean {
  return peer.role === PEER_ROLE.IncomingVoter || peer.role === PEER_ROLE.DemotingVoter;
}

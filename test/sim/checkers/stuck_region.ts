/**
 * No stuck region: in a healed cluster every region has one leader of the newest term, is not on
 * its way between two member lists, and all its members have applied all of the leader's log.
 */
import {
  allPeers,
  type Checker,
  CheckFailed,
  type ClusterView,
  describeRegion,
  type PeerView,
  type RegionView,
} from "../view.js";

const NAME = "stuck region";

/** Returns what keeps regions from rest; empty when all are at rest. */
export function stuckReasons(view: ClusterView): string[] {
  const peers = allPeers(view);
  return view.pdRegions.flatMap((region) => {
    const members = peers.filter((peer) => peer.regionId === region.regionId);
    const reason = reasonOf(region, members);
    return reason === undefined ? [] : [`${describeRegion(region)}: ${reason}`];
  });
}

function reasonOf(region: RegionView, peers: readonly PeerView[]): string | undefined {
  const newest = Math.max(0, ...peers.map((peer) => peer.term));
  const leaders = peers.filter((peer) => peer.isLeader);
  const leader = leaders.find((peer) => peer.term === newest);
  if (leader === undefined) return `no leader in term ${newest}`;
  if (leaders.length > 1) return "more than one leader";
  if (!leader.committedInTerm) return "nothing committed in the newest term";
  if (leader.committed !== leader.lastIndex) return `peer ${leader.peerId} has open entries`;
  for (const { peerId, role } of region.members) {
    if (role !== "voter" && role !== "learner") return `peer ${peerId} is ${role}`;
    const peer = peers.find((candidate) => candidate.peerId === peerId);
    if (peer === undefined) return `peer ${peerId} does not exist`;
    if (peer.applied !== leader.lastIndex) {
      return `peer ${peerId} applied ${peer.applied} of ${leader.lastIndex}`;
    }
  }
  return undefined;
}

export class StuckRegion implements Checker {
  readonly name = NAME;

  atRest(view: ClusterView): void {
    const reasons = stuckReasons(view);
    if (reasons.length > 0) throw new CheckFailed(NAME, reasons.join("; "));
  }
}

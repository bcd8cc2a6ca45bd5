/**
 * A region of the fake cluster: peers, epoch and leader, and the conf-change rules that the fake
 * stores apply to PD's orders. Asserts what must never happen: a leader or the quorum voted out.
 */
import { assert } from "../../src/base/index.js";
import {
  inJointState,
  isLearner,
  isVoterOrIncoming,
  PEER_ROLE,
  type PeerMeta,
  type PeerRole,
  type RegionMeta,
} from "../../src/pd/core/index.js";
import type { PeerChange } from "../../src/pd/schedule/index.js";

export class FakeRegion {
  meta: RegionMeta;
  /** Store of the leader; undefined while there is none. */
  leader: bigint | undefined;
  term = 6n;
  sizeMiB: bigint;
  /** Virtual time at which a peer has its data, by peer id; absent: it has. */
  readonly caughtUpMs = new Map<bigint, number>();

  constructor(meta: RegionMeta, leader: bigint, sizeMiB: bigint) {
    this.meta = meta;
    this.leader = leader;
    this.sizeMiB = sizeMiB;
  }

  peerOn(storeId: bigint): PeerMeta | undefined {
    return this.meta.peers.find((peer) => peer.storeId === storeId);
  }

  isPending(peer: PeerMeta, nowMs: number): boolean {
    return (this.caughtUpMs.get(peer.id) ?? 0) > nowMs;
  }

  /** Returns whether a majority of each configuration that counts lives. */
  hasQuorum(isAlive: (storeId: bigint) => boolean): boolean {
    const old = this.meta.peers.filter(
      ({ role }) => role === PEER_ROLE.voter || role === PEER_ROLE.demotingVoter,
    );
    const next = this.meta.peers.filter(isVoterOrIncoming);
    const isMajority = (peers: readonly PeerMeta[]): boolean =>
      peers.filter(({ storeId }) => isAlive(storeId)).length * 2 > peers.length;
    return isMajority(old) && isMajority(next);
  }

  /** Applies the changes of one order; false if the leader would refuse to propose them. */
  change(changes: readonly PeerChange[], isAlive: (storeId: bigint) => boolean): boolean {
    const joint = inJointState(this.meta.peers);
    if (joint !== (changes.length === 0)) return false;
    const peers = joint ? this.leave() : this.applied(changes);
    if (peers === undefined) return false;
    const had = this.hasQuorum(isAlive);
    const changed = joint
      ? this.meta.peers.filter(({ role }) => role >= PEER_ROLE.incomingVoter).length
      : changes.length;
    this.meta = { ...this.meta, peers, confVer: this.meta.confVer + BigInt(changed) };
    assert(
      peers.some((peer) => isVoterOrIncoming(peer)),
      "a region has a voter",
    );
    assert(!had || this.hasQuorum(isAlive), "a change does not cost the quorum");
    return true;
  }

  private leave(): PeerMeta[] | undefined {
    const { demotingVoter, incomingVoter, learner, voter } = PEER_ROLE;
    if (this.peerOn(this.leader as bigint)?.role === demotingVoter) return undefined;
    const next: Partial<Record<PeerRole, PeerRole>> = {
      [incomingVoter]: voter,
      [demotingVoter]: learner,
    };
    return this.meta.peers.map((peer) => ({ ...peer, role: next[peer.role] ?? peer.role }));
  }

  private applied(changes: readonly PeerChange[]): PeerMeta[] | undefined {
    const isJoint = changes.length > 1;
    let peers = [...this.meta.peers];
    for (const { type, peer } of changes) {
      const known = peers.find(({ storeId }) => storeId === peer.storeId);
      if (known !== undefined && known.id !== peer.id) return undefined;
      const leads = known !== undefined && known.storeId === this.leader;
      if (type === 1) {
        assert(!isJoint || (known !== undefined && isLearner(known)), "voters are demoted first");
        assert(!leads, "the leader is not removed");
        peers = peers.filter(({ id }) => id !== peer.id);
        continue;
      }
      const role = roleAfter(type, known, isJoint);
      if (role === undefined) return undefined;
      assert(isJoint || type === 0 || !leads, "a simple change does not demote the leader");
      if (known === undefined) peers.push({ ...peer, role });
      else peers = peers.map((one) => (one.id === peer.id ? { ...one, role } : one));
    }
    return peers;
  }
}

function roleAfter(
  type: 0 | 2,
  known: PeerMeta | undefined,
  isJoint: boolean,
): PeerRole | undefined {
  if (type === 0) {
    if (known !== undefined && !isLearner(known)) return undefined;
    return isJoint ? PEER_ROLE.incomingVoter : PEER_ROLE.voter;
  }
  if (known === undefined) return PEER_ROLE.learner;
  if (isLearner(known)) return undefined;
  return isJoint ? PEER_ROLE.demotingVoter : PEER_ROLE.learner;
}

/**
 * What a leader checks before it proposes a change of peers or a split. Pure: the same rules are
 * applied again, without the leader's view of its followers, when the entry is applied.
 * Source: tikv raftstore/store/peer.rs check_conf_change, util.rs
 * check_availability_by_last_heartbeats, fsm/peer.rs validate_split_region.
 */
import { equalBytes, keyInRange } from "../base/index.js";
import { ConfChangeType, type ConfState, jointCommitted } from "../raft/index.js";
import { changePeers } from "./apply/exec_conf_change.js";
import { splitRegion } from "./apply/exec_split.js";
import type { PeerChange, SplitPart } from "./commands.js";
import { confStateOf } from "./conf_state.js";
import { epochNotMatch } from "./epoch.js";
import {
  keyNotInRegion,
  PEER_ROLE,
  type PeerInfo,
  type RegionError,
  type RegionInfo,
} from "./region.js";

/** A leader's view of its group. */
export interface LeaderView {
  readonly region: RegionInfo;
  readonly self: PeerInfo;
  readonly term: number;
  /** Term of the entry at the applied index. */
  readonly appliedTerm: number;
  readonly appliedIndex: number;
  /** Index of the newest proposed change of peers, or 0. */
  readonly pendingConfIndex: number;
  readonly truncatedIndex: number;
  /** Highest index known to be durable at a peer; 0 for one that is not known. */
  match(peerId: bigint): number;
  /** Time since the last message of a peer, ms; undefined for one that never was a member. */
  silentMs(peerId: bigint): number | undefined;
  /** Silence above which a peer counts as slow: twice the longest election timeout, ms. */
  readonly slowAfterMs: number;
}

function refuse(message: string): RegionError {
  return { kind: "other", message };
}

/** Returns why the changes are not proposed, or undefined. */
export function checkConfChange(
  view: LeaderView,
  changes: readonly PeerChange[],
): RegionError | undefined {
  if (view.pendingConfIndex > view.appliedIndex) {
    return refuse("there is a pending conf change, try later");
  }
  const term = checkAppliedTerm(view);
  if (term !== undefined) return term;
  if (changes.length === 0 && roleOf(view) === PEER_ROLE.DemotingVoter) {
    return refuse("ignore leave joint command that demoting leader");
  }
  const request = checkChanges(view, changes);
  if (request !== undefined) return request;
  const changed = changePeers(view.region, changes);
  if (!changed.ok) return refuse(changed.error);
  if (changes.length === 0) return undefined;
  return checkSafety(view, changed.value) ?? checkAvailability(view, changes);
}

/** Admin commands wait until the leader has applied an entry of its term: it knows the epoch then. */
export function checkAppliedTerm({ appliedTerm, term }: LeaderView): RegionError | undefined {
  if (appliedTerm === term) return undefined;
  return refuse(
    `peer hasn't applied to current term, applied_term ${appliedTerm}, current term ${term}`,
  );
}

function roleOf({ region, self }: LeaderView): number | undefined {
  return region.peers.find((peer) => peer.id === self.id)?.role;
}

function isVoter({ region }: LeaderView, id: bigint): boolean {
  return region.peers.some((peer) => peer.id === id && peer.role !== PEER_ROLE.Learner);
}

/** The request by itself: roles that fit, no peer twice, the leader stays, a joint state is seen. */
function checkChanges(view: LeaderView, changes: readonly PeerChange[]): RegionError | undefined {
  const simple = changes.length === 1;
  const seen = new Set<bigint>();
  let learnersOnly = true;
  for (const { type, peer } of changes) {
    if (!roleFits(type, peer)) return refuse(`invalid conf change request: peer ${peer.id}`);
    if (type === ConfChangeType.RemoveNode && !simple && isVoter(view, peer.id)) {
      return refuse(`invalid conf change request, can not remove voter ${peer.id} directly`);
    }
    if (seen.has(peer.id)) {
      return refuse(
        `invalid conf change request, have multiple commands for the same peer ${peer.id}`,
      );
    }
    seen.add(peer.id);
    const leaves = type === ConfChangeType.RemoveNode;
    const demotes = simple && type === ConfChangeType.AddLearnerNode;
    if (peer.id === view.self.id && (leaves || demotes)) {
      return refuse("ignore remove leader or demote leader");
    }
    if (isVoter(view, peer.id) || type === ConfChangeType.AddNode) learnersOnly = false;
  }
  // Nobody would get a joint role, by which peers and PD tell that there is a state to leave.
  if (changes.length > 1 && learnersOnly) {
    return refuse("invalid conf change request, multiple changes that only effect learner");
  }
  return undefined;
}

function roleFits(type: PeerChange["type"], peer: PeerInfo): boolean {
  if (type === ConfChangeType.AddNode) return peer.role === PEER_ROLE.Voter;
  return type === ConfChangeType.RemoveNode || peer.role === PEER_ROLE.Learner;
}

/**
 * What the new members have must reach to the log that is kept, else the group could commit nothing
 * until a snapshot has been sent. A group of one is always safe: it can send that snapshot.
 */
function checkSafety(view: LeaderView, after: RegionInfo): RegionError | undefined {
  const before = confStateOf(view.region);
  if (before.voters.length === 1 && before.votersOutgoing.length === 0) return undefined;
  const promoted = committedBy(confStateOf(after), view);
  if (promoted >= view.truncatedIndex) return undefined;
  return refuse(
    `unsafe to perform conf change, truncated index ${view.truncatedIndex}, ` +
      `promoted commit index ${promoted}`,
  );
}

function committedBy({ voters, votersOutgoing }: ConfState, view: LeaderView): number {
  return jointCommitted(voters, votersOutgoing, (id) => view.match(BigInt(id)));
}

/** A group whose live voters outnumber the slow ones must not lose that by the change. */
function checkAvailability(
  view: LeaderView,
  changes: readonly PeerChange[],
): RegionError | undefined {
  const isSlow = (id: bigint): boolean =>
    id !== view.self.id && (view.silentMs(id) ?? Number.POSITIVE_INFINITY) > view.slowAfterMs;
  const voters = view.region.peers.filter((peer) => peer.role !== PEER_ROLE.Learner);
  const slow = voters.filter((peer) => isSlow(peer.id)).length;
  const live = voters.length - slow;
  if (live <= slow) return undefined;
  const leaving = changes.filter(
    ({ type, peer }) => type !== ConfChangeType.AddNode && isVoter(view, peer.id),
  );
  const slowLeaving = leaving.filter(({ peer }) => isSlow(peer.id)).length;
  const liveAfter = live - (leaving.length - slowLeaving);
  if (leaving.length === 0 || liveAfter > slow - slowLeaving) return undefined;
  return refuse(
    `ignore conf change command on healthy region, which would leave ${liveAfter} live and ` +
      `${slow - slowLeaving} slow voters`,
  );
}

/** Returns why the split is not proposed, or undefined. */
export function checkSplit(
  view: LeaderView,
  parts: readonly SplitPart[],
  rightDerive: boolean,
): RegionError | undefined {
  const term = checkAppliedTerm(view);
  if (term !== undefined) return term;
  const split = splitRegion(view.region, parts, rightDerive);
  return split.ok ? undefined : split.error;
}

/**
 * Returns why PD is not asked for ids for a split of `region`: the asker knew another version, or
 * a key is not strictly inside.
 */
export function checkSplitKeys(
  region: RegionInfo,
  from: { readonly confVer: bigint; readonly version: bigint },
  keys: readonly Uint8Array[],
): RegionError | undefined {
  if (from.version !== region.version) return epochNotMatch(from, region);
  for (const key of keys) {
    const inside =
      key.length > 0 &&
      keyInRange(key, region.startKey, region.endKey) &&
      !equalBytes(key, region.startKey);
    if (!inside) return keyNotInRegion(key, region);
  }
  return undefined;
}

/**
 * Applies a change of peers. A refused change leaves region and epoch alone, and the peer does not
 * hand it to Raft. Source: tikv raftstore/store/fsm/apply.rs exec_change_peer_v2.
 *
 * One change takes effect at once; several make a joint state of old and new voters, in which
 * IncomingVoter and DemotingVoter say what a peer becomes; none leaves it.
 */
import { assert, err, ok, type Result } from "../../base/index.js";
import { regionStateKey } from "../../codec/index.js";
import { ConfChangeType } from "../../raft/index.js";
import type { LoggedAdmin } from "../cmd_codec.js";
import type { PeerChange } from "../commands.js";
import { isJoint } from "../conf_state.js";
import { encodeRegionLocalState, PEER_STATE } from "../local_state.js";
import { PEER_ROLE, type PeerInfo, type RegionInfo } from "../region.js";
import { type ExecInput, type ExecOutcome, refused } from "./exec_admin.js";

type ChangePeer = Extract<LoggedAdmin, { readonly kind: "changePeer" }>;

/** Carries out the changes, all or none. The state of a peer that is removed is Tombstone. */
export function execConfChange(input: ExecInput<ChangePeer>): ExecOutcome {
  const { entry, region, states } = input;
  const changed = changePeers(region, input.command.changes);
  if (!changed.ok) return refused(changed.error);
  const after = changed.value;
  const removed = !after.peers.some((peer) => peer.id === BigInt(input.peerId));
  const state = removed ? PEER_STATE.Tombstone : PEER_STATE.Normal;
  states.put("raft", regionStateKey(region.id), encodeRegionLocalState({ state, region: after }));
  return ok({
    regions: [after],
    region: after,
    removed,
    result: { kind: "changePeer", index: entry.index, changed: true, region: after, entry },
  });
}

/** Returns the region after the changes, or why they make no sense for it. Changes nothing. */
export function changePeers(
  region: RegionInfo,
  changes: readonly PeerChange[],
): Result<RegionInfo, string> {
  const joint = region.peers.some(isJoint);
  if (changes.length === 0) return joint ? ok(leaveJoint(region)) : err(NOT_JOINT);
  if (joint) return err(STILL_JOINT);
  let peers = region.peers;
  for (const change of changes) {
    const changed = changePeer(peers, change, changes.length > 1);
    if (!changed.ok) return changed;
    peers = changed.value;
  }
  return ok({ ...region, peers, confVer: region.confVer + BigInt(changes.length) });
}

const NOT_JOINT = "can't leave a non-joint config";
const STILL_JOINT = "can't apply confchange because configuration is still in joint state";

function leaveJoint(region: RegionInfo): RegionInfo {
  const { Voter, Learner, IncomingVoter } = PEER_ROLE;
  const changed = region.peers.filter(isJoint).length;
  assert(changed > 0, "only a joint state is left");
  const peers = region.peers.map((peer) =>
    isJoint(peer) ? { ...peer, role: peer.role === IncomingVoter ? Voter : Learner } : peer,
  );
  return { ...region, peers, confVer: region.confVer + BigInt(changed) };
}

function changePeer(
  peers: readonly PeerInfo[],
  { type, peer }: PeerChange,
  enterJoint: boolean,
): Result<readonly PeerInfo[], string> {
  const found = peers.find((one) => one.storeId === peer.storeId);
  if (type === ConfChangeType.RemoveNode) return removePeer(peers, found, peer, enterJoint);
  const voter = type === ConfChangeType.AddNode;
  if (found === undefined) {
    if (peers.some((one) => one.id === peer.id)) return err(`peer ${peer.id} is on another store`);
    const role = voter && enterJoint ? PEER_ROLE.IncomingVoter : roleOf(voter);
    return ok([...peers, { ...peer, role }]);
  }
  if (found.id !== peer.id) {
    return err(`store ${peer.storeId} has peer ${found.id} already, not ${peer.id}`);
  }
  // In a joint state that is being made, an earlier change of the same entry gave it its role.
  if (isJoint(found) || found.role === roleOf(voter)) {
    return err(`peer ${peer.id} can't be added twice`);
  }
  const joint = voter ? PEER_ROLE.IncomingVoter : PEER_ROLE.DemotingVoter;
  const role = enterJoint ? joint : roleOf(voter);
  return ok(peers.map((one) => (one === found ? { ...one, role } : one)));
}

function roleOf(voter: boolean): PeerInfo["role"] {
  return voter ? PEER_ROLE.Voter : PEER_ROLE.Learner;
}

function removePeer(
  peers: readonly PeerInfo[],
  found: PeerInfo | undefined,
  peer: PeerInfo,
  enterJoint: boolean,
): Result<readonly PeerInfo[], string> {
  if (found === undefined) return err(`remove missing peer ${peer.id} of store ${peer.storeId}`);
  if (found.id !== peer.id) {
    return err(`remove unmatched peer: expect peer ${found.id}, got ${peer.id}`);
  }
  if (enterJoint && found.role !== PEER_ROLE.Learner) {
    return err(`can't remove voter ${peer.id} directly in a joint change`);
  }
  return ok(peers.filter((one) => one !== found));
}

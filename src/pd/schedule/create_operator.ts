/** The operators that checkers, schedulers and people make. PURE. */
import { err, ok } from "../../base/index.js";
import {
  inJointState,
  isLearner,
  PEER_ROLE,
  type PeerMeta,
  type RegionInfo,
  storePeer,
} from "../core/index.js";
import { type BuildOptions, type Built, buildOperator, type TargetPeer } from "./builder.js";
import { pickLeader } from "./builder_leader.js";
import type { FilterContext } from "./filters.js";
import { Operator, type OperatorKind } from "./operator.js";
import type { OpStep, StepPeer } from "./steps.js";

/** What every maker needs besides its own arguments. */
export type Making = Pick<BuildOptions, "desc" | "kind" | "isUrgent" | "details">;

function targetOf(peers: readonly PeerMeta[]): TargetPeer[] {
  return peers.map((peer) => ({
    storeId: peer.storeId,
    role: isLearner(peer) ? "learner" : "voter",
  }));
}

/** Adds a peer on a store that has none. */
export function addPeerOperator(
  context: FilterContext,
  region: RegionInfo,
  peer: TargetPeer,
  making: Making,
): Built {
  if (storePeer(region.meta, peer.storeId) !== undefined) {
    return err(`the region has a peer on store ${peer.storeId} already`);
  }
  const target = [...targetOf(region.meta.peers), peer];
  return buildOperator(context, region, { ...making, target });
}

/** Removes the peer on a store. */
export function removePeerOperator(
  context: FilterContext,
  region: RegionInfo,
  storeId: bigint,
  making: Making,
): Built {
  if (storePeer(region.meta, storeId) === undefined) {
    return err(`the region has no peer on store ${storeId}`);
  }
  const target = targetOf(region.meta.peers).filter((peer) => peer.storeId !== storeId);
  return buildOperator(context, region, { ...making, target });
}

/** Moves the peer on `from` to `to`; there it votes if it did before, or with `asVoter`. */
export function movePeerOperator(
  context: FilterContext,
  region: RegionInfo,
  from: bigint,
  to: bigint,
  making: Making,
  asVoter = false,
): Built {
  const old = storePeer(region.meta, from);
  if (old === undefined) return err(`the region has no peer on store ${from}`);
  if (storePeer(region.meta, to) !== undefined) {
    return err(`the region has a peer on store ${to} already`);
  }
  const rest = targetOf(region.meta.peers).filter((peer) => peer.storeId !== from);
  const role = isLearner(old) && !asVoter ? "learner" : "voter";
  const target = [...rest, { storeId: to, role } as const];
  return buildOperator(context, region, { ...making, target });
}

/** Makes the learner on a store vote. */
export function promoteLearnerOperator(
  context: FilterContext,
  region: RegionInfo,
  storeId: bigint,
  making: Making,
): Built {
  const target = targetOf(region.meta.peers).map((peer) =>
    peer.storeId === storeId ? { ...peer, role: "voter" as const } : peer,
  );
  return buildOperator(context, region, { ...making, target });
}

/** Moves the leader to the voter on a store. */
export function transferLeaderOperator(
  context: FilterContext,
  region: RegionInfo,
  to: bigint,
  making: Making,
): Built {
  if (region.leader?.storeId === to) return err(`store ${to} leads the region already`);
  const target = targetOf(region.meta.peers);
  return buildOperator(context, region, { ...making, target, leader: to });
}

/** Brings the region onto exactly these stores, all voting, led by `leader` where one is given. */
export function moveRegionOperator(
  context: FilterContext,
  region: RegionInfo,
  storeIds: readonly bigint[],
  leader: bigint | undefined,
  making: Making,
): Built {
  const target = storeIds.map((storeId) => ({ storeId, role: "voter" as const }));
  return buildOperator(context, region, { ...making, target, leader });
}

/** Leaves a joint state that nobody works on, the leader first moved where it may stay. */
export function leaveJointOperator(context: FilterContext, region: RegionInfo): Built {
  const { leader, meta } = region;
  if (leader === undefined) return err("the region has no leader");
  if (!inJointState(meta.peers)) return err("the region is in no joint state");
  const inRole = (role: number): StepPeer[] =>
    meta.peers
      .filter((peer) => peer.role === role)
      .map(({ storeId, id }) => ({ storeId, peerId: id }));
  const [promote, demote] = [inRole(PEER_ROLE.incomingVoter), inRole(PEER_ROLE.demotingVoter)];
  const steps: OpStep[] = [];
  const kinds: OperatorKind[] = ["replica"];
  if (demote.some(({ peerId }) => peerId === leader.id)) {
    const target = meta.peers.map(({ storeId, role }) => ({
      storeId,
      role: role === PEER_ROLE.voter || role === PEER_ROLE.incomingVoter ? "voter" : "learner",
    })) satisfies TargetPeer[];
    const to = pickLeader(context, region, target, promote);
    if (to === undefined) return err("no store can lead the region");
    steps.push({ kind: "transfer_leader", from: leader.storeId, to });
    kinds.push("leader");
  }
  steps.push({ kind: "change_peer_v2_leave", promote, demote });
  const brief = "leave joint state";
  const made = { desc: "leave-joint-state", brief, kinds, steps, isUrgent: true };
  return ok(new Operator(region, made, context.cluster.nowMs()));
}

/** Splits the region at `keys` (region keys inside it), or in halves by size without any. */
export function splitRegionOperator(
  context: FilterContext,
  region: RegionInfo,
  keys: readonly Uint8Array[],
  making: Pick<Making, "desc">,
): Built {
  if (region.leader === undefined) return err("the region has no leader");
  if (inJointState(region.meta.peers)) return err("the region is in a joint state");
  const { startKey, endKey } = region.meta;
  const steps: OpStep[] = [{ kind: "split_region", startKey, endKey, keys }];
  const kinds: OperatorKind[] = ["admin", "split"];
  const brief = keys.length === 0 ? "split: by size" : `split: at ${keys.length} keys`;
  return ok(
    new Operator(region, { desc: making.desc, brief, kinds, steps }, context.cluster.nowMs()),
  );
}

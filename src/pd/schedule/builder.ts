/**
 * From the peers a region has to the peers it shall have: the steps, in an order in which every
 * stage is safe. Several changes of voters go through a joint state by default: new peers come in
 * as learners, one joint step promotes and demotes, what was demoted is removed last. The leader
 * moves before its peer is demoted or removed. PURE.
 * Source: pd pkg/schedule/operator/builder.go; joint consensus: raft dissertation 4.3.
 */
import { err, ok, type Result } from "../../base/index.js";
import { inJointState, isLearner, PEER_ROLE, type RegionInfo } from "../core/index.js";
import { type PeersDiff, peersDiff } from "./builder_diff.js";
import { canLead, pickLeader } from "./builder_leader.js";
import type { FilterContext } from "./filters.js";
import { Operator, type OperatorKind } from "./operator.js";
import type { OpStep, StepPeer } from "./steps.js";

/** A peer that the region shall have; a store that holds one already keeps it. */
export interface TargetPeer {
  readonly storeId: bigint;
  readonly role: "voter" | "learner";
}

export interface BuildOptions {
  readonly desc: string;
  readonly kind: OperatorKind;
  readonly target: readonly TargetPeer[];
  /** Store that shall lead; otherwise the leader stays where it can. */
  readonly leader?: bigint | undefined;
  readonly isUrgent?: boolean;
  readonly details?: Readonly<Record<string, string>>;
}

/** Why no operator could be built, for people. */
export type Built = Result<Operator, string>;

/** What is built up step by step. */
export interface BuildState {
  readonly steps: OpStep[];
  readonly kinds: Set<OperatorKind>;
  leader: bigint;
}

/** Returns the operator, or why there is none. Peer ids are taken for peers that are added. */
export function buildOperator(
  context: FilterContext,
  region: RegionInfo,
  options: BuildOptions,
): Built {
  const { leader, meta } = region;
  if (leader === undefined) return err("the region has no leader");
  if (inJointState(meta.peers)) return err("the region is in a joint state");
  if (!options.target.some(({ role }) => role === "voter")) return err("no voter is left");
  const diff = peersDiff(context.cluster, region, options.target);
  if (!diff.ok) return diff;
  const wanted = options.leader;
  if (wanted !== undefined && !canLead(context, region, options.target, wanted)) {
    return err(`store ${wanted} cannot lead the region`);
  }
  const state: BuildState = { steps: [], kinds: new Set(), leader: leader.storeId };
  const isJoint = context.cluster.config.enableJointConsensus && needsJoint(diff.value, options);
  const problem = isJoint
    ? jointSteps(context, region, diff.value, options, state)
    : simpleSteps(context, region, diff.value, options, state);
  if (problem !== undefined) return err(problem);
  if (state.steps.length === 0) return err("nothing is to be done");
  const { desc, kind } = options;
  const kinds = [...new Set([kind, ...state.kinds])];
  const isUrgent = options.isUrgent ?? false;
  const brief = briefOf(diff.value, leader.storeId, state.leader);
  const made = { desc, brief, kinds, steps: state.steps, isUrgent };
  return ok(new Operator(region, made, context.cluster.nowMs(), options.details));
}

/** One change needs no joint state, except from two voters to one: both would have to vote. */
function needsJoint({ add, remove, promote, demote }: PeersDiff, options: BuildOptions): boolean {
  const isSingle = add.length + remove.length + promote.length <= 1 && demote.length === 0;
  const leavesOne = remove.length === 1 && options.target.length === 1;
  return !isSingle || leavesOne;
}

function stepPeers(peers: readonly { storeId: bigint; id: bigint }[]): StepPeer[] {
  return peers.map(({ storeId, id }) => ({ storeId, peerId: id }));
}

/** Appends a transfer to `to`, unless it leads already. */
function transfer(state: BuildState, to: bigint): void {
  if (state.leader === to) return;
  state.steps.push({ kind: "transfer_leader", from: state.leader, to });
  state.kinds.add("leader");
  state.leader = to;
}

function jointSteps(
  context: FilterContext,
  region: RegionInfo,
  diff: PeersDiff,
  options: BuildOptions,
  state: BuildState,
): string | undefined {
  for (const peer of diff.add) {
    state.steps.push({ kind: "add_learner", storeId: peer.storeId, peerId: peer.id });
    state.kinds.add("region");
  }
  const added = diff.add.filter((peer) => !isLearner(peer));
  const promote = stepPeers([...diff.promote, ...added]);
  const demote = stepPeers([...diff.demote, ...diff.remove.filter((peer) => !isLearner(peer))]);
  const target = options.leader ?? pickLeader(context, region, options.target, promote);
  if (target === undefined) return "no store can lead the region";
  const votedBefore = region.meta.peers.some(
    (peer) => peer.storeId === target && peer.role === PEER_ROLE.voter,
  );
  const oldLeads = !demote.some(({ storeId }) => storeId === state.leader);
  const enterAndLeave = (between?: bigint): void => {
    if (promote.length + demote.length === 0) {
      if (between !== undefined) transfer(state, between);
      return;
    }
    state.steps.push({ kind: "change_peer_v2_enter", promote, demote });
    if (between !== undefined) transfer(state, between);
    // A single change is applied at once, without a joint state to leave.
    if (promote.length + demote.length > 1) {
      state.steps.push({ kind: "change_peer_v2_leave", promote, demote });
    }
  };
  if (votedBefore) {
    transfer(state, target);
    enterAndLeave();
  } else if (oldLeads) {
    enterAndLeave();
    transfer(state, target);
  } else {
    if (promote.length + demote.length === 1) return "the only voter cannot be demoted";
    enterAndLeave(target);
  }
  for (const peer of diff.remove) removePeer(context, state, peer);
  return undefined;
}

function removePeer(
  { cluster }: FilterContext,
  state: BuildState,
  { storeId, id }: { storeId: bigint; id: bigint },
): void {
  const seenMs = cluster.basic.getStore(storeId)?.seenMs ?? cluster.nowMs();
  const isDownStore = cluster.nowMs() - seenMs > cluster.config.maxStoreDownTimeMs;
  state.steps.push({ kind: "remove_peer", storeId, peerId: id, isDownStore });
  state.kinds.add("region");
}

/** Without joint states: one change after the other, an added voter before a removed one. */
function simpleSteps(
  context: FilterContext,
  region: RegionInfo,
  diff: PeersDiff,
  options: BuildOptions,
  state: BuildState,
): string | undefined {
  if (diff.demote.length > 0) return "voters can be demoted in a joint state only";
  const promote = stepPeers([...diff.promote, ...diff.add.filter((peer) => !isLearner(peer))]);
  const target = options.leader ?? pickLeader(context, region, options.target, promote);
  if (target === undefined) return "no store can lead the region";
  const removals = [...diff.remove];
  const removeNext = (): void => {
    const peer = removals.shift();
    if (peer === undefined) return;
    if (peer.storeId === state.leader) transfer(state, target);
    removePeer(context, state, peer);
  };
  for (const peer of diff.promote) {
    state.steps.push({ kind: "promote_learner", storeId: peer.storeId, peerId: peer.id });
    state.kinds.add("region");
  }
  for (const peer of diff.add) {
    const step = { storeId: peer.storeId, peerId: peer.id };
    state.steps.push({ kind: "add_learner", ...step });
    if (!isLearner(peer)) state.steps.push({ kind: "promote_learner", ...step });
    state.kinds.add("region");
    removeNext();
  }
  while (removals.length > 0) removeNext();
  transfer(state, target);
  return undefined;
}

function storesText(peers: readonly { storeId: bigint }[]): string {
  return `[${peers.map(({ storeId }) => storeId).join(" ")}]`;
}

/** What changes, for people. Source: pd builder.go brief. */
function briefOf({ add, remove, promote, demote }: PeersDiff, from: bigint, to: bigint): string {
  if (add.length > 0 && remove.length > 0) {
    return `mv peer: store ${storesText(remove)} to ${storesText(add)}`;
  }
  if (add.length > 0) return `add peer: store ${storesText(add)}`;
  if (remove.length > 0) return `rm peer: store ${storesText(remove)}`;
  if (promote.length > 0) return `promote peer: store ${storesText(promote)}`;
  if (demote.length > 0) return `demote peer: store ${storesText(demote)}`;
  return `transfer leader: store ${from} to ${to}`;
}

/**
 * Commands into the log: the checks of a request in TiKV's order, then of the moment (transfer,
 * disk, size, a change of epoch under way), then the proposal. Every command is answered once.
 * Source: tikv raftstore/store/fsm/peer.rs pre_propose_raft_command, propose_raft_command.
 */
import { EMPTY_BYTES, err, idToNumber, ok } from "../base/index.js";
import { ProgressState, type Proposed, Role, type StepError } from "../raft/index.js";
import { commandHeader, confChange, encodeAdmin, encodeWrites } from "./cmd_codec.js";
import type {
  AdminCommand,
  AdminRequest,
  AdminResult,
  Done,
  ReadCommand,
  WriteCommand,
} from "./commands.js";
import { checkEpoch, type EpochCommand, epochNotMatch } from "./epoch.js";
import type { ProposalDone } from "./messages.js";
import type { Peer } from "./peer.js";
import { busy, notLeader, refusal, regionNotFound, STALE } from "./peer_answer.js";
import type { PeerContext } from "./peer_context.js";
import { checkAppliedTerm, checkConfChange, checkSplit, type LeaderView } from "./propose_admin.js";
import { READS_WAITING_MAX } from "./read.js";
import type { PeerInfo, RegionError } from "./region.js";
import { checkPeer, type RequestHeader, type ServedBy } from "./request_check.js";

/** Bits of an entry's context. PERSISTED: TiKV's ProposalContext, do not renumber. */
export const PROPOSAL_CONTEXT = { Split: 0x02 } as const;
const NO_CONTEXT = new Uint8Array(0);
const SPLIT_CONTEXT = Uint8Array.of(PROPOSAL_CONTEXT.Split);
/** Bytes of writes that wait for their entries, per peer, are bounded by Raft's uncommitted size. */
const PROPOSALS_MAX = 65_536;

/** Returns the first refusal of a request by this peer as it is, in TiKV's order. */
export function checkCommand(
  peer: Peer,
  ctx: PeerContext,
  header: RequestHeader,
  kind: EpochCommand,
  by: ServedBy,
): RegionError | undefined {
  if (!peer.isActive) return regionNotFound(peer.regionId);
  const problem = checkPeer(header, ctx.storeId, peer, by);
  if (problem !== undefined) return problem;
  if (!peer.dataReady) return refusal("peer is handling snapshot");
  if (header.term !== 0n && peer.term > header.term + 1n) return STALE;
  return checkEpoch(kind, header, peer.region);
}

/** Takes a write into this turn's entry. */
export function addWrite(peer: Peer, ctx: PeerContext, command: WriteCommand): void {
  const { data } = command;
  if (!peer.writes.hasRoom(data.length)) proposeWrites(peer, ctx);
  peer.writes.add(command);
}

/** Proposes the writes of this turn as one entry. */
export function proposeWrites(peer: Peer, ctx: PeerContext): void {
  if (peer.writes.isEmpty) return;
  const accepted: WriteCommand[] = [];
  for (const command of peer.writes.take()) {
    const problem = checkWrite(peer, ctx, command);
    if (problem !== undefined) command.done(err(problem));
    else if (peer.barrier.conflicts("normal", peer.rawNode.term)) {
      hold(peer, "normal", command.header, command.done);
    } else accepted.push(command);
  }
  if (accepted.length === 0) return;
  const header = commandHeader(peer.region, peer.self, peer.rawNode.term);
  const parts = accepted.map(({ data }) => data);
  ctx.metrics.proposals.all += accepted.length;
  ctx.metrics.proposals.normal++;
  if (accepted.length > 1) ctx.metrics.proposals.batch += accepted.length;
  const done: ProposalDone = (result) => {
    for (const command of accepted) command.done(result.ok ? ok(undefined) : result);
  };
  const proposed = peer.rawNode.propose(encodeWrites(header, parts));
  const index = onProposed(peer, proposed, done, committedHook(peer, accepted));
  if (index !== undefined) for (const command of accepted) command.onProposed?.();
}

/**
 * Returns what to call when the entry of these writes is committed. A leader that has applied an
 * entry of its term knows of every change of epoch before it: its entries will not be refused.
 */
function committedHook(
  { rawNode, storage }: Peer,
  accepted: readonly WriteCommand[],
): (() => void) | undefined {
  if (storage.appliedTerm !== rawNode.term) return undefined;
  if (!accepted.some((command) => command.onCommitted !== undefined)) return undefined;
  return () => {
    for (const command of accepted) command.onCommitted?.();
  };
}

function checkWrite(peer: Peer, ctx: PeerContext, command: WriteCommand): RegionError | undefined {
  const { header, data, frees } = command;
  const problem = checkCommand(peer, ctx, header, "normal", "leader");
  if (problem !== undefined) return problem;
  if (ctx.diskRefuses(frees)) return diskFull(ctx);
  if (data.length > ctx.options.raftEntryMaxSizeBytes) return tooLarge(peer, data.length);
  return peer.proposals.length >= PROPOSALS_MAX ? busy("too many proposals") : undefined;
}

function tooLarge(peer: Peer, entrySize: number): RegionError {
  const regionId = peer.region.id;
  const message = `raft entry is too large, region_id: ${regionId}, len: ${entrySize}`;
  return { kind: "raftEntryTooLarge", message, regionId, entrySize };
}

function diskFull({ storeId }: PeerContext): RegionError {
  const reason = "disk full";
  const message = `store ${storeId} is not enough space, disk full`;
  return { kind: "diskFull", message, storeIds: [storeId], reason };
}

/** Keeps a command until the change of epoch that it conflicts with is applied. */
function hold<T>(peer: Peer, kind: EpochCommand, header: RequestHeader, done: Done<T>): void {
  const taken = peer.barrier.hold(kind, (outcome) => {
    done(err(outcome === "staleCommand" ? STALE : epochNotMatch(header, peer.region)));
  });
  if (!taken) done(err(busy("too many commands wait for a change of epoch")));
}

/** Notes where a proposal stands, or answers why it was not taken. */
function onProposed(
  peer: Peer,
  proposed: Proposed,
  done: ProposalDone,
  onCommitted?: () => void,
): number | undefined {
  if (proposed.ok && proposed.value !== null) {
    const { index, term } = proposed.value;
    peer.proposals.push({ index, term, onCommitted, done });
    return index;
  }
  const error = proposed.ok ? notLeader(peer) : stepError(peer, proposed.error);
  done({ ok: false, error });
  return undefined;
}

function stepError(peer: Peer, error: StepError): RegionError {
  switch (error) {
    case "EntryTooLarge":
      return tooLarge(peer, 0);
    case "UncommittedTooLarge":
      return busy("raft log is full");
    case "TooManyReads":
      return busy("too many reads");
    case "ConfChangePending":
      return refusal("there is a pending conf change, try later");
    case "ConfChangeInvalid":
      return refusal("the conf change does not fit the members");
    case "LeaderTransferring":
      // Whoever will lead is not known yet.
      return notLeader({ ...viewOf(peer), leader: undefined });
    default:
      return notLeader(peer);
  }
}

function viewOf({ region, peerId, term, isLeader, leader }: Peer) {
  return { region, peerId, term, isLeader, leader };
}

const ADMIN_PROPOSAL = {
  changePeer: "conf_change",
  split: "normal",
  compactLog: "normal",
  transferLeader: "transfer_leader",
} as const;

/** Proposes an admin command, or begins a transfer. */
export function proposeAdmin(peer: Peer, ctx: PeerContext, request: AdminRequest): void {
  const { header, command, done } = request;
  const { kind } = command;
  // First the writes of this turn: what they replace is known only then, and is not handed over. A
  // pessimistic lock written behind the prewrite of its transaction would take the prewrite back.
  proposeWrites(peer, ctx);
  if (peer.isLeader && (kind === "split" || kind === "transferLeader")) {
    const last = ctx.store.handOver(peer);
    if (last !== undefined) addWrite(peer, ctx, last);
    proposeWrites(peer, ctx);
  }
  const problem =
    checkCommand(peer, ctx, header, kind, "leader") ?? checkAdminMoment(peer, ctx, command);
  if (problem !== undefined) {
    done(err(problem));
    return;
  }
  const { term } = peer.rawNode;
  if (peer.barrier.conflicts(kind, term)) {
    hold(peer, kind, header, done);
    return;
  }
  ctx.metrics.proposals.all++;
  ctx.metrics.proposals[ADMIN_PROPOSAL[kind]]++;
  if (command.kind === "transferLeader") {
    transferLeader(peer, ctx, command.peer, done);
    return;
  }
  const logged = commandHeader(peer.region, peer.self, term);
  const answer: ProposalDone = (result) => {
    done(result.ok ? ok({ regions: result.regions }) : result);
  };
  const proposed =
    command.kind === "changePeer"
      ? peer.rawNode.proposeConfChange(confChange(logged, command.changes))
      : peer.rawNode.propose(
          encodeAdmin(logged, command),
          command.kind === "split" ? SPLIT_CONTEXT : NO_CONTEXT,
        );
  const index = onProposed(peer, proposed, answer);
  if (index !== undefined) peer.barrier.onProposed(kind, term, index);
}

/** What an admin command needs beyond a fitting header. */
function checkAdminMoment(
  peer: Peer,
  ctx: PeerContext,
  command: AdminCommand,
): RegionError | undefined {
  if (command.kind === "transferLeader") return undefined;
  if (ctx.diskRefuses(true)) return diskFull(ctx);
  const view = leaderView(peer, ctx);
  switch (command.kind) {
    case "changePeer":
      return checkConfChange(view, command.changes);
    case "split":
      return checkSplit(view, command.parts, command.rightDerive);
    default:
      return checkAppliedTerm(view);
  }
}

function leaderView(peer: Peer, { options }: PeerContext): LeaderView {
  const { pendingConfIndex, progress } = peer.rawNode.status();
  const match = new Map(progress.map((one) => [one.id, one.match]));
  const { storage, region, self } = peer;
  return {
    region,
    self,
    term: peer.rawNode.term,
    appliedTerm: storage.appliedTerm,
    appliedIndex: storage.applyState.appliedIndex,
    pendingConfIndex,
    truncatedIndex: storage.applyState.truncatedIndex,
    match: (id) => match.get(Number(id)) ?? 0,
    silentMs: (id) => (match.has(Number(id)) ? peer.silentMs(Number(id)) : undefined),
    slowAfterMs: 4 * options.raftElectionTimeoutTicks * options.raftBaseTickIntervalMs,
  };
}

/** Begins a transfer if the target can take over soon. */
function transferLeader(
  peer: Peer,
  ctx: PeerContext,
  target: PeerInfo,
  done: Done<AdminResult>,
): void {
  const problem = checkTransfer(peer, ctx, idToNumber(target.id));
  if (problem !== undefined) {
    done(err(refusal(problem)));
    return;
  }
  peer.rawNode.transferLeader(idToNumber(target.id));
  done(ok({ regions: [peer.region] }));
}

function checkTransfer(peer: Peer, ctx: PeerContext, to: number): string | undefined {
  const { progress, config, lastIndex, pendingConfIndex } = peer.rawNode.status();
  const target = progress.find(({ id }) => id === to);
  if (target === undefined || !config.voters.includes(to)) return `peer ${to} is not a voter`;
  if (progress.some(({ state }) => state === ProgressState.Snapshot)) {
    return "a peer is receiving a snapshot";
  }
  if (pendingConfIndex > target.match && to !== peer.peerNumber) {
    return `peer ${to} has not got the last conf change`;
  }
  const lag = lastIndex - target.match;
  return lag > ctx.options.leaderTransferMaxLogLag
    ? `peer ${to} is ${lag} entries behind`
    : undefined;
}

/** Answers this turn's reads, or asks for a read index for them. */
export function askReads(peer: Peer, ctx: PeerContext): void {
  if (peer.turnReads.length === 0) return;
  const asked: ReadCommand[] = [];
  for (const command of peer.turnReads.splice(0)) {
    const problem = checkRead(peer, ctx, command, asked.length);
    if (problem !== undefined) command.done(err(problem));
    else if (peer.canReadLocally()) {
      ctx.metrics.proposals.local_read++;
      command.done(ok({ readIndex: peer.applied, verdict: checkOf(peer, ctx, command) }));
    } else if (command.check === undefined) asked.push(command);
    else askIndex(peer, ctx, [command], checkOf(peer, ctx, command));
  }
  if (asked.length > 0) askIndex(peer, ctx, asked);
}

/** What travels with a read: its check, or on the leader what it says about that. */
function checkOf(peer: Peer, ctx: PeerContext, { check = EMPTY_BYTES }: ReadCommand): Uint8Array {
  const leads = peer.rawNode.role === Role.Leader;
  return leads && check.length > 0 ? ctx.store.judgeRead(check) : check;
}

function askIndex(
  peer: Peer,
  ctx: PeerContext,
  asked: readonly ReadCommand[],
  check?: Uint8Array,
): void {
  ctx.metrics.proposals.read_index += asked.length;
  const group = peer.reads.add(asked, peer.ticks, check);
  const problem = peer.rawNode.readIndex(group.context);
  if (problem === null) return;
  peer.reads.cancel(group);
  const error = stepError(peer, problem);
  for (const { done } of asked) done(err(error));
}

function checkRead(
  peer: Peer,
  ctx: PeerContext,
  { header, replicaRead }: ReadCommand,
  before: number,
): RegionError | undefined {
  const by = replicaRead ? "replica" : "leader";
  const problem = checkCommand(peer, ctx, header, "normal", by);
  if (problem !== undefined) return problem;
  if (peer.isLeader && peer.isSplitting) {
    const reason = "can not read index due to split";
    const message = `read index not ready, reason ${reason}, region ${peer.regionId}`;
    return { kind: "readIndexNotReady", message, regionId: peer.region.id, reason };
  }
  if (!peer.isLeader && peer.leader === undefined) return notLeader(peer);
  return peer.reads.length + before >= READS_WAITING_MAX ? busy("too many reads") : undefined;
}

/** Answers the reads whose index is applied; the epoch may have changed while they waited. */
export function answerReads(peer: Peer): void {
  // The index of a snapshot counts as applied as soon as it is durable, its data comes later.
  if (!peer.dataReady) return;
  for (const { reads, index, verdict } of peer.reads.takeReady(peer.applied)) {
    for (const { header, done } of reads) {
      const problem = checkEpoch("normal", header, peer.region);
      const readIndex = index ?? peer.applied;
      done(problem === undefined ? ok({ readIndex, verdict }) : err(problem));
    }
  }
}

/** Refuses the reads that an earlier leader was asked for. */
export function dropReads(peer: Peer): void {
  for (const { reads } of peer.reads.takeUnconfirmed()) {
    for (const { done } of reads) done(err(STALE));
  }
}

/** Asks again for reads whose question or answer was lost. */
export function retryReads(peer: Peer): void {
  for (const group of peer.reads.overdue(peer.ticks, READ_RETRY_TICKS)) {
    group.askedTick = peer.ticks;
    peer.rawNode.readIndex(group.context);
  }
}

/** Ticks after which a read is asked for again: TiKV's raft-base-tick times 4. */
const READ_RETRY_TICKS = 4;

/** Messages of the current term at the leader. Source: raft §5.3, §6, §8. Hot path. */
import { assert } from "../base/index.js";
import { applyChange, leavesJoint } from "./confchange.js";
import { type Progress, ProgressState } from "./progress.js";
import type { Raft, StepError } from "./raft.js";
import { addRead, answerConfirmed, decodeRound } from "./read_only.js";
import { bcastAppend, onProgress, sendAppend } from "./replication.js";
import { sendTimeoutNow, startTransfer } from "./transfer.js";
import {
  ConfChangeTransition,
  type Entry,
  EntryType,
  type Message,
  MessageType,
  NONE,
  newProposal,
  Role,
} from "./types.js";
import { confChangeOfEntry, encodeConfChange } from "./wire.js";

/** Takes a message; those of peers that are no members change nothing. */
export function stepLeader(raft: Raft, message: Message): StepError | null {
  switch (message.type) {
    case MessageType.Propose:
      return onPropose(raft, message.entries);
    case MessageType.ReadIndex:
      return onReadIndex(raft, message);
    case MessageType.TransferLeader:
      startTransfer(raft, message.index);
      return null;
    default:
      break;
  }
  const progress = raft.tracker.progress.get(message.from);
  if (progress === undefined) return "NotMember";
  switch (message.type) {
    case MessageType.AppendResponse:
      onAppendResponse(raft, progress, message);
      return null;
    case MessageType.HeartbeatResponse:
      onHeartbeatResponse(raft, progress, message);
      return null;
    case MessageType.SnapStatus:
      onSnapStatus(progress, message.reject);
      return null;
    case MessageType.Unreachable:
      // Appends under way are probably lost: find out where to go on.
      if (progress.state === ProgressState.Replicate) progress.becomeProbe();
      return null;
    default:
      return null;
  }
}

/** Gives entries term and index and appends them; returns the last index. */
export function appendOwn(raft: Raft, proposals: readonly Entry[]): number {
  const { log, term } = raft;
  let index = log.lastIndex();
  const entries = proposals.map(({ type, data, context }) => {
    index++;
    return { type, term, index, data, context };
  });
  log.append(entries);
  return index;
}

/** Leader: appends and sends proposals, or says why not. All of them or none. */
function onPropose(raft: Raft, proposals: readonly Entry[]): StepError | null {
  if (!raft.tracker.progress.has(raft.id)) return "NotMember";
  if (raft.leadTransferee !== NONE) return "LeaderTransferring";
  const { options } = raft;
  let confIndex = 0;
  let bytes = 0;
  for (let i = 0; i < proposals.length; i++) {
    const entry = proposals[i] as Entry;
    const size = entry.data.length + entry.context.length;
    if (size > options.entrySizeMaxBytes) return "EntryTooLarge";
    bytes += size;
    if (entry.type === EntryType.Normal) continue;
    if (confIndex !== 0) return "ConfChangePending";
    const problem = checkConfChange(raft, entry);
    if (problem !== null) return problem;
    confIndex = raft.log.lastIndex() + 1 + i;
  }
  // A proposal without payload, as leaving a joint state is, always passes.
  if (
    bytes > 0 &&
    raft.uncommittedBytes > 0 &&
    raft.uncommittedBytes + bytes > options.uncommittedSizeMaxBytes
  )
    return "UncommittedTooLarge";
  raft.uncommittedBytes += bytes;
  if (confIndex !== 0) raft.pendingConfIndex = confIndex;
  appendOwn(raft, proposals);
  bcastAppend(raft);
  return null;
}

/**
 * One change at a time, and only one that fits the members, which cannot differ when it is applied.
 * Source: raft §6, dissertation §4.
 */
function checkConfChange(raft: Raft, entry: Entry): StepError | null {
  if (raft.pendingConfIndex > raft.log.applied) return "ConfChangePending";
  const change = confChangeOfEntry(entry);
  if (change === undefined) return "ConfChangeInvalid";
  const joint = raft.tracker.isJoint();
  if (joint && !leavesJoint(change)) return "ConfChangePending";
  const context = { newProgress: raft.newProgress, lastIndex: raft.log.lastIndex() };
  return applyChange(raft.tracker, change, context).ok ? null : "ConfChangeInvalid";
}

/** Leader: proposes to leave a joint state that leaves by itself, once it is applied. */
export function maybeAutoLeave(raft: Raft): void {
  if (raft.role !== Role.Leader || !raft.tracker.config.autoLeave) return;
  if (raft.log.applied < raft.pendingConfIndex) return;
  const data = encodeConfChange({
    transition: ConfChangeTransition.Auto,
    changes: [],
    context: new Uint8Array(0),
  });
  // Refused during a leader transfer; asked again at the next tick.
  onPropose(raft, [newProposal(EntryType.ConfChangeV2, data)]);
}

function onReadIndex(raft: Raft, message: Message): StepError | null {
  const from = message.from === NONE ? raft.id : message.from;
  // Before the first commit of its term a leader does not know what is committed (raft §8).
  const taken = raft.committedInTerm()
    ? addRead(raft, from, message.context)
    : raft.readOnly.postpone(from, message.context);
  return taken ? null : "TooManyReads";
}

function onAppendResponse(raft: Raft, progress: Progress, message: Message): void {
  const { from, index } = message;
  progress.recentActive = true;
  if (message.reject) {
    // The follower's hint skips the part where its terms differ; the own log skips more.
    const hint =
      message.logTerm > 0
        ? raft.log.findConflictByTerm(message.rejectHint, message.logTerm).index
        : message.rejectHint;
    if (!progress.maybeDecreaseTo(index, hint)) return;
    if (progress.state === ProgressState.Replicate) progress.becomeProbe();
    sendAppend(raft, from, progress, true);
    return;
  }
  assert(index <= raft.log.lastIndex(), "a peer acknowledges what it was sent");
  const wasPaused = progress.isPaused();
  const news = progress.maybeUpdate(index);
  // An empty probe that finds agreement is news too.
  const agreed = progress.state === ProgressState.Probe && progress.match === index;
  if (!news && !agreed) return;
  onProgress(raft, from, progress, wasPaused);
  if (from === raft.leadTransferee && progress.match === raft.log.lastIndex())
    sendTimeoutNow(raft, from);
}

function onHeartbeatResponse(raft: Raft, progress: Progress, message: Message): void {
  progress.recentActive = true;
  // A follower that answers is not cut off: what seems under way may be lost.
  progress.probeSent = false;
  if (progress.state === ProgressState.Replicate && progress.inflights.full())
    progress.inflights.freeFirst();
  if (progress.match < raft.log.lastIndex() || progress.state === ProgressState.Probe)
    sendAppend(raft, message.from, progress, true);
  const round = decodeRound(message.context);
  if (round <= progress.ackedRound || round > raft.readOnly.round) return;
  progress.ackedRound = round;
  answerConfirmed(raft);
}

function onSnapStatus(progress: Progress, failed: boolean): void {
  if (progress.state !== ProgressState.Snapshot) return;
  if (failed) progress.snapshotFailed();
  progress.becomeProbe();
  // Finished: its acknowledgement follows. Failed: the next try waits for a sign of life.
  progress.probeSent = true;
}

/**
 * What a leader sends: appends, snapshots, heartbeats. Hot path. Source: raft §5.3, §7.
 */
import { assert } from "../base/index.js";
import { type Progress, ProgressState } from "./progress.js";
import type { Raft } from "./raft.js";
import { answerConfirmed, encodeRound } from "./read_only.js";
import { entriesBytes, isMember, MessageType, newMessage } from "./types.js";

/** Sends everybody what is missing, or at least the commit index, as far as limits allow. */
export function bcastAppend(raft: Raft): void {
  for (const [id, progress] of raft.tracker.progress) {
    if (id !== raft.id) sendAppend(raft, id, progress, true);
  }
}

/** Fills one peer's pipeline: appends with entries until it is full or has all. */
export function sendAppendNonEmpty(raft: Raft, to: number): void {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || to === raft.id) return;
  // Ends: each message takes entries, of which there are finitely many.
  while (sendAppend(raft, to, progress, false));
}

/**
 * Sends one append, or a snapshot if the entries are gone. Returns false if it sent nothing: the
 * peer is paused, entries are being fetched, or there are none and `allowEmpty` is false.
 */
export function sendAppend(
  raft: Raft,
  to: number,
  progress: Progress,
  allowEmpty: boolean,
): boolean {
  if (progress.isPaused()) return false;
  const { log } = raft;
  const previous = progress.next - 1;
  const last = log.lastIndex();
  if (!allowEmpty && previous >= last) return false;
  const previousTerm = log.term(previous);
  if (previousTerm === undefined) return sendSnapshot(raft, to, progress);
  const bytesMax = raft.options.messageSizeMaxBytes;
  const entries = log.slice(progress.next, last + 1, bytesMax, { kind: "append", to });
  if (entries === "Compacted") return sendSnapshot(raft, to, progress);
  if (entries === "LogTemporarilyUnavailable") return false;
  const message = newMessage(MessageType.Append, to);
  message.index = previous;
  message.logTerm = previousTerm;
  message.entries = entries;
  message.commit = raft.toldCommit();
  raft.send(message);
  progress.onSent(entries.length, entriesBytes(entries));
  return true;
}

/** Sends a snapshot, unless the peer seems away or none is ready: both are asked for again. */
function sendSnapshot(raft: Raft, to: number, progress: Progress): boolean {
  if (!progress.recentActive) return false;
  const snapshot = raft.storage.snapshot(raft.log.firstIndex() - 1, to);
  if (snapshot === null || !isMember(snapshot.metadata.confState, to)) return false;
  assert(snapshot.metadata.index > 0, "a snapshot holds something");
  const message = newMessage(MessageType.Snapshot, to);
  message.snapshot = snapshot;
  progress.becomeSnapshot(snapshot.metadata.index);
  raft.send(message);
  return true;
}

/** Begins a heartbeat round; its answers confirm reads and renew the lease. */
export function bcastHeartbeat(raft: Raft): void {
  const round = raft.readOnly.begin(raft.ticks);
  const context = encodeRound(round);
  for (const [id, progress] of raft.tracker.progress) {
    if (id === raft.id) {
      progress.ackedRound = round;
      continue;
    }
    const message = newMessage(MessageType.Heartbeat, id);
    // Never beyond what the peer has: it cannot know what follows there.
    message.commit = Math.min(progress.match, raft.toldCommit());
    message.context = context;
    raft.send(message);
  }
  // A single voter needs no answers.
  answerConfirmed(raft);
}

/** Handles an acknowledgement that is news: what the peer may get now depends on its state. */
export function onProgress(raft: Raft, to: number, progress: Progress, wasPaused: boolean): void {
  if (progress.state === ProgressState.Probe) {
    progress.becomeReplicate();
  } else if (progress.state === ProgressState.Snapshot) {
    // Acknowledged beyond the snapshot, or beyond what only a snapshot could bring.
    if (progress.match + 1 >= raft.log.firstIndex()) {
      progress.becomeProbe();
      progress.becomeReplicate();
    }
  } else {
    progress.inflights.freeTo(progress.match);
  }
  if (raft.advanceCommit()) bcastAppend(raft);
  else if (wasPaused) sendAppend(raft, to, progress, true);
  sendAppendNonEmpty(raft, to);
}

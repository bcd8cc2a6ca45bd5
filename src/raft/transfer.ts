/**
 * Leader transfer: the leader stops taking proposals, brings the target up to date, and tells it to
 * campaign at once. Given up after an election timeout. Source: dissertation §3.10.
 */
import type { Raft } from "./raft.js";
import { sendAppend } from "./replication.js";
import { MessageType, NONE, newMessage } from "./types.js";

/** Leader: begins a transfer to a voter; another one under way is given up. */
export function startTransfer(raft: Raft, to: number): void {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || to === raft.id || !raft.tracker.config.voters.includes(to)) return;
  if (raft.leadTransferee === to) return;
  if (raft.leadTransferee !== NONE) abortTransfer(raft);
  raft.leadTransferee = to;
  // It has one election timeout.
  raft.electionElapsed = 0;
  raft.trace({ kind: "transfer", to, outcome: "started" });
  if (progress.match === raft.log.lastIndex()) sendTimeoutNow(raft, to);
  else sendAppend(raft, to, progress, true);
}

/** Leader: takes proposals again. A TimeoutNow that left may still depose it. */
export function abortTransfer(raft: Raft): void {
  raft.trace({ kind: "transfer", to: raft.leadTransferee, outcome: "aborted" });
  raft.leadTransferee = NONE;
}

/** Leader: the target has the whole log; it may campaign. */
export function sendTimeoutNow(raft: Raft, to: number): void {
  raft.leaseSuspect = true;
  raft.send(newMessage(MessageType.TimeoutNow, to));
}

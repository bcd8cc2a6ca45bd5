/**
 * Campaigns and votes: pre-vote, the vote lease of check-quorum, election timeouts with jitter from
 * the injected generator. Source: raft §5.2, §5.4.1; dissertation §4.2.3, §9.6.
 */
import type { Raft } from "./raft.js";
import { EntryType, type Message, MessageType, NONE, newMessage, Role } from "./types.js";

/** Context of vote requests that the leader itself asked for; they pass the vote lease. */
export const CAMPAIGN_TRANSFER = new Uint8Array(
  [..."CampaignTransfer"].map((char) => char.charCodeAt(0)),
);

/** Returns a new election timeout in ticks: electionTicks ≤ t < 2 * electionTicks. */
export function randomTimeout(raft: Raft): number {
  const { electionTicks } = raft.options;
  return raft.prng.range(electionTicks, 2 * electionTicks);
}

/**
 * Campaigns, if this peer may: with a pre-vote first, unless the leader asked for the campaign or
 * the pre-vote is won.
 */
export function hup(raft: Raft, transfer: boolean, preVoteWon = false): void {
  if (raft.role === Role.Leader || !raft.promotable()) return;
  if (!transfer && owesVote(raft)) return;
  if (hasUnappliedConfChange(raft)) return;
  const pre = raft.options.preVote && !transfer && !preVoteWon;
  raft.trace({
    kind: "campaign",
    type: pre ? "pre-vote" : transfer ? "transfer" : "election",
    term: raft.term + 1,
  });
  if (pre) raft.becomePreCandidate();
  else raft.becomeCandidate();
  for (const id of raft.tracker.voters()) {
    if (id === raft.id) continue;
    const type = pre ? MessageType.RequestPreVote : MessageType.RequestVote;
    const request = newMessage(type, id);
    request.term = pre ? raft.term + 1 : raft.term;
    request.index = raft.log.lastIndex();
    request.logTerm = raft.log.lastTerm();
    if (transfer) request.context = CAMPAIGN_TRANSFER;
    raft.send(request);
  }
  // The own vote counts at once where it changes nothing durable; else once it is durable.
  if (pre) raft.poll(raft.id, true);
}

/**
 * Returns whether a request for votes is not even looked at: this peer leads, or heard from a leader
 * of late. So a peer that was cut off cannot depose a working leader, and a leader's lease holds.
 */
export function ignoresVotes(raft: Raft, request: Message): boolean {
  if (isTransfer(request) || !raft.options.checkQuorum) return false;
  return raft.role === Role.Leader || raft.voteGuard > 0;
}

/**
 * Returns whether this peer's vote is promised to a lease, against its own campaign too. A single
 * voter has promised nothing to anybody, so its group serves right after a restart.
 */
function owesVote(raft: Raft): boolean {
  if (!raft.options.checkQuorum || raft.voteGuard === 0) return false;
  return raft.tracker.voters().some((id) => id !== raft.id);
}

/** Answers a request for a vote or a pre-vote of this term (pre-vote: or a higher one). */
export function answerVote(raft: Raft, request: Message): void {
  const pre = request.type === MessageType.RequestPreVote;
  const free =
    raft.vote === request.from ||
    (raft.vote === NONE && raft.leader === NONE) ||
    (pre && request.term > raft.term);
  const granted = free && raft.log.isUpToDate(request.index, request.logTerm);
  const answer = newMessage(
    pre ? MessageType.RequestPreVoteResponse : MessageType.RequestVoteResponse,
    request.from,
  );
  answer.reject = !granted;
  // A granted pre-vote is for the term asked about; a refusal tells the own.
  answer.term = granted ? request.term : raft.term;
  raft.trace({ kind: "vote", to: request.from, term: request.term, granted, pre });
  if (granted && !pre) {
    raft.electionElapsed = 0;
    raft.vote = request.from;
  }
  raft.send(answer);
}

function isTransfer(request: Message): boolean {
  const { context } = request;
  return (
    context.length === CAMPAIGN_TRANSFER.length &&
    context.every((byte, i) => byte === CAMPAIGN_TRANSFER[i])
  );
}

/**
 * A committed change of members that is not applied makes this peer count its votes in members of
 * the past: it waits. Not knowing counts as yes.
 */
function hasUnappliedConfChange(raft: Raft): boolean {
  const { log } = raft;
  let next = Math.max(log.applied + 1, log.firstIndex());
  while (next <= log.committed) {
    const entries = log.slice(next, log.committed + 1, raft.options.messageSizeMaxBytes, {
      kind: "campaign",
    });
    if (typeof entries === "string") return true;
    if (entries.some((entry) => entry.type !== EntryType.Normal)) return true;
    next += entries.length;
  }
  return false;
}

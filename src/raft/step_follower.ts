/** Messages of the current term at a follower. Source: raft §5.3, §7. */
import { assert } from "../base/index.js";
import { hup } from "./election.js";
import type { Raft, StepError } from "./raft.js";
import { type Message, MessageType, NONE, newMessage } from "./types.js";

/** Takes a message; what is for the leader is passed on to it. */
export function stepFollower(raft: Raft, message: Message): StepError | null {
  switch (message.type) {
    case MessageType.Propose:
      if (raft.options.disableProposalForwarding) return "NotLeader";
      return passOn(raft, message);
    case MessageType.ReadIndex:
    case MessageType.TransferLeader:
      return passOn(raft, message);
    case MessageType.Append:
      hearLeader(raft, message);
      onAppend(raft, message);
      return null;
    case MessageType.Heartbeat:
      hearLeader(raft, message);
      onHeartbeat(raft, message);
      return null;
    case MessageType.Snapshot:
      hearLeader(raft, message);
      onSnapshot(raft, message);
      return null;
    case MessageType.TimeoutNow:
      hup(raft, true);
      return null;
    case MessageType.ReadIndexResp:
      raft.readStates.push({ index: message.index, context: message.context });
      return null;
    default:
      return null;
  }
}

/** Takes a leader's entries, or says where the logs may agree. */
function onAppend(raft: Raft, message: Message): void {
  const { log } = raft;
  const answer = newMessage(MessageType.AppendResponse, message.from);
  if (message.index < log.committed) {
    answer.index = log.committed;
    raft.send(answer);
    return;
  }
  const before = log.committed;
  const last = log.maybeAppend(message.index, message.logTerm, message.commit, message.entries);
  if (last === undefined) {
    const hint = log.findConflictByTerm(message.index, message.logTerm);
    answer.index = message.index;
    answer.reject = true;
    answer.rejectHint = hint.index;
    answer.logTerm = hint.term;
  } else {
    answer.index = last;
    if (log.committed > before) raft.trace({ kind: "commit", index: log.committed });
  }
  raft.send(answer);
}

/** Commits with the leader and echoes its round. */
function onHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit);
  const answer = newMessage(MessageType.HeartbeatResponse, message.from);
  answer.context = message.context;
  raft.send(answer);
}

/** Takes over a snapshot that is ahead, and says what this peer has. */
function onSnapshot(raft: Raft, message: Message): void {
  const answer = newMessage(MessageType.AppendResponse, message.from);
  const restored = message.snapshot !== null && raft.restore(message.snapshot);
  answer.index = restored ? raft.log.lastIndex() : raft.log.committed;
  raft.send(answer);
}

function hearLeader(raft: Raft, message: Message): void {
  assert(raft.leader === NONE || raft.leader === message.from, "one leader a term (raft §5.2)");
  raft.electionElapsed = 0;
  raft.voteGuard = raft.options.electionTicks;
  raft.leader = message.from;
}

/** Passes a local request on; another peer's is refused, that peer will hear who leads. */
function passOn(raft: Raft, message: Message): StepError | null {
  if (raft.leader === NONE || message.from !== NONE) return "NotLeader";
  raft.send({ ...message, to: raft.leader });
  return null;
}

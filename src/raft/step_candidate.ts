/** Messages of the current term at a candidate or pre-candidate. Source: raft §5.2. */
import type { Raft, StepError } from "./raft.js";
import { stepFollower } from "./step_follower.js";
import { type Message, MessageType, Role } from "./types.js";

/** Takes a message; a leader of this term ends the campaign. */
export function stepCandidate(raft: Raft, message: Message): StepError | null {
  switch (message.type) {
    case MessageType.Propose:
    case MessageType.ReadIndex:
    case MessageType.TransferLeader:
      return "NotLeader";
    case MessageType.Append:
    case MessageType.Heartbeat:
    case MessageType.Snapshot:
      raft.becomeFollower(message.term, message.from);
      return stepFollower(raft, message);
    case MessageType.RequestVoteResponse:
      if (raft.role === Role.Candidate) raft.poll(message.from, !message.reject);
      return null;
    case MessageType.RequestPreVoteResponse:
      if (raft.role === Role.PreCandidate) raft.poll(message.from, !message.reject);
      return null;
    default:
      return null;
  }
}

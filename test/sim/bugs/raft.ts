/** Bugs of the Raft core. */
import type { Bug } from "./bug.js";

export const RAFT_BUGS: readonly Bug[] = [
  {
    name: "vote_twice",
    what: "a vote is forgotten as soon as it is given: a second candidate of the term gets it, too",
    file: "src/raft/election.ts",
    edits: [{ find: "raft.vote = request.from;", replace: "" }],
  },
  {
    name: "vote_for_shorter_log",
    what: "a candidate gets votes whatever its log",
    file: "src/raft/election.ts",
    edits: [
      {
        find: "const granted = free && raft.log.isUpToDate(request.index, request.logTerm);",
        replace: "const granted = free;",
      },
    ],
  },
  {
    name: "commit_old_term",
    what: "a leader commits entries of earlier terms by counting",
    file: "src/raft/log.ts",
    edits: [
      {
        find: "if (index <= this.committed || !this.matchTerm(index, term))",
        replace: "if (index <= this.committed)",
      },
    ],
  },
  {
    name: "append_without_check",
    what: "a follower appends without comparing the entry before",
    file: "src/raft/log.ts",
    edits: [
      {
        find: "if (!this.matchTerm(prevIndex, prevTerm))",
        replace: "if (prevIndex > this.lastIndex())",
      },
    ],
  },
  {
    name: "truncate_on_append",
    what: "a late append cuts off what came after it, committed or not",
    file: "src/raft/log.ts",
    edits: [
      {
        find: "const different = entries.findIndex((entry) => !this.matchTerm(entry.index, entry.term));",
        replace: "const different = entries.length > 0 ? 0 : -1;",
      },
    ],
  },
  {
    name: "ack_before_fsync",
    what: "followers acknowledge and vote before it is durable",
    file: "src/raft/raft.ts",
    quiet: ["src/raft/log.ts", "src/raft/step_leader.ts"],
    edits: [
      {
        find: "(atOnce ? this.messages : this.messagesAfterPersist).push(message);",
        replace: "this.messages.push(message);",
      },
    ],
  },
  {
    name: "read_index_without_quorum",
    what: "a leader answers read indexes without asking whether it still leads",
    file: "src/raft/read_only.ts",
    edits: [
      {
        find: 'if (raft.options.readOnly === "lease" && raft.leaseValid()) {',
        replace: "if (raft.role !== undefined) {",
      },
    ],
  },
  {
    name: "read_before_commit_in_term",
    what: "a new leader answers read indexes before it knows what is committed",
    file: "src/raft/raft.ts",
    edits: [
      {
        find: "return this.log.term(this.log.committed) === this.term;",
        replace: "return true;",
      },
    ],
  },
  {
    name: "snapshot_overwrites_newer",
    what: "a late snapshot replaces a log that has all of it",
    file: "src/raft/raft.ts",
    edits: [
      {
        find: "if (index <= this.log.committed || this.log.awaitsSnapshot())",
        replace: "if (this.log.awaitsSnapshot())",
      },
    ],
  },
  {
    name: "two_changes_in_flight",
    what: "a change of members is taken while another is not applied",
    file: "src/raft/step_leader.ts",
    edits: [
      {
        find: "if (raft.pendingConfIndex > raft.log.applied)",
        replace: "if (raft.role === undefined)",
      },
    ],
  },
  {
    name: "commit_by_minority",
    what: "one replica less than a majority commits",
    file: "src/raft/quorum.ts",
    edits: [
      {
        find: "return indexes[majorityOf(voters.length) - 1];",
        replace: "return indexes[Math.max(0, majorityOf(voters.length) - 2)];",
      },
    ],
  },
  {
    name: "count_before_durable",
    what: "a leader counts its own entries before they are durable",
    file: "src/raft/raft.ts",
    edits: [
      {
        find: "if (own?.maybeUpdate(this.log.persisted)",
        replace: "if (own?.maybeUpdate(this.log.lastIndex())",
      },
    ],
  },
];

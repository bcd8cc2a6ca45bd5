/** Bugs of peers and of the store. */
import type { Bug } from "./bug.js";

export const RAFTSTORE_BUGS: readonly Bug[] = [
  {
    name: "lease_without_clock",
    what: "a lease never ends by the clock",
    file: "src/raftstore/lease.ts",
    edits: [
      {
        find: "return nowMs < this.#untilMs;",
        replace: "return this.#untilMs > Number.NEGATIVE_INFINITY;",
      },
    ],
  },
  {
    name: "fsync_ignored",
    what: "the raft log is written without fsync, and acknowledged",
    file: "src/raftstore/write_task.ts",
    quiet: ["src/raft/log.ts", "src/raft/step_leader.ts"],
    edits: [{ find: "port.write(bytes, true, ", replace: "port.write(bytes, false, " }],
  },
  {
    name: "vote_not_persisted",
    what: "a vote is answered, and not written",
    file: "src/raftstore/peer_storage.ts",
    quiet: ["src/raft/raft.ts", "src/raft/log.ts", "src/raft/step_follower.ts"],
    edits: [
      {
        find: "this.#raftState = { ...hardState, lastIndex };",
        replace: "this.#raftState = { ...hardState, vote: 0, lastIndex };",
      },
    ],
  },
  {
    name: "term_not_persisted",
    what: "a new term is not written: a restart goes back to the first",
    file: "src/raftstore/peer_storage.ts",
    quiet: ["src/raft/raft.ts", "src/raft/log.ts", "src/raft/step_follower.ts"],
    edits: [
      {
        find: "this.#raftState = { ...hardState, lastIndex };",
        replace: "this.#raftState = { ...hardState, term: 5, vote: 0, lastIndex };",
      },
    ],
  },
  {
    name: "read_index_not_awaited",
    what: "a confirmed read does not wait until its index is applied",
    file: "src/raftstore/read.ts",
    edits: [
      {
        find: "if (group.index !== undefined && group.index <= applied)",
        replace: "if (group.index !== undefined)",
      },
    ],
  },
  {
    name: "lease_of_old_term",
    what: "a leader reads under its lease before it has applied an entry of its term",
    file: "src/raftstore/peer.ts",
    edits: [{ find: "this.storage.appliedTerm === this.rawNode.term &&", replace: "" }],
  },
  {
    name: "snapshot_overlaps",
    what: "a snapshot is taken though its keys belong to another region of the store",
    file: "src/raftstore/peer_message.ts",
    edits: [{ find: "if (overlapping.length > 0 ||", replace: "if (" }],
  },
  {
    name: "commit_told_early",
    what: "followers apply what the leader has not applied: a read there is ahead of the leader's",
    file: "src/raft/raft.ts",
    edits: [
      {
        find: "this.options.commitTellsApplied && !this.leaves",
        replace: "this.role === undefined",
      },
    ],
  },
];

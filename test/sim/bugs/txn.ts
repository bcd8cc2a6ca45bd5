/** Bugs of transactions; the workload of transactions looks for them. */
import type { Bug } from "./bug.js";

export const TXN_BUGS: readonly Bug[] = [
  {
    name: "read_ignores_locks",
    what: "a read passes the locks of others",
    file: "src/mvcc/lock_check.ts",
    workload: "txn",
    edits: [{ find: "if (lock.startTs > ts)", replace: "if (lock.startTs > 0n)" }],
  },
  {
    name: "max_ts_not_raised",
    what: "a read does not raise max_ts: async commit and 1PC commit below it",
    file: "src/storage/txn_max_ts.ts",
    workload: "txn",
    edits: [
      {
        find: "return false;\n        this.deps.concurrencyManager.updateMaxTs(ts);",
        replace: "return false;",
      },
    ],
  },
  {
    name: "memory_locks_not_checked",
    what: "a read does not look at the locks in memory",
    file: "src/storage/txn_read_gate.ts",
    workload: "txn",
    edits: [
      {
        find: "if (concurrencyManager.size === 0)",
        replace: "if (concurrencyManager.size >= 0)",
      },
    ],
  },
  {
    name: "max_ts_of_leader_not_synced",
    what: "a new leader takes its max_ts for complete without asking PD",
    file: "src/storage/txn_max_ts.ts",
    workload: "txn",
    edits: [
      {
        find: "version: region.version, synced: false, asked: false };",
        replace: "version: region.version, synced: true, asked: true };\n        return true;",
      },
      { find: "            return known.synced;", replace: "            return true;" },
    ],
  },
  {
    name: "min_commit_ts_ignored",
    what: "a transaction commits below what a reader has pushed it to",
    file: "src/txn/actions/commit.ts",
    workload: "txn",
    edits: [{ find: "if (commitTs < minCommitTs)", replace: "if (commitTs < 0n)" }],
  },
  {
    name: "push_not_written",
    what: "a reader is told that min_commit_ts was pushed, and it was not",
    file: "src/txn/actions/check_txn_status.ts",
    workload: "txn",
    edits: [{ find: "txn.putLock(key, pushed);", replace: "" }],
  },
  {
    name: "conflict_not_checked",
    what: "an optimistic prewrite does not notice newer versions",
    file: "src/txn/actions/constraint.ts",
    workload: "txn",
    edits: [
      {
        find: "if (reason !== undefined && commitTs > props.startTs)",
        replace: "if (reason !== undefined && commitTs < 0n)",
      },
    ],
  },
  {
    name: "async_commit_expires",
    what: "the primary of an async commit is rolled back by its TTL alone",
    file: "src/txn/actions/check_txn_status.ts",
    workload: "txn",
    edits: [
      {
        find: "if (lock.useAsyncCommit && !request.forceSyncCommit)",
        replace: "if (lock.useAsyncCommit && request.forceSyncCommit)",
      },
    ],
  },
  {
    name: "missing_secondary_not_rolled_back",
    what: "a secondary that is not there is called rolled back, and may still be prewritten",
    file: "src/txn/commands/check_secondary_locks.ts",
    workload: "txn",
    edits: [{ find: "if (rollback !== undefined)", replace: "if (rollback === null)" }],
  },
  {
    name: "memory_lock_not_published",
    what: "locks of async commit and 1PC are not shown while they are written",
    file: "src/txn/actions/prewrite_txn.ts",
    workload: "txn",
    edits: [{ find: "guard.publish(lock);", replace: "" }],
  },
  {
    name: "one_pc_below_reads",
    what: "1PC and async commit leave max_ts out of min_commit_ts",
    file: "src/txn/actions/prewrite_txn.ts",
    workload: "txn",
    edits: [{ find: "maxTs > startTs ? maxTs : startTs", replace: "startTs" }],
  },
  {
    name: "latches_not_held",
    what: "commands on one key run beside each other",
    file: "src/storage/latches.ts",
    workload: "txn",
    quiet: ["src/txn/concurrency_manager.ts", "src/mvcc/rollback.ts"],
    edits: [
      {
        find: "this.advance(this.nextCommand++, { request: latchRequest(keys), run });",
        replace: "run(() => undefined);",
      },
    ],
  },
  {
    name: "kept_locks_behind_prewrites",
    what: "locks kept in memory are written behind prewrites of the same turn that replace them",
    file: "src/raftstore/peer_propose.ts",
    workload: "txn",
    edits: [
      {
        find: "proposeWrites(peer, ctx);\n    if (peer.isLeader && (kind",
        replace: "if (peer.isLeader && (kind",
      },
    ],
  },
  {
    name: "rolled_back_commits",
    what: "a prewrite that comes after its rollback is taken",
    file: "src/txn/actions/constraint.ts",
    workload: "txn",
    edits: [
      {
        find: "if (commitTs === props.startTs && (isRollback",
        replace: "if (commitTs === 0n && (isRollback",
      },
    ],
  },
  {
    name: "gc_leaves_locks",
    what: "the safe point moves although locks below it are not resolved",
    file: "src/node/gc_leader.ts",
    workload: "gc",
    edits: [
      {
        find: "const { oldestAlive, resolvedLocks } = await this.deps.resolveLocks(target);",
        replace:
          "const { oldestAlive, resolvedLocks } = { oldestAlive: undefined, resolvedLocks: 0 };",
      },
    ],
  },
];

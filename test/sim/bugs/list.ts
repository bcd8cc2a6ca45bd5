/** All bugs that can be planted. */
import { APPLY_BUGS } from "./apply.js";
import type { Bug } from "./bug.js";
import { RAFT_BUGS } from "./raft.js";
import { RAFTSTORE_BUGS } from "./raftstore.js";
import { TXN_BUGS } from "./txn.js";

export const BUGS: readonly Bug[] = [...RAFT_BUGS, ...APPLY_BUGS, ...RAFTSTORE_BUGS, ...TXN_BUGS];

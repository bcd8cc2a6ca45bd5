/** All checkers of a run. */
import type { Checker } from "../view.js";
import { AppliedPrefixes } from "./applied_prefixes.js";
import { CommittedEntries } from "./committed_entries.js";
import { Epochs } from "./epochs.js";
import { LogMatching } from "./log_matching.js";
import { OneLeader } from "./one_leader.js";
import { OneLease } from "./one_lease.js";
import { RegionTiling } from "./region_tiling.js";
import { StuckRegion } from "./stuck_region.js";
import { ZombiePeer } from "./zombie_peer.js";

export { checkLinearizability, isLinearizable } from "./linearizability.js";
export { stuckReasons } from "./stuck_region.js";
export { zombieReasons } from "./zombie_peer.js";
export { OneLeader };

/** Returns new checkers but OneLeader, which counts, too; linearizability is checked over the history at the end. */
export function newCheckers(): Checker[] {
  return [
    new LogMatching(),
    new CommittedEntries(),
    new AppliedPrefixes(),
    new RegionTiling(),
    new Epochs(),
    new OneLease(),
    new StuckRegion(),
    new ZombiePeer(),
  ];
}

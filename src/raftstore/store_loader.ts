/**
 * What a store finds on its disk when it starts: the states of its regions, and what a crash left
 * half done. Source: tikv raftstore/store/fsm/store.rs RaftPollerBuilder::init.
 */
import { idToNumber } from "../base/index.js";
import {
  applyStateKey,
  parseRegionStateKey,
  REGION_META_MAX_KEY,
  REGION_META_MIN_KEY,
} from "../codec/index.js";
import type { Engine } from "../engine/index.js";
import { EntryType } from "../raft/index.js";
import { decodeRegionLocalState, PEER_STATE } from "./local_state.js";
import type { PeerStorage } from "./peer_storage.js";
import type { RegionInfo } from "./region.js";

export interface LoadedRegions {
  readonly normal: readonly RegionInfo[];
  /** A snapshot's data was being put in place. */
  readonly applying: readonly RegionInfo[];
  /** Destroyed, and data may be left. */
  readonly unfinished: readonly RegionInfo[];
}

/** Reads the states of all regions, each list ordered by id. */
export function loadRegions(engine: Engine): LoadedRegions {
  const normal: RegionInfo[] = [];
  const applying: RegionInfo[] = [];
  const unfinished: RegionInfo[] = [];
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate("raft", { lower: REGION_META_MIN_KEY, upper: REGION_META_MAX_KEY });
  for (let more = iter.seekToFirst(); more; more = iter.next()) {
    if (parseRegionStateKey(iter.key()) === undefined) continue;
    const { state, region } = decodeRegionLocalState(iter.value());
    if (state === PEER_STATE.Applying) applying.push(region);
    else if (state !== PEER_STATE.Tombstone) normal.push(region);
    else if (snapshot.get("raft", applyStateKey(region.id)) !== undefined) unfinished.push(region);
  }
  iter.close();
  snapshot.close();
  return { normal, applying, unfinished };
}

const SCAN_BYTES = 1 << 20;

/**
 * Returns whether a peer is the only voter and cannot have promised anything to others: no change
 * of members is committed and not applied. It need not wait before it campaigns.
 */
export function isAlone(storage: PeerStorage, peerId: bigint): boolean {
  const { voters, votersOutgoing } = storage.initialState().confState;
  if (votersOutgoing.length > 0 || voters.length !== 1) return false;
  if (voters[0] !== idToNumber(peerId)) return false;
  const { appliedIndex } = storage.applyState;
  const { commit } = storage.raftState;
  for (let index = appliedIndex + 1; index <= commit; ) {
    const entries = storage.log.entries(index, commit + 1, SCAN_BYTES);
    if (typeof entries === "string") return false;
    if (entries.some(({ type }) => type !== EntryType.Normal)) return false;
    index += entries.length;
  }
  return true;
}

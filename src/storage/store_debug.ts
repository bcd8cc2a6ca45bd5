/**
 * What a store shows of itself to people who look for a fault: its regions and their records on
 * disk. Source: tikv src/server/debug.rs.
 */
import { applyStateKey, raftStateKey, regionStateKey } from "../codec/index.js";
import type { Engine } from "../engine/index.js";
import type { RegionRouter } from "../raftstore/index.js";
import type { StoreDebug } from "./types.js";

/** Returns the view of a running store. */
export function storeDebug(engine: Engine, router: RegionRouter): StoreDebug {
  return {
    regionIds: () => router.delegates().map(({ region }) => region.id),
    regionRecords(id) {
      const raftState = engine.get("raft", raftStateKey(id));
      const applyState = engine.get("raft", applyStateKey(id));
      const regionState = engine.get("raft", regionStateKey(id));
      if (raftState === undefined && applyState === undefined && regionState === undefined) {
        return undefined;
      }
      return { raftState, applyState, regionState };
    },
  };
}

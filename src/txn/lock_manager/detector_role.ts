/**
 * Who leads deadlock detection: the store that leads the region with the empty key. Follows the
 * regions of one store. Source: tikv src/server/lock_manager/deadlock.rs RoleChangeNotifier.
 */
import type { DetectorRole } from "./detector.js";

/** What a store knows of one of its peers. */
export interface DetectorRegion {
  readonly id: number;
  /** Empty: the region holds the empty key. */
  readonly startKey: Uint8Array;
  /** False for a peer that waits for its first snapshot: its range is not known yet. */
  readonly isInitialized: boolean;
}

/** Each event answers the role to pass to `Detector.changeRole`; undefined = nothing changed. */
export class DetectorRoleTracker {
  /** The region of this store that held the empty key last. */
  private regionId: number | undefined;

  /** A region was created, changed, or its leader did. */
  onRegion(region: DetectorRegion, isLeader: boolean): DetectorRole | undefined {
    if (!region.isInitialized || region.startKey.length > 0) return undefined;
    this.regionId = region.id;
    return isLeader ? "leader" : "follower";
  }

  /** A peer is gone; after a merge that may be a region which no longer held the empty key. */
  onDestroyed(regionId: number): DetectorRole | undefined {
    if (this.regionId !== regionId) return undefined;
    this.regionId = undefined;
    return "follower";
  }
}

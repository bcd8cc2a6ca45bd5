/** What faults act on. */
import type { SimDisk } from "../disk.js";
import type { SimHost } from "../host.js";
import type { SimNetwork } from "../network.js";
import type { SimPd } from "../pd.js";

/** A store as faults see it. */
export interface FaultStore {
  readonly storeId: number;
  readonly host: SimHost;
  readonly disk: SimDisk;
  /** Loses power; a prefix of what was not synced stays. */
  crash(): void;
  /** Starts the process again. */
  restart(): void;
}

export interface FaultTarget {
  readonly stores: readonly FaultStore[];
  readonly network: SimNetwork;
  readonly pd: SimPd;
  /** Every host that takes part: stores, PD, clients. */
  readonly hosts: readonly SimHost[];
  /** Number of places where regions may be split. */
  readonly splitPlaces: number;
  /** The region key of a place; ascending. */
  splitKeyAt(place: number): Uint8Array;
  /** Share of snapshot streams that are cut, per mille. */
  snapshotCutsPerMille: number;
  /** Store ids of leaders, as the stores see themselves. */
  leaderStores(): readonly number[];
}

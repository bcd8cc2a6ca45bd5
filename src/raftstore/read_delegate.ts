/**
 * What a peer publishes about itself for requests: they are checked and, under the leader's lease,
 * read without a poll round. Peers change it inside their rounds only; everybody else reads.
 * Source: tikv raftstore/store/worker/read.rs ReadDelegate.
 */
import type { FlowCounter } from "./flow.js";
import type { PeerInfo } from "./region.js";
import type { PeerView } from "./request_check.js";

export interface ReadDelegate extends PeerView {
  /** The id of `region`, as an address. */
  readonly regionId: number;
  readonly self: PeerInfo;
  /** Flow for the region's heartbeat, and the same for the store's: they reset apart. */
  readonly regionFlow: FlowCounter;
  readonly storeFlow: FlowCounter;
  /**
   * Whether a read at this moment is linearizable: this peer leads, has applied an entry of its
   * term, holds the lease by the clock, and no split of it is committed and not yet applied.
   */
  canReadLocally(): boolean;
  onWritten(keys: number, bytes: number): void;
  onRead(keys: number, bytes: number): void;
}

/** The store as the storage layer sees it; store.ts implements it. */
export interface RegionRouter {
  readonly storeId: bigint;
  readonly clusterId: bigint;
  /** All peers, ordered by region id; another array once a peer came, went or changed its view. */
  delegates(): readonly ReadDelegate[];
  delegate(regionId: bigint): ReadDelegate | undefined;
}

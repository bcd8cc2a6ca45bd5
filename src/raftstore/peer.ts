/**
 * A replica of a region on this store. Until the Raft store lands it leads its region alone at the
 * term on disk; role and term will then come from its RawNode.
 */
import { assert } from "../base/index.js";
import { FlowCounter } from "./flow.js";
import type { PeerInfo, RegionInfo } from "./region.js";
import type { PeerView } from "./request_check.js";

export class Peer implements PeerView {
  /** Flow for the region's heartbeat, and the same for the store's: they reset apart. */
  readonly regionFlow = new FlowCounter();
  readonly storeFlow = new FlowCounter();
  readonly isLeader = true;

  constructor(
    readonly region: RegionInfo,
    readonly self: PeerInfo,
    readonly term: bigint,
  ) {
    assert(region.peers.length === 1, "without Raft, a region has one peer");
  }

  get peerId(): bigint {
    return this.self.id;
  }

  get leader(): PeerInfo {
    return this.self;
  }

  /** Counts what a request wrote. */
  onWritten(keys: number, bytes: number): void {
    this.regionFlow.written(keys, bytes);
    this.storeFlow.written(keys, bytes);
  }

  /** Counts what a request read. */
  onRead(keys: number, bytes: number): void {
    this.regionFlow.read(keys, bytes);
    this.storeFlow.read(keys, bytes);
  }
}

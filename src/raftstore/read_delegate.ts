/**
 * What a peer publishes about itself for requests: they are checked and, under the leader's lease,
 * read without a poll round. Peers change it inside their rounds only; everybody else reads.
 * Source: tikv raftstore/store/worker/read.rs ReadDelegate.
 */
import type { RouteResult } from "../batch/index.js";
import type { WriteCommand } from "./commands.js";
import type { FlowCounter } from "./flow.js";
import type { PeerMsg } from "./messages.js";
import type { PeerInfo, RegionError } from "./region.js";
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
  /**
   * Whether the engine holds a state of the region that was applied as a whole: false before the
   * first snapshot and while one replaces the data. What may be read stale is read at such a time.
   */
  readonly dataReady: boolean;
  /** Index of the last entry that this peer knows to be applied; the engine may hold more. */
  readonly applied: number;
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
  /**
   * Hands a message to a peer, in the order of the calls. Only for "sent" will its `done` be called.
   */
  send(regionId: number, message: PeerMsg): RouteResult;
  /**
   * Sets who is asked, in a peer's round, when a leader is about to give its leadership or keys away
   * (transfer, split): what is returned is proposed before that. Absent where that never happens.
   */
  beforeHandover?(write: (peer: ReadDelegate) => WriteCommand | undefined): void;
  /** Sets who is told, in a peer's round, that a peer came or changed its view: term, role, region. */
  watch?(listener: (peer: ReadDelegate) => void): void;
  /**
   * Sets who judges the checks that reads bring with them (ReadCommand.check), in a leader's round,
   * when the read index is asked for: before the commit index is taken.
   */
  judgeReads?(judge: (check: Uint8Array) => Uint8Array): void;
  /** Counts a request that the checks of its context refused. */
  onRefused(error: RegionError): void;
}

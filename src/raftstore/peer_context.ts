/** What the peers of a store share: ports, tables and the way to each other. store.ts fills it. */
import type { Clock, Logger, Prng } from "../base/index.js";
import type { SplitWish, WriteCommand } from "./commands.js";
import type { EnginePort } from "./engine_port.js";
import type { ApplyMsg, PeerMsg } from "./messages.js";
import type { ReplicationOptions } from "./options.js";
import type { Peer } from "./peer.js";
import type { RaftMessage } from "./raft_message.js";
import type { RaftMetrics } from "./raft_metrics.js";
import type { RegionInfo } from "./region.js";
import type { SnapshotManager } from "./snapshot/types.js";
import type { StoreMeta } from "./store_meta.js";
import type { Transport } from "./transport.js";
import type { RaftLogGc } from "./workers/raftlog_gc.js";
import type { RoundWriter } from "./write_task.js";

/** What peers ask of their store. */
export interface PeerStore {
  /** Sends to a peer beyond its mailbox's bound; lost if there is none. */
  notify(regionId: number, message: PeerMsg): void;
  /** Sends to the apply delegate of a region. */
  toApply(regionId: number, message: ApplyMsg): void;
  /** Hands a message to the store: its region has no peer here any more. */
  redeliver(message: RaftMessage): void;
  /** Makes the peer of a region that a split made; it campaigns at once if `campaign`. */
  createSplitPeer(region: RegionInfo, campaign: boolean): void;
  /** Closes the mailbox of a peer whose tombstone is written. */
  closePeer(peer: Peer): void;
  /** The peer's view for requests changed, or it came or went. */
  onViewChanged(peer: Peer): void;
  /** The leader's region, members or pending work changed: PD should hear of it. */
  onRegionChanged(peer: Peer): void;
  /** Regions that a split of a leader's region made, in key order. */
  onSplit(peer: Peer, regions: readonly RegionInfo[]): void;
  /** A wish with keys, which was checked: it needs ids of PD. */
  askSplit(peer: Peer, wish: SplitWish): void;
  /** A wish without keys: it comes again with one in the middle of the region. */
  halve(peer: Peer, wish: SplitWish): void;
  /** The region may have to be split: "splitCheckDone" tells. */
  checkSplit(peer: Peer): void;
  /** The peer has heard no leader for very long: PD is asked whether it is a member. */
  validate(peer: Peer): void;
  /** What is to be proposed before a leader gives leadership or keys away. */
  handOver(peer: Peer): WriteCommand | undefined;
  /** A leader's verdict on the check that a read brings with it. */
  judgeRead(check: Uint8Array): Uint8Array;
}

export interface PeerContext {
  readonly storeId: bigint;
  readonly options: ReplicationOptions;
  readonly port: EnginePort;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prng: Prng;
  readonly writer: RoundWriter;
  readonly transport: Transport;
  readonly snapshots: SnapshotManager;
  readonly meta: StoreMeta;
  readonly metrics: RaftMetrics;
  readonly logGc: RaftLogGc;
  readonly store: PeerStore;
  /** Whether a write has to be refused for want of space; see disk.ts. */
  readonly diskRefuses: (frees: boolean) => boolean;
}

/**
 * Orders to leaders of regions, as values; the gRPC service makes RegionHeartbeatResponses of them.
 * PURE. The shape is that of raftstore's port to PD.
 */
import type { PeerMeta, RegionInfo } from "../core/index.js";

/** eraftpb.ConfChangeType. PERSISTED: do not renumber. */
export const CHANGE_TYPE = { addNode: 0, removeNode: 1, addLearnerNode: 2 } as const;

export interface PeerChange {
  readonly type: 0 | 1 | 2;
  readonly peer: PeerMeta;
}

/** What the leader is asked to do: exactly one of the parts. */
export interface OrderBody {
  /** One change is simple, several are joint, an empty list leaves the joint state. */
  readonly changePeers?: readonly PeerChange[];
  /** Any of these may lead next; the first that can. */
  readonly transferLeader?: readonly PeerMeta[];
  /** Where to split, as region keys; without keys the region halves itself by size. */
  readonly splitRegion?: { readonly keys: readonly Uint8Array[] };
}

/** An order holds for the epoch that it carries only. */
export interface RegionOrder extends OrderBody {
  readonly regionId: bigint;
  readonly confVer: bigint;
  readonly version: bigint;
  /** The leader as PD knows it: who gets the order. */
  readonly targetPeer: PeerMeta;
}

/** Takes orders; who sends them on is the driver's business. */
export type OrderSink = (order: RegionOrder) => void;

/** Returns the order to the leader of `region`; it must have one. */
export function orderFor(region: RegionInfo, leader: PeerMeta, body: OrderBody): RegionOrder {
  const { id, confVer, version } = region.meta;
  return { regionId: id, confVer, version, targetPeer: leader, ...body };
}

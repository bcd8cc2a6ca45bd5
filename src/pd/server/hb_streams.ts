/**
 * Region heartbeat streams, one a store: where orders to region leaders go out, at any time. The
 * newest stream of a store counts; one that does not read loses orders, which are sent again later.
 * Source: pd pkg/schedule/hbstream/heartbeat_streams.go.
 */
import { fromBigInt, type pdpb } from "../../pb/index.js";
import { peerToPb } from "../core/index.js";
import type { RegionOrder } from "../schedule/index.js";
import { okHeader } from "./header.js";

/** The sending side of one stream. */
export interface OrderStream {
  /** Sends an order; false if it was dropped, because the store does not read. */
  push(response: pdpb.IRegionHeartbeatResponse): boolean;
}

/** What happened to orders. */
export type OrderEvent = "push" | "no-stream" | "full";

const POLICY_APPROXIMATE = 1;
const POLICY_USE_KEY = 2;

/** Returns an order as pdpb carries it. */
export function orderToPb(clusterId: bigint, order: RegionOrder): pdpb.IRegionHeartbeatResponse {
  const { changePeers, confVer, regionId, splitRegion, targetPeer, transferLeader, version } =
    order;
  const response: pdpb.IRegionHeartbeatResponse = {
    header: okHeader(clusterId),
    regionId: fromBigInt(regionId),
    regionEpoch: { confVer: fromBigInt(confVer), version: fromBigInt(version) },
    targetPeer: peerToPb(targetPeer),
  };
  if (changePeers !== undefined) {
    const changes = changePeers.map(({ type, peer }) => ({
      changeType: type,
      peer: peerToPb(peer),
    }));
    response.changePeerV2 = { changes };
  }
  if (transferLeader !== undefined) {
    const peers = transferLeader.map(peerToPb);
    response.transferLeader = { peer: peers[0] ?? null, peers: peers.slice(1) };
  }
  if (splitRegion !== undefined) {
    const keys = [...splitRegion.keys];
    const policy = keys.length === 0 ? POLICY_APPROXIMATE : POLICY_USE_KEY;
    response.splitRegion = { policy, keys };
  }
  return response;
}

export class HeartbeatStreams {
  private readonly streams = new Map<bigint, OrderStream>();
  private readonly clusterId: bigint;
  private readonly onEvent: (event: OrderEvent) => void;

  constructor(clusterId: bigint, onEvent: (event: OrderEvent) => void) {
    this.clusterId = clusterId;
    this.onEvent = onEvent;
  }

  /** Notes that the store sends on this stream. */
  bind(storeId: bigint, stream: OrderStream): void {
    this.streams.set(storeId, stream);
  }

  /** Forgets a stream that ended, for every store that still has it. */
  unbind(stream: OrderStream): void {
    for (const [storeId, bound] of this.streams) {
      if (bound === stream) this.streams.delete(storeId);
    }
  }

  /** Sends an order to the store of the region's leader. */
  send(order: RegionOrder): void {
    const stream = this.streams.get(order.targetPeer.storeId);
    if (stream === undefined) {
      this.onEvent("no-stream");
      return;
    }
    this.onEvent(stream.push(orderToPb(this.clusterId, order)) ? "push" : "full");
  }
}

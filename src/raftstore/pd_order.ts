/**
 * PD's orders as messages to the peer that they are for. Pure. An order holds for its epoch only:
 * the peer's own checks refuse one that is out of date.
 * Source: tikv raftstore/store/worker/pd.rs schedule_heartbeat_receiver.
 */
import type { AdminCommand, AdminResult, Done } from "./commands.js";
import type { PeerMsg } from "./messages.js";
import type { RegionOrder } from "./pd_port.js";
import type { PeerInfo, RegionInfo } from "./region.js";

/** The message that carries out an order; undefined: there is nothing to do. */
export type OrderMsg = Extract<PeerMsg, { readonly kind: "admin" | "splitWish" }>;

/** Returns what `self`, the leader of `region`, is to do; `done` hears how it went. */
export function messageOfOrder(
  order: RegionOrder,
  leader: { readonly region: RegionInfo; readonly self: PeerInfo },
  done: Done<AdminResult>,
): OrderMsg | undefined {
  const { regionId, confVer, version } = order;
  if (order.splitRegion !== undefined) {
    const splitKeys = order.splitRegion.keys;
    return { kind: "splitWish", wish: { confVer, version, splitKeys, reason: "pd", done } };
  }
  const command = commandOf(order, leader);
  if (command === undefined) return undefined;
  const { id, storeId } = leader.self;
  // Another target: PD takes another peer for the leader, and the peer's check says so.
  const peerId = order.targetPeer?.id ?? id;
  const header = { regionId, confVer, version, peerId, storeId, term: 0n };
  return { kind: "admin", request: { header, command, done } };
}

function commandOf(
  order: RegionOrder,
  { region, self }: { readonly region: RegionInfo; readonly self: PeerInfo },
): AdminCommand | undefined {
  if (order.changePeers !== undefined) return { kind: "changePeer", changes: order.changePeers };
  const candidates = order.transferLeader ?? [];
  const known = (peer: PeerInfo): boolean =>
    peer.id !== self.id && region.peers.some((one) => one.id === peer.id && one.role !== 1);
  const peer = candidates.find(known) ?? candidates[0];
  return peer === undefined ? undefined : { kind: "transferLeader", peer };
}

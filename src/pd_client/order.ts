/** PD's orders to region leaders as plain values. */
import { type metapb, type pdpb, toBigInt } from "../pb/index.js";
import { peerInfo } from "./convert.js";
import type { PeerInfo, RegionOrder } from "./types.js";

/** Returns PD's order, without a part for what this version cannot do; undefined for no order. */
export function regionOrder(response: pdpb.RegionHeartbeatResponse): RegionOrder | undefined {
  const regionId = toBigInt(response.regionId);
  if (regionId === 0n) return undefined;
  const { changePeer, changePeerV2, regionEpoch, splitRegion, targetPeer } = response;
  const order = {
    regionId,
    confVer: toBigInt(regionEpoch?.confVer ?? 0),
    version: toBigInt(regionEpoch?.version ?? 0),
    targetPeer: targetPeer === null ? undefined : peerInfo(targetPeer),
  };
  if (changePeerV2 !== null) return { ...order, changePeers: changesOf(changePeerV2.changes) };
  if (changePeer !== null) return { ...order, changePeers: changesOf([changePeer]) };
  if (response.transferLeader !== null) {
    return { ...order, transferLeader: targetsOf(response.transferLeader) };
  }
  if (splitRegion !== null) {
    // Keys are copies: the order outlives the message.
    return { ...order, splitRegion: { keys: splitRegion.keys.map((key) => key.slice()) } };
  }
  return order;
}

type Changes = NonNullable<RegionOrder["changePeers"]>;

function changesOf(changes: readonly pdpb.ChangePeer[]): Changes {
  return changes.flatMap(({ changeType: type, peer }) => {
    if (peer === null || (type !== 0 && type !== 1 && type !== 2)) return [];
    return [{ type, peer: peerInfo(peer) }];
  });
}

function targetsOf({ peer, peers }: pdpb.TransferLeader): PeerInfo[] {
  const all: (metapb.Peer | null)[] = [peer, ...peers];
  return all.filter((one) => one !== null).map(peerInfo);
}

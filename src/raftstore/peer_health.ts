/**
 * What a leader tells PD of its followers. Pure.
 * Source: tikv raftstore/store/peer.rs collect_down_peers, collect_pending_peers.
 */
import type { PeerInfo, RegionInfo } from "./region.js";

/** Followers that were silent for `maxDownMs` or longer, with how long, in whole seconds. */
export function downPeers(
  region: RegionInfo,
  self: PeerInfo,
  silentMs: (peerId: bigint) => number,
  maxDownMs: number,
): readonly { readonly peer: PeerInfo; readonly downSeconds: number }[] {
  const down: { readonly peer: PeerInfo; readonly downSeconds: number }[] = [];
  for (const peer of region.peers) {
    if (peer.id === self.id) continue;
    const ms = silentMs(peer.id);
    if (ms >= maxDownMs) down.push({ peer, downSeconds: Math.floor(ms / 1000) });
  }
  return down;
}

/** Followers that need a snapshot: what they have ends before the log that is kept. */
export function pendingPeers(
  region: RegionInfo,
  self: PeerInfo,
  match: (peerId: bigint) => number,
  truncatedIndex: number,
): readonly PeerInfo[] {
  return region.peers.filter((peer) => peer.id !== self.id && match(peer.id) < truncatedIndex);
}

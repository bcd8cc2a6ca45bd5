/** What other stores' leaders say, taken by the replicas here. */
import type { RegionRouter } from "../../raftstore/index.js";
import type { LeaderInfo } from "./advance.js";
import type { ReadProgress } from "./progress.js";

/**
 * Takes the states of regions that have a replica here. Returns the ids of those whose leader, term
 * and epoch this store knows in the same way; a state holds for the others as well, as soon as they
 * have applied as far: then they know at least that epoch.
 */
export function takeLeaders(
  regions: readonly LeaderInfo[],
  progress: ReadProgress,
  router: Pick<RegionRouter, "delegate">,
): bigint[] {
  const known: bigint[] = [];
  for (const { regionId, peerId, term, confVer, version, readState } of regions) {
    const peer = router.delegate(regionId);
    if (peer === undefined) continue;
    progress.advance(peer.regionId, readState);
    const { region, leader } = peer;
    const isSame = region.version === version && region.confVer === confVer;
    if (isSame && leader?.id === peerId && peer.term === term) known.push(regionId);
  }
  return known;
}

/**
 * Returns the timestamp up to which all replicas here that touch `[startKey, endKey)` may answer;
 * 0n when one of them may not, or none does. Keys are encoded, empty endKey = +inf.
 */
export function safeTsOfRange(
  startKey: Uint8Array,
  endKey: Uint8Array,
  progress: ReadProgress,
  router: Pick<RegionRouter, "delegates">,
): bigint {
  let least: bigint | undefined;
  for (const peer of router.delegates()) {
    const { region } = peer;
    const before = region.endKey.length > 0 && Buffer.compare(region.endKey, startKey) <= 0;
    const behind = endKey.length > 0 && Buffer.compare(endKey, region.startKey) <= 0;
    if (before || behind) continue;
    const safeTs = peer.dataReady ? progress.safeTs(peer) : 0n;
    if (least === undefined || safeTs < least) least = safeTs;
  }
  return least ?? 0n;
}

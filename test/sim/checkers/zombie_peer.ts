/** No zombie: in a healed cluster every peer on a store is a member of its region as PD knows it. */
import { allPeers, type Checker, CheckFailed, type ClusterView } from "../view.js";

const NAME = "zombie peer";

/** Returns the peers that should be gone. */
export function zombieReasons(view: ClusterView): string[] {
  const regions = new Map(view.pdRegions.map((region) => [region.regionId, region]));
  return allPeers(view).flatMap(({ regionId, peerId, storeId }) => {
    const member = regions.get(regionId)?.members.find((known) => known.peerId === peerId);
    if (member?.storeId === storeId) return [];
    return [`peer ${peerId} of region ${regionId} on store ${storeId}`];
  });
}

export class ZombiePeer implements Checker {
  readonly name = NAME;

  atRest(view: ClusterView): void {
    const reasons = zombieReasons(view);
    if (reasons.length > 0) throw new CheckFailed(NAME, reasons.join("; "));
  }
}

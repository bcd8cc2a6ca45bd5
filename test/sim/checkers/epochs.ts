/**
 * Epochs only grow, on a running peer and in PD, and an epoch of a region names one range and one
 * list of peers.
 */
import {
  type Checker,
  CheckFailed,
  type ClusterView,
  describeRegion,
  type RegionView,
  type StoreView,
} from "../view.js";

const NAME = "epochs";

export class Epochs implements Checker {
  readonly name = NAME;
  private readonly last = new Map<string, RegionView>();
  private readonly meanings = new Map<string, string>();

  afterEvent(store: StoreView): void {
    for (const { region, regionId, peerId } of store.peers) {
      if (region === undefined) continue;
      this.check(`store ${store.storeId}/${store.incarnation} ${regionId}/${peerId}`, region);
    }
  }

  sweep(view: ClusterView): void {
    for (const region of view.pdRegions) this.check(`PD ${region.regionId}`, region);
  }

  private check(who: string, region: RegionView): void {
    const known = this.last.get(who);
    if (known === region) return;
    this.last.set(who, region);
    if (known !== undefined && isBack(known, region)) {
      const change = `${describeRegion(known)} became ${describeRegion(region)}`;
      throw new CheckFailed(NAME, `${who}: ${change}`);
    }
    const name = `${region.regionId} ${region.version}/${region.confVer}`;
    const text = describeRegion(region);
    const meaning = this.meanings.get(name);
    if (meaning === undefined) this.meanings.set(name, text);
    else if (meaning !== text) throw new CheckFailed(NAME, `one epoch, two: ${meaning}; ${text}`);
  }
}

function isBack(before: RegionView, after: RegionView): boolean {
  return after.version < before.version || after.confVer < before.confVer;
}

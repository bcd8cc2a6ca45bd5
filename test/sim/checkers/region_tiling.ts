/**
 * Regions tile the key space: on one store they never overlap; at rest PD's regions and those of
 * the peers are the same, and have neither gap nor overlap.
 */
import {
  allPeers,
  type Checker,
  CheckFailed,
  type ClusterView,
  describeRegion,
  type RegionView,
  type StoreView,
} from "../view.js";

const NAME = "region tiling";

function byStart(a: RegionView, b: RegionView): number {
  if (a.start !== b.start) return a.start < b.start ? -1 : 1;
  return a.regionId - b.regionId;
}

export class RegionTiling implements Checker {
  readonly name = NAME;

  afterEvent(store: StoreView): void {
    const regions: RegionView[] = [];
    for (const { region } of store.peers) if (region !== undefined) regions.push(region);
    regions.sort(byStart);
    for (let i = 1; i < regions.length; i++) {
      const [left, right] = [regions[i - 1] as RegionView, regions[i] as RegionView];
      if (left.end !== "" && left.end <= right.start) continue;
      const both = `${describeRegion(left)} and ${describeRegion(right)}`;
      throw new CheckFailed(NAME, `on store ${store.storeId} ${both} overlap`);
    }
  }

  atRest(view: ClusterView): void {
    checkTiles(view.pdRegions);
    const known = new Map(view.pdRegions.map((region) => [region.regionId, region]));
    for (const { region, peerId } of allPeers(view)) {
      if (region === undefined) continue;
      const expected = known.get(region.regionId);
      const [is, want] = [describeRegion(region), expected && describeRegion(expected)];
      if (is !== want) throw new CheckFailed(NAME, `peer ${peerId} has ${is}, PD ${want}`);
    }
  }
}

function checkTiles(regions: readonly RegionView[]): void {
  let end: string | undefined;
  for (const region of [...regions].sort(byStart)) {
    const expected = end ?? "";
    if (end === "" || region.start !== expected) {
      const where = `begins at "${region.start}", expected "${expected}"`;
      throw new CheckFailed(NAME, `${describeRegion(region)} ${where}`);
    }
    end = region.end;
  }
  if (end !== "") throw new CheckFailed(NAME, `the last region ends at "${end}"`);
}

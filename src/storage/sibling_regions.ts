/**
 * The regions next to one that was split: a client with an old epoch learns them from the error,
 * without asking PD. They need not come from this split; newer ones do no harm.
 * Source: tikv raftstore/store/fsm/peer.rs collect_sibling_region.
 */
import { toHex } from "../base/index.js";
import type { ReadDelegate, RegionError, RegionInfo, RegionRouter } from "../raftstore/index.js";

/** Regions that an error carries beside the one asked for, at most. */
const SIBLINGS_MAX = 10;

export class SiblingRegions {
  /** The state of the router for which the index was built. */
  private seen: readonly ReadDelegate[] = [];
  /** Peers by the bound that they share with the neighbour, in hex. */
  private byBound = new Map<string, ReadDelegate>();

  /** `rightDerive`: the right-most part of a split keeps the id, so the others lie to its left. */
  constructor(
    private readonly router: RegionRouter,
    private readonly rightDerive: boolean,
  ) {}

  /** Returns the error, with neighbours if it tells a client of an epoch that it lags behind. */
  addTo(error: RegionError, requestedVersion: bigint): RegionError {
    const [region] = error.kind === "epochNotMatch" ? error.currentRegions : [];
    if (error.kind !== "epochNotMatch" || region === undefined) return error;
    if (error.currentRegions.length > 1 || requestedVersion >= region.version) return error;
    return { ...error, currentRegions: [region, ...this.of(region, requestedVersion)] };
  }

  /** Each split adds as many regions as it adds to the version: so many are looked for. */
  private of(region: RegionInfo, requestedVersion: bigint): RegionInfo[] {
    this.refresh();
    const found: RegionInfo[] = [];
    let newest = region.version;
    let missing = newest - requestedVersion;
    let last = region;
    while (missing > 0n && found.length < SIBLINGS_MAX) {
      const bound = this.rightDerive ? last.startKey : last.endKey;
      const next = bound.length === 0 ? undefined : this.byBound.get(toHex(bound))?.region;
      if (next === undefined) break;
      missing--;
      if (next.version > newest) {
        missing += next.version - newest;
        newest = next.version;
      }
      found.push(next);
      last = next;
    }
    return found;
  }

  private refresh(): void {
    const peers = this.router.delegates();
    if (peers === this.seen) return;
    this.seen = peers;
    this.byBound = new Map(
      peers.map((peer) => {
        const { startKey, endKey } = peer.region;
        return [toHex(this.rightDerive ? endKey : startKey), peer];
      }),
    );
  }
}

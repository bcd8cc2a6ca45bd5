/**
 * The regions that this store leads, with ids as Numbers, for the batch path: what a turn compares
 * contexts with costs no BigInt. Hot path.
 */
import { idToNumber } from "../base/index.js";
import type { ReadDelegate, RegionRouter } from "../raftstore/index.js";
import type { RegionView } from "./types.js";

interface Viewed {
  /** The state of the router for which `view` was looked up. */
  seen: readonly ReadDelegate[];
  /** undefined: this store does not lead the region. */
  view: RegionView | undefined;
}

/** Regions that are remembered; above, all are forgotten. Contexts name them, so clients do. */
const VIEWS_MAX = 65_536;

export class RegionViews {
  private readonly views = new Map<number, Viewed>();

  constructor(private readonly router: RegionRouter) {}

  /** Returns the region while its peer here leads it and holds the lease. */
  region(id: number): RegionView | undefined {
    const seen = this.router.delegates();
    let viewed = this.views.get(id);
    if (viewed === undefined) {
      if (this.views.size >= VIEWS_MAX) this.views.clear();
      viewed = { seen, view: this.lookUp(id, undefined) };
      this.views.set(id, viewed);
    } else if (viewed.seen !== seen) {
      viewed.seen = seen;
      viewed.view = this.lookUp(id, viewed.view);
    }
    const { view } = viewed;
    return view?.peer.canReadLocally() ? view : undefined;
  }

  /** Returns the view of now: the old one, if nothing that it shows has changed. */
  private lookUp(id: number, old: RegionView | undefined): RegionView | undefined {
    const peer = this.router.delegate(BigInt(id));
    if (peer === undefined || !peer.isLeader) return undefined;
    const term = idToNumber(peer.term);
    if (old?.peer === peer && old.region === peer.region && old.term === term) return old;
    const { region, self } = peer;
    const { confVer, version, startKey, endKey } = region;
    return {
      id,
      confVer: idToNumber(confVer),
      version: idToNumber(version),
      peerId: idToNumber(self.id),
      storeId: idToNumber(self.storeId),
      term,
      startKey,
      endKey,
      region,
      peer,
      header: {
        regionId: region.id,
        confVer,
        version,
        peerId: self.id,
        storeId: self.storeId,
        // The term that a request asks for was compared with `term`.
        term: 0n,
      },
    };
  }
}

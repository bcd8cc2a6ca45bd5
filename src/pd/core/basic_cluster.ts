/**
 * The stores and regions of a cluster in memory, and the rules by which reports change them.
 * PURE: a report returns what to persist; the driver (server/cluster.ts) does it.
 * Source: pd pkg/core/region.go check, pkg/core/region.go GenerateRegionGuideFunc.
 */
import { compareBytes, type Prng } from "../../base/index.js";
import {
  equalPeer,
  equalRange,
  type PeerMeta,
  type RegionInfo,
  type RegionMeta,
  regionText,
} from "./region_info.js";
import { RegionTree } from "./region_tree.js";
import type { StoreInfo } from "./store_info.js";
import { type RegionRole, RegionsByStore, type StoreLoad } from "./store_regions.js";

/** What a region report did. Refused reports (stale, or an empty range) change nothing. */
export type RegionOutcome =
  | { readonly kind: "stale" | "invalid"; readonly message: string }
  | {
      readonly kind: "ok";
      /** The metadata is new and belongs into storage. */
      readonly save: boolean;
      /** Metadata, leader, or which peers are down or pending: worth a look. */
      readonly changed: boolean;
      /** Regions that this one replaced; they belong out of storage. */
      readonly evicted: readonly RegionInfo[];
    };

/** A range of keys with no region in it. */
export interface RangeHole {
  readonly message: string;
}

export class BasicCluster {
  readonly tree = new RegionTree();
  private readonly regions = new Map<bigint, RegionInfo>();
  private readonly stores = new Map<bigint, StoreInfo>();
  private readonly byStore = new RegionsByStore();
  /** Regions without a known leader: none was reported since the start. */
  private leaderless = 0;
  private sizeMiB = 0;

  getStore(id: bigint): StoreInfo | undefined {
    return this.stores.get(id);
  }

  /** Returns all stores by ascending id. */
  getStores(): StoreInfo[] {
    return [...this.stores.values()].sort((a, b) => (a.meta.id < b.meta.id ? -1 : 1));
  }

  putStore(store: StoreInfo): void {
    this.stores.set(store.meta.id, store);
  }

  getRegion(id: bigint): RegionInfo | undefined {
    return this.regions.get(id);
  }

  get regionCount(): number {
    return this.regions.size;
  }

  /** How many regions have no known leader. */
  get leaderlessCount(): number {
    return this.leaderless;
  }

  /** Mean size of a region in MiB, at least 1. */
  get averageRegionSizeMiB(): number {
    return this.regions.size === 0 ? 1 : Math.max(1, this.sizeMiB / this.regions.size);
  }

  /** Returns what store `id` holds; zeros for one without regions. */
  storeLoad(id: bigint): StoreLoad {
    return this.byStore.load(id);
  }

  /** Returns up to `count` different regions of a store by its role in them, picked at random. */
  sampleRegions(storeId: bigint, role: RegionRole, prng: Prng, count: number): RegionInfo[] {
    return this.byStore
      .sample(storeId, role, prng, count)
      .map((id) => this.regions.get(id) as RegionInfo);
  }

  /** Forgets a store that is gone for good. */
  removeStore(id: bigint): void {
    this.stores.delete(id);
  }

  /**
   * Takes a region that was loaded or reported. Stale is: an overlapping region has a higher
   * version; or the same region is known with a higher version or conf_ver, or a higher term while
   * the report has one. Regions that a newer one overlaps are evicted.
   *
   * A region with epoch 1/1 that is not the whole key space was recreated by unsafe recovery and is
   * never stale.
   */
  putRegion(region: RegionInfo): RegionOutcome {
    const origin = this.regions.get(region.meta.id);
    const { startKey, endKey } = region.meta;
    if (endKey.length > 0 && compareBytes(startKey, endKey) >= 0) {
      return { kind: "invalid", message: `invalid region range: ${regionText(region.meta)}` };
    }
    const overlaps =
      origin !== undefined && equalRange(origin.meta, region.meta)
        ? []
        : this.tree.overlaps(startKey, endKey);
    const newer = staleAgainst(region, origin, overlaps);
    if (newer !== undefined) {
      const message = `region is stale: region ${regionText(region.meta)} origin ${regionText(newer.meta)}`;
      return { kind: "stale", message };
    }
    const save = origin === undefined || needsSave(region, origin);
    const changed = save || origin === undefined || healthChanged(region, origin);
    if (origin !== undefined) this.drop(origin);
    const evicted = overlaps.filter((old) => old.meta.id !== region.meta.id);
    for (const old of evicted) this.drop(old);
    this.tree.set(region);
    this.regions.set(region.meta.id, region);
    this.count(region, 1);
    return { kind: "ok", save, changed, evicted };
  }

  /**
   * Returns the regions that touch `[start, end)` in order, at most `limit` (<= 0: all).
   * With `mustCover`, a hole in the range is an error instead.
   */
  scanRegions(
    start: Uint8Array,
    end: Uint8Array,
    limit: number,
    mustCover = false,
  ): RegionInfo[] | RangeHole {
    const found: RegionInfo[] = [];
    let covered = start;
    let hole = false;
    this.tree.scan(start, end, (region) => {
      if (limit > 0 && found.length >= limit) return false;
      hole ||= compareBytes(region.meta.startKey, covered) > 0;
      if (mustCover && hole) return false;
      covered = region.meta.endKey;
      found.push(region);
      return true;
    });
    if (!mustCover) return found;
    const full = limit > 0 && found.length >= limit;
    const reachesInfinity = found.length > 0 && covered.length === 0;
    const short = end.length === 0 ? !reachesInfinity : !reachesEnd(covered, end, reachesInfinity);
    if (hole || (!full && short)) {
      return { message: "key range found a hole region: regions do not contain all key range" };
    }
    return found;
  }

  private drop(region: RegionInfo): void {
    this.tree.remove(region);
    this.regions.delete(region.meta.id);
    this.count(region, -1);
  }

  private count(region: RegionInfo, sign: 1 | -1): void {
    if (sign === 1) this.byStore.add(region);
    else this.byStore.remove(region);
    if (region.leader === undefined) this.leaderless += sign;
    this.sizeMiB += Number(region.stats.approximateSizeMiB) * sign;
  }
}

function reachesEnd(covered: Uint8Array, end: Uint8Array, infinity: boolean): boolean {
  return infinity || compareBytes(covered, end) >= 0;
}

function isRecreated(meta: RegionMeta): boolean {
  const whole = meta.startKey.length === 0 && meta.endKey.length === 0;
  return meta.version === 1n && meta.confVer === 1n && !whole;
}

/** Returns the known region that makes `region` stale, if one does. */
function staleAgainst(
  region: RegionInfo,
  origin: RegionInfo | undefined,
  overlaps: readonly RegionInfo[],
): RegionInfo | undefined {
  const { meta, stats } = region;
  if (isRecreated(meta)) return undefined;
  for (const other of overlaps) if (meta.version < other.meta.version) return other;
  if (origin === undefined) return undefined;
  const termBehind = stats.term > 0n && stats.term < origin.stats.term;
  const behind = meta.version < origin.meta.version || meta.confVer < origin.meta.confVer;
  return termBehind || behind ? origin : undefined;
}

function equalPeers(a: readonly PeerMeta[], b: readonly PeerMeta[]): boolean {
  return a.length === b.length && a.every((peer, at) => equalPeer(peer, b[at] as PeerMeta));
}

/** Returns whether the report changes what storage holds. */
function needsSave(region: RegionInfo, origin: RegionInfo): boolean {
  const [now, before] = [region.meta, origin.meta];
  return (
    now.version > before.version ||
    now.confVer > before.confVer ||
    !equalRange(now, before) ||
    !equalPeers(now.peers, before.peers) ||
    now.isInFlashback !== before.isInFlashback
  );
}

function healthChanged(region: RegionInfo, origin: RegionInfo): boolean {
  const downPeers = region.downPeers.map(({ peer }) => peer);
  return (
    region.leader?.id !== origin.leader?.id ||
    !equalPeers(region.pendingPeers, origin.pendingPeers) ||
    !equalPeers(
      downPeers,
      origin.downPeers.map(({ peer }) => peer),
    )
  );
}

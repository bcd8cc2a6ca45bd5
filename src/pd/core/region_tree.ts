/**
 * Regions ordered by start key: which one holds a key, which overlap a range. Ranges in the tree
 * never overlap. It does not judge which region is right; region rules are in basic_cluster.ts.
 *
 * Layout: a list of leaves, each a sorted array of at most LEAF_MAX regions. A lookup is two binary
 * searches; a change moves at most one leaf and the list of leaves (4,000 entries at a million
 * regions). Lookups serve GetRegion and QueryRegion: no allocation but the result.
 */
import { assert, compareBytes } from "../../base/index.js";
import { type RegionInfo, regionContains } from "./region_info.js";

const LEAF_MAX = 512;

type Leaf = RegionInfo[];

export class RegionTree {
  /** Invariant: no leaf is empty; start keys ascend strictly through all leaves. */
  private readonly leaves: Leaf[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Returns the region that contains `key`. O(log n). */
  search(key: Uint8Array): RegionInfo | undefined {
    const at = this.floor(key);
    if (at === undefined) return undefined;
    const region = this.at(at);
    return regionContains(region.meta, key) ? region : undefined;
  }

  /**
   * Returns the region just before the one that contains `key`, if they touch. O(log n).
   * Source: pd pkg/core/region_tree.go searchPrev.
   */
  searchPrev(key: Uint8Array): RegionInfo | undefined {
    const at = this.floor(key);
    if (at === undefined) return undefined;
    const current = this.at(at);
    if (!regionContains(current.meta, key)) return undefined;
    const before = this.before(at);
    if (before === undefined) return undefined;
    const previous = this.at(before);
    const touches = compareBytes(previous.meta.endKey, current.meta.startKey) === 0;
    return touches ? previous : undefined;
  }

  /** Returns the regions that overlap `[start, end)`, in order; an empty end is +inf. */
  overlaps(start: Uint8Array, end: Uint8Array): RegionInfo[] {
    const found: RegionInfo[] = [];
    this.scan(start, end, (region) => {
      found.push(region);
      return true;
    });
    return found;
  }

  /**
   * Visits regions in order, from the one that contains `start` or else the first behind it, until
   * `visit` returns false or a region starts at or behind `end` (empty = +inf).
   */
  scan(start: Uint8Array, end: Uint8Array, visit: (region: RegionInfo) => boolean): void {
    let leafAt = 0;
    let itemAt = 0;
    const at = this.floor(start);
    if (at !== undefined) {
      leafAt = at.leaf;
      itemAt = regionContains(this.at(at).meta, start) ? at.item : at.item + 1;
    }
    for (; leafAt < this.leaves.length; leafAt++, itemAt = 0) {
      const leaf = this.leaves[leafAt] as Leaf;
      for (; itemAt < leaf.length; itemAt++) {
        const region = leaf[itemAt] as RegionInfo;
        if (end.length > 0 && compareBytes(region.meta.startKey, end) >= 0) return;
        if (!visit(region)) return;
      }
    }
  }

  /** Inserts `region`. Its range must be free, or exactly one region with its start key is there. */
  set(region: RegionInfo): void {
    const key = region.meta.startKey;
    const at = this.floor(key);
    if (at === undefined) {
      this.insertAt(0, 0, region);
      return;
    }
    const leaf = this.leaves[at.leaf] as Leaf;
    const found = leaf[at.item] as RegionInfo;
    if (compareBytes(found.meta.startKey, key) === 0) {
      leaf[at.item] = region;
      return;
    }
    assert(!regionContains(found.meta, key), "regions in the tree do not overlap");
    this.insertAt(at.leaf, at.item + 1, region);
  }

  /** Removes the region that starts at `region`'s start key if it has the same id. */
  remove(region: RegionInfo): boolean {
    const at = this.floor(region.meta.startKey);
    if (at === undefined) return false;
    const leaf = this.leaves[at.leaf] as Leaf;
    const found = leaf[at.item] as RegionInfo;
    if (found.meta.id !== region.meta.id) return false;
    if (compareBytes(found.meta.startKey, region.meta.startKey) !== 0) return false;
    leaf.splice(at.item, 1);
    if (leaf.length === 0) this.leaves.splice(at.leaf, 1);
    this.count--;
    return true;
  }

  private insertAt(leafAt: number, itemAt: number, region: RegionInfo): void {
    this.count++;
    const leaf = this.leaves[leafAt];
    if (leaf === undefined) {
      this.leaves.push([region]);
      return;
    }
    leaf.splice(itemAt, 0, region);
    if (leaf.length > LEAF_MAX) this.leaves.splice(leafAt + 1, 0, leaf.splice(LEAF_MAX / 2));
  }

  private at(position: Position): RegionInfo {
    return (this.leaves[position.leaf] as Leaf)[position.item] as RegionInfo;
  }

  private before(position: Position): Position | undefined {
    if (position.item > 0) return { leaf: position.leaf, item: position.item - 1 };
    if (position.leaf === 0) return undefined;
    return { leaf: position.leaf - 1, item: (this.leaves[position.leaf - 1] as Leaf).length - 1 };
  }

  /** Returns where the last region with start key <= `key` is. */
  private floor(key: Uint8Array): Position | undefined {
    let low = 0;
    let high = this.leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = (this.leaves[middle] as Leaf)[0] as RegionInfo;
      if (compareBytes(first.meta.startKey, key) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const leafAt = low - 1;
    const leaf = this.leaves[leafAt] as Leaf;
    low = 0;
    high = leaf.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes((leaf[middle] as RegionInfo).meta.startKey, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return { leaf: leafAt, item: low - 1 };
  }
}

interface Position {
  readonly leaf: number;
  readonly item: number;
}

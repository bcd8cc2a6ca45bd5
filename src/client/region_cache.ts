/**
 * The regions that a client has heard of, by key. A pure map: it is asked and told, never asks PD
 * itself (region_locator.ts does). Keys are those of requests.
 *
 * Invariants: cached regions do not overlap; of two that would, the one with the higher version
 * (then confVer) stays, and a newer one pushes all older ones out that it overlaps.
 */
import { compareBytes, keyInRange } from "../base/index.js";
import type { PeerInfo } from "../pd_client/index.js";

export interface CachedRegion {
  readonly id: bigint;
  readonly startKey: Uint8Array;
  /** Exclusive; empty is +inf. */
  readonly endKey: Uint8Array;
  readonly confVer: bigint;
  readonly version: bigint;
  readonly peers: readonly PeerInfo[];
  /** Whom to ask first; changes as stores tell. */
  leader: PeerInfo | undefined;
  readonly loadedMs: number;
}

function isOlder(a: CachedRegion, b: CachedRegion): boolean {
  if (a.version !== b.version) return a.version < b.version;
  return a.confVer < b.confVer;
}

function endsBefore(end: Uint8Array, key: Uint8Array): boolean {
  return end.length > 0 && compareBytes(end, key) <= 0;
}

export class RegionCache {
  readonly #max: number;
  readonly #ttlMs: number;
  /** By start key. */
  readonly #regions: CachedRegion[] = [];

  /** Holds up to `max` regions, each for `ttlMs` after it was loaded. */
  constructor(max: number, ttlMs: number) {
    this.#max = max;
    this.#ttlMs = ttlMs;
  }

  get size(): number {
    return this.#regions.length;
  }

  /** Returns the region that holds `key`. */
  find(key: Uint8Array, nowMs: number): CachedRegion | undefined {
    return this.#fresh(this.#regions[this.#lastAtOrBefore(key)], key, nowMs);
  }

  /** Returns the region that holds the keys just below `end`; an empty `end` is +inf. */
  findBefore(end: Uint8Array, nowMs: number): CachedRegion | undefined {
    const index = end.length === 0 ? this.#regions.length - 1 : this.#lastBefore(end);
    const region = this.#regions[index];
    if (region === undefined || nowMs - region.loadedMs > this.#ttlMs) return undefined;
    const holds =
      region.endKey.length === 0 || (end.length > 0 && compareBytes(end, region.endKey) <= 0);
    return holds ? region : undefined;
  }

  /** Adds a region. Returns false if a newer one is known for a part of it: then it is not added. */
  insert(region: CachedRegion): boolean {
    const first = Math.max(0, this.#lastAtOrBefore(region.startKey));
    let from = first;
    const before = this.#regions[first];
    if (before !== undefined && endsBefore(before.endKey, region.startKey)) from = first + 1;
    let to = from;
    for (let other = this.#regions[to]; other !== undefined; other = this.#regions[++to]) {
      if (region.endKey.length > 0 && compareBytes(other.startKey, region.endKey) >= 0) break;
      if (isOlder(region, other)) return false;
    }
    this.#regions.splice(from, to - from, region);
    if (this.#regions.length > this.#max) this.#dropOldest();
    return true;
  }

  /** Forgets a region, unless a newer one has taken its place. */
  invalidate(region: CachedRegion): void {
    const index = this.#lastAtOrBefore(region.startKey);
    if (this.#regions[index] === region) this.#regions.splice(index, 1);
  }

  /** Returns all regions in key order, for tests and tools. */
  list(): readonly CachedRegion[] {
    return this.#regions;
  }

  #fresh(
    region: CachedRegion | undefined,
    key: Uint8Array,
    nowMs: number,
  ): CachedRegion | undefined {
    if (region === undefined || nowMs - region.loadedMs > this.#ttlMs) return undefined;
    return keyInRange(key, region.startKey, region.endKey) ? region : undefined;
  }

  /** Index of the last region whose start key is at or before `key`, -1 if there is none. */
  #lastAtOrBefore(key: Uint8Array): number {
    let low = 0;
    let high = this.#regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes((this.#regions[middle] as CachedRegion).startKey, key) <= 0)
        low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Index of the last region whose start key is before `key`, -1 if there is none. */
  #lastBefore(key: Uint8Array): number {
    const index = this.#lastAtOrBefore(key);
    const region = this.#regions[index];
    if (region === undefined) return index;
    return compareBytes(region.startKey, key) === 0 ? index - 1 : index;
  }

  #dropOldest(): void {
    let oldest = 0;
    for (let i = 1; i < this.#regions.length; i++) {
      const [a, b] = [this.#regions[i] as CachedRegion, this.#regions[oldest] as CachedRegion];
      if (a.loadedMs < b.loadedMs) oldest = i;
    }
    this.#regions.splice(oldest, 1);
  }
}

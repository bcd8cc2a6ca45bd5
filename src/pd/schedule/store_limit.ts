/**
 * How fast stores may gain and lose peers: a bucket of tokens a store and direction. PURE.
 * Source: pd pkg/core/storelimit/{limit,store_limit}.go.
 */
import type { ScheduleConfig } from "./config.js";
import { type Influence, REGION_COST } from "./influence.js";

export type LimitKind = "add-peer" | "remove-peer";

/** Rates from here on are no limit. Source: pd storelimit.Unlimited. */
const UNLIMITED_PER_MINUTE = 100_000_000;
const MS_PER_MINUTE = 60_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class StoreLimits {
  private readonly buckets = new Map<string, Bucket>();
  /** Rates of single stores, set by people, peers a minute. */
  private readonly rates = new Map<string, number>();
  private readonly config: () => ScheduleConfig;

  constructor(config: () => ScheduleConfig) {
    this.config = config;
  }

  /** Returns the rate of a store, peers a minute. */
  rate(storeId: bigint, kind: LimitKind): number {
    const config = this.config();
    const everywhere =
      kind === "add-peer" ? config.storeLimitAddPerMinute : config.storeLimitRemovePerMinute;
    return this.rates.get(`${storeId}/${kind}`) ?? everywhere;
  }

  /** Sets the rate of one store, peers a minute. */
  setRate(storeId: bigint, kind: LimitKind, perMinute: number): void {
    this.rates.set(`${storeId}/${kind}`, perMinute);
  }

  /** Forgets a store. */
  forget(storeId: bigint): void {
    for (const kind of ["add-peer", "remove-peer"]) {
      this.rates.delete(`${storeId}/${kind}`);
      this.buckets.delete(`${storeId}/${kind}`);
    }
  }

  /** Returns whether a store can take what a region of any size costs, now. */
  available(storeId: bigint, kind: LimitKind, nowMs: number): boolean {
    return this.fits(storeId, kind, REGION_COST, nowMs);
  }

  /** Returns the store and direction that cannot take `influence` now, or undefined. */
  exceeded(influence: Influence, nowMs: number): string | undefined {
    for (const storeId of influence.storeIds()) {
      const { addCost, removeCost } = influence.of(storeId);
      if (!this.fits(storeId, "add-peer", addCost, nowMs)) return `add-peer of store ${storeId}`;
      if (!this.fits(storeId, "remove-peer", removeCost, nowMs)) {
        return `remove-peer of store ${storeId}`;
      }
    }
    return undefined;
  }

  /** Charges for `influence`. */
  take(influence: Influence, nowMs: number): void {
    for (const storeId of influence.storeIds()) {
      const { addCost, removeCost } = influence.of(storeId);
      if (addCost > 0) this.bucket(storeId, "add-peer", nowMs).tokens -= addCost;
      if (removeCost > 0) this.bucket(storeId, "remove-peer", nowMs).tokens -= removeCost;
    }
  }

  private fits(storeId: bigint, kind: LimitKind, cost: number, nowMs: number): boolean {
    if (cost === 0 || this.rate(storeId, kind) >= UNLIMITED_PER_MINUTE) return true;
    return this.bucket(storeId, kind, nowMs).tokens >= Math.min(cost, this.capacity(storeId, kind));
  }

  /** Tokens that a rested store has: one region's, or a second's worth where that is more. */
  private capacity(storeId: bigint, kind: LimitKind): number {
    const perSecond = this.rate(storeId, kind) / 60;
    return Math.max(1, perSecond) * REGION_COST;
  }

  private bucket(storeId: bigint, kind: LimitKind, nowMs: number): Bucket {
    const key = `${storeId}/${kind}`;
    const capacity = this.capacity(storeId, kind);
    let bucket = this.buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: capacity, atMs: nowMs };
      this.buckets.set(key, bucket);
    }
    const perMs = (this.rate(storeId, kind) * REGION_COST) / MS_PER_MINUTE;
    bucket.tokens = Math.min(capacity, bucket.tokens + Math.max(0, nowMs - bucket.atMs) * perMs);
    bucket.atMs = nowMs;
    return bucket;
  }
}

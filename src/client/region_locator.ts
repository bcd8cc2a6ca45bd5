/**
 * From a key to its region: the cache first, then PD. Few questions to PD run at once; callers that
 * have to wait for one look into the cache again, because its answer is often theirs too.
 */
import { compareBytes } from "../base/index.js";
import { type errorpb, type metapb, toBigInt } from "../pb/index.js";
import { type LocatedRegion, type PdFailure, type PdReply, peerInfo } from "../pd_client/index.js";
import type { Backoffer } from "./backoff.js";
import type { KeyMode } from "./key_mode.js";
import { ABOVE_ALL_KEYS } from "./options.js";
import type { ClientPd } from "./ports.js";
import { type CachedRegion, RegionCache } from "./region_cache.js";

/** Questions to PD at once. */
const LOADS_MAX = 8;

export interface LocatorOptions {
  readonly regionCacheMax: number;
  readonly regionTtlMs: number;
}

type Question = (
  timeoutMs: number,
  signal?: AbortSignal,
) => Promise<PdReply<LocatedRegion | undefined>>;

/** Waits as PD's failure demands, or throws if asking again is useless. */
export async function onPdFailure(op: Backoffer, failure: PdFailure): Promise<void> {
  if (failure.kind === "unavailable") return op.wait("pdRpc", failure.message);
  const code =
    failure.kind === "clusterMismatch"
      ? "RUTILE:Client:ClusterMismatch"
      : "RUTILE:Client:PdRefused";
  throw op.error(code, failure.message);
}

export class RegionLocator {
  readonly cache: RegionCache;
  readonly #pd: ClientPd;
  readonly #mode: KeyMode;
  readonly #nowMs: () => number;
  readonly #loads = new Set<Promise<unknown>>();

  /** `nowMs`: monotonic milliseconds. */
  constructor(pd: ClientPd, mode: KeyMode, options: LocatorOptions, nowMs: () => number) {
    this.cache = new RegionCache(options.regionCacheMax, options.regionTtlMs);
    this.#pd = pd;
    this.#mode = mode;
    this.#nowMs = nowMs;
  }

  /** Returns the region that holds `key`. */
  locate(key: Uint8Array, op: Backoffer): Promise<CachedRegion> {
    const find = (): CachedRegion | undefined => this.cache.find(key, this.#nowMs());
    return this.#find(op, find, (timeoutMs, signal) =>
      this.#pd.getRegion(this.#mode.toPd(key), callOptions(timeoutMs, signal)),
    );
  }

  /** Returns the region that holds the keys just below `end`; an empty `end` is +inf. */
  locateBefore(end: Uint8Array, op: Backoffer): Promise<CachedRegion> {
    const find = (): CachedRegion | undefined => this.cache.findBefore(end, this.#nowMs());
    const boundary = this.#mode.toPd(end);
    return this.#find(op, find, async (timeoutMs, signal) => {
      const options = callOptions(timeoutMs, signal);
      if (end.length === 0) return this.#pd.getRegion(ABOVE_ALL_KEYS, options);
      const found = await this.#pd.getRegion(boundary, options);
      if (!found.ok || found.value === undefined) return found;
      const startsThere = compareBytes(found.value.startKey, boundary) === 0;
      return startsThere ? this.#pd.getPrevRegion(boundary, options) : found;
    });
  }

  /** Takes the regions that a store names in place of `old`. */
  replace(old: CachedRegion, error: errorpb.EpochNotMatch): void {
    this.cache.invalidate(old);
    for (const region of error.currentRegions) this.cache.insert(this.#fromStore(region, old));
  }

  async #find(
    op: Backoffer,
    find: () => CachedRegion | undefined,
    ask: Question,
  ): Promise<CachedRegion> {
    for (;;) {
      const cached = find();
      if (cached !== undefined) return cached;
      op.check();
      const most = this.cache.size === 0 ? 1 : LOADS_MAX;
      if (this.#loads.size >= most) {
        await Promise.race(this.#loads);
        continue;
      }
      const load = this.#load(ask, op);
      this.#loads.add(load);
      const failure = await load.finally(() => this.#loads.delete(load));
      op.check();
      if (failure !== undefined) await onPdFailure(op, failure);
      else if (find() === undefined) {
        await op.wait("regionMiss", "PD knows no region with peers, or an older one than a store");
      }
    }
  }

  /** Asks PD and puts its answer into the cache before anybody who waits looks there again. */
  async #load(ask: Question, op: Backoffer): Promise<PdFailure | undefined> {
    const reply = await ask(Math.max(1, op.leftMs()), op.signal);
    if (!reply.ok) return reply.error;
    const region = reply.value;
    if (region !== undefined && region.peers.length > 0) this.cache.insert(this.#fromPd(region));
    return undefined;
  }

  #fromPd(region: LocatedRegion): CachedRegion {
    const { confVer, id, leader, peers, version } = region;
    return {
      id,
      startKey: this.#mode.fromPd(region.startKey),
      endKey: this.#mode.fromPd(region.endKey),
      confVer,
      version,
      peers,
      leader,
      loadedMs: this.#nowMs(),
    };
  }

  /** The leader of a split's parts is most likely on the store that led the whole. */
  #fromStore(region: metapb.Region, old: CachedRegion): CachedRegion {
    const peers = region.peers.map(peerInfo);
    return {
      id: toBigInt(region.id),
      startKey: this.#mode.fromPd(Uint8Array.from(region.startKey)),
      endKey: this.#mode.fromPd(Uint8Array.from(region.endKey)),
      confVer: toBigInt(region.regionEpoch?.confVer ?? 0),
      version: toBigInt(region.regionEpoch?.version ?? 0),
      peers,
      leader: peers.find((peer) => peer.storeId === old.leader?.storeId),
      loadedMs: this.#nowMs(),
    };
  }
}

function callOptions(
  timeoutMs: number,
  signal?: AbortSignal,
): { timeoutMs: number; signal?: AbortSignal } {
  const bounded = Math.min(timeoutMs, 3000);
  return signal === undefined ? { timeoutMs: bounded } : { timeoutMs: bounded, signal };
}

/** Returns the smaller of two range ends; an empty end is +inf. */
export function earlierEnd(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  return b.length === 0 || compareBytes(a, b) < 0 ? a : b;
}

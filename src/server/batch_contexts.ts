/**
 * Judges the distinct contexts of a turn against the regions of this store: equal ids, epoch and
 * peer, and a term that is not stale, make a context hot. Anything else is left to the cold path,
 * which finds out what is wrong and says it in TiKV's words. Hot path: no BigInt.
 */
import { u64High, u64Low } from "../base/index.js";
import {
  type Arena,
  BATCH_CONTEXT_API_VERSION,
  BATCH_CONTEXT_BYTES,
  BATCH_CONTEXT_CLUSTER_ID,
  BATCH_CONTEXT_CONF_VER,
  BATCH_CONTEXT_END_LENGTH,
  BATCH_CONTEXT_END_PTR,
  BATCH_CONTEXT_FLAGS,
  BATCH_CONTEXT_PEER_ID,
  BATCH_CONTEXT_REGION_ID,
  BATCH_CONTEXT_START_LENGTH,
  BATCH_CONTEXT_START_PTR,
  BATCH_CONTEXT_STORE_ID,
  BATCH_CONTEXT_TERM,
  BATCH_CONTEXT_VERDICT,
  BATCH_CONTEXT_VERSION,
  BATCH_VERDICT_COLD,
  BATCH_VERDICT_HOT,
} from "../kernel/index.js";
import { API_VERSION, type BatchPath, type RegionView, type Storage } from "../storage/index.js";
import type { TurnLayout } from "./batch_layout.js";

const TWO_32 = 0x1_0000_0000;
/** High words from here on belong to numbers that are not exact as a Number. */
const HIGH_UNSAFE = 0x20_0000;
/** Stands for a number that no region has. */
const NO_NUMBER = -1;
/** Regions of one turn, searched one by one; commands of further ones are cold. */
const REGIONS_MAX = 256;

export class ContextJudge {
  readonly #arena: Arena;
  readonly #batch: BatchPath;
  readonly #clusterLow: number;
  readonly #clusterHigh: number;
  /** The regions of this turn's hot contexts, each once; their index is their slot. */
  readonly regions: RegionView[] = [];
  /** The slot of each context's region; only those of hot contexts are set. */
  readonly slots: Uint32Array;
  /** Where the bounds of each slot's region were copied to: start, then end. */
  readonly #bounds: number[] = [];
  #boundsNext = 0;

  /** `contextsMax`: rows of the context table. */
  constructor(arena: Arena, storage: Storage, contextsMax: number) {
    this.slots = new Uint32Array(contextsMax);
    this.#arena = arena;
    this.#batch = storage.batch;
    this.#clusterLow = u64Low(storage.clusterId);
    this.#clusterHigh = u64High(storage.clusterId);
  }

  /** Fills verdict and bounds of the first `count` context rows. */
  judge(layout: TurnLayout, count: number): void {
    this.regions.length = 0;
    this.#boundsNext = layout.bounds;
    const { u32 } = this.#arena;
    for (let i = 0; i < count; i++) {
      const row = layout.contexts + i * BATCH_CONTEXT_BYTES;
      const hot = this.#isHot(i, row, layout);
      u32[(row + BATCH_CONTEXT_VERDICT) >>> 2] = hot ? BATCH_VERDICT_HOT : BATCH_VERDICT_COLD;
    }
  }

  #isHot(index: number, row: number, layout: TurnLayout): boolean {
    const { u32 } = this.#arena;
    if (u32[(row + BATCH_CONTEXT_FLAGS) >>> 2] !== 0) return false;
    if (!this.#isOurCluster(row)) return false;
    if (!this.#isPlainVersion(u32[(row + BATCH_CONTEXT_API_VERSION) >>> 2] as number)) return false;
    const regionId = this.#number(row + BATCH_CONTEXT_REGION_ID);
    const view = regionId <= 0 ? undefined : this.#batch.region(regionId);
    if (view === undefined || !this.#matches(row, view)) return false;
    const slot = this.#slotOf(view, layout);
    if (slot < 0) return false;
    this.slots[index] = slot;
    const startPtr = this.#bounds[slot] as number;
    u32[(row + BATCH_CONTEXT_START_PTR) >>> 2] = startPtr;
    u32[(row + BATCH_CONTEXT_START_LENGTH) >>> 2] = view.startKey.length;
    u32[(row + BATCH_CONTEXT_END_PTR) >>> 2] = startPtr + view.startKey.length;
    u32[(row + BATCH_CONTEXT_END_LENGTH) >>> 2] = view.endKey.length;
    return true;
  }

  /** Epochs must be equal: a newer one than ours means that we lag. */
  #matches(row: number, view: RegionView): boolean {
    if (this.#number(row + BATCH_CONTEXT_CONF_VER) !== view.confVer) return false;
    if (this.#number(row + BATCH_CONTEXT_VERSION) !== view.version) return false;
    if (this.#number(row + BATCH_CONTEXT_PEER_ID) !== view.peerId) return false;
    if (this.#number(row + BATCH_CONTEXT_STORE_ID) !== view.storeId) return false;
    const term = this.#number(row + BATCH_CONTEXT_TERM);
    return term !== NO_NUMBER && (term === 0 || view.term <= term + 1);
  }

  #isOurCluster(row: number): boolean {
    const { u32 } = this.#arena;
    const low = u32[(row + BATCH_CONTEXT_CLUSTER_ID) >>> 2] as number;
    const high = u32[(row + BATCH_CONTEXT_CLUSTER_ID + 4) >>> 2] as number;
    if (low === 0 && high === 0) return true;
    return low === this.#clusterLow && high === this.#clusterHigh;
  }

  /** V1 and V1TTL stores take V1 requests; V2 keys are encoded and versioned, so always cold. */
  #isPlainVersion(version: number): boolean {
    return version === API_VERSION.V1 && this.#batch.apiVersion !== API_VERSION.V2;
  }

  /** Returns the region's slot, or -1 when its bounds do not fit any more. */
  #slotOf(view: RegionView, layout: TurnLayout): number {
    const { regions } = this;
    const last = regions.length - 1;
    // Contexts come in runs of one region, and a turn has few regions.
    const known = regions[last] === view ? last : regions.indexOf(view);
    if (known >= 0) return known;
    const { startKey, endKey } = view;
    const startPtr = this.#boundsNext;
    const endPtr = startPtr + startKey.length;
    if (endPtr + endKey.length > layout.boundsEnd || regions.length === REGIONS_MAX) return -1;
    this.#arena.u8.set(startKey, startPtr);
    this.#arena.u8.set(endKey, endPtr);
    this.#boundsNext = endPtr + endKey.length;
    this.#bounds[regions.length] = startPtr;
    return regions.push(view) - 1;
  }

  /** The u64 at an address as a Number, or NO_NUMBER. */
  #number(at: number): number {
    const { u32 } = this.#arena;
    const high = u32[(at + 4) >>> 2] as number;
    if (high >= HIGH_UNSAFE) return NO_NUMBER;
    return high * TWO_32 + (u32[at >>> 2] as number);
  }
}

/**
 * Operations over many keys: keys are grouped by region, groups cut into chunks, chunks sent a bounded
 * number at a time. A chunk whose region turned out to be another one is grouped again.
 */
import type { Backoffer } from "./backoff.js";
import type { CachedRegion } from "./region_cache.js";
import type { RegionLocator } from "./region_locator.js";
import { RELOAD } from "./region_request.js";

/** Something with a key of requests. */
export interface Keyed {
  readonly key: Uint8Array;
}

/** How much fits into one request. */
export interface ChunkLimit<T> {
  readonly itemsMax: number;
  readonly bytesMax: number;
  readonly sizeOf: (item: T) => number;
}

interface Chunk<T> {
  readonly region: CachedRegion;
  readonly items: readonly T[];
}

/** Returns `items` in pieces within the limit, in order; a piece has at least one item. */
export function cutChunks<T>(items: readonly T[], limit: ChunkLimit<T>): T[][] {
  const chunks: T[][] = [];
  let chunk: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = limit.sizeOf(item);
    const full = chunk.length >= limit.itemsMax || bytes + size > limit.bytesMax;
    if (full && chunk.length > 0) {
      chunks.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(item);
    bytes += size;
  }
  if (chunk.length > 0) chunks.push(chunk);
  return chunks;
}

async function toChunks<T extends Keyed>(
  items: readonly T[],
  limit: ChunkLimit<T>,
  locator: RegionLocator,
  op: Backoffer,
): Promise<Chunk<T>[]> {
  const groups = new Map<CachedRegion, T[]>();
  for (const item of items) {
    const region = await locator.locate(item.key, op);
    const group = groups.get(region);
    if (group === undefined) groups.set(region, [item]);
    else group.push(item);
  }
  return [...groups].flatMap(([region, group]) =>
    cutChunks(group, limit).map((part) => ({ region, items: part })),
  );
}

/**
 * Sends all items with `send`, which answers RELOAD when a chunk must be grouped again. Rejects with
 * the first error; chunks that are under way then still finish, before that if `settle` is set.
 */
export async function sendChunks<T extends Keyed>(
  items: readonly T[],
  limit: ChunkLimit<T>,
  deps: {
    readonly locator: RegionLocator;
    readonly op: Backoffer;
    readonly concurrencyMax: number;
    readonly settle?: boolean;
  },
  send: (region: CachedRegion, items: readonly T[]) => Promise<object | typeof RELOAD>,
): Promise<void> {
  let left = items;
  while (left.length > 0) {
    // Taken from the end: the first item's chunk is sent first.
    const chunks = (await toChunks(left, limit, deps.locator, deps.op)).reverse();
    const again: T[] = [];
    let failed = false;
    const lane = async (): Promise<void> => {
      for (let chunk = chunks.pop(); chunk !== undefined && !failed; chunk = chunks.pop()) {
        try {
          if ((await send(chunk.region, chunk.items)) === RELOAD) again.push(...chunk.items);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const lanes = Math.min(deps.concurrencyMax, chunks.length);
    const running = Array.from({ length: lanes }, lane);
    if (deps.settle === true) await Promise.allSettled(running);
    await Promise.all(running);
    left = again;
  }
}

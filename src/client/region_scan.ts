/** Scans over any number of regions, one page at a time, as async generators. */
import { compareBytes, nextKey } from "../base/index.js";
import type { kvrpcpb } from "../pb/index.js";
import type { Backoffer } from "./backoff.js";
import type { WireRange } from "./key_mode.js";
import { ABOVE_ALL_KEYS } from "./options.js";
import type { CachedRegion } from "./region_cache.js";
import { earlierEnd, type RegionLocator } from "./region_locator.js";
import { RELOAD } from "./region_request.js";

export interface ScanPlan {
  readonly range: WireRange;
  readonly limit: number;
  readonly pageSize: number;
}

/** What one request read. */
export interface Page {
  readonly pairs: readonly PagePair[];
  /** The last key that was looked at if the region may have more; undefined: read to the end. */
  readonly lastKey: Uint8Array | undefined;
}

export type PagePair = Pick<kvrpcpb.KvPair, "key" | "value">;

/** Asks one region for a page; the range lies in the region. */
export type ReadPage = (
  region: CachedRegion,
  range: WireRange,
  limit: number,
  op: Backoffer,
) => Promise<Page | typeof RELOAD>;

export interface ScanDeps {
  readonly locator: RegionLocator;
  /** Makes the retry budget of one page. */
  readonly newOp: () => Backoffer;
  readonly readPage: ReadPage;
}

function isEmptyRange({ end, start }: WireRange): boolean {
  return end.length > 0 && compareBytes(start, end) >= 0;
}

/** Yields the pairs of a range from its start, at most `limit`. */
export async function* scanForward(plan: ScanPlan, deps: ScanDeps): AsyncGenerator<PagePair, void> {
  const { end } = plan.range;
  let { start } = plan.range;
  let left = plan.limit;
  let op: Backoffer | undefined;
  while (left > 0 && !isEmptyRange({ start, end })) {
    op ??= deps.newOp();
    const region = await deps.locator.locate(start, op);
    const part = { start, end: earlierEnd(region.endKey, end) };
    const asked = Math.min(left, plan.pageSize);
    const page = await pageOf(part, asked, region, op, deps);
    if (page === RELOAD) continue;
    op = undefined;
    yield* page.pairs;
    left -= page.pairs.length;
    if (page.lastKey !== undefined) start = nextKey(page.lastKey);
    else if (part.end.length === 0) return;
    else start = part.end;
  }
}

/** Yields the pairs of a range from its end, at most `limit`. */
export async function* scanBackward(
  plan: ScanPlan,
  deps: ScanDeps,
): AsyncGenerator<PagePair, void> {
  const { start } = plan.range;
  let { end } = plan.range;
  let left = plan.limit;
  let op: Backoffer | undefined;
  while (left > 0 && !isEmptyRange({ start, end })) {
    op ??= deps.newOp();
    const region = await deps.locator.locateBefore(end, op);
    const after = compareBytes(region.startKey, start) > 0;
    const part = { start: after ? region.startKey : start, end };
    const asked = Math.min(left, plan.pageSize);
    const page = await pageOf(part, asked, region, op, deps);
    if (page === RELOAD) continue;
    op = undefined;
    yield* page.pairs;
    left -= page.pairs.length;
    if (page.lastKey !== undefined) end = Uint8Array.from(page.lastKey);
    else if (!after || part.start.length === 0) return;
    else end = part.start;
  }
}

/** Reads a page; pairs outside of the range would be a store's bug and end the scan. */
async function pageOf(
  range: WireRange,
  limit: number,
  region: CachedRegion,
  op: Backoffer,
  deps: ScanDeps,
): Promise<Page | typeof RELOAD> {
  const page = await deps.readPage(region, range, limit, op);
  if (page === RELOAD) return RELOAD;
  for (const { key } of page.pairs) {
    const inside =
      compareBytes(key, range.start) >= 0 &&
      (range.end.length === 0 || compareBytes(key, range.end) < 0);
    if (!inside)
      throw op.error("RUTILE:Client:Protocol", "a scan returned a key outside its range");
  }
  return page;
}

/** Returns the key that a full page ended with. */
export function lastOfFull(keys: readonly Uint8Array[], limit: number): Uint8Array | undefined {
  return keys.length >= limit ? keys.at(-1) : undefined;
}

/**
 * Returns start and end of a request for `range`. The protocol turns a reverse range round: from its
 * exclusive end down to its start; an empty end means "below the first key" there, and gets nothing.
 */
export function scanBounds(
  { end, start }: WireRange,
  reverse: boolean,
): { readonly startKey: Uint8Array; readonly endKey: Uint8Array } {
  if (!reverse) return { startKey: start, endKey: end };
  return { startKey: end.length === 0 ? ABOVE_ALL_KEYS : end, endKey: start };
}

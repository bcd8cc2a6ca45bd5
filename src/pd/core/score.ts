/**
 * Scores by which stores are balanced. PURE. Sizes of regions in MiB, of disks in GiB.
 * Source: pd pkg/core/store.go regionScoreV2.
 */
import type { StoreStats } from "./store_info.js";

const GIB = 1024 ** 3;
/** Weight of a full disk against an empty one. Source: pd regionScoreV2, K. */
const SPACE_WEIGHT = 256;
/** Base of the term that keeps regions away from a store without space. Source: pd, M. */
const LOW_SPACE_WEIGHT = 10 ** 10;
/** Space in GiB below which a store is low on space, however large its disk. Source: pd, F. */
const FREE_MIN_GIB = 50;

/** Returns the score of a store that leads `leaders` regions, `delta` more or fewer to come. */
export function leaderScore(leaders: number, delta: number): number {
  return leaders + delta;
}

/**
 * Returns the score of a store that holds `sizeMiB` of regions, `deltaMiB` more or fewer to come.
 * It grows with the size, faster the fuller the disk is. Without statistics: the size.
 */
export function regionScore(
  stats: StoreStats | undefined,
  sizeMiB: number,
  deltaMiB: number,
  lowSpaceRatio: number,
): number {
  const size = sizeMiB + deltaMiB < 0 ? sizeMiB : sizeMiB + deltaMiB;
  const capacity = Number(stats?.capacity ?? 0n) / GIB;
  const available = availableAfter(stats, capacity, sizeMiB, deltaMiB);
  if (capacity < 1 || available >= capacity) return size;
  const free = Math.max(FREE_MIN_GIB, capacity * (1 - lowSpaceRatio));
  if (available > free) {
    const fullness = Math.log(capacity) - Math.log(available - free + 1);
    return (1 + (SPACE_WEIGHT * fullness) / (capacity - available + free - 1)) * size;
  }
  const lack = (free - available) / free;
  return (1 + (SPACE_WEIGHT * Math.log(capacity)) / capacity) * size + LOW_SPACE_WEIGHT * lack;
}

/** Returns the free GiB once what is to come is there; the used part at most halves or doubles. */
function availableAfter(
  stats: StoreStats | undefined,
  capacity: number,
  sizeMiB: number,
  deltaMiB: number,
): number {
  const available = Number(stats?.available ?? 0n) / GIB;
  if (sizeMiB === 0) return available;
  const used = Number(stats?.usedSize ?? 0n) / GIB;
  const scaled = used + (used * deltaMiB) / sizeMiB;
  const usedAfter = scaled > used / 2 && scaled < used * 2 ? scaled : used;
  const after = available + used - usedAfter;
  return after > 0 && after < capacity ? after : available;
}

/** What reads cost, under TiKV's tags (GcKeysDetail), for every metric that is split by them. */
import type { CfStatistics, Statistics } from "../mvcc/index.js";

const CFS = ["lock", "write", "default"] as const;

/** One figure of one column family. */
export interface ScanDetail {
  readonly cf: (typeof CFS)[number];
  readonly tag: string;
  readonly total: number;
}

const TAGS: readonly (readonly [string, keyof CfStatistics])[] = [
  ["processed_keys", "processedKeys"],
  ["get", "get"],
  ["next", "next"],
  ["prev", "prev"],
  ["seek", "seek"],
  ["seek_for_prev", "seekForPrev"],
];

/** Returns all figures of `statistics`. */
export function scanDetails(statistics: Statistics): ScanDetail[] {
  return CFS.flatMap((cf) => {
    const figures = statistics.of(cf);
    return TAGS.map(([tag, field]) => ({ cf, tag, total: figures[field] }));
  });
}

/**
 * Where stores are, by their labels: how well a replica on one store is isolated from those on
 * others. PURE. Source: pd pkg/core/store.go CompareLocation, DistinctScore.
 */
import type { StoreInfo } from "./store_info.js";

/** Weight of a label level against the next one. Source: pd replicaBaseScore. */
const LEVEL_WEIGHT = 100;

/** Returns the value of a label; "" for none. Keys compare without case. */
export function labelValue(store: StoreInfo, key: string): string {
  const wanted = key.toLowerCase();
  return store.meta.labels.find((label) => label.key.toLowerCase() === wanted)?.value ?? "";
}

/**
 * Returns the first level of `labels` (broadest first) at which two stores differ; -1 if none.
 * A store without the label counts as alone in its place.
 */
export function differsAt(a: StoreInfo, b: StoreInfo, labels: readonly string[]): number {
  for (const [at, key] of labels.entries()) {
    const [left, right] = [labelValue(a, key), labelValue(b, key)];
    if (left === "" || right === "" || left.toLowerCase() !== right.toLowerCase()) return at;
  }
  return -1;
}

/**
 * Returns how far `store` is from `others`, itself left out: each other store adds 100 to the power
 * of the levels below the one where they differ. Higher is safer.
 */
export function distinctScore(
  labels: readonly string[],
  others: readonly StoreInfo[],
  store: StoreInfo,
): number {
  let score = 0;
  for (const other of others) {
    if (other.meta.id === store.meta.id) continue;
    const at = differsAt(store, other, labels);
    if (at >= 0) score += LEVEL_WEIGHT ** (labels.length - at - 1);
  }
  return score;
}

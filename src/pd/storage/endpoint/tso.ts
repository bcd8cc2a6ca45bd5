/** The saved end of the timestamp window, and that of the id window. */
import type { Kv } from "../kv.js";
import { keyPath } from "./key_path.js";
import { loadU64, u64Bytes } from "./u64_value.js";

const NANOS_PER_MS = 1_000_000n;

/** Returns the saved end in milliseconds, rounded up; 0 if none. */
export function loadTimestamp(kv: Kv, clusterId: bigint): number {
  const nanos = loadU64(kv, keyPath.timestamp(clusterId)) ?? 0n;
  return Number((nanos + NANOS_PER_MS - 1n) / NANOS_PER_MS);
}

/** Saves the end of the window; PD keeps nanoseconds. */
export function saveTimestamp(kv: Kv, clusterId: bigint, untilMs: number): Promise<void> {
  const value = u64Bytes(BigInt(untilMs) * NANOS_PER_MS);
  return kv.save([{ key: keyPath.timestamp(clusterId), value }]);
}

/** Returns the last id that may have been given; 0 if none. */
export function loadAllocId(kv: Kv, clusterId: bigint): bigint {
  return loadU64(kv, keyPath.allocId(clusterId)) ?? 0n;
}

export function saveAllocId(kv: Kv, clusterId: bigint, end: bigint): Promise<void> {
  return kv.save([{ key: keyPath.allocId(clusterId), value: u64Bytes(end) }]);
}

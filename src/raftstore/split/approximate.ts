/**
 * What a region holds, without a walk: bytes by the engine's estimate, keys by the mean size of a
 * sample. Pure.
 */
import { dataRange } from "../../codec/index.js";
import type { Engine } from "../../engine/index.js";
import type { RegionInfo } from "../region.js";

const SAMPLE_KEYS = 256;
const SAMPLE_BYTES = 1 << 20;

/** Approximate bytes and keys. The engine may not see what it has not flushed yet. */
export interface Approximate {
  readonly sizeBytes: number;
  readonly keys: number;
}

/** Returns what the engine estimates for a region, CFs default and write. Reads at most a sample. */
export function approximate(engine: Engine, region: RegionInfo): Approximate {
  const range = dataRange(region.startKey, region.endKey);
  const write = engine.approximateSize("write", range);
  const sizeBytes = engine.approximateSize("default", range) + write;
  const snapshot = engine.snapshot();
  const iter = snapshot.iterate(write > 0 ? "write" : "default", {
    lower: range.start,
    upper: range.end,
    fillCache: false,
  });
  iter.seekToFirst();
  const sample = iter.take(SAMPLE_KEYS, SAMPLE_BYTES);
  const ended = !iter.valid;
  iter.close();
  snapshot.close();
  const count = sample.keys.length;
  if (ended || count === 0) return { sizeBytes, keys: count };
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    bytes += (sample.keys[i] as Uint8Array).length + (sample.values[i] as Uint8Array).length;
  }
  return { sizeBytes, keys: Math.max(count, Math.round(sizeBytes / (bytes / count))) };
}

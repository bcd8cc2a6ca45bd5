/**
 * xxHash of snapshot chunks. The module is compiled and instantiated while this file is loaded, so
 * that everything behind it stays synchronous.
 */
import xxhash from "xxhash-wasm";

const hasher = await xxhash();

/** Returns XXH64 of `bytes`; `seed` chains one part to the one before it. */
export function xxh64(bytes: Uint8Array, seed: bigint): bigint {
  return hasher.h64Raw(bytes, seed);
}

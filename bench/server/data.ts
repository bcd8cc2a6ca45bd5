/** The data of the server benches: 16-byte keys in a scattered order, values of 100 bytes or more. */
export const VALUE_BYTES = 100;
export const KEYS_PER_BATCH = 10_000;
/** Rows that one scan asks for; the number of keys of a scanned set is a multiple. */
export const SCAN_LIMIT = 1000;
/** Keys, by index, whose values make a result hash. */
export const HASH_KEYS = 4096;

/** Timestamps of the data as versions; below those that the store's PD begins with. */
export const VERSION_TS = { start: 10n, commit: 20n, read: 900n } as const;

/** Returns a number that looks random and is different for each index below 2^32. */
function scatter(index: number): number {
  let mixed = Math.imul(index ^ 0x9e37_79b9, 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Returns the key of an index: 16 characters, unique. */
export function keyAt(index: number): Buffer {
  const head = scatter(index).toString(16).padStart(8, "0");
  return Buffer.from(head + index.toString(16).padStart(8, "0"));
}

/** Returns the value of an index; `bytes` is a multiple of 4. */
export function valueAt(index: number, bytes = VALUE_BYTES): Buffer {
  const value = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i += 4) value.writeUInt32LE(scatter(index + i), i);
  return value;
}

/** Returns a seeded source of uniform indices below `keys`. */
export function randomIndices(keys: number): () => number {
  let seed = 12_345;
  return () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 0x1_0000_0000) * keys);
  };
}

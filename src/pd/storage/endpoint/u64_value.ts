/** Numbers as PD stores them: eight bytes, big-endian. */
import { getU64Be, putU64Be, TikvError } from "../../../base/index.js";
import type { Kv } from "../kv.js";

const U64_BYTES = 8;

export function u64Bytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(U64_BYTES);
  putU64Be(bytes, 0, value);
  return bytes;
}

/** Returns the number at `key`, undefined if absent. Err KV:Engine:Codec thrown for another length. */
export function loadU64(kv: Kv, key: string): bigint | undefined {
  const bytes = kv.load(key);
  if (bytes === undefined) return undefined;
  if (bytes.length !== U64_BYTES) {
    const text = `PD's data is damaged: ${key} has ${bytes.length} bytes, expected ${U64_BYTES}`;
    throw new TikvError("KV:Engine:Codec", text);
  }
  return getU64Be(bytes, 0);
}

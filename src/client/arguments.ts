/** Checks of arguments that all clients share. */
import { utf8 } from "../base/index.js";
import { invalidArgument } from "./errors.js";
import type { KeyMode, WireRange } from "./key_mode.js";
import { KEY_SIZE_MAX_BYTES, SCAN_PAGE_DEFAULT, SCAN_PAGE_MAX } from "./options.js";
import type { ScanPlan } from "./region_scan.js";
import type { Bytes, ScanOptions } from "./types.js";

/** Returns the bytes of a key or value; text becomes UTF-8. */
export function toBytes(bytes: Bytes): Uint8Array {
  return typeof bytes === "string" ? utf8(bytes) : bytes;
}

/** Returns a key as requests carry it. Throws InvalidArgument for an empty or far too long one. */
export function toWireKey(mode: KeyMode, key: Bytes): Uint8Array {
  const bytes = toBytes(key);
  if (bytes.length === 0) throw invalidArgument("the key is empty");
  if (bytes.length > KEY_SIZE_MAX_BYTES) {
    throw invalidArgument(`the key has ${bytes.length} bytes, more than ${KEY_SIZE_MAX_BYTES}`);
  }
  return mode.toWire(bytes);
}

/** Returns `[start, end)` as requests carry it; missing or empty ends are the first and last key. */
export function toWireRange(mode: KeyMode, start: Bytes = "", end: Bytes = ""): WireRange {
  return mode.range(toBytes(start), toBytes(end));
}

/** Returns what a scan has to read. Throws InvalidArgument for a bad limit or page size. */
export function toScanPlan(mode: KeyMode, options: ScanOptions): ScanPlan {
  const { end, limit = Number.POSITIVE_INFINITY, pageSize = SCAN_PAGE_DEFAULT, start } = options;
  if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > SCAN_PAGE_MAX) {
    throw invalidArgument(`pageSize must be 1 to ${SCAN_PAGE_MAX}, not ${pageSize}`);
  }
  if (!(limit >= 0)) throw invalidArgument(`limit must be 0 or more, not ${limit}`);
  return { range: toWireRange(mode, start, end), limit: Math.floor(limit), pageSize };
}

/** Returns bytes as a map key: one UTF-16 unit a byte, so that texts sort as bytes do. */
export function mapKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

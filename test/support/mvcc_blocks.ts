/**
 * Blocks and parameters of the MVCC kernels for tests and benches: entries into linear memory, rows
 * out of it. Layouts: assembly/mvcc_abi.ts.
 */
import { concatBytes, toHex } from "../../src/base/index.js";
import { encodeU64Desc } from "../../src/codec/index.js";
import {
  type Arena,
  ENTRY_ROW_BYTES,
  MVCC_ACCESS,
  MVCC_ACCESS_COUNT,
  MVCC_BYPASS,
  MVCC_BYPASS_COUNT,
  MVCC_DEFAULT,
  MVCC_DEFAULTS,
  MVCC_FLAGS,
  MVCC_OUT,
  MVCC_OUT_END,
  MVCC_PARAMS_BYTES,
  MVCC_READ_TS,
  MVCC_ROW_BYTES,
  MVCC_ROW_COMMIT_TS,
  MVCC_ROW_KEY_LENGTH,
  MVCC_ROW_KEY_PTR,
  MVCC_ROW_LOOKED_AT,
  MVCC_ROW_START_TS,
  MVCC_ROW_VALUE_LENGTH,
  MVCC_ROW_VALUE_PTR,
  MVCC_ROWS,
  MVCC_ROWS_CAPACITY,
  SLICE_BYTES,
} from "../../src/kernel/index.js";

/** One raw entry, its key with all prefixes. */
export interface BlockEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Returns the engine's entry of a write record; `key` is an encoded user key. */
export function writeEntry(key: Uint8Array, commitTs: bigint, record: Uint8Array): BlockEntry {
  const prefix = Uint8Array.of(0x77, 0x7a);
  return { key: concatBytes(prefix, key, encodeU64Desc(commitTs)), value: record };
}

/** Returns the engine's entry of a lock record. */
export function lockEntry(key: Uint8Array, record: Uint8Array): BlockEntry {
  return { key: concatBytes(Uint8Array.of(0x6c, 0x7a), key), value: record };
}

/** Places a block at an offset into the input region; returns its table. */
export function placeBlock(arena: Arena, entries: readonly BlockEntry[], offset = 0): number {
  const table = arena.input.reserve(Math.max(1, entries.length) * ENTRY_ROW_BYTES);
  let bytes = offset;
  for (const { key, value } of entries) bytes += key.length + value.length;
  let at = arena.input.reserve(bytes, 1) + offset;
  if (table === 0 || at === offset) throw new Error("the block does not fit into the input region");
  let row = table >> 2;
  for (const { key, value } of entries) {
    arena.u8.set(key, at);
    arena.u8.set(value, at + key.length);
    arena.u32.set([at, key.length, at + key.length, value.length], row);
    row += ENTRY_ROW_BYTES / 4;
    at += key.length + value.length;
  }
  return table;
}

/** Places timestamps; returns their table, 0 for none. */
function placeTimestamps(arena: Arena, list: readonly bigint[]): number {
  const table = arena.scratch.reserve(list.length * 8 + 8);
  list.forEach((ts, i) => {
    arena.view.setBigUint64(table + i * 8, ts, true);
  });
  return table;
}

/** The reader and the room for its rows. */
export interface ReaderSetup {
  readonly readTs: bigint;
  readonly flags: number;
  readonly bypass?: readonly bigint[];
  readonly access?: readonly bigint[];
  readonly capacity: number;
  /** Room for default keys, bytes. */
  readonly outBytes: number;
  /** Bytes before the output: its alignment. */
  readonly outOffset?: number;
}

/** Writes parameters without blocks, and reserves the output; returns their address. */
export function placeReader(arena: Arena, setup: ReaderSetup): number {
  const params = arena.scratch.reserve(MVCC_PARAMS_BYTES);
  arena.u8.fill(0, params, params + MVCC_PARAMS_BYTES);
  const set = (field: number, value: number): void => {
    arena.u32[(params + field) >> 2] = value;
  };
  arena.view.setBigUint64(params + MVCC_READ_TS, setup.readTs, true);
  set(MVCC_FLAGS, setup.flags);
  const { bypass = [], access = [], outOffset = 0 } = setup;
  set(MVCC_BYPASS, placeTimestamps(arena, bypass));
  set(MVCC_BYPASS_COUNT, bypass.length);
  set(MVCC_ACCESS, placeTimestamps(arena, access));
  set(MVCC_ACCESS_COUNT, access.length);
  set(MVCC_ROWS, arena.output.reserve(setup.capacity * MVCC_ROW_BYTES + 8));
  set(MVCC_ROWS_CAPACITY, setup.capacity);
  set(MVCC_DEFAULTS, arena.output.reserve(setup.capacity * SLICE_BYTES + 8));
  const out = arena.output.reserve(setup.outBytes + outOffset, 1) + outOffset;
  set(MVCC_OUT, out);
  set(MVCC_OUT_END, out + setup.outBytes);
  return params;
}

/** Sets one field of the parameters. */
export function setParam(arena: Arena, params: number, field: number, value: number): void {
  arena.u32[(params + field) >> 2] = value;
}

/** Returns one field of the parameters. */
export function param(arena: Arena, params: number, field: number): number {
  return arena.u32[(params + field) >> 2] as number;
}

/** A row as text-friendly data; `value` is the default key for MVCC_DEFAULT. Bytes as hex. */
export interface PlainRow {
  readonly outcome: number;
  readonly key: string;
  readonly value: string;
  readonly commitTs: bigint;
  readonly startTs: bigint;
  readonly lookedAt: number;
}

/** Returns the first `count` rows. */
export function readRows(arena: Arena, params: number, count: number): PlainRow[] {
  const { u32, view, u8 } = arena;
  const hex = (at: number, length: number): string => toHex(u8.subarray(at, at + length));
  const defaults = param(arena, params, MVCC_DEFAULTS);
  return Array.from({ length: count }, (_, i) => {
    const row = param(arena, params, MVCC_ROWS) + i * MVCC_ROW_BYTES;
    const field = (offset: number): number => u32[(row + offset) >> 2] as number;
    const outcome = field(0);
    let at = field(MVCC_ROW_VALUE_PTR);
    let length = field(MVCC_ROW_VALUE_LENGTH);
    if (outcome === MVCC_DEFAULT) {
      const slice = (defaults + at * SLICE_BYTES) >> 2;
      at = u32[slice] as number;
      length = u32[slice + 1] as number;
    }
    return {
      outcome,
      key: hex(field(MVCC_ROW_KEY_PTR), field(MVCC_ROW_KEY_LENGTH)),
      value: hex(at, length),
      commitTs: view.getBigUint64(row + MVCC_ROW_COMMIT_TS, true),
      startTs: view.getBigUint64(row + MVCC_ROW_START_TS, true),
      lookedAt: field(MVCC_ROW_LOOKED_AT),
    };
  });
}

/**
 * mvcc_scan: 1,024 write entries (user keys of 16 bytes, short values of 100 bytes) with 1, 2, 8 and
 * 64 versions a key, read at the newest and at a middle timestamp, with and without a lock on every
 * eighth key; one key of 8 versions alone; point reads of 1 to 128 keys. All series decide the same
 * block in linear memory; ns an entry (range) or a key (points).
 */
import { encodeLock, encodeWrite, keyFromRaw, newLock, newWrite } from "../../src/codec/index.js";
import {
  type Kernels,
  loadKernels,
  MVCC_FLAG_LOCKS_END,
  MVCC_FLAG_REVERSE,
  MVCC_FLAG_WRITES_END,
  MVCC_ITEM_BYTES,
  MVCC_ITEM_READ_TS,
  MVCC_ITEMS,
  MVCC_ITEMS_COUNT,
  MVCC_LOCKS,
  MVCC_LOCKS_COUNT,
  MVCC_ROW_BYTES,
  MVCC_ROWS,
  MVCC_ROWS_DONE,
  MVCC_WRITES,
  MVCC_WRITES_COUNT,
  mvccPoint,
  mvccScan,
} from "../../src/kernel/index.js";
import {
  type BlockEntry,
  lockEntry,
  param,
  placeBlock,
  placeReader,
  setParam,
  writeEntry,
} from "../../test/support/mvcc_blocks.js";
import {
  type BenchContext,
  measureSync,
  type Report,
  randomBytes,
  type SyncCase,
  seededU32,
} from "../harness.js";

const SERIES = ["js", "wasm", "simd"] as const;
const MEMORY_BYTES = 16 << 20;
const ENTRIES = 1024;
const TS = 440_000_000_000_000_000n;
const VALUE_BYTES = 100;

interface Shape {
  readonly keys: number;
  readonly versions: number;
  readonly read: "newest" | "middle";
  /** Every nth key has a lock that the reader passes; 0 = none. */
  readonly lockEvery: number;
  readonly reverse: boolean;
}

function userKey(i: number): Uint8Array {
  return new TextEncoder().encode(`user${String(i).padStart(12, "0")}`);
}

function blocksOf(shape: Shape): { writes: BlockEntry[]; locks: BlockEntry[]; readTs: bigint } {
  const next = seededU32();
  const writes: BlockEntry[] = [];
  const locks: BlockEntry[] = [];
  for (let i = 0; i < shape.keys; i++) {
    const key = keyFromRaw(userKey(i));
    for (let v = shape.versions; v > 0; v--) {
      const startTs = TS + BigInt(v * 10);
      const shortValue = randomBytes(next, VALUE_BYTES);
      const record = encodeWrite(newWrite({ type: 0x50, startTs, shortValue }));
      writes.push(writeEntry(key, startTs + 5n, record));
    }
    if (shape.lockEvery > 0 && i % shape.lockEvery === 0) {
      const startTs = TS << 1n;
      const lock = newLock({ type: 0x50, primary: userKey(i), startTs, ttl: 3000n });
      locks.push(lockEntry(key, encodeLock(lock)));
    }
  }
  const middle = TS + BigInt(Math.ceil(shape.versions / 2) * 10 + 5);
  if (shape.reverse) {
    writes.reverse();
    locks.reverse();
  }
  return { writes, locks, readTs: shape.read === "newest" ? TS + (1n << 30n) : middle };
}

/** Places a shape; returns its parameters. */
function placeShape({ arena }: Kernels, shape: Shape): number {
  for (const region of [arena.input, arena.output, arena.scratch]) region.reset();
  const { writes, locks, readTs } = blocksOf(shape);
  const ends = MVCC_FLAG_WRITES_END | MVCC_FLAG_LOCKS_END;
  const flags = ends | (shape.reverse ? MVCC_FLAG_REVERSE : 0);
  const params = placeReader(arena, { readTs, flags, capacity: shape.keys, outBytes: 4096 });
  setParam(arena, params, MVCC_WRITES, placeBlock(arena, writes));
  setParam(arena, params, MVCC_WRITES_COUNT, writes.length);
  setParam(arena, params, MVCC_LOCKS, placeBlock(arena, locks));
  setParam(arena, params, MVCC_LOCKS_COUNT, locks.length);
  return params;
}

/** Turns a placed shape into point reads with all versions of each key, and no locks. */
function placeItems({ arena }: Kernels, params: number, shape: Shape): void {
  const items = arena.scratch.reserve(shape.keys * MVCC_ITEM_BYTES);
  for (let i = 0; i < shape.keys; i++) {
    const key = keyFromRaw(userKey(i));
    const at = arena.input.reserve(key.length, 1);
    arena.u8.set(key, at);
    const row = [at, key.length, i * shape.versions, shape.versions];
    arena.u32.set(row, (items + i * MVCC_ITEM_BYTES) >> 2);
    arena.view.setBigUint64(items + i * MVCC_ITEM_BYTES + MVCC_ITEM_READ_TS, 1n << 62n, true);
  }
  setParam(arena, params, MVCC_ITEMS, items);
  setParam(arena, params, MVCC_ITEMS_COUNT, shape.keys);
  setParam(arena, params, MVCC_LOCKS, 0);
}

function* rangeCases(loaded: readonly Kernels[]): Generator<SyncCase> {
  const plain = { lockEvery: 0, reverse: false, read: "newest" } as const;
  const full = (versions: number) => ({ ...plain, keys: ENTRIES / versions, versions });
  const shapes: Shape[] = [
    ...[1, 2, 8, 64].map(full),
    ...[2, 8, 64].map((versions) => ({ ...full(versions), read: "middle" as const })),
    ...[1, 8].map((versions) => ({ ...full(versions), lockEvery: 8 })),
    { ...full(8), reverse: true },
    ...[1, 2, 8].map((versions) => ({ ...plain, keys: 1, versions })),
  ];
  for (const shape of shapes) {
    for (const kernels of loaded) {
      const params = placeShape(kernels, shape);
      const { arena } = kernels;
      const { keys, versions, read, lockEvery, reverse } = shape;
      const locks = lockEvery > 0 ? `1/${lockEvery}` : "none";
      yield {
        name: "mvcc_scan range",
        params: { keys, versions, read, locks, order: reverse ? "reverse" : "forward" },
        series: kernels.build,
        items: keys * versions,
        call: () => mvccScan(kernels, params),
        result: () => rowsOf(kernels, params, param(arena, params, MVCC_ROWS_DONE)),
      };
    }
  }
}

function* pointCases(loaded: readonly Kernels[]): Generator<SyncCase> {
  for (const keys of [1, 2, 16, 128]) {
    for (const kernels of loaded) {
      const shape = { keys, versions: 2, read: "newest", lockEvery: 0, reverse: false } as const;
      const params = placeShape(kernels, shape);
      placeItems(kernels, params, shape);
      yield {
        name: "mvcc_scan points",
        params: { keys, versions: shape.versions, read: shape.read, locks: "none", order: "-" },
        series: kernels.build,
        items: keys,
        call: () => mvccPoint(kernels, params),
        result: () => rowsOf(kernels, params, keys),
      };
    }
  }
}

function rowsOf({ arena }: Kernels, params: number, count: number): Uint8Array {
  const rows = param(arena, params, MVCC_ROWS);
  return arena.u8.slice(rows, rows + count * MVCC_ROW_BYTES);
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  const loaded = SERIES.map((build) => loadKernels({ build, memoryBytes: MEMORY_BYTES }));
  return [...measureSync(context, rangeCases(loaded)), ...measureSync(context, pointCases(loaded))];
}

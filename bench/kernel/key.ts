/** key: MVCC keys, "z" · memcomparable(24 bytes) · ts, built and taken apart. */
import {
  type Kernels,
  keyAppendTs,
  keySplitTs,
  memcomparableEncodeInto,
  memcomparableLength,
  readSlices,
  SLICE_BYTES,
  TS_BYTES,
  writeSlices,
} from "../../src/kernel/index.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const KEY_BYTES = 24;
const PREFIX = Uint8Array.of(0x77, 0x7a);

interface Versioned {
  readonly keys: readonly Uint8Array[];
  /** Little-endian u64 each. */
  readonly ts: Uint8Array;
}

function versionsOf(items: number): Versioned {
  const next = seededU32();
  return {
    keys: Array.from({ length: items }, () => randomBytes(next, KEY_BYTES)),
    ts: randomBytes(next, items * TS_BYTES),
  };
}

/** Encodes one key without linear memory and without BigInt. */
function appendPlain(key: Uint8Array, ts: Uint8Array, tsAt: number): Uint8Array {
  const encoded = PREFIX.length + memcomparableLength(key.length);
  const out = new Uint8Array(encoded + TS_BYTES);
  out.set(PREFIX);
  memcomparableEncodeInto(out, PREFIX.length, key, 0, key.length, 0);
  for (let i = 0; i < TS_BYTES; i++) {
    out[encoded + i] = (ts[tsAt + TS_BYTES - 1 - i] as number) ^ 0xff;
  }
  return out;
}

function appendWork({ keys, ts }: Versioned): KernelWork {
  const count = keys.length;
  const fill = (kernels: Kernels): { run(): void; inputAt: number; outTable: number } => {
    const { arena } = kernels;
    const prefix = { ptr: arena.scratch.reserve(PREFIX.length), length: PREFIX.length };
    arena.u8.set(PREFIX, prefix.ptr);
    const outTable = arena.scratch.reserve(count * SLICE_BYTES);
    const tsTable = arena.input.reserve(ts.length);
    arena.u8.set(ts, tsTable);
    const table = writeSlices(arena, arena.input, keys);
    const { start, end } = arena.output;
    return {
      run: () => {
        keyAppendTs(kernels, table, tsTable, count, prefix, outTable, start, end, true);
      },
      inputAt: tsTable,
      outTable,
    };
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const { run, inputAt } = fill(kernels);
      return {
        inputAt,
        input: arena.u8.slice(inputAt, arena.input.next),
        call: run,
        output: () => arena.u8.subarray(arena.output.start, arena.outEnd),
      };
    },
    copied(kernels) {
      const { run, outTable } = fill(kernels);
      run();
      return readSlices(kernels.arena, outTable, count);
    },
    plain: () => keys.map((key, i) => appendPlain(key, ts, i * TS_BYTES)),
  };
}

/** Results of a split: the table is addresses, so the timestamps stand for the work. */
function splitWork(versions: Versioned): KernelWork {
  const count = versions.keys.length;
  const stored = versions.keys.map((key, i) => appendPlain(key, versions.ts, i * TS_BYTES));
  const fill = (kernels: Kernels): { run(): void; table: number; out: number; ts: number } => {
    const { arena } = kernels;
    const table = writeSlices(arena, arena.input, stored);
    const out = arena.scratch.reserve(count * SLICE_BYTES);
    const ts = arena.output.reserve(count * TS_BYTES);
    return {
      run: () => {
        keySplitTs(kernels, table, count, PREFIX.length, out, ts);
      },
      table,
      out,
      ts,
    };
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const { run, table, ts } = fill(kernels);
      const inputAt = table + count * SLICE_BYTES;
      return {
        inputAt,
        input: arena.u8.slice(inputAt, arena.input.next),
        call: run,
        output: () => arena.u8.subarray(ts, ts + count * TS_BYTES),
      };
    },
    copied(kernels) {
      const { arena } = kernels;
      const { run, out, ts } = fill(kernels);
      run();
      return [...readSlices(arena, out, count), arena.u8.slice(ts, ts + count * TS_BYTES)];
    },
    plain() {
      const ts = new Uint8Array(count * TS_BYTES);
      const keys = stored.map((key, item) => {
        const at = key.length - TS_BYTES;
        for (let i = 0; i < TS_BYTES; i++) {
          ts[item * TS_BYTES + i] = (key[at + TS_BYTES - 1 - i] as number) ^ 0xff;
        }
        return key.slice(PREFIX.length, at);
      });
      return [...keys, ts];
    },
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return [
    ...benchKernel(context, "key append ts", (items) => appendWork(versionsOf(items))),
    ...benchKernel(context, "key split ts", (items) => splitWork(versionsOf(items))),
  ];
}

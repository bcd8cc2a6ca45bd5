/** memcomparable: keys of 24 bytes, as in a table's row key. */
import {
  type Kernels,
  memcomparableDecode,
  memcomparableDecodeInto,
  memcomparableEncode,
  memcomparableEncodeInto,
  memcomparableLength,
  readSlices,
  SLICE_BYTES,
  writeSlices,
} from "../../src/kernel/index.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const KEY_BYTES = 24;

type Codec = typeof memcomparableEncode;

function encodePlain(key: Uint8Array): Uint8Array {
  const out = new Uint8Array(memcomparableLength(key.length));
  memcomparableEncodeInto(out, 0, key, 0, key.length, 0);
  return out;
}

function decodePlain(key: Uint8Array): Uint8Array {
  const out = new Uint8Array((key.length / 9) * 8);
  return out.subarray(0, memcomparableDecodeInto(out, 0, key, 0, key.length, 0));
}

function workOf(
  codec: Codec,
  keys: readonly Uint8Array[],
  plain: (key: Uint8Array) => Uint8Array,
): KernelWork {
  const count = keys.length;
  const call = (kernels: Kernels, table: number, outTable: number): void => {
    const { start, end } = kernels.arena.output;
    codec(kernels, table, count, outTable, start, end, false);
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const table = writeSlices(arena, arena.input, keys);
      const outTable = arena.scratch.reserve(count * SLICE_BYTES);
      const inputAt = table + count * SLICE_BYTES;
      return {
        inputAt,
        input: arena.u8.slice(inputAt, arena.input.next),
        call: () => call(kernels, table, outTable),
        output: () => arena.u8.subarray(arena.output.start, arena.outEnd),
      };
    },
    copied(kernels) {
      const { arena } = kernels;
      const table = writeSlices(arena, arena.input, keys);
      const outTable = arena.scratch.reserve(count * SLICE_BYTES);
      call(kernels, table, outTable);
      return readSlices(arena, outTable, count);
    },
    plain: () => keys.map(plain),
  };
}

function keysOf(items: number): Uint8Array[] {
  const next = seededU32();
  return Array.from({ length: items }, () => randomBytes(next, KEY_BYTES));
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return [
    ...benchKernel(context, "memcomparable encode", (items) =>
      workOf(memcomparableEncode, keysOf(items), encodePlain),
    ),
    ...benchKernel(context, "memcomparable decode", (items) =>
      workOf(memcomparableDecode, keysOf(items).map(encodePlain), decodePlain),
    ),
  ];
}

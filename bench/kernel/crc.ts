/** crc: RawChecksum over pairs of 16-byte keys and 100-byte values. */
import { encodeU64 } from "../../src/codec/index.js";
import {
  CRC_RESULT_BYTES,
  crc64,
  crc64Pairs,
  type Kernels,
  SLICE_BYTES,
  writeSlices,
} from "../../src/kernel/index.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const KEY_BYTES = 16;
const VALUE_BYTES = 100;

function checksumWork(items: number): KernelWork {
  const next = seededU32();
  const keys = Array.from({ length: items }, () => randomBytes(next, KEY_BYTES));
  const values = Array.from({ length: items }, () => randomBytes(next, VALUE_BYTES));
  let sum = 0n;
  const fill = (kernels: Kernels): { run(): void; keyTable: number } => {
    const { arena } = kernels;
    const keyTable = writeSlices(arena, arena.input, keys);
    const valueTable = writeSlices(arena, arena.input, values);
    return {
      run: () => {
        sum = crc64Pairs(kernels, keyTable, valueTable, items)?.checksum ?? 0n;
      },
      keyTable,
    };
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const { run, keyTable } = fill(kernels);
      const inputAt = keyTable + items * SLICE_BYTES;
      const out = arena.output.reserve(CRC_RESULT_BYTES);
      return {
        inputAt,
        input: arena.u8.slice(inputAt, arena.input.next),
        call: run,
        output: () => {
          arena.view.setBigUint64(out, sum);
          return arena.u8.subarray(out, out + 8);
        },
      };
    },
    copied(kernels) {
      fill(kernels).run();
      return [encodeU64(sum)];
    },
    plain() {
      let all = 0n;
      for (let i = 0; i < items; i++) {
        all ^= crc64(keys[i] as Uint8Array, values[i] as Uint8Array);
      }
      return [encodeU64(all)];
    },
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return benchKernel(context, "crc64 pairs", checksumWork);
}

/** write_batch: raw puts, keys of 16 bytes, values of 100 bytes. */
import { WriteBatchBuilder } from "../../src/engine/index.js";
import {
  type Kernels,
  setWriteRow,
  WRITE_BATCH_PUT,
  WRITE_ROW_BYTES,
  writeBatchBuild,
} from "../../src/kernel/index.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const KEY_BYTES = 16;
const VALUE_BYTES = 100;
/** CF byte and data prefix. */
const PREFIX = Uint8Array.of(0x64, 0x7a);

function putWork(items: number): KernelWork {
  const next = seededU32();
  const pairs = Array.from({ length: items }, () => ({
    key: randomBytes(next, KEY_BYTES),
    value: randomBytes(next, VALUE_BYTES),
  }));
  const dataKeys = pairs.map(({ key }) => Uint8Array.of(...PREFIX.subarray(1), ...key));
  const batch = new WriteBatchBuilder();
  const fill = (kernels: Kernels): { run(): void; inputAt: number } => {
    const { arena } = kernels;
    const prefix = { ptr: arena.scratch.reserve(PREFIX.length), length: PREFIX.length };
    arena.u8.set(PREFIX, prefix.ptr);
    const rows = arena.scratch.reserve(items * WRITE_ROW_BYTES);
    const inputAt = arena.input.reserve(items * (KEY_BYTES + VALUE_BYTES));
    let at = inputAt;
    for (let i = 0; i < items; i++) {
      const { key, value } = pairs[i] as (typeof pairs)[number];
      arena.u8.set(key, at);
      arena.u8.set(value, at + KEY_BYTES);
      setWriteRow(arena, rows, i, WRITE_BATCH_PUT, at, KEY_BYTES, at + KEY_BYTES, VALUE_BYTES);
      at += KEY_BYTES + VALUE_BYTES;
    }
    const { start, end } = arena.output;
    return { run: () => void writeBatchBuild(kernels, rows, items, prefix, start, end), inputAt };
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
      const { arena } = kernels;
      fill(kernels).run();
      return [arena.u8.slice(arena.output.start, arena.outEnd)];
    },
    plain() {
      batch.clear();
      for (let i = 0; i < items; i++) {
        batch.put("default", dataKeys[i] as Uint8Array, (pairs[i] as { value: Uint8Array }).value);
      }
      return [batch.bytes().slice()];
    },
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return benchKernel(context, "write batch build", putWork);
}

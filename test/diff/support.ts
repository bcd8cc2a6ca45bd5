/**
 * What every differential test of a kernel shares: the four implementations, dirty memory, and
 * inputs that vary contents, lengths, alignment, chunking and the room for output.
 */
import * as fc from "fast-check";
import * as assert from "uvu/assert";
import { toHex } from "../../src/base/index.js";
import {
  type Arena,
  type KernelFunctions,
  type Kernels,
  loadKernels,
  PAGE_BYTES,
  SLICE_BYTES,
} from "../../src/kernel/index.js";

const DIRT = 0xcc;
const MEMORY_BYTES = 16 * PAGE_BYTES;
const SEED = 20_240_817;

/** The twin, then the three builds that must agree with it. */
export const TWIN: Kernels = loadKernels({ build: "js", memoryBytes: MEMORY_BYTES });
export const WASM_BUILDS: readonly Kernels[] = (["debug", "wasm", "simd"] as const).map((build) =>
  loadKernels({ build, memoryBytes: MEMORY_BYTES }),
);

/** Returns the raw functions, without the façade's choice of implementation. */
export function functionsOf(kernels: Kernels): KernelFunctions {
  return kernels.wasm ?? kernels.js;
}

/** Runs `run` on all implementations over dirty memory; each must observe what the twin does. */
export function agree(run: (functions: KernelFunctions, arena: Arena) => unknown): unknown {
  const expected = onDirtyMemory(TWIN, run);
  for (const kernels of WASM_BUILDS) {
    assert.equal(onDirtyMemory(kernels, run), expected, `build ${kernels.build}`);
  }
  return expected;
}

function onDirtyMemory(
  kernels: Kernels,
  run: (functions: KernelFunctions, arena: Arena) => unknown,
): unknown {
  const { arena } = kernels;
  for (const region of [arena.input, arena.output, arena.scratch]) {
    region.reset();
    arena.u8.fill(DIRT, region.start, region.end);
  }
  return run(functionsOf(kernels), arena);
}

/** Checks a property over `arbitrary` with a fixed seed. */
export function forAll<T>(
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => void,
  runs = 150,
): void {
  fc.assert(fc.property(arbitrary, property), { seed: SEED, numRuns: runs });
}

/** Half of all bytes are among these: padding, its inverse, markers. */
const SPECIAL = [0x00, 0xff, 0x7f, 0x80, 0xf7, 0xfe];

/** Byte strings whose lengths and bytes crowd around what kernels treat specially. */
export const bytesArbitrary: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
    { weight: 2, arbitrary: fc.constantFrom(0, 7, 8, 9, 15, 16, 17, 24, 64, 127, 128, 129) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 700 }) },
  )
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
  .map((bytes) => bytes.map((byte) => (byte < 128 ? (SPECIAL[byte % 6] as number) : byte)));

/** Where a call finds its data and how it is cut up. */
export interface Placement {
  /** Bytes before the input strings and before the output: their alignment. */
  readonly inputOffset: number;
  readonly outputOffset: number;
  /** Items a call. */
  readonly chunk: number;
  /** Output bytes missing (negative: spare) against what the items need in all. */
  readonly shortage: number;
}

export const placementArbitrary: fc.Arbitrary<Placement> = fc.record({
  inputOffset: fc.nat(17),
  outputOffset: fc.nat(17),
  chunk: fc.constantFrom(1, 2, 3, 7, 16, 10_000),
  shortage: fc.oneof(fc.constantFrom(-64, -1, 0, 1, 8, 9), fc.integer({ min: -20, max: 200 })),
});

/** Places `items` at an offset into the input region; returns the address of their slice table. */
export function place(arena: Arena, items: readonly Uint8Array[], offset: number): number {
  const table = arena.input.reserve(items.length * SLICE_BYTES);
  let bytes = offset;
  for (const item of items) bytes += item.length;
  let at = arena.input.reserve(bytes, 1) + offset;
  assert.ok(table !== 0 && at !== offset, "the test data fits into the input region");
  items.forEach((item, i) => {
    arena.u8.set(item, at);
    arena.u32[(table >> 2) + 2 * i] = at;
    arena.u32[(table >> 2) + 2 * i + 1] = item.length;
    at += item.length;
  });
  return table;
}

/** Returns the slices of `table` as hex. */
export function slicesHex(arena: Arena, table: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const at = arena.u32[(table >> 2) + 2 * i] as number;
    return toHex(arena.u8.subarray(at, at + (arena.u32[(table >> 2) + 2 * i + 1] as number)));
  });
}

/** Asserts that nothing from `end` to the end of the output region was touched. */
export function assertUntouched(arena: Arena, end: number): void {
  for (let at = end; at < Math.min(end + 4096, arena.output.end); at++) {
    if (arena.u8[at] !== DIRT) assert.unreachable(`byte ${at - end} behind the output was written`);
  }
}

/** One call's argument: rows [first, first + count), rows to fill, and the output area. */
export interface Step {
  readonly first: number;
  readonly count: number;
  readonly out: number;
  readonly outEnd: number;
}

/**
 * Calls `call` over `total` items in chunks until all are done, output is full, or an item is bad.
 * Returns everything a caller could see: codes, counts, header fields, ends.
 */
export function drive(
  arena: Arena,
  total: number,
  outputBytes: number,
  placement: Placement,
  call: (step: Step) => number,
): { done: number; end: number; log: string[] } {
  const out = arena.output.start + placement.outputOffset;
  const outEnd = Math.max(out, out + outputBytes - placement.shortage);
  const log: string[] = [];
  let done = 0;
  let at = out;
  do {
    const count = Math.min(placement.chunk, total - done);
    const code = call({ first: done, count, out: at, outEnd });
    log.push(`${code} end ${arena.outEnd - out}`);
    if (code !== count) log.push(`item ${arena.errItem}`);
    if (code >= 0 && code < count) log.push(`needed ${arena.needed}`);
    at = arena.outEnd;
    done += Math.max(0, code);
    if (code !== count) break;
  } while (done < total);
  assertUntouched(arena, outEnd);
  return { done, end: at, log };
}

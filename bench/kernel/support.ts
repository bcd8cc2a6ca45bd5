/**
 * The rows that every kernel bench has: 1, 16, 256, 4,096 items (unless it says others); js, wasm,
 * simd; and three ways of counting copies:
 *   none    input and output stay in linear memory; js is the twin over the same layout
 *   frame   one `set` of all input bytes before, one copy of all output bytes after: the real path
 *   items   every item is a JavaScript array before and after; js is the plain code for single items
 */
import { concatBytes } from "../../src/base/index.js";
import { type Kernels, loadKernels } from "../../src/kernel/index.js";
import { type BenchContext, measureSync, type Report, type SyncCase } from "../harness.js";

const SIZES = [1, 16, 256, 4096];
const SERIES = ["js", "wasm", "simd"] as const;
const MEMORY_BYTES = 16 << 20;

/** A kernel call whose input lies in linear memory. */
export interface Placed {
  /** Address of the input bytes and a copy of them, for the `frame` rows. */
  readonly inputAt: number;
  readonly input: Uint8Array;
  call(): void;
  /** Returns where the output lies, as a view. */
  output(): Uint8Array;
}

/** What a kernel does with a number of items. */
export interface KernelWork {
  place(kernels: Kernels): Placed;
  /** Copies items in, calls, copies results out. */
  copied(kernels: Kernels): readonly Uint8Array[];
  /** Does the same without linear memory. */
  plain(): readonly Uint8Array[];
}

function* cases(
  name: string,
  work: (items: number) => KernelWork,
  sizes: readonly number[],
): Generator<SyncCase> {
  const loaded = SERIES.map((build) => loadKernels({ build, memoryBytes: MEMORY_BYTES }));
  for (const items of sizes) {
    const { place, copied, plain } = work(items);
    for (const kernels of loaded) {
      const common = { name, series: kernels.build, items };
      resetRegions(kernels);
      const { call, output, input, inputAt } = place(kernels);
      const { u8 } = kernels.arena;
      yield { ...common, params: { items, copies: "none" }, call, result: output };
      let frame = new Uint8Array(0);
      yield {
        ...common,
        params: { items, copies: "frame" },
        call() {
          u8.set(input, inputAt);
          call();
          frame = output().slice();
        },
        result: () => frame,
      };
      let results: readonly Uint8Array[] = [];
      yield {
        ...common,
        params: { items, copies: "items" },
        call() {
          if (kernels.build === "js") {
            results = plain();
            return;
          }
          resetRegions(kernels);
          results = copied(kernels);
        },
        result: () => concatBytes(...results),
      };
    }
  }
}

function resetRegions({ arena }: Kernels): void {
  arena.input.reset();
  arena.output.reset();
  arena.scratch.reset();
}

/** Measures one kernel in all rows; `sizes`: items a call. */
export function benchKernel(
  context: BenchContext,
  name: string,
  work: (items: number) => KernelWork,
  sizes: readonly number[] = SIZES,
): Report[] {
  return measureSync(context, cases(name, work, sizes));
}

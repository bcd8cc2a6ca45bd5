/**
 * The kernels of one thread and the choice, per call, between wasm and twin. Façades (one file per
 * kernel beside this one) validate, choose and call; nobody else calls `wasm` or `js`.
 */
import type { Arena } from "./arena.js";
import type { KernelCalls, KernelFunctions, KernelImpl, KernelName } from "./functions.js";

/** Values of KERNEL: twins only, or one of the three wasm builds. */
export type KernelBuild = "js" | "debug" | "wasm" | "simd";

export interface Kernels {
  readonly build: KernelBuild;
  /** Label of calls that `wasm` serves. */
  readonly impl: KernelImpl;
  readonly arena: Arena;
  readonly js: KernelFunctions;
  /** Undefined when the build is "js". */
  readonly wasm: KernelFunctions | undefined;
  readonly calls: KernelCalls;
}

/**
 * Returns who serves a call of kernel `name`, and counts it. `worthWasm` is false where the bench
 * says that the twin is faster (too few items).
 */
export function pick(kernels: Kernels, name: KernelName, worthWasm: boolean): KernelFunctions {
  const { wasm } = kernels;
  if (wasm === undefined || !worthWasm) {
    kernels.calls[name].js++;
    return kernels.js;
  }
  kernels.calls[name][kernels.impl]++;
  return wasm;
}

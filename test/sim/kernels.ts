/** The kernels of this process: KERNEL chooses the build, as in production. */
import { type Kernels, loadKernels } from "../../src/kernel/index.js";

let loaded: Kernels | undefined;

/** Returns the kernels that all simulated stores share; turns of the arena do not nest. */
export function sharedKernels(): Kernels {
  loaded ??= loadKernels();
  return loaded;
}

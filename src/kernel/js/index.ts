/** All twins, bound to one memory, behind the signatures of the wasm exports. */
import type { LinearMemory } from "../arena.js";
import type { KernelFunctions } from "../functions.js";
import { memcomparableDecode, memcomparableEncode } from "./memcomparable.js";

/** Returns the twins working on `memory`. */
export function bindTwins(memory: LinearMemory): KernelFunctions {
  return {
    memcomparableEncode: (...args) => memcomparableEncode(memory, ...args),
    memcomparableDecode: (...args) => memcomparableDecode(memory, ...args),
  };
}

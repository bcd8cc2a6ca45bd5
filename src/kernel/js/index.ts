/** All twins, bound to one memory, behind the signatures of the wasm exports. */
import type { LinearMemory } from "../arena.js";
import type { KernelFunctions } from "../functions.js";
import {
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
} from "./batch_commands.js";
import { memcomparableDecode, memcomparableEncode } from "./memcomparable.js";

/** Returns the twins working on `memory`. */
export function bindTwins(memory: LinearMemory): KernelFunctions {
  return {
    batchCommandsDecode: (params) => batchCommandsDecode(memory, params),
    batchCommandsPlan: (params) => batchCommandsPlan(memory, params),
    batchCommandsCollect: (params) => batchCommandsCollect(memory, params),
    batchCommandsEncode: (params) => batchCommandsEncode(memory, params),
    memcomparableEncode: (...args) => memcomparableEncode(memory, ...args),
    memcomparableDecode: (...args) => memcomparableDecode(memory, ...args),
  };
}

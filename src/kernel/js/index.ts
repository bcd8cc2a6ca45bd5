/** All twins, bound to one memory, behind the signatures of the wasm exports. */
import type { LinearMemory } from "../arena.js";
import type { KernelFunctions } from "../functions.js";
import {
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
} from "./batch_commands.js";
import { crc64Pairs } from "./crc.js";
import { keyAppendTs, keySplitTs } from "./key.js";
import { memcomparableDecode, memcomparableEncode } from "./memcomparable.js";
import { writeBatchBuild } from "./write_batch.js";

/** Returns the twins working on `memory`. */
export function bindTwins(memory: LinearMemory): KernelFunctions {
  return {
    batchCommandsDecode: (params) => batchCommandsDecode(memory, params),
    batchCommandsPlan: (params) => batchCommandsPlan(memory, params),
    batchCommandsCollect: (params) => batchCommandsCollect(memory, params),
    batchCommandsEncode: (params) => batchCommandsEncode(memory, params),
    crc64Pairs: (...args) => crc64Pairs(memory, ...args),
    keyAppendTs: (...args) => keyAppendTs(memory, ...args),
    keySplitTs: (...args) => keySplitTs(memory, ...args),
    memcomparableDecode: (...args) => memcomparableDecode(memory, ...args),
    memcomparableEncode: (...args) => memcomparableEncode(memory, ...args),
    writeBatchBuild: (...args) => writeBatchBuild(memory, ...args),
  };
}

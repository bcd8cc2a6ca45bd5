export * from "./abi.js";
export {
  Arena,
  alignUp,
  type LinearMemory,
  linearMemory,
  PAGE_BYTES,
  Region,
} from "./arena.js";
export {
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
} from "./batch_commands.js";
export { readSlices, writeSlices } from "./block.js";
export { crc64Pairs, type PairsChecksum } from "./crc.js";
export {
  KERNEL_IMPLS,
  KERNEL_NAMES,
  type KernelCalls,
  type KernelFunctions,
  type KernelImpl,
  type KernelName,
} from "./functions.js";
export { crc64 } from "./js/crc.js";
export {
  memcomparableDecodeInto,
  memcomparableEncodeInto,
  memcomparableLength,
  memcomparableScan,
} from "./js/memcomparable.js";
export type { KernelBuild, Kernels } from "./kernels.js";
export { type KeyPrefix, keyAppendTs, keySplitTs } from "./key.js";
export {
  chooseBuild,
  type KernelModule,
  type KernelOptions,
  kernelModule,
  loadKernels,
  MEMORY_BYTES_DEFAULT,
  simdSupported,
} from "./loader.js";
export { memcomparableDecode, memcomparableEncode } from "./memcomparable.js";
export { mvccPoint, mvccScan } from "./mvcc_scan.js";
export {
  raftEntryDecode,
  raftEntryEncode,
  raftMessageDecode,
  raftMessageEncode,
} from "./raft_entry.js";
export { readyBatch, readyGroup } from "./ready.js";
export { setWriteRow, writeBatchBuild } from "./write_batch.js";

/**
 * Exports of every build. The list equals KERNEL_NAMES in src/kernel/functions.ts plus `init`
 * and `memory`; test/unit/kernel/loader_test.ts holds them together.
 */
import { initHeader } from "./arena";
import { initCrc64 } from "./crc";

export {
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
} from "./batch_commands";
export { crc64Pairs } from "./crc";
export { keyAppendTs, keySplitTs } from "./key";
export { memcomparableDecode, memcomparableEncode } from "./memcomparable";
export { mvccPoint, mvccScan } from "./mvcc_scan";
export {
  raftEntryDecode,
  raftEntryEncode,
  raftMessageDecode,
  raftMessageEncode,
} from "./raft_entry";
export { readyBatch, readyGroup } from "./ready";
export { writeBatchBuild } from "./write_batch";

/** Fills the header and the static tables; the host calls it once per instance. */
export function init(): void {
  initHeader();
  initCrc64();
}

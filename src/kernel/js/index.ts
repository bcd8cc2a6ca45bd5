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
import { mvccPoint, mvccScan } from "./mvcc_scan.js";
import {
  raftEntryDecode,
  raftEntryEncode,
  raftMessageDecode,
  raftMessageEncode,
} from "./raft_entry.js";
import { readyBatch, readyGroup } from "./ready.js";
import { writeBatchBuild } from "./write_batch.js";

/** Returns the twins working on `memory`. */
export function bindTwins(memory: LinearMemory): KernelFunctions {
  return {
    batchCommandsDecode: batchCommandsDecode.bind(undefined, memory),
    batchCommandsPlan: batchCommandsPlan.bind(undefined, memory),
    batchCommandsCollect: batchCommandsCollect.bind(undefined, memory),
    batchCommandsEncode: batchCommandsEncode.bind(undefined, memory),
    crc64Pairs: crc64Pairs.bind(undefined, memory),
    keyAppendTs: keyAppendTs.bind(undefined, memory),
    keySplitTs: keySplitTs.bind(undefined, memory),
    memcomparableDecode: memcomparableDecode.bind(undefined, memory),
    memcomparableEncode: memcomparableEncode.bind(undefined, memory),
    mvccPoint: mvccPoint.bind(undefined, memory),
    mvccScan: mvccScan.bind(undefined, memory),
    raftEntryDecode: raftEntryDecode.bind(undefined, memory),
    raftEntryEncode: raftEntryEncode.bind(undefined, memory),
    raftMessageDecode: raftMessageDecode.bind(undefined, memory),
    raftMessageEncode: raftMessageEncode.bind(undefined, memory),
    readyBatch: readyBatch.bind(undefined, memory),
    readyGroup: readyGroup.bind(undefined, memory),
    writeBatchBuild: writeBatchBuild.bind(undefined, memory),
  };
}

/**
 * The signatures that a wasm export and its twin share: integers in, a return code out, everything
 * else in linear memory at the addresses given. Not the face for callers; that is the façades.
 * Layouts and return codes: assembly/abi.ts.
 */
export interface KernelFunctions {
  batchCommandsDecode(params: number): number;
  batchCommandsPlan(params: number): number;
  batchCommandsCollect(params: number): number;
  batchCommandsEncode(params: number): number;
  memcomparableEncode(
    table: number,
    count: number,
    outTable: number,
    out: number,
    outEnd: number,
    desc: number,
  ): number;
  memcomparableDecode(
    table: number,
    count: number,
    outTable: number,
    out: number,
    outEnd: number,
    desc: number,
  ): number;
  keyAppendTs(
    table: number,
    tsTable: number,
    count: number,
    prefix: number,
    prefixLength: number,
    outTable: number,
    out: number,
    outEnd: number,
    encode: number,
  ): number;
  keySplitTs(
    table: number,
    count: number,
    prefixLength: number,
    outTable: number,
    tsTable: number,
  ): number;
  writeBatchBuild(
    rows: number,
    count: number,
    prefix: number,
    prefixLength: number,
    out: number,
    outEnd: number,
  ): number;
  crc64Pairs(keys: number, values: number, count: number, result: number): number;
  mvccPoint(params: number): number;
  mvccScan(params: number): number;
  raftEntryEncode(
    rows: number,
    count: number,
    outTable: number,
    out: number,
    outEnd: number,
  ): number;
  raftEntryDecode(table: number, count: number, rows: number): number;
  raftMessageEncode(
    messages: number,
    order: number,
    count: number,
    entries: number,
    outTable: number,
    out: number,
    outEnd: number,
  ): number;
  raftMessageDecode(
    table: number,
    count: number,
    messages: number,
    entries: number,
    capacity: number,
  ): number;
  readyBatch(rows: number, count: number, entries: number, out: number, outEnd: number): number;
  readyGroup(
    targets: number,
    count: number,
    stores: number,
    offsets: number,
    order: number,
  ): number;
}

export type KernelName = keyof KernelFunctions;

/** Every kernel; the allow-list of exports and the label values of kernel_calls_total. */
export const KERNEL_NAMES = [
  "batchCommandsCollect",
  "batchCommandsDecode",
  "batchCommandsEncode",
  "batchCommandsPlan",
  "crc64Pairs",
  "keyAppendTs",
  "keySplitTs",
  "memcomparableDecode",
  "memcomparableEncode",
  "mvccPoint",
  "mvccScan",
  "raftEntryDecode",
  "raftEntryEncode",
  "raftMessageDecode",
  "raftMessageEncode",
  "readyBatch",
  "readyGroup",
  "writeBatchBuild",
] as const satisfies readonly KernelName[];

/** Who served a call; the debug build counts as wasm. */
export const KERNEL_IMPLS = ["js", "wasm", "simd"] as const;
export type KernelImpl = (typeof KERNEL_IMPLS)[number];

/** kernel_calls_total{kernel,impl} as plain numbers. */
export type KernelCalls = Readonly<Record<KernelName, Record<KernelImpl, number>>>;

/** Returns counters at zero. */
export function newKernelCalls(): KernelCalls {
  const calls = {} as Record<KernelName, Record<KernelImpl, number>>;
  for (const name of KERNEL_NAMES) calls[name] = { js: 0, wasm: 0, simd: 0 };
  return calls;
}

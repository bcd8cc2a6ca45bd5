/**
 * Façade of the batch_commands kernels: one turn of BatchCommands frames inside linear memory. The
 * host fills a params record (assembly/batch_commands_abi.ts has the layout and the picture) and
 * calls decode, plan, collect, encode, in this order. Hot path.
 */
import { assert } from "../base/index.js";
import { BATCH_PARAM_BYTES, BATCH_PARAM_FRAME_COUNT } from "./abi.js";
import { type Kernels, pick } from "./kernels.js";

/** Frames from which wasm serves; set by bench/kernel/batch_commands.ts. */
export const BATCH_COMMANDS_WASM_MIN_FRAMES = 0;

function isWorthWasm(kernels: Kernels, params: number): boolean {
  const { scratch, u32 } = kernels.arena;
  assert((params & 3) === 0, "the params are aligned");
  assert(params + BATCH_PARAM_BYTES <= scratch.end, "the params are inside the arena");
  const frames = u32[(params + BATCH_PARAM_FRAME_COUNT) >>> 2] as number;
  return frames >= BATCH_COMMANDS_WASM_MIN_FRAMES;
}

/**
 * Decodes frames into tables. Returns the frames done, refused ones included; fewer than asked when
 * a table is full: finish those, then call again with the rest. 0 means that one frame alone is
 * larger than the tables.
 */
export function batchCommandsDecode(kernels: Kernels, params: number): number {
  const impl = pick(kernels, "batchCommandsDecode", isWorthWasm(kernels, params));
  return impl.batchCommandsDecode(params);
}

/** Sorts decoded commands, whose contexts the host has judged, into gets, writes and cold ones. */
export function batchCommandsPlan(kernels: Kernels, params: number): number {
  const impl = pick(kernels, "batchCommandsPlan", isWorthWasm(kernels, params));
  return impl.batchCommandsPlan(params);
}

/** Appends response rows for gets that are done; returns the first get that was not used. */
export function batchCommandsCollect(kernels: Kernels, params: number): number {
  const impl = pick(kernels, "batchCommandsCollect", isWorthWasm(kernels, params));
  return impl.batchCommandsCollect(params);
}

/** Encodes response rows into messages; returns how many. Below all responses: drain, call again. */
export function batchCommandsEncode(kernels: Kernels, params: number): number {
  const impl = pick(kernels, "batchCommandsEncode", isWorthWasm(kernels, params));
  return impl.batchCommandsEncode(params);
}

/**
 * The header: what a call leaves behind for the host. Not here: regions, which the host owns
 * (src/kernel/arena.ts); kernels take addresses as arguments and allocate nothing.
 */
import {
  ABI_VERSION,
  HEADER_ABI_VERSION,
  HEADER_BYTES,
  HEADER_ERR_ITEM,
  HEADER_MAGIC,
  HEADER_NEEDED,
  HEADER_OUT_END,
  HEADER_PTR,
  HEADER_STATIC_END,
  MAGIC,
} from "./abi";

/** Writes the constant part of the header; the host calls it once, before any kernel. */
export function initHeader(): void {
  memory.fill(HEADER_PTR, 0, HEADER_BYTES);
  store<u32>(HEADER_MAGIC, MAGIC);
  store<u32>(HEADER_ABI_VERSION, ABI_VERSION);
  store<u32>(HEADER_STATIC_END, <u32>__heap_base);
}

// @ts-ignore: decorator
@inline
/** Says where the output of this call ends. */
export function setOutEnd(end: usize): void {
  store<u32>(HEADER_OUT_END, <u32>end);
}

// @ts-ignore: decorator
@inline
/** Names the item that stopped the call and the output bytes that it wants. */
export function setNeeded(item: i32, bytes: usize): void {
  store<u32>(HEADER_ERR_ITEM, item);
  store<u32>(HEADER_NEEDED, <u32>bytes);
}

// @ts-ignore: decorator
@inline
/** Names the malformed item. */
export function setErrItem(item: i32): void {
  store<u32>(HEADER_ERR_ITEM, item);
}

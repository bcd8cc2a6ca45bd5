/**
 * Linear memory as the twins of the batch_commands kernels see it: one register holds the memory
 * of the call, so that their code reads like the assembly. It carries nothing between calls.
 */
import type { LinearMemory } from "../arena.js";

let u8: Uint8Array = new Uint8Array(0);
let u32: Uint32Array = new Uint32Array(0);

/** Makes `memory` the one that the functions below work on. */
export function use(memory: LinearMemory): void {
  u8 = memory.u8;
  u32 = memory.u32;
}

/** Loads the u32 at a 4-byte aligned address. */
export function word(at: number): number {
  return u32[at >>> 2] as number;
}

/** Stores a u32 at a 4-byte aligned address. */
export function put(at: number, value: number): void {
  u32[at >>> 2] = value;
}

/** Loads a byte. */
export function byteAt(at: number): number {
  return u8[at] as number;
}

/** Loads a big-endian u32 at any address. */
export function u32Be(at: number): number {
  const high = ((u8[at] as number) << 8) | (u8[at + 1] as number);
  return ((high << 16) | ((u8[at + 2] as number) << 8) | (u8[at + 3] as number)) >>> 0;
}

/** Stores a big-endian u32 at any address. */
export function putU32Be(at: number, value: number): void {
  u8[at] = value >>> 24;
  u8[at + 1] = value >>> 16;
  u8[at + 2] = value >>> 8;
  u8[at + 3] = value;
}

/** Stores the low 8 bits of `value`. */
export function putByte(at: number, value: number): void {
  u8[at] = value;
}

/** Overwrites `length` bytes with `value`. */
export function fill(at: number, value: number, length: number): void {
  u8.fill(value, at, at + length);
}

/** Below this length a byte loop beats copyWithin. */
const BULK_COPY_BYTES = 48;

/** Copies `length` bytes and returns the address behind the copy. */
export function copyBytes(to: number, from: number, length: number): number {
  if (length >= BULK_COPY_BYTES) u8.copyWithin(to, from, from + length);
  else for (let i = 0; i < length; i++) u8[to + i] = u8[from + i] as number;
  return to + length;
}

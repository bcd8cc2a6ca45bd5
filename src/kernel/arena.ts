/**
 * The host's side of linear memory: three regions with bump allocation, one long-lived view of each
 * width, and the turn that owns them. Memory never grows after construction, so views and addresses
 * stay valid; what is *in* them is valid until `leave` only. Hot path.
 */
import { assert } from "../base/index.js";
import { ARENA_PTR, HEADER_ERR_ITEM, HEADER_NEEDED, HEADER_OUT_END, SLACK_BYTES } from "./abi.js";

const ALIGN_REGION = 64;
const ALIGN_DEFAULT = 8;
const POISON = 0xcc;
export const PAGE_BYTES = 65536;
/** Two pages hold statics, header and a little; below that nothing works. */
export const MEMORY_BYTES_MIN = 4 * PAGE_BYTES;

/** Linear memory as twins and façades see it. All three views cover the same buffer. */
export interface LinearMemory {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
}

/** Returns the three views of a buffer whose length is a multiple of 4. */
export function linearMemory(buffer: ArrayBuffer): LinearMemory {
  return {
    u8: new Uint8Array(buffer),
    u32: new Uint32Array(buffer),
    view: new DataView(buffer),
  };
}

/** Returns `value` rounded up to a multiple of `align`, a power of two. */
export function alignUp(value: number, align: number): number {
  return (value + align - 1) & -align;
}

/** A part of linear memory that hands out addresses upwards. */
export class Region {
  readonly start: number;
  readonly end: number;
  /** Invariant: start <= #next <= #highWater <= end. */
  #next: number;
  #highWater: number;

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
    this.#next = start;
    this.#highWater = start;
  }

  /** First free address. */
  get next(): number {
    return this.#next;
  }

  /** Bytes left, before alignment. */
  get free(): number {
    return this.end - this.#next;
  }

  /**
   * Returns the address of `bytes` fresh bytes, or 0 when they do not fit (drain and call again).
   * `align` is a power of two.
   */
  reserve(bytes: number, align: number = ALIGN_DEFAULT): number {
    const at = alignUp(this.#next, align);
    if (bytes > this.end - at) return 0;
    this.#next = at + bytes;
    if (this.#next > this.#highWater) this.#highWater = this.#next;
    return at;
  }

  /** Gives back everything from `at` on; for output whose length was known only afterwards. */
  trim(at: number): void {
    assert(at >= this.start && at <= this.#next, "trim stays inside what was reserved");
    this.#next = at;
  }

  /** Gives back everything. */
  reset(): void {
    this.#next = this.start;
  }

  /** Overwrites all that was ever reserved since the last call, so that stale reads show. */
  poison(u8: Uint8Array): void {
    u8.fill(POISON, this.start, this.#highWater);
    this.#highWater = this.#next;
  }
}

export interface ArenaOptions {
  /** Overwrite the regions after each turn; on in debug builds and tests. */
  readonly poison: boolean;
  /** Share of the regions that IN and OUT get; SCRATCH gets the rest. */
  readonly inputShare: number;
  readonly outputShare: number;
}

/** Regions and turn of one memory; one per thread. */
export class Arena implements LinearMemory {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** Bytes that come in: request frames. */
  readonly input: Region;
  /** Bytes that go out: response frames, write batches. */
  readonly output: Region;
  /** Tables, encoded keys, values between two kernels. */
  readonly scratch: Region;
  readonly #poison: boolean;
  #inTurn = false;

  constructor(memory: LinearMemory, options: ArenaOptions) {
    const bytes = memory.u8.length;
    assert(bytes >= MEMORY_BYTES_MIN && bytes % PAGE_BYTES === 0, "memory is whole pages");
    assert(memory.u32.length * 4 === bytes, "the u32 view covers the memory");
    assert(memory.view.byteLength === bytes, "the DataView covers the memory");
    const { inputShare, outputShare } = options;
    assert(inputShare > 0 && outputShare > 0 && inputShare + outputShare < 1, "three shares");
    this.u8 = memory.u8;
    this.u32 = memory.u32;
    this.view = memory.view;
    this.#poison = options.poison;
    const first = alignUp(ARENA_PTR, ALIGN_REGION);
    const last = bytes - SLACK_BYTES;
    const cut = (share: number): number => alignUp(first + (last - first) * share, ALIGN_REGION);
    this.input = new Region(first, cut(inputShare));
    this.output = new Region(this.input.end, cut(inputShare + outputShare));
    this.scratch = new Region(this.output.end, last);
  }

  /** Starts a turn. Turns do not nest: a second user would overwrite the first one's bytes. */
  enter(): void {
    assert(!this.#inTurn, "the arena has one user at a time");
    this.#inTurn = true;
  }

  /** Whether somebody's turn is under way. */
  get isBusy(): boolean {
    return this.#inTurn;
  }

  /** Ends the turn; every address and view content of it is dead from here on. */
  leave(): void {
    assert(this.#inTurn, "leave follows enter");
    this.#inTurn = false;
    for (const region of [this.input, this.output, this.scratch]) {
      region.reset();
      if (this.#poison) region.poison(this.u8);
    }
  }

  /** First byte behind the output of the last kernel call. */
  get outEnd(): number {
    return this.u32[HEADER_OUT_END >> 2] as number;
  }

  /** Index of the item that stopped the last kernel call. */
  get errItem(): number {
    return this.u32[HEADER_ERR_ITEM >> 2] as number;
  }

  /** Output bytes that the item at `errItem` wants; meaningful after a call that was cut short. */
  get needed(): number {
    return this.u32[HEADER_NEEDED >> 2] as number;
  }
}

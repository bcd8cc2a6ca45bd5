/**
 * Frames to messages, in one turn of the arena: frames are copied in, wrappers read, the messages in
 * them decoded by the kernel, and what is kept of their bytes copied out. Hot path. Trusts nothing
 * that it reads. Entry point: message_codec.ts.
 */
import { assert } from "../base/index.js";
import {
  CORRUPT,
  ENTRY_BYTES,
  type Kernels,
  MESSAGE_BYTES,
  OUT_FULL,
  raftMessageDecode,
  SLICE_BYTES,
} from "../kernel/index.js";
import { MalformedWire, WireReader } from "../pb/index.js";
import { type ByteSlabs, RowReader } from "./message_rows.js";
import type { DecodedFrame } from "./message_wire.js";
import { readWrapper, unwrap, type Wrapper } from "./message_wrapper.js";
import type { RaftMessage } from "./raft_message.js";

/** Most messages that a frame may hold to be accepted: server.raft-msg-max-batch-size's maximum. */
const FRAME_MESSAGES_MAX = 100_000;
/** Messages that one kernel call decodes at most; bounds its tables. */
const DECODE_CHUNK = 4096;
/** What one frame has among the wrappers of a turn. */
interface FrameRange {
  readonly first: number;
  readonly end: number;
  malformed: boolean;
}

/** Decodes the frames that fit into the arena. */
export class DecodeTurn {
  readonly #wrappers: Wrapper[] = [];
  readonly #frames: FrameRange[] = [];
  /** By wrapper: what came of it. */
  readonly #messages: (RaftMessage | "refused")[] = [];

  constructor(
    private readonly kernels: Kernels,
    private readonly slabs: ByteSlabs,
  ) {}

  /** Copies a frame in and reads its wrappers; false when it does not fit. */
  add(frame: Uint8Array): boolean {
    const { arena } = this.kernels;
    if (frame.length === 0) {
      this.#frames.push({
        first: this.#wrappers.length,
        end: this.#wrappers.length,
        malformed: false,
      });
      return true;
    }
    const ptr = arena.input.reserve(frame.length, 1);
    if (ptr === 0) return false;
    arena.u8.set(frame, ptr);
    const first = this.#wrappers.length;
    let malformed = false;
    try {
      this.#read(new WireReader(arena.u8, ptr, ptr + frame.length), first);
    } catch (error) {
      if (!(error instanceof MalformedWire)) throw error;
      this.#wrappers.length = first;
      malformed = true;
    }
    this.#frames.push({ first, end: this.#wrappers.length, malformed });
    return true;
  }

  #read(reader: WireReader, first: number): void {
    while (reader.more) {
      const tag = reader.tag();
      if (tag !== 0x0a) {
        reader.skip(tag);
        continue;
      }
      if (this.#wrappers.length - first === FRAME_MESSAGES_MAX) throw new MalformedWire();
      const end = reader.end;
      reader.end = reader.inner();
      this.#wrappers.push(readWrapper(reader));
      reader.end = end;
    }
  }

  run(): DecodedFrame[] {
    for (let from = 0; from < this.#wrappers.length; ) from = this.#chunk(from);
    return this.#frames.map(({ first, end, malformed }) =>
      malformed ? "malformed" : this.#messages.slice(first, end),
    );
  }

  /** Decodes wrappers from `from` on; returns the first that was not. */
  #chunk(from: number): number {
    const { arena } = this.kernels;
    const { scratch, u32 } = arena;
    const start = scratch.next;
    const count = Math.min(this.#wrappers.length - from, DECODE_CHUNK);
    const slices = scratch.reserve(SLICE_BYTES * count, 4);
    const rows = scratch.reserve(MESSAGE_BYTES * count, 4);
    const capacity = Math.floor((scratch.free - 4) / ENTRY_BYTES);
    const entries = scratch.reserve(ENTRY_BYTES * capacity, 4);
    assert(slices !== 0 && rows !== 0 && entries !== 0, "a chunk's tables fit into an arena");
    for (let i = 0; i < count; i++) {
      const { ptr, length } = this.#wrappers[from + i] as Wrapper;
      u32[(slices >>> 2) + 2 * i] = ptr;
      u32[(slices >>> 2) + 2 * i + 1] = Math.max(0, length);
    }
    const code = raftMessageDecode(this.kernels, slices, count, rows, entries, capacity);
    const done = code === CORRUPT || code === OUT_FULL ? 0 : code;
    const decodedCount = code === CORRUPT ? arena.errItem : done;
    const reader = new RowReader(arena, entries, this.slabs);
    for (let i = 0; i < decodedCount; i++) this.#take(reader, from + i, rows + i * MESSAGE_BYTES);
    scratch.trim(start);
    if (code === CORRUPT) return this.#giveUp(from + decodedCount);
    // More entries in one message than rows in an arena: nobody sends that.
    if (code === OUT_FULL) return this.#giveUp(from);
    return from + decodedCount;
  }

  #take(reader: RowReader, index: number, row: number): void {
    const wrapper = this.#wrappers[index] as Wrapper;
    if (wrapper.length < 0) {
      this.#messages[index] = unwrap(wrapper, undefined) ?? "refused";
      return;
    }
    const message = reader.message(row, wrapper.ptr, wrapper.length);
    if (message === "malformed") {
      this.#giveUp(index);
      return;
    }
    const whole = message === undefined ? undefined : unwrap(wrapper, message);
    this.#messages[index] = whole ?? "refused";
  }

  /** Marks the frame of a wrapper as malformed; returns the first wrapper of the next frame. */
  #giveUp(index: number): number {
    const frame = this.#frames.find(({ first, end }) => first <= index && index < end);
    assert(frame !== undefined, "a wrapper belongs to a frame");
    frame.malformed = true;
    return frame.end;
  }
}

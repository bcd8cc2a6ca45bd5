/**
 * Messages to frames, in one turn of the arena: rows, groups by target, encoded messages, frames.
 * Hot path. What surely fits is measured first. Entry point: message_codec.ts.
 */
import { assert } from "../base/index.js";
import {
  ENTRY_BYTES,
  type Kernels,
  MESSAGE_BYTES,
  raftMessageEncode,
  readyGroup,
  SLICE_BYTES,
} from "../kernel/index.js";
import { tikvpb, varintSize } from "../pb/index.js";
import { addNeeds, encodeSnapshot, RowWriter } from "./message_rows.js";
import { raftMessageToWire } from "./message_wire.js";
import { FrameWriter, wrappedSize } from "./message_wrapper.js";
import type { RaftMessage } from "./raft_message.js";

/** Bounds of one frame. A message above `bytesMax` has a frame for itself. */
export interface FrameLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** Messages to one target, in the order in which they were given. */
export interface Frame {
  readonly target: number;
  readonly bytes: Uint8Array;
  readonly messages: readonly RaftMessage[];
}

/** Bytes a message in tables besides its ENTRY rows: row, slice, target, order. */
const TABLE_BYTES = MESSAGE_BYTES + SLICE_BYTES + 8;

/** What one turn of the arena encodes. */
export interface EncodeBatch {
  readonly messages: readonly RaftMessage[];
  readonly targets: readonly number[];
  readonly targetCount: number;
  readonly limits: FrameLimits;
}

/** Returns how many messages from `from` on surely fit into a turn. */
export function fitting(
  kernels: Kernels,
  messages: readonly RaftMessage[],
  from: number,
  targetCount: number,
): number {
  const { input, output, scratch } = kernels.arena;
  const needs = { input: 0, output: 0 };
  let tables = 4 * (targetCount + 1) + 64;
  for (let i = from; i < messages.length; i++) {
    const { message } = messages[i] as RaftMessage;
    tables += TABLE_BYTES;
    if (message !== undefined) {
      // A snapshot's metadata has a few numbers a peer; TiKV's data is small as well.
      const snapshot = message.snapshot === null ? 0 : encodeSnapshot(message.snapshot).length;
      addNeeds(needs, message, snapshot);
      tables += message.entries.length * ENTRY_BYTES;
    }
    const fits = needs.input <= input.free && needs.output <= output.free && tables <= scratch.free;
    if (!fits) return i - from;
  }
  return messages.length - from;
}

/** Encodes messages one by one, by protobufjs: what is larger than the arena. */
export function encodePlain({ messages, targets }: EncodeBatch): Frame[] {
  return messages.map((message, i) => {
    const bytes = tikvpb.BatchRaftMessage.encode({ msgs: [raftMessageToWire(message)] }).finish();
    return { target: targets[i] as number, bytes, messages: [message] };
  });
}

/** Encodes what fits into the arena. */
export class EncodeTurn {
  /** Sizes with wrapper, by message. */
  readonly #sizes: number[] = [];
  readonly #frames: Frame[] = [];

  constructor(
    private readonly kernels: Kernels,
    private readonly batch: EncodeBatch,
  ) {}

  run(): Frame[] {
    const { arena } = this.kernels;
    const { messages, targets, targetCount } = this.batch;
    const count = messages.length;
    const table = (bytes: number): number => {
      const at = arena.scratch.reserve(bytes, 4);
      assert(at !== 0, "the scratch region has room for what was measured");
      return at;
    };
    const offsets = table(4 * (targetCount + 1));
    const targetTable = table(4 * count);
    const order = table(4 * count);
    const slices = table(SLICE_BYTES * count);
    const rows = table(MESSAGE_BYTES * count);
    let entryCount = 0;
    for (let i = 0; i < count; i++) {
      arena.u32[(targetTable >>> 2) + i] = targets[i] as number;
      entryCount += (messages[i] as RaftMessage).message?.entries.length ?? 0;
    }
    const entries = table(ENTRY_BYTES * entryCount);
    this.#place(rows, entries);
    const grouped = readyGroup(this.kernels, targetTable, count, targetCount, offsets, order);
    assert(grouped === count, "every target is below their number");
    const { start, end } = arena.output;
    const done = raftMessageEncode(this.kernels, rows, order, count, entries, slices, start, end);
    assert(done === count, "the output region has room for what was measured");
    for (let target = 0; target < targetCount; target++) {
      this.#cut(target, offsets, order, slices);
    }
    return this.#frames;
  }

  #place(rows: number, entries: number): void {
    const { arena } = this.kernels;
    const writer = new RowWriter(arena, entries);
    const { messages } = this.batch;
    for (let i = 0; i < messages.length; i++) {
      const row = rows + i * MESSAGE_BYTES;
      const { message } = messages[i] as RaftMessage;
      if (message === undefined) {
        writer.nothing(row);
        continue;
      }
      const { snapshot } = message;
      writer.message(row, message, snapshot === null ? undefined : encodeSnapshot(snapshot));
    }
  }

  /** Cuts the messages of a target into frames. */
  #cut(target: number, offsets: number, order: number, slices: number): void {
    const { u32 } = this.kernels.arena;
    const { limits, messages } = this.batch;
    const from = u32[(offsets >>> 2) + target] as number;
    const to = u32[(offsets >>> 2) + target + 1] as number;
    let start = from;
    let bytes = 0;
    for (let i = from; i < to; i++) {
      const message = messages[u32[(order >>> 2) + i] as number] as RaftMessage;
      const inner =
        message.message === undefined ? -1 : (u32[(slices >>> 2) + 2 * i + 1] as number);
      const size = wrappedSize(message, inner);
      const field = 1 + varintSize(size) + size;
      this.#sizes[i] = size;
      const isFull = i - start === limits.messagesMax || bytes + field > limits.bytesMax;
      if (isFull && i > start) {
        this.#write(target, start, i, bytes, order, slices);
        start = i;
        bytes = 0;
      }
      bytes += field;
    }
    if (to > start) this.#write(target, start, to, bytes, order, slices);
  }

  /** Writes the messages at places [from, to) of the order as a frame. */
  #write(
    target: number,
    from: number,
    to: number,
    bytes: number,
    order: number,
    slices: number,
  ): void {
    const { u8, u32 } = this.kernels.arena;
    const writer = new FrameWriter(new Uint8Array(bytes));
    const messages: RaftMessage[] = [];
    for (let i = from; i < to; i++) {
      const message = this.batch.messages[u32[(order >>> 2) + i] as number] as RaftMessage;
      const slice = (slices >>> 2) + 2 * i;
      const inner = message.message === undefined ? -1 : (u32[slice + 1] as number);
      writer.message(message, this.#sizes[i] as number, u8, u32[slice] as number, inner);
      messages.push(message);
    }
    this.#frames.push({ target, bytes: writer.finish(), messages });
  }
}

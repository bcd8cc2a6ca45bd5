/**
 * The second half of a turn: response rows for answers that were computed elsewhere and for the
 * point reads of this turn, then messages, one set for each stream. Hot path.
 */
import { assert, LIMITS } from "../base/index.js";
import {
  BATCH_COMMAND_BYTES,
  BATCH_COMMAND_CONTEXT,
  BATCH_KIND_BYTES,
  BATCH_KIND_NONE,
  BATCH_OUT_BYTES,
  BATCH_PARAM_COLD_COUNT,
  BATCH_PARAM_ENCODED,
  BATCH_PARAM_GET_COUNT,
  BATCH_PARAM_GET_DONE,
  BATCH_PARAM_GET_FROM,
  BATCH_PARAM_MESSAGE_BYTES,
  BATCH_PARAM_MESSAGE_MAX,
  BATCH_PARAM_ORDER,
  BATCH_PARAM_OUT,
  BATCH_PARAM_OUT_END,
  BATCH_PARAM_OUT_FRAME_CAPACITY,
  BATCH_PARAM_OUT_FRAMES,
  BATCH_PARAM_RESPONSE_CAPACITY,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_STREAM_COUNT,
  BATCH_PARAM_TAIL,
  BATCH_PARAM_TAIL_LENGTH,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_RESPONSE_BYTES,
  BATCH_RESPONSE_CMD,
  BATCH_RESPONSE_ID_HIGH,
  BATCH_RESPONSE_ID_LOW,
  BATCH_RESPONSE_KIND,
  BATCH_RESPONSE_LENGTH,
  BATCH_RESPONSE_PTR,
  BATCH_RESPONSE_STREAM,
  batchCommandsCollect,
  batchCommandsEncode,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../kernel/index.js";
import { ACK_STRIDE, type AckBatch } from "./batch_acks.js";
import { type AnswerBlock, BLOCK_STRIDE } from "./batch_blocks.js";
import type { ContextJudge } from "./batch_contexts.js";
import type { TurnDeps } from "./batch_deps.js";
import { encodeAlone } from "./batch_large.js";
import type { TurnLayout, TurnSizes } from "./batch_layout.js";
import type { BatchStream, Completion } from "./batch_stream.js";

/** A message ends with the response that brings it to this size. */
const MESSAGE_BYTES = 1024 * 1024;
/** A larger answer is not copied into the arena but becomes a message of its own. */
const COMPLETION_INLINE_MAX = 256 * 1024;

export class BatchAnswers {
  readonly #deps: TurnDeps;
  readonly #sizes: TurnSizes;
  readonly #judge: ContextJudge;
  #layout: TurnLayout | undefined;
  #streams: readonly BatchStream[] = [];

  constructor(deps: TurnDeps, sizes: TurnSizes, judge: ContextJudge) {
    this.#deps = deps;
    this.#judge = judge;
    this.#sizes = sizes;
  }

  /**
   * Answers completions, `acks`, `blocks` and the planned gets; leaves what does not fit in its
   * queue.
   */
  answer(
    layout: TurnLayout,
    streams: readonly BatchStream[],
    acks: AckBatch[],
    blocks: AnswerBlock[],
  ): void {
    this.#layout = layout;
    this.#streams = streams;
    this.#fillParams(layout);
    this.#addAcks(acks);
    this.#addBlocks(blocks);
    for (let i = 0; i < streams.length; i++) this.#addCompletions(streams[i] as BatchStream);
    this.#serveGets();
    this.#drain();
    this.#layout = undefined;
    this.#streams = [];
  }

  #get(offset: number): number {
    const { params } = this.#layout as TurnLayout;
    return this.#deps.kernels.arena.u32[(params + offset) >>> 2] as number;
  }

  #set(offset: number, value: number): void {
    const { params } = this.#layout as TurnLayout;
    this.#deps.kernels.arena.u32[(params + offset) >>> 2] = value;
  }

  #fillParams(layout: TurnLayout): void {
    const { arena } = this.#deps.kernels;
    this.#set(BATCH_PARAM_VALUE_TABLE, layout.valueTable);
    this.#set(BATCH_PARAM_RESPONSES, layout.responses);
    this.#set(BATCH_PARAM_RESPONSE_CAPACITY, this.#sizes.commands);
    this.#set(BATCH_PARAM_STREAM_COUNT, this.#streams.length);
    this.#set(BATCH_PARAM_ORDER, layout.order);
    this.#set(BATCH_PARAM_OUT_FRAMES, layout.outFrames);
    this.#set(BATCH_PARAM_OUT_FRAME_CAPACITY, this.#sizes.frames);
    this.#set(BATCH_PARAM_MESSAGE_MAX, LIMITS.batchCommandsResponsesMax);
    this.#set(BATCH_PARAM_MESSAGE_BYTES, MESSAGE_BYTES);
    const { cold, health } = this.#deps;
    const tail = health.feedbackTail(cold.feedbackWanted);
    cold.feedbackWanted = false;
    if (tail !== undefined) {
      const at = arena.input.reserve(tail.length);
      assert(at !== 0, "the input has room for a health feedback");
      arena.u8.set(tail, at);
      this.#set(BATCH_PARAM_TAIL, at);
      this.#set(BATCH_PARAM_TAIL_LENGTH, tail.length);
    }
    this.#set(BATCH_PARAM_OUT, arena.output.next);
    this.#set(BATCH_PARAM_OUT_END, arena.output.end);
  }

  /** Appends a response row; the table must have room. */
  #addRow(
    stream: number,
    idLow: number,
    idHigh: number,
    cmd: number,
    kind: number,
    ptr: number,
    length: number,
  ): void {
    const { u32 } = this.#deps.kernels.arena;
    const count = this.#get(BATCH_PARAM_RESPONSE_COUNT);
    const { responses } = this.#layout as TurnLayout;
    const at = (responses + count * BATCH_RESPONSE_BYTES) >>> 2;
    u32[at + (BATCH_RESPONSE_STREAM >>> 2)] = stream;
    u32[at + (BATCH_RESPONSE_ID_LOW >>> 2)] = idLow;
    u32[at + (BATCH_RESPONSE_ID_HIGH >>> 2)] = idHigh;
    u32[at + (BATCH_RESPONSE_CMD >>> 2)] = cmd;
    u32[at + (BATCH_RESPONSE_KIND >>> 2)] = kind;
    u32[at + (BATCH_RESPONSE_PTR >>> 2)] = ptr;
    u32[at + (BATCH_RESPONSE_LENGTH >>> 2)] = length;
    this.#set(BATCH_PARAM_RESPONSE_COUNT, count + 1);
  }

  #isFull(): boolean {
    return this.#get(BATCH_PARAM_RESPONSE_COUNT) === this.#sizes.commands;
  }

  /** Returns the address of a copy of `bytes`, or 0 when there is no room. */
  #copyIn(bytes: Uint8Array): number {
    const { arena } = this.#deps.kernels;
    const at = arena.input.reserve(bytes.length);
    if (at !== 0) arena.u8.set(bytes, at);
    return at;
  }

  /** Adds rows for synced writes and removes the batches that are answered completely. */
  #addAcks(acks: AckBatch[]): void {
    let finished = 0;
    for (const ack of acks) {
      const ptr = this.#copyIn(ack.body);
      if (ptr === 0) break;
      const count = ack.rows.length / ACK_STRIDE;
      while (ack.done < count && !this.#isFull()) this.#addAck(ack, ptr);
      if (ack.done < count) break;
      finished++;
    }
    acks.splice(0, finished);
  }

  #addAck(ack: AckBatch, ptr: number): void {
    const { rows, body, streams } = ack;
    const at = ack.done * ACK_STRIDE;
    ack.done++;
    const stream = streams[rows[at] as number] as BatchStream;
    if (stream.isClosed) {
      this.#deps.counters.inflight--;
      stream.drop(1);
      return;
    }
    const low = rows[at + 1] as number;
    const high = rows[at + 2] as number;
    const cmd = rows[at + 3] as number;
    this.#addRow(stream.turnIndex, low, high, cmd, BATCH_KIND_BYTES, ptr, body.length);
  }

  /** Adds rows for answers in blocks and removes the blocks that are done. */
  #addBlocks(blocks: AnswerBlock[]): void {
    let finished = 0;
    for (const block of blocks) {
      const ptr = this.#copyIn(block.bytes.subarray(0, block.end));
      if (ptr === 0) break;
      const count = block.rows.length / BLOCK_STRIDE;
      while (block.done < count && !this.#isFull()) this.#addBlockAnswer(block, ptr);
      if (block.done < count) break;
      finished++;
    }
    blocks.splice(0, finished);
  }

  #addBlockAnswer(block: AnswerBlock, ptr: number): void {
    const { rows, streams, cmd } = block;
    const at = block.done * BLOCK_STRIDE;
    block.done++;
    const stream = streams[rows[at] as number] as BatchStream;
    stream.blockAnswers--;
    if (stream.isClosed) {
      this.#deps.counters.inflight--;
      stream.drop(1);
      return;
    }
    const low = rows[at + 1] as number;
    const high = rows[at + 2] as number;
    const body = ptr + (rows[at + 3] as number);
    const length = rows[at + 4] as number;
    this.#addRow(stream.turnIndex, low, high, cmd, BATCH_KIND_BYTES, body, length);
  }

  #addCompletions(stream: BatchStream): void {
    const { completions } = stream;
    if (completions.length === 0) return;
    let taken = 0;
    for (; taken < completions.length && !this.#isFull(); taken++) {
      const completion = completions[taken] as Completion;
      if (!this.#addCompletion(stream, completion)) break;
    }
    stream.completions = taken === completions.length ? [] : completions.slice(taken);
  }

  #addCompletion(stream: BatchStream, completion: Completion): boolean {
    const { idLow, idHigh, cmd, body } = completion;
    const { counters } = this.#deps;
    if (stream.isClosed) {
      counters.inflight--;
      stream.drop(1);
    } else if (body === undefined) {
      this.#addRow(stream.turnIndex, idLow, idHigh, cmd, BATCH_KIND_NONE, 0, 0);
    } else if (body.length > COMPLETION_INLINE_MAX) {
      this.#send(stream, encodeAlone(completion, body), 1);
    } else {
      const ptr = this.#copyIn(body);
      if (ptr === 0) return false;
      this.#addRow(stream.turnIndex, idLow, idHigh, cmd, BATCH_KIND_BYTES, ptr, body.length);
    }
    return true;
  }

  /** Reads the planned keys, as many at a time as the value area holds. */
  #serveGets(): void {
    const { kernels, counters, logger } = this.#deps;
    const { params } = this.#layout as TurnLayout;
    const count = this.#get(BATCH_PARAM_GET_COUNT);
    counters.gets += count;
    for (let from = 0; from < count; ) {
      let done = 0;
      try {
        done = this.#read(from, count - from);
      } catch (error) {
        // The cold path finds the damaged key and reports it; the others are still answered.
        logger.error("read of a batch failed", { gets: count - from }, error);
        while (from < count) from = this.#passOn(from, count);
        return;
      }
      const before = this.#get(BATCH_PARAM_RESPONSE_COUNT);
      this.#set(BATCH_PARAM_GET_FROM, from);
      this.#set(BATCH_PARAM_GET_DONE, from + done);
      const next = batchCommandsCollect(kernels, params);
      // Not even one command fits into an empty table: it is too large for the hot path.
      const stuck = next === from && before === 0;
      from = stuck ? this.#passOn(from, count) : next;
      this.#drain();
    }
  }

  /** Reads `count` keys from get `from` on; returns how many values fit. */
  #read(from: number, count: number): number {
    const { kernels, storage } = this.#deps;
    const layout = this.#layout as TurnLayout;
    const { done, outUsedEnd } = storage.batch.multiGetArena({
      memory: kernels.arena.u8,
      count,
      keyTable: layout.keyTable + from * SLICE_BYTES,
      valueTable: layout.valueTable + from * SLICE_BYTES,
      out: layout.values,
      outEnd: layout.valuesEnd,
      scratch: layout.engineScratch,
      scratchEnd: layout.engineScratchEnd,
    });
    this.#countReads(layout, from, done, outUsedEnd - layout.values);
    return done;
  }

  /** Counts `done` gets from `from` on, with `bytes` of values, as flow of their regions. */
  #countReads(layout: TurnLayout, from: number, done: number, bytes: number): void {
    const { regions, slots } = this.#judge;
    if (regions.length === 1) {
      regions[0]?.peer.onRead(done, bytes);
      return;
    }
    const { u32 } = this.#deps.kernels.arena;
    const owners = layout.getCommands >>> 2;
    const lengths = (layout.valueTable + 4) >>> 2;
    for (let i = from; i < from + done; i++) {
      const command = layout.commands + (u32[owners + i] as number) * BATCH_COMMAND_BYTES;
      const context = u32[(command + BATCH_COMMAND_CONTEXT) >>> 2] as number;
      const length = u32[lengths + i * (SLICE_BYTES >>> 2)] as number;
      const region = regions[slots[context] as number];
      region?.peer.onRead(1, length === SLICE_ABSENT ? 0 : length);
    }
  }

  /** Makes the command of get `from` cold; returns the first get of the next command. */
  #passOn(from: number, count: number): number {
    const { u32 } = this.#deps.kernels.arena;
    const { getCommands, coldCommands } = this.#layout as TurnLayout;
    const owners = getCommands >>> 2;
    const command = u32[owners + from] as number;
    const cold = this.#get(BATCH_PARAM_COLD_COUNT);
    u32[(coldCommands >>> 2) + cold] = command;
    this.#set(BATCH_PARAM_COLD_COUNT, cold + 1);
    let next = from + 1;
    while (next < count && u32[owners + next] === command) next++;
    return next;
  }

  /** Encodes and sends all response rows. */
  #drain(): void {
    const { kernels } = this.#deps;
    const { params } = this.#layout as TurnLayout;
    const count = this.#get(BATCH_PARAM_RESPONSE_COUNT);
    if (count === 0) return;
    this.#set(BATCH_PARAM_ENCODED, 0);
    while (this.#get(BATCH_PARAM_ENCODED) < count) {
      const messages = batchCommandsEncode(kernels, params);
      assert(messages > 0, "the output is larger than any message");
      this.#sendAll(messages);
    }
    this.#set(BATCH_PARAM_RESPONSE_COUNT, 0);
  }

  #sendAll(messages: number): void {
    const { u8, u32 } = this.#deps.kernels.arena;
    const { outFrames } = this.#layout as TurnLayout;
    for (let i = 0; i < messages; i++) {
      const at = (outFrames + i * BATCH_OUT_BYTES) >>> 2;
      const stream = this.#streams[u32[at] as number] as BatchStream;
      const ptr = u32[at + 1] as number;
      const view = Buffer.from(u8.buffer, ptr, u32[at + 2] as number);
      this.#send(stream, view, u32[at + 3] as number);
    }
  }

  #send(stream: BatchStream, message: Buffer, responses: number): void {
    const { counters } = this.#deps;
    counters.inflight -= responses;
    counters.responses += responses;
    counters.messages++;
    stream.send(message, responses);
  }
}

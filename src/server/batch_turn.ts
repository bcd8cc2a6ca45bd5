/**
 * One turn of BatchCommands: the frames of all streams that arrived since the last one go through
 * one decode, one plan, one write batch a region, one multi-get and one encode. Hot path.
 *
 * Order inside a turn. Requests of one turn are concurrent: none of them was answered when the
 * last one arrived, so any order is legal for their clients. Ours: plain writes are submitted in
 * order of arrival, region by region, then cold requests in order of arrival, then point reads,
 * which therefore may or may not see the writes of their own turn; commits, prewrites, KvBatchGets
 * and KvGets follow when the turn has given the arena back. A read that arrives after a write was answered sees it,
 * because the answer follows the apply and this read's turn. The lease is checked after the requests
 * came, and the state that is read later is that of the check or newer.
 */
import { assert } from "../base/index.js";
import {
  BATCH_COMMAND_BODY_LENGTH,
  BATCH_COMMAND_BODY_PTR,
  BATCH_COMMAND_BYTES,
  BATCH_COMMAND_CMD,
  BATCH_COMMAND_ID_HIGH,
  BATCH_COMMAND_ID_LOW,
  BATCH_COMMAND_STREAM,
  BATCH_FRAME_BYTES,
  BATCH_FRAME_COUNT,
  BATCH_FRAME_LENGTH,
  BATCH_FRAME_PTR,
  BATCH_FRAME_STATUS,
  BATCH_FRAME_STREAM,
  BATCH_PARAM_COLD_COMMANDS,
  BATCH_PARAM_COLD_COUNT,
  BATCH_PARAM_COMMAND_CAPACITY,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_CONTEXT_CAPACITY,
  BATCH_PARAM_CONTEXT_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_ENTRY_MAX,
  BATCH_PARAM_FRAME_COUNT,
  BATCH_PARAM_FRAMES,
  BATCH_PARAM_GET_CAPACITY,
  BATCH_PARAM_GET_COMMANDS,
  BATCH_PARAM_KEY_MAX,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_KEYS,
  BATCH_PARAM_KEYS_END,
  BATCH_PARAM_NOW_HIGH,
  BATCH_PARAM_NOW_LOW,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_REQUESTS_MAX,
  BATCH_PARAM_SUB_CAPACITY,
  BATCH_PARAM_SUBS,
  BATCH_PARAM_TTL,
  BATCH_PARAM_WRITE_CAPACITY,
  BATCH_PARAM_WRITE_COMMANDS,
  BATCH_PARAM_WRITES,
  BATCH_STATUS_OK,
  batchCommandsDecode,
  batchCommandsPlan,
} from "../kernel/index.js";
import { API_VERSION } from "../storage/index.js";
import type { AckBatch } from "./batch_acks.js";
import { BatchAnswers } from "./batch_answers.js";
import type { AnswerBlock } from "./batch_blocks.js";
import { CMD_KV_BATCH_GET, CMD_KV_GET, CMDS_TOGETHER, type ColdRequest } from "./batch_cold.js";
import { ContextJudge } from "./batch_contexts.js";
import type { TurnDeps } from "./batch_deps.js";
import { frameStatus } from "./batch_frame_status.js";
import { KvGets } from "./batch_kv_gets.js";
import { layOut, type TurnLayout, type TurnSizes, turnSizes } from "./batch_layout.js";
import { splitFrame } from "./batch_oversize.js";
import type { BatchStream } from "./batch_stream.js";
import { BatchWrites } from "./batch_writes.js";

const TWO_32 = 0x1_0000_0000;

export class TurnRunner {
  readonly #deps: TurnDeps;
  readonly #sizes: TurnSizes;
  readonly #judge: ContextJudge;
  readonly #writes: BatchWrites;
  readonly #answers: BatchAnswers;
  /** The streams of the turn that runs; their index is the stream of the tables. */
  #streams: readonly BatchStream[] = [];
  /** Plain KvGets of the turn that runs; other gets, and KvBatchGets. */
  readonly #gets: KvGets;
  #otherGets: ColdRequest[] = [];
  #batchGets: ColdRequest[] = [];
  /** Answers to earlier KvGets. */
  readonly #blocks: AnswerBlock[] = [];
  /** Those of CMDS_TOGETHER that the turn brought, by place there. */
  #together: ColdRequest[][] = CMDS_TOGETHER.map(() => []);

  constructor(deps: TurnDeps) {
    this.#deps = deps;
    this.#sizes = turnSizes(deps.kernels.arena);
    this.#judge = new ContextJudge(deps.kernels.arena, deps.storage, this.#sizes.contexts);
    this.#writes = new BatchWrites(deps, this.#sizes, this.#judge);
    this.#answers = new BatchAnswers(deps, this.#sizes, this.#judge);
    this.#gets = new KvGets(deps.cold);
  }

  /**
   * Serves what `streams` and `acks` have, as much as fits into the arena. What is left stays in
   * the streams' queues and in `acks`: the caller runs another turn.
   */
  run(streams: readonly BatchStream[], acks: AckBatch[]): void {
    const { arena } = this.#deps.kernels;
    this.#streams = streams;
    for (let i = 0; i < streams.length; i++) (streams[i] as BatchStream).turnIndex = i;
    arena.enter();
    try {
      const layout = layOut(arena, this.#sizes);
      this.#fillParams(layout);
      this.#deps.counters.turns++;
      if (this.#takeFrames(layout)) {
        this.#judge.judge(layout, this.#param(layout, BATCH_PARAM_CONTEXT_COUNT));
        batchCommandsPlan(this.#deps.kernels, layout.params);
        this.#writes.submit(layout, streams);
        this.#dispatchCold(layout, 0);
      }
      const coldBefore = this.#param(layout, BATCH_PARAM_COLD_COUNT);
      this.#answers.answer(layout, streams, acks, this.#blocks);
      this.#dispatchCold(layout, coldBefore);
    } finally {
      arena.leave();
      this.#streams = [];
    }
    this.#serveTogether();
    this.#serveGets(streams);
  }

  /** Serves the gets of the turn, which has ended: they need the arena. */
  #serveGets(streams: readonly BatchStream[]): void {
    const { cold } = this.#deps;
    const batchGets = this.#batchGets;
    const otherGets = this.#otherGets;
    this.#batchGets = [];
    this.#otherGets = [];
    for (const { stream, idLow, idHigh, body } of batchGets) {
      cold.dispatch(stream, idLow, idHigh, CMD_KV_BATCH_GET, body);
    }
    this.#gets.serve(streams, this.#blocks, otherGets);
    for (const { stream, idLow, idHigh, body } of otherGets) {
      cold.dispatch(stream, idLow, idHigh, CMD_KV_GET, body);
    }
  }

  /** Serves what was put aside: the turn has given the arena back. */
  #serveTogether(): void {
    const { cold } = this.#deps;
    for (let i = 0; i < CMDS_TOGETHER.length; i++) {
      const requests = this.#together[i] as ColdRequest[];
      if (requests.length === 0) continue;
      this.#together[i] = [];
      cold.dispatchTogether(CMDS_TOGETHER[i] as number, requests);
    }
  }

  #param(layout: TurnLayout, offset: number): number {
    return this.#deps.kernels.arena.u32[(layout.params + offset) >>> 2] as number;
  }

  #fillParams(layout: TurnLayout): void {
    const { kernels, storage, requestsMax } = this.#deps;
    const { batch } = storage;
    const { u8, u32, scratch } = kernels.arena;
    const sizes = this.#sizes;
    const at = layout.params >>> 2;
    const set = (offset: number, value: number): void => {
      u32[at + (offset >>> 2)] = value;
    };
    u32.fill(0, at, at + 64);
    set(BATCH_PARAM_FRAMES, layout.frames);
    set(BATCH_PARAM_CONTEXTS, layout.contexts);
    set(BATCH_PARAM_CONTEXT_CAPACITY, sizes.contexts);
    set(BATCH_PARAM_COMMANDS, layout.commands);
    set(BATCH_PARAM_COMMAND_CAPACITY, sizes.commands);
    set(BATCH_PARAM_SUBS, layout.subs);
    set(BATCH_PARAM_SUB_CAPACITY, sizes.subs);
    set(BATCH_PARAM_REQUESTS_MAX, requestsMax);
    set(BATCH_PARAM_KEY_TABLE, layout.keyTable);
    set(BATCH_PARAM_GET_COMMANDS, layout.getCommands);
    set(BATCH_PARAM_GET_CAPACITY, sizes.gets);
    set(BATCH_PARAM_KEYS, layout.keys);
    set(BATCH_PARAM_KEYS_END, layout.keysEnd);
    set(BATCH_PARAM_WRITES, layout.writes);
    set(BATCH_PARAM_WRITE_CAPACITY, sizes.writes);
    set(BATCH_PARAM_WRITE_COMMANDS, layout.writeCommands);
    set(BATCH_PARAM_COLD_COMMANDS, layout.coldCommands);
    const prefix = scratch.reserve(batch.rawKeyPrefix.length);
    assert(prefix !== 0, "the tables leave room for the key prefix");
    u8.set(batch.rawKeyPrefix, prefix);
    set(BATCH_PARAM_PREFIX, prefix);
    set(BATCH_PARAM_PREFIX_LENGTH, batch.rawKeyPrefix.length);
    const now = batch.nowSeconds();
    set(BATCH_PARAM_TTL, batch.apiVersion === API_VERSION.V1TTL ? 1 : 0);
    set(BATCH_PARAM_NOW_LOW, now % TWO_32);
    set(BATCH_PARAM_NOW_HIGH, Math.floor(now / TWO_32));
    set(BATCH_PARAM_KEY_MAX, batch.keySizeMaxBytes);
    set(BATCH_PARAM_ENTRY_MAX, batch.entrySizeMaxBytes);
  }

  /** Copies frames in and decodes them; false when there is no command. */
  #takeFrames(layout: TurnLayout): boolean {
    const { kernels, counters } = this.#deps;
    const placed = this.#placeFrames(layout);
    if (placed.length === 0) return false;
    kernels.arena.u32[(layout.params + BATCH_PARAM_FRAME_COUNT) >>> 2] = placed.length;
    const done = batchCommandsDecode(kernels, layout.params);
    for (let i = 0; i < done; i++) this.#onDecoded(layout, i, placed[i] as BatchStream);
    counters.frames += done;
    if (done === 0) this.#splitOversize(placed[0] as BatchStream);
    return this.#param(layout, BATCH_PARAM_COMMAND_COUNT) > 0;
  }

  /** Copies waiting frames into the arena; returns the stream of each. */
  #placeFrames(layout: TurnLayout): BatchStream[] {
    const { u8, u32, input } = this.#deps.kernels.arena;
    const { frames: framesMax, frameBytes } = this.#sizes;
    const placed: BatchStream[] = [];
    let bytes = 0;
    for (let s = 0; s < this.#streams.length; s++) {
      const stream = this.#streams[s] as BatchStream;
      for (let offset = 0; placed.length < framesMax; offset++) {
        const frame = stream.peek(offset);
        if (frame === undefined) break;
        if (frame.length > frameBytes && offset === 0) {
          this.#splitOversize(stream);
          offset--;
          continue;
        }
        if (bytes + frame.length > frameBytes) return placed;
        const ptr = input.reserve(frame.length);
        if (ptr === 0) return placed;
        u8.set(frame, ptr);
        bytes += frame.length;
        const row = layout.frames + placed.length * BATCH_FRAME_BYTES;
        u32[(row + BATCH_FRAME_PTR) >>> 2] = ptr;
        u32[(row + BATCH_FRAME_LENGTH) >>> 2] = frame.length;
        u32[(row + BATCH_FRAME_STREAM) >>> 2] = s;
        placed.push(stream);
      }
    }
    return placed;
  }

  #onDecoded(layout: TurnLayout, index: number, stream: BatchStream): void {
    const { u32 } = this.#deps.kernels.arena;
    const { counters, requestsMax } = this.#deps;
    const row = layout.frames + index * BATCH_FRAME_BYTES;
    const status = u32[(row + BATCH_FRAME_STATUS) >>> 2] as number;
    const requests = u32[(row + BATCH_FRAME_COUNT) >>> 2] as number;
    counters.requests += requests;
    counters.inflight += requests;
    stream.take(requests);
    if (status === BATCH_STATUS_OK) return;
    counters.refusedFrames++;
    stream.fail(frameStatus(status, requestsMax));
  }

  /** Serves a frame that fits into no turn, request by request. */
  #splitOversize(stream: BatchStream): void {
    const { cold, counters, requestsMax } = this.#deps;
    const frame = stream.peek(0);
    assert(frame !== undefined, "the frame is still there");
    counters.frames++;
    counters.oversizeFrames++;
    const requests = splitFrame(frame, requestsMax);
    if (typeof requests === "number") {
      counters.refusedFrames++;
      stream.take(0);
      stream.fail(frameStatus(requests, requestsMax));
      return;
    }
    counters.requests += requests.length;
    counters.inflight += requests.length;
    counters.cold += requests.length;
    stream.take(requests.length);
    for (const { idLow, idHigh, cmd, body } of requests) {
      cold.dispatch(stream, idLow, idHigh, cmd, body);
    }
  }

  /** Hands the cold commands from `from` on to the cold path, each with a copy of its bytes. */
  #dispatchCold(layout: TurnLayout, from: number): void {
    const { cold, counters, kernels } = this.#deps;
    const { u8, u32 } = kernels.arena;
    const count = this.#param(layout, BATCH_PARAM_COLD_COUNT);
    counters.cold += count - from;
    for (let i = from; i < count; i++) {
      const command = u32[(layout.coldCommands >>> 2) + i] as number;
      const at = (layout.commands + command * BATCH_COMMAND_BYTES) >>> 2;
      const streamIndex = u32[at + (BATCH_COMMAND_STREAM >>> 2)] as number;
      const stream = this.#streams[streamIndex];
      assert(stream !== undefined, "a command belongs to a stream of its turn");
      const body = u32[at + (BATCH_COMMAND_BODY_PTR >>> 2)] as number;
      const length = u32[at + (BATCH_COMMAND_BODY_LENGTH >>> 2)] as number;
      const idLow = u32[at + (BATCH_COMMAND_ID_LOW >>> 2)] as number;
      const idHigh = u32[at + (BATCH_COMMAND_ID_HIGH >>> 2)] as number;
      const cmd = u32[at + (BATCH_COMMAND_CMD >>> 2)] as number;
      const isGet = cmd === CMD_KV_GET;
      if (isGet && this.#gets.take(streamIndex, idLow, idHigh, u8, body, length)) continue;
      const bytes = u8.slice(body, body + length);
      const request: ColdRequest = { stream, idLow, idHigh, body: bytes };
      const aside = this.#together[CMDS_TOGETHER.indexOf(cmd)];
      if (aside !== undefined) aside.push(request);
      else if (isGet) this.#otherGets.push(request);
      else if (cmd === CMD_KV_BATCH_GET) this.#batchGets.push(request);
      else cold.dispatch(stream, idLow, idHigh, cmd, bytes);
    }
  }
}

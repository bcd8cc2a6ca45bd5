/**
 * GetResponses of one group of KvGets, written behind each other while their values still lie in
 * the arena. Hot path. Source: kvrpcpb.GetResponse.
 */
import type { Clock } from "../base/index.js";
import { type PointList, type PointSink, type ReadPair, Statistics } from "../mvcc/index.js";
import { bytesSize, kvrpcpb, varintSize, WireWriter } from "../pb/index.js";
import type { ExecDetails } from "../storage/index.js";
import {
  type AnswerBlock,
  BLOCK_ANSWER_MAX,
  BLOCK_STRIDE,
  newAnswerBlock,
} from "./batch_blocks.js";
import { CMD_KV_GET } from "./batch_cold.js";
import type { BatchStream } from "./batch_stream.js";
import { readDetailsToProto } from "./exec_details.js";

/** Tags of GetResponse: value 3, not_found 4, exec_details_v2 6. */
const TAG_VALUE = 0x1a;
const TAG_NOT_FOUND = 0x20;
const TAG_DETAILS = 0x32;
/** Length of a value that is not there. */
const ABSENT = -1;
const NO_BYTES = new Uint8Array(0);

/** Gets of one context. */
export interface GetGroup {
  readonly context: Uint8Array;
  readonly list: PointList;
  /** Of each item: index of its stream, id low, id high. */
  readonly askers: number[];
}

export const ASKER_STRIDE = 3;

/** Takes what a group finds. Nothing counts before `moveTo`. */
export class GetResponses implements PointSink {
  readonly #streams: readonly BatchStream[];
  readonly #group: GetGroup;
  readonly #details: ExecDetails;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #blocks: AnswerBlock[] = [];
  readonly #large: { readonly item: number; readonly body: Uint8Array }[] = [];
  readonly #answered: Uint8Array;
  /** Since the start until this turn's answers were found. */
  #totalMs = 0;
  #count = 0;
  /** By bytes of key and value: exec_details_v2 as a field. */
  readonly #told = new Map<number, Uint8Array>();
  #lastSize = Number.NaN;
  #lastTold: Uint8Array = NO_BYTES;

  constructor(
    streams: readonly BatchStream[],
    group: GetGroup,
    details: ExecDetails,
    clock: Clock,
  ) {
    this.#streams = streams;
    this.#group = group;
    this.#details = details;
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#answered = new Uint8Array(group.list.length);
  }

  /** Gets that have an answer, and how long it took to find them all. */
  get answered(): number {
    return this.#count;
  }

  get totalMs(): number {
    return this.#totalMs;
  }

  onTurn(): void {
    this.#totalMs = this.#clock.monotonicMs() - this.#startMs;
    this.#told.clear();
    this.#lastSize = Number.NaN;
  }

  value(item: number, { u8 }: { readonly u8: Uint8Array }, at: number, length: number): void {
    this.#answer(item, u8, at, length);
  }

  none(item: number): void {
    this.#answer(item, NO_BYTES, 0, ABSENT);
  }

  /** An error is told by the request's own way. */
  pair(item: number, pair: ReadPair): void {
    if (!("error" in pair)) this.#answer(item, pair.value, 0, pair.value.length);
  }

  isAnswered(item: number): boolean {
    return this.#answered[item] === 1;
  }

  /** Gives the answers to their streams; small ones by way of `blocks`. */
  moveTo(blocks: AnswerBlock[]): void {
    for (const block of this.#blocks) {
      blocks.push(block);
      const { rows } = block;
      for (let at = 0; at < rows.length; at += BLOCK_STRIDE) {
        (this.#streams[rows[at] as number] as BatchStream).blockAnswers++;
      }
    }
    const { askers } = this.#group;
    for (const { item, body } of this.#large) {
      const at = item * ASKER_STRIDE;
      const stream = this.#streams[askers[at] as number] as BatchStream;
      const idLow = askers[at + 1] as number;
      const idHigh = askers[at + 2] as number;
      stream.complete({ idLow, idHigh, cmd: CMD_KV_GET, body });
    }
  }

  #answer(item: number, source: Uint8Array, at: number, length: number): void {
    this.#answered[item] = 1;
    this.#count++;
    const told = this.#toldOf(length < 0 ? ABSENT : this.#group.list.keyLength(item) + length);
    const size = (length < 0 ? 2 : bytesSize(length)) + told.length;
    if (size > BLOCK_ANSWER_MAX) {
      const writer = new WireWriter(new Uint8Array(size));
      writeResponse(writer, source, at, length, told);
      this.#large.push({ item, body: writer.finish() });
      return;
    }
    let block = this.#blocks[this.#blocks.length - 1];
    if (block === undefined || size > block.bytes.length - block.end) {
      block = newAnswerBlock(this.#streams, CMD_KV_GET);
      this.#blocks.push(block);
    }
    const writer = new WireWriter(block.bytes);
    writer.at = block.end;
    writeResponse(writer, source, at, length, told);
    const { askers } = this.#group;
    const asker = item * ASKER_STRIDE;
    block.rows.push(
      askers[asker] as number,
      askers[asker + 1] as number,
      askers[asker + 2] as number,
      block.end,
      size,
    );
    block.end = writer.at;
  }

  /** The details of one get of `size` bytes of key and value. */
  #toldOf(size: number): Uint8Array {
    if (size === this.#lastSize) return this.#lastTold;
    let told = this.#told.get(size);
    if (told === undefined) {
      told = this.#detailsOf(size);
      this.#told.set(size, told);
    }
    this.#lastSize = size;
    this.#lastTold = told;
    return told;
  }

  #detailsOf(size: number): Uint8Array {
    const statistics = new Statistics();
    statistics.write.seek = 1;
    if (size >= 0) {
      statistics.write.processedKeys = 1;
      statistics.processedSize = size;
    }
    const { waitMs } = this.#details;
    const processMs = Math.max(0, this.#totalMs - waitMs);
    const details = { ...this.#details, processMs, statistics };
    const told = kvrpcpb.ExecDetailsV2.encode(readDetailsToProto(details, this.#totalMs)).finish();
    const field = new WireWriter(new Uint8Array(1 + varintSize(told.length) + told.length));
    field.open(TAG_DETAILS, told.length);
    field.copy(told, 0, told.length);
    return field.finish();
  }
}

function writeResponse(
  writer: WireWriter,
  source: Uint8Array,
  at: number,
  length: number,
  told: Uint8Array,
): void {
  if (length < 0) writer.field(TAG_NOT_FOUND, 1);
  else if (length > 0) {
    writer.open(TAG_VALUE, length);
    writer.copy(source, at, length);
  }
  writer.copy(told, 0, told.length);
}

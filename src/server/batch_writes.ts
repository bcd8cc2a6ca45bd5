/**
 * The plain writes of a turn, by region: one write batch a region, in order of arrival, and who is
 * to be answered when it is applied. Hot path; a turn that writes to one region, the usual one,
 * takes the rows as they lie.
 */
import { assert } from "../base/index.js";
import { mergeRepresentations } from "../engine/index.js";
import {
  BATCH_COMMAND_BYTES,
  BATCH_COMMAND_CMD,
  BATCH_COMMAND_CONTEXT,
  BATCH_COMMAND_ID_HIGH,
  BATCH_COMMAND_ID_LOW,
  BATCH_COMMAND_STREAM,
  BATCH_COMMAND_SUB_COUNT,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_WRITE_BYTES,
  BATCH_PARAM_WRITE_COMMAND_COUNT,
  BATCH_PARAM_WRITE_COUNT,
  CMD_RAW_DELETE,
  CMD_RAW_PUT,
  WRITE_ROW_BYTES,
  WRITE_ROW_KEY_LENGTH,
  WRITE_ROW_VALUE_LENGTH,
  writeBatchBuild,
} from "../kernel/index.js";
import type { RegionView } from "../storage/index.js";
import { ACK_STRIDE, ackWhenWritten } from "./batch_acks.js";
import type { ContextJudge } from "./batch_contexts.js";
import type { TurnDeps } from "./batch_deps.js";
import type { TurnLayout, TurnSizes } from "./batch_layout.js";
import type { BatchStream } from "./batch_stream.js";

/** Bytes of a record beside key and value, at most: tag, lengths, prefix, expiry time. */
const RECORD_OVERHEAD_BYTES = 32;
const ROW_WORDS = WRITE_ROW_BYTES >>> 2;

/** Writes of one region that become one raft entry. */
interface Group {
  readonly region: RegionView;
  rows: number;
  commands: number;
  bytes: number;
  /** Where the next row and the next command of the group go. */
  rowEnd: number;
  commandEnd: number;
}

export class BatchWrites {
  readonly #deps: TurnDeps;
  readonly #judge: ContextJudge;
  /** Group of each write command. */
  readonly #groupOf: Uint32Array;
  /** Write commands, group by group. */
  readonly #ordered: Uint32Array;

  constructor(deps: TurnDeps, sizes: TurnSizes, judge: ContextJudge) {
    this.#deps = deps;
    this.#judge = judge;
    this.#groupOf = new Uint32Array(sizes.commands);
    this.#ordered = new Uint32Array(sizes.commands);
  }

  /** Submits the writes that were planned; their answers follow when they are applied. */
  submit(layout: TurnLayout, streams: readonly BatchStream[]): void {
    const count = this.#param(layout, BATCH_PARAM_WRITE_COUNT);
    if (count === 0) return;
    const commands = this.#param(layout, BATCH_PARAM_WRITE_COMMAND_COUNT);
    this.#deps.counters.writes += commands;
    const { regions } = this.#judge;
    const bytes = this.#param(layout, BATCH_PARAM_WRITE_BYTES) + count * RECORD_OVERHEAD_BYTES;
    if (regions.length === 1 && bytes <= this.#deps.storage.batch.entrySizeMaxBytes) {
      const { u32 } = this.#deps.kernels.arena;
      const first = layout.writeCommands >>> 2;
      const list = u32.subarray(first, first + commands);
      this.#write(layout, streams, regions[0] as RegionView, layout.writes, count, list);
      return;
    }
    const groups = this.#group(layout, commands);
    this.#sort(layout, groups, commands);
    for (const { region, rows, commands: members, rowEnd, commandEnd } of groups) {
      const at = layout.engineScratch + (rowEnd - rows) * WRITE_ROW_BYTES;
      const list = this.#ordered.subarray(commandEnd - members, commandEnd);
      this.#write(layout, streams, region, at, rows, list);
    }
  }

  #param(layout: TurnLayout, offset: number): number {
    return this.#deps.kernels.arena.u32[(layout.params + offset) >>> 2] as number;
  }

  /** Address, in words, of the table row of write command `index`. */
  #commandAt(layout: TurnLayout, index: number): number {
    const { u32 } = this.#deps.kernels.arena;
    const command = u32[(layout.writeCommands >>> 2) + index] as number;
    return (layout.commands + command * BATCH_COMMAND_BYTES) >>> 2;
  }

  /** Write rows of the command at `at`. */
  #rowsOf(at: number): number {
    const { u32 } = this.#deps.kernels.arena;
    const cmd = u32[at + (BATCH_COMMAND_CMD >>> 2)];
    if (cmd === CMD_RAW_PUT || cmd === CMD_RAW_DELETE) return 1;
    return u32[at + (BATCH_COMMAND_SUB_COUNT >>> 2)] as number;
  }

  /** Assigns each command to a group of its region that a raft entry can hold. */
  #group(layout: TurnLayout, commands: number): Group[] {
    const { u32 } = this.#deps.kernels.arena;
    const { regions, slots } = this.#judge;
    const limit = this.#deps.storage.batch.entrySizeMaxBytes;
    const groups: Group[] = [];
    const open: number[] = [];
    let row = layout.writes;
    for (let i = 0; i < commands; i++) {
      const at = this.#commandAt(layout, i);
      const slot = slots[u32[at + (BATCH_COMMAND_CONTEXT >>> 2)] as number] as number;
      const rows = this.#rowsOf(at);
      const bytes = this.#bytesOf(row, rows);
      row += rows * WRITE_ROW_BYTES;
      let group = groups[open[slot] ?? -1];
      if (group === undefined || group.bytes + bytes > limit) {
        const region = regions[slot] as RegionView;
        group = { region, rows: 0, commands: 0, bytes: 0, rowEnd: 0, commandEnd: 0 };
        open[slot] = groups.length;
        groups.push(group);
      }
      group.rows += rows;
      group.commands++;
      group.bytes += bytes;
      this.#groupOf[i] = open[slot] as number;
    }
    return groups;
  }

  /** Most bytes that `rows` rows from address `row` on take in a write batch. */
  #bytesOf(row: number, rows: number): number {
    const { u32 } = this.#deps.kernels.arena;
    let bytes = rows * RECORD_OVERHEAD_BYTES;
    for (let i = 0, at = row >>> 2; i < rows; i++, at += ROW_WORDS) {
      bytes += u32[at + (WRITE_ROW_KEY_LENGTH >>> 2)] as number;
      bytes += u32[at + (WRITE_ROW_VALUE_LENGTH >>> 2)] as number;
    }
    return bytes;
  }

  /**
   * Copies rows and commands group by group, in order, into the engine's scratch, which is unused
   * until the multi-get, and into `#ordered`.
   */
  #sort(layout: TurnLayout, groups: readonly Group[], commands: number): void {
    const { u32 } = this.#deps.kernels.arena;
    let rowEnd = 0;
    let commandEnd = 0;
    for (const group of groups) {
      group.rowEnd = rowEnd;
      group.commandEnd = commandEnd;
      rowEnd += group.rows;
      commandEnd += group.commands;
    }
    const to = layout.engineScratch >>> 2;
    assert(
      layout.engineScratch + rowEnd * WRITE_ROW_BYTES <= layout.engineScratchEnd,
      "the engine's scratch holds the rows of a turn",
    );
    let from = layout.writes >>> 2;
    for (let i = 0; i < commands; i++) {
      const rows = this.#rowsOf(this.#commandAt(layout, i));
      const group = groups[this.#groupOf[i] as number] as Group;
      const end = from + rows * ROW_WORDS;
      u32.copyWithin(to + group.rowEnd * ROW_WORDS, from, end);
      from = end;
      group.rowEnd += rows;
      this.#ordered[group.commandEnd++] = u32[(layout.writeCommands >>> 2) + i] as number;
    }
  }

  /** Builds the batch of `count` rows at `rows` and submits it for the commands in `list`. */
  #write(
    layout: TurnLayout,
    streams: readonly BatchStream[],
    region: RegionView,
    rows: number,
    count: number,
    list: Uint32Array,
  ): void {
    const { storage, logger, onAcks } = this.#deps;
    const written = storage.batch.writeBytes(region, this.#build(layout, rows, count));
    const acks = this.#ackRows(layout, list);
    void ackWhenWritten(written, streams, acks, logger).then(onAcks);
  }

  /** Returns a view of the output, or, should that be too small, a merged copy. */
  #build(layout: TurnLayout, rows: number, count: number): Uint8Array {
    const { kernels } = this.#deps;
    const { arena } = kernels;
    const prefix = {
      ptr: this.#param(layout, BATCH_PARAM_PREFIX),
      length: this.#param(layout, BATCH_PARAM_PREFIX_LENGTH),
    };
    const out = arena.output.next;
    const parts: Uint8Array[] = [];
    for (let from = 0; from < count; ) {
      const at = rows + from * WRITE_ROW_BYTES;
      const done = writeBatchBuild(kernels, at, count - from, prefix, out, arena.output.end);
      assert(done > 0, "the output is larger than any entry");
      const part = arena.u8.subarray(out, arena.outEnd);
      if (done === count) return part;
      parts.push(part.slice());
      from += done;
    }
    return mergeRepresentations(parts);
  }

  /** Who is to be answered; see batch_acks.ts. */
  #ackRows(layout: TurnLayout, list: Uint32Array): Uint32Array {
    const { u32 } = this.#deps.kernels.arena;
    const rows = new Uint32Array(list.length * ACK_STRIDE);
    for (let i = 0; i < list.length; i++) {
      const at = (layout.commands + (list[i] as number) * BATCH_COMMAND_BYTES) >>> 2;
      const to = i * ACK_STRIDE;
      rows[to] = u32[at + (BATCH_COMMAND_STREAM >>> 2)] as number;
      rows[to + 1] = u32[at + (BATCH_COMMAND_ID_LOW >>> 2)] as number;
      rows[to + 2] = u32[at + (BATCH_COMMAND_ID_HIGH >>> 2)] as number;
      rows[to + 3] = u32[at + (BATCH_COMMAND_CMD >>> 2)] as number;
    }
    return rows;
  }
}

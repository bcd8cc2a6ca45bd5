/**
 * The tables of a BatchCommands turn for tests of its kernels: filled params, frames in, rows out as
 * plain values. The layout is the server's own.
 */
import * as assert from "uvu/assert";
import { toHex, u64FromParts } from "../../src/base/index.js";
import {
  type Arena,
  BATCH_COMMAND_BYTES,
  BATCH_CONTEXT_BYTES,
  BATCH_FRAME_BYTES,
  BATCH_NO_CONTEXT,
  BATCH_OUT_BYTES,
  BATCH_PARAM_COMMAND_CAPACITY,
  BATCH_PARAM_COMMAND_COUNT,
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_CONTEXT_CAPACITY,
  BATCH_PARAM_CONTEXT_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_FRAME_COUNT,
  BATCH_PARAM_FRAMES,
  BATCH_PARAM_REQUESTS_MAX,
  BATCH_PARAM_SUB_CAPACITY,
  BATCH_PARAM_SUB_COUNT,
  BATCH_PARAM_SUBS,
  BATCH_SUB_BYTES,
} from "../../src/kernel/index.js";
import {
  layOut,
  type TurnLayout,
  type TurnSizes,
  turnSizes,
} from "../../src/server/batch_layout.js";

const CONTEXT_NAMES = ["region", "confVer", "version", "peer", "store", "term", "cluster"] as const;

/** One decoded command with its bytes, comparable with what protobufjs decodes. */
export interface DecodedCommand {
  readonly stream: number;
  readonly id: bigint;
  readonly cmd: number;
  readonly body: string;
  readonly context: Readonly<Record<string, bigint | number>> | undefined;
  readonly flags: number;
  readonly key: string;
  readonly value: string;
  readonly ttl: bigint;
  readonly subs: readonly (readonly [string, string])[];
}

/** A turn's tables in an arena whose regions are reset. */
export class BatchTables {
  readonly layout: TurnLayout;
  readonly sizes: TurnSizes;

  constructor(
    readonly arena: Arena,
    sizes: Partial<TurnSizes> = {},
  ) {
    this.sizes = { ...turnSizes(arena), ...sizes };
    this.layout = layOut(arena, turnSizes(arena));
    arena.u8.fill(0, this.layout.params, this.layout.params + 256);
    this.set(BATCH_PARAM_FRAMES, this.layout.frames);
    this.set(BATCH_PARAM_CONTEXTS, this.layout.contexts);
    this.set(BATCH_PARAM_CONTEXT_CAPACITY, this.sizes.contexts);
    this.set(BATCH_PARAM_COMMANDS, this.layout.commands);
    this.set(BATCH_PARAM_COMMAND_CAPACITY, this.sizes.commands);
    this.set(BATCH_PARAM_SUBS, this.layout.subs);
    this.set(BATCH_PARAM_SUB_CAPACITY, this.sizes.subs);
    this.set(BATCH_PARAM_REQUESTS_MAX, 4096);
  }

  set(param: number, value: number): void {
    this.arena.u32[(this.layout.params + param) >>> 2] = value;
  }

  get(param: number): number {
    return this.word(this.layout.params + param);
  }

  word(at: number): number {
    return this.arena.u32[at >>> 2] as number;
  }

  u64(at: number): bigint {
    return u64FromParts(this.word(at), this.word(at + 4));
  }

  /** Bytes of a (pointer, length) pair at `at`, as hex; must lie inside the input region. */
  hex(at: number): string {
    const ptr = this.word(at);
    const length = this.word(at + 4);
    if (length === 0) return "";
    const { input, u8 } = this.arena;
    assert.ok(ptr >= input.start && ptr + length <= input.next, "a slice lies inside the frames");
    return toHex(u8.subarray(ptr, ptr + length));
  }

  /** Copies frames in at an offset; frame i belongs to stream `streams[i]`. */
  addFrames(frames: readonly Uint8Array[], offset: number, streams?: readonly number[]): void {
    frames.forEach((frame, i) => {
      const ptr = this.arena.input.reserve(frame.length + offset, 1) + offset;
      assert.ok(ptr !== offset, "the test's frames fit into the input region");
      this.arena.u8.set(frame, ptr);
      const row = (this.layout.frames + i * BATCH_FRAME_BYTES) >>> 2;
      this.arena.u32[row] = ptr;
      this.arena.u32[row + 1] = frame.length;
      this.arena.u32[row + 2] = streams?.[i] ?? i;
    });
    this.set(BATCH_PARAM_FRAME_COUNT, frames.length);
  }

  /** Status, first command and commands of each frame. */
  frameResults(count: number): { status: number; first: number; count: number }[] {
    return Array.from({ length: count }, (_, i) => {
      const row = this.layout.frames + i * BATCH_FRAME_BYTES;
      return {
        status: this.word(row + 12),
        first: this.word(row + 16),
        count: this.word(row + 20),
      };
    });
  }

  counts(): { contexts: number; commands: number; subs: number } {
    return {
      contexts: this.get(BATCH_PARAM_CONTEXT_COUNT),
      commands: this.get(BATCH_PARAM_COMMAND_COUNT),
      subs: this.get(BATCH_PARAM_SUB_COUNT),
    };
  }

  context(index: number): Record<string, bigint | number> {
    const row = this.layout.contexts + index * BATCH_CONTEXT_BYTES;
    const out: Record<string, bigint | number> = {};
    CONTEXT_NAMES.forEach((name, i) => {
      out[name] = this.u64(row + 8 + 8 * i);
    });
    return {
      ...out,
      apiVersion: this.word(row + 64),
      keyspaceId: this.word(row + 68),
      flags: this.word(row + 72),
    };
  }

  command(index: number): DecodedCommand {
    const row = this.layout.commands + index * BATCH_COMMAND_BYTES;
    const context = this.word(row + 24);
    const first = this.word(row + 56);
    return {
      stream: this.word(row),
      id: this.u64(row + 4),
      cmd: this.word(row + 12),
      body: this.hex(row + 16),
      context: context === BATCH_NO_CONTEXT ? undefined : this.context(context),
      flags: this.word(row + 28),
      key: this.hex(row + 32),
      value: this.hex(row + 40),
      ttl: this.u64(row + 48),
      subs: Array.from({ length: this.word(row + 60) }, (_, i) => {
        const sub = this.layout.subs + (first + i) * BATCH_SUB_BYTES;
        return [this.hex(sub), this.hex(sub + 8)] as const;
      }),
    };
  }

  commands(): DecodedCommand[] {
    return Array.from({ length: this.counts().commands }, (_, i) => this.command(i));
  }

  /** The messages of OUT FRAMES. */
  messages(count: number): { stream: number; bytes: Uint8Array; responses: number }[] {
    return Array.from({ length: count }, (_, i) => {
      const row = this.layout.outFrames + i * BATCH_OUT_BYTES;
      const ptr = this.word(row + 4);
      const bytes = this.arena.u8.slice(ptr, ptr + this.word(row + 8));
      return { stream: this.word(row), bytes, responses: this.word(row + 12) };
    });
  }
}

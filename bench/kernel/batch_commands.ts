/**
 * batch_commands: a turn of RawGet commands, from request frames to response messages, without the
 * engine: decode, plan, collect, encode. Keys of 16 bytes, values of 100. `items`: protobufjs.
 */
import {
  BATCH_CONTEXT_BYTES,
  BATCH_CONTEXT_VERDICT,
  BATCH_FRAME_BYTES,
  BATCH_OUT_BYTES,
  BATCH_PARAM_COLD_COMMANDS,
  BATCH_PARAM_COMMAND_CAPACITY,
  BATCH_PARAM_COMMANDS,
  BATCH_PARAM_CONTEXT_CAPACITY,
  BATCH_PARAM_CONTEXT_COUNT,
  BATCH_PARAM_CONTEXTS,
  BATCH_PARAM_ENCODED,
  BATCH_PARAM_ENTRY_MAX,
  BATCH_PARAM_FRAME_COUNT,
  BATCH_PARAM_FRAMES,
  BATCH_PARAM_GET_CAPACITY,
  BATCH_PARAM_GET_COMMANDS,
  BATCH_PARAM_GET_COUNT,
  BATCH_PARAM_GET_DONE,
  BATCH_PARAM_GET_FROM,
  BATCH_PARAM_KEY_MAX,
  BATCH_PARAM_KEY_TABLE,
  BATCH_PARAM_KEYS,
  BATCH_PARAM_KEYS_END,
  BATCH_PARAM_MESSAGE_BYTES,
  BATCH_PARAM_MESSAGE_MAX,
  BATCH_PARAM_ORDER,
  BATCH_PARAM_OUT,
  BATCH_PARAM_OUT_END,
  BATCH_PARAM_OUT_FRAME_CAPACITY,
  BATCH_PARAM_OUT_FRAMES,
  BATCH_PARAM_PREFIX,
  BATCH_PARAM_PREFIX_LENGTH,
  BATCH_PARAM_REQUESTS_MAX,
  BATCH_PARAM_RESPONSE_CAPACITY,
  BATCH_PARAM_RESPONSE_COUNT,
  BATCH_PARAM_RESPONSES,
  BATCH_PARAM_STREAM_COUNT,
  BATCH_PARAM_SUB_CAPACITY,
  BATCH_PARAM_SUBS,
  BATCH_PARAM_VALUE_TABLE,
  BATCH_PARAM_WRITE_COMMANDS,
  BATCH_PARAM_WRITES,
  BATCH_VERDICT_HOT,
  batchCommandsCollect,
  batchCommandsDecode,
  batchCommandsEncode,
  batchCommandsPlan,
  type Kernels,
  SLICE_BYTES,
} from "../../src/kernel/index.js";
import { fromBigInt, kvrpcpb, tikvpb, toBigInt } from "../../src/pb/index.js";
import { layOut, turnSizes } from "../../src/server/batch_layout.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const KEY_BYTES = 16;
const VALUE_BYTES = 100;
const MESSAGE_MAX = 128;
const PREFIX = Uint8Array.of(0x64, 0x7a);

const CONTEXT = {
  regionId: fromBigInt(2n),
  regionEpoch: { confVer: fromBigInt(1n), version: fromBigInt(1n) },
  peer: { id: fromBigInt(3n), storeId: fromBigInt(1n) },
  clusterId: fromBigInt(7_300_000_000_000_000_001n),
  requestSource: "external_bench",
  maxExecutionDurationMs: fromBigInt(20_000n),
};

interface Turn {
  readonly frames: readonly Uint8Array[];
  readonly values: readonly Uint8Array[];
}

/** Frames of at most 128 commands, ids counting from 1. */
function turnOf(items: number): Turn {
  const next = seededU32();
  const keys = Array.from({ length: items }, () => randomBytes(next, KEY_BYTES));
  const values = keys.map(() => randomBytes(next, VALUE_BYTES));
  const frames: Uint8Array[] = [];
  for (let from = 0; from < items; from += MESSAGE_MAX) {
    const part = keys.slice(from, from + MESSAGE_MAX);
    const message = {
      requests: part.map((key) => ({ RawGet: { context: CONTEXT, key } })),
      requestIds: part.map((_, i) => fromBigInt(BigInt(from + i + 1))),
    };
    frames.push(tikvpb.BatchCommandsRequest.encode(message).finish());
  }
  return { frames, values };
}

/** A turn in linear memory that can be repeated. */
class PlacedTurn {
  readonly inputAt: number;
  readonly inputEnd: number;
  readonly #kernels: Kernels;
  readonly #layout: ReturnType<typeof layOut>;
  readonly #items: number;
  messages = 0;

  constructor(kernels: Kernels, { frames, values }: Turn) {
    const { arena } = kernels;
    this.#kernels = kernels;
    this.#items = values.length;
    const sizes = turnSizes(arena);
    const layout = layOut(arena, sizes);
    this.#layout = layout;
    arena.u8.fill(0, layout.params, layout.params + 256);
    const prefix = arena.scratch.reserve(PREFIX.length);
    arena.u8.set(PREFIX, prefix);
    const params: readonly (readonly [number, number])[] = [
      [BATCH_PARAM_FRAMES, layout.frames],
      [BATCH_PARAM_FRAME_COUNT, frames.length],
      [BATCH_PARAM_CONTEXTS, layout.contexts],
      [BATCH_PARAM_CONTEXT_CAPACITY, sizes.contexts],
      [BATCH_PARAM_COMMANDS, layout.commands],
      [BATCH_PARAM_COMMAND_CAPACITY, sizes.commands],
      [BATCH_PARAM_SUBS, layout.subs],
      [BATCH_PARAM_SUB_CAPACITY, sizes.subs],
      [BATCH_PARAM_REQUESTS_MAX, 4096],
      [BATCH_PARAM_KEY_TABLE, layout.keyTable],
      [BATCH_PARAM_GET_COMMANDS, layout.getCommands],
      [BATCH_PARAM_GET_CAPACITY, sizes.gets],
      [BATCH_PARAM_KEYS_END, layout.keysEnd],
      [BATCH_PARAM_PREFIX, prefix],
      [BATCH_PARAM_PREFIX_LENGTH, PREFIX.length],
      [BATCH_PARAM_WRITES, layout.writes],
      [BATCH_PARAM_WRITE_COMMANDS, layout.writeCommands],
      [BATCH_PARAM_COLD_COMMANDS, layout.coldCommands],
      [BATCH_PARAM_KEY_MAX, 8192],
      [BATCH_PARAM_ENTRY_MAX, 1 << 23],
      [BATCH_PARAM_VALUE_TABLE, layout.valueTable],
      [BATCH_PARAM_RESPONSES, layout.responses],
      [BATCH_PARAM_RESPONSE_CAPACITY, sizes.commands],
      [BATCH_PARAM_STREAM_COUNT, 1],
      [BATCH_PARAM_ORDER, layout.order],
      [BATCH_PARAM_OUT, arena.output.next],
      [BATCH_PARAM_OUT_END, arena.output.end],
      [BATCH_PARAM_OUT_FRAMES, layout.outFrames],
      [BATCH_PARAM_OUT_FRAME_CAPACITY, sizes.frames],
      [BATCH_PARAM_MESSAGE_MAX, MESSAGE_MAX],
      [BATCH_PARAM_MESSAGE_BYTES, 1 << 20],
    ];
    for (const [param, value] of params) this.#set(param, value);
    this.inputAt = arena.input.next;
    frames.forEach((frame, i) => {
      const ptr = arena.input.reserve(frame.length);
      arena.u8.set(frame, ptr);
      arena.u32.set([ptr, frame.length, 0], (layout.frames + i * BATCH_FRAME_BYTES) >>> 2);
    });
    this.inputEnd = arena.input.next;
    values.forEach((value, i) => {
      const ptr = layout.values + i * VALUE_BYTES;
      arena.u8.set(value, ptr);
      arena.u32.set([ptr, VALUE_BYTES], (layout.valueTable + i * SLICE_BYTES) >>> 2);
    });
  }

  #set(param: number, value: number): void {
    this.#kernels.arena.u32[(this.#layout.params + param) >>> 2] = value;
  }

  #get(param: number): number {
    return this.#kernels.arena.u32[(this.#layout.params + param) >>> 2] as number;
  }

  run(): void {
    const { params, contexts, keys } = this.#layout;
    const { u32 } = this.#kernels.arena;
    batchCommandsDecode(this.#kernels, params);
    for (let i = 0; i < this.#get(BATCH_PARAM_CONTEXT_COUNT); i++) {
      u32[(contexts + i * BATCH_CONTEXT_BYTES + BATCH_CONTEXT_VERDICT) >>> 2] = BATCH_VERDICT_HOT;
    }
    this.#set(BATCH_PARAM_KEYS, keys);
    batchCommandsPlan(this.#kernels, params);
    if (this.#get(BATCH_PARAM_GET_COUNT) !== this.#items) throw new Error("not all gets are hot");
    this.#set(BATCH_PARAM_GET_FROM, 0);
    this.#set(BATCH_PARAM_GET_DONE, this.#items);
    this.#set(BATCH_PARAM_RESPONSE_COUNT, 0);
    batchCommandsCollect(this.#kernels, params);
    this.#set(BATCH_PARAM_ENCODED, 0);
    this.messages = batchCommandsEncode(this.#kernels, params);
  }

  /** The messages, which lie one behind the other. */
  output(): Uint8Array {
    const first = this.#layout.outFrames >>> 2;
    const { u8, u32 } = this.#kernels.arena;
    const last = first + ((this.messages - 1) * BATCH_OUT_BYTES) / 4;
    const end = (u32[last + 1] as number) + (u32[last + 2] as number);
    return u8.subarray(u32[first + 1] as number, end);
  }
}

function getsWork(items: number): KernelWork {
  const turn = turnOf(items);
  return {
    place(kernels) {
      const placed = new PlacedTurn(kernels, turn);
      return {
        inputAt: placed.inputAt,
        input: kernels.arena.u8.slice(placed.inputAt, placed.inputEnd),
        call: () => placed.run(),
        output: () => placed.output(),
      };
    },
    copied(kernels) {
      const placed = new PlacedTurn(kernels, turn);
      placed.run();
      return [placed.output().slice()];
    },
    plain() {
      return turn.frames.map((frame) => {
        const { requests, requestIds } = tikvpb.BatchCommandsRequest.decode(frame);
        const responses = requests.map(({ RawGet }, i) => {
          if (!(RawGet instanceof kvrpcpb.RawGetRequest)) throw new Error("not a RawGet");
          const value = turn.values[Number(toBigInt(requestIds[i] ?? 0)) - 1] as Uint8Array;
          return { RawGet: { value } };
        });
        return tikvpb.BatchCommandsResponse.encode({ responses, requestIds }).finish();
      });
    },
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return benchKernel(context, "batch commands turn", getsWork);
}

/**
 * raft_entry: log entries with 256 bytes of data, alone and in one MsgAppend, at 1, 16 and 64 a
 * call. `items`: protobufjs' static code.
 */
import {
  ENTRY_BYTES,
  type Kernels,
  MESSAGE_BYTES,
  raftEntryEncode,
  raftMessageDecode,
  raftMessageEncode,
  SLICE_BYTES,
} from "../../src/kernel/index.js";
import { eraftpb } from "../../src/pb/index.js";
import {
  entryBytes,
  MESSAGE_U64,
  messageBytes,
  messageObject,
  type PlainEntry,
  type PlainMessage,
  placeEntries,
  placeMessages,
  placeSlices,
} from "../../test/support/raft_tables.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const SIZES = [1, 16, 64];
const DATA_BYTES = 256;

function entriesOf(items: number): PlainEntry[] {
  const next = seededU32();
  return Array.from({ length: items }, (_, i) => ({
    entryType: 0,
    term: 7n,
    index: 1_000_000n + BigInt(i),
    data: randomBytes(next, DATA_BYTES),
    syncLog: false,
    context: new Uint8Array(0),
  }));
}

/** MsgAppend with `items` entries. */
function appendOf(items: number): PlainMessage {
  const numbers: Record<string, bigint> = {
    to: 3n,
    from: 2n,
    term: 7n,
    logTerm: 7n,
    index: 999_999n,
    commit: 999_990n,
  };
  return {
    msgType: 3,
    reject: false,
    numbers: MESSAGE_U64.map((name) => numbers[name] ?? 0n),
    context: new Uint8Array(0),
    snapshot: undefined,
    entries: entriesOf(items),
  };
}

function outputOf({ arena }: Kernels): Uint8Array {
  return arena.u8.subarray(arena.output.start, arena.outEnd);
}

/** Work that encodes: `prepare` places rows and returns the call. */
function encodeWork(
  prepare: (kernels: Kernels) => () => void,
  plain: () => readonly Uint8Array[],
): KernelWork {
  return {
    place(kernels) {
      const { arena } = kernels;
      const inputAt = arena.input.next;
      const call = prepare(kernels);
      const input = arena.u8.slice(inputAt, arena.input.next);
      return { inputAt, input, call, output: () => outputOf(kernels) };
    },
    copied(kernels) {
      prepare(kernels)();
      return [outputOf(kernels).slice()];
    },
    plain,
  };
}

function entryWork(items: number): KernelWork {
  const entries = entriesOf(items);
  return encodeWork(
    (kernels) => {
      const { arena } = kernels;
      const rows = placeEntries(arena, entries);
      const table = arena.scratch.reserve(items * SLICE_BYTES);
      const { start, end } = arena.output;
      return () => void raftEntryEncode(kernels, rows, items, table, start, end);
    },
    () => entries.map(entryBytes),
  );
}

function messageWork(items: number): KernelWork {
  const message = appendOf(items);
  const object = messageObject(message);
  return encodeWork(
    (kernels) => {
      const { arena } = kernels;
      const { rows, entries } = placeMessages(arena, [message]);
      const table = arena.scratch.reserve(SLICE_BYTES);
      const { start, end } = arena.output;
      return () => void raftMessageEncode(kernels, rows, 0, 1, entries, table, start, end);
    },
    () => [eraftpb.Message.encode(object).finish()],
  );
}

function decodeWork(items: number): KernelWork {
  const bytes = messageBytes(appendOf(items));
  const prepare = (kernels: Kernels): { entries: number; call(): void } => {
    const { arena } = kernels;
    const table = placeSlices(arena, [bytes]);
    const row = arena.scratch.reserve(MESSAGE_BYTES);
    const entries = arena.output.reserve(items * ENTRY_BYTES);
    return { entries, call: () => void raftMessageDecode(kernels, table, 1, row, entries, items) };
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const inputAt = arena.input.next;
      const { entries, call } = prepare(kernels);
      const output = () => arena.u8.subarray(entries, entries + items * ENTRY_BYTES);
      return { inputAt, input: arena.u8.slice(inputAt, arena.input.next), call, output };
    },
    copied(kernels) {
      const { u8, u32 } = kernels.arena;
      const { entries, call } = prepare(kernels);
      call();
      return Array.from({ length: items }, (_, i) => {
        const row = (entries + i * ENTRY_BYTES) >> 2;
        const data = u32[row + 6] as number;
        return u8.slice(data, data + (u32[row + 7] as number));
      });
    },
    plain() {
      return eraftpb.Message.decode(bytes).entries.map(({ data }) => data ?? new Uint8Array(0));
    },
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return [
    ...benchKernel(context, "raft entry encode", entryWork, SIZES),
    ...benchKernel(context, "raft message encode", messageWork, SIZES),
    ...benchKernel(context, "raft message decode", decodeWork, SIZES),
  ];
}

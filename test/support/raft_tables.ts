/** Entries and messages as plain values, as protobufjs bytes, and as rows in linear memory. */
import { toHex } from "../../src/base/index.js";
import {
  type Arena,
  ENTRY_BYTES,
  MESSAGE_BYTES,
  READY_BYTES,
  READY_RAFT_STATE,
  READY_SNAPSHOT,
  SLICE_ABSENT,
  SLICE_BYTES,
} from "../../src/kernel/index.js";
import { eraftpb, fromBigInt, fromSignedBigInt } from "../../src/pb/index.js";

export interface PlainEntry {
  readonly entryType: number;
  readonly term: bigint;
  readonly index: bigint;
  readonly data: Uint8Array;
  readonly syncLog: boolean;
  readonly context: Uint8Array;
}

/** u64 fields in the order of their offsets in a MESSAGE row. */
export const MESSAGE_U64 = [
  "to",
  "from",
  "term",
  "logTerm",
  "index",
  "commit",
  "rejectHint",
  "requestSnapshot",
  "deprecatedPriority",
  "commitTerm",
  "priority",
] as const;

export interface PlainMessage {
  readonly msgType: number;
  readonly reject: boolean;
  /** In the order of MESSAGE_U64; priority as its 64 bits. */
  readonly numbers: readonly bigint[];
  readonly context: Uint8Array;
  /** Encoded eraftpb.Snapshot. */
  readonly snapshot: Uint8Array | undefined;
  readonly entries: readonly PlainEntry[];
}

/** Returns the protobufjs object, without fields that have their default. */
function entryObject(entry: PlainEntry): eraftpb.IEntry {
  return {
    ...(entry.entryType === 0 ? {} : { entryType: entry.entryType }),
    ...(entry.term === 0n ? {} : { term: fromBigInt(entry.term) }),
    ...(entry.index === 0n ? {} : { index: fromBigInt(entry.index) }),
    ...(entry.data.length === 0 ? {} : { data: entry.data }),
    ...(entry.syncLog ? { syncLog: true } : {}),
    ...(entry.context.length === 0 ? {} : { context: entry.context }),
  };
}

/** Returns the bytes that protobufjs makes of an entry. */
export function entryBytes(entry: PlainEntry): Uint8Array {
  return eraftpb.Entry.encode(entryObject(entry)).finish();
}

/** Returns the protobufjs object of a message. */
export function messageObject(message: PlainMessage): eraftpb.IMessage {
  const numbers: Record<string, unknown> = {};
  MESSAGE_U64.forEach((name, i) => {
    const value = message.numbers[i] as bigint;
    if (value === 0n) return;
    numbers[name] =
      name === "priority" ? fromSignedBigInt(BigInt.asIntN(64, value)) : fromBigInt(value);
  });
  return {
    ...(message.msgType === 0 ? {} : { msgType: message.msgType }),
    ...numbers,
    ...(message.reject ? { reject: true } : {}),
    ...(message.context.length === 0 ? {} : { context: message.context }),
    ...(message.snapshot === undefined
      ? {}
      : { snapshot: eraftpb.Snapshot.decode(message.snapshot) }),
    entries: message.entries.map(entryObject),
  };
}

/** Returns the bytes that protobufjs makes of a message. */
export function messageBytes(message: PlainMessage): Uint8Array {
  return eraftpb.Message.encode(messageObject(message)).finish();
}

function putU64(arena: Arena, at: number, value: bigint): void {
  arena.u32[at >> 2] = Number(value & 0xffff_ffffn);
  arena.u32[(at >> 2) + 1] = Number(value >> 32n);
}

/** Copies bytes into the input region; fills the slice at `at`. */
export function putSlice(arena: Arena, at: number, bytes: Uint8Array): void {
  const ptr = arena.input.reserve(bytes.length + 1, 1);
  if (ptr === 0) throw new Error("the test data does not fit into the input region");
  arena.u8.set(bytes, ptr);
  arena.u32[at >> 2] = ptr;
  arena.u32[(at >> 2) + 1] = bytes.length;
}

/** Places entries as rows; returns the table. */
export function placeEntries(arena: Arena, entries: readonly PlainEntry[]): number {
  const rows = arena.scratch.reserve(Math.max(1, entries.length) * ENTRY_BYTES, 4);
  entries.forEach((entry, i) => {
    const row = rows + i * ENTRY_BYTES;
    arena.u32[row >> 2] = entry.entryType;
    arena.u32[(row + 4) >> 2] = entry.syncLog ? 1 : 0;
    putU64(arena, row + 8, entry.term);
    putU64(arena, row + 16, entry.index);
    putSlice(arena, row + 24, entry.data);
    putSlice(arena, row + 32, entry.context);
    putU64(arena, row + 40, 0n);
  });
  return rows;
}

/** Places messages and their entries; returns both tables. */
export function placeMessages(
  arena: Arena,
  messages: readonly PlainMessage[],
): { rows: number; entries: number } {
  const entries = placeEntries(
    arena,
    messages.flatMap((message) => message.entries),
  );
  const rows = arena.scratch.reserve(Math.max(1, messages.length) * MESSAGE_BYTES, 4);
  let first = 0;
  messages.forEach((message, i) => {
    const row = rows + i * MESSAGE_BYTES;
    arena.u32[row >> 2] = message.msgType;
    arena.u32[(row + 4) >> 2] = message.reject ? 1 : 0;
    message.numbers.forEach((value, n) => {
      putU64(arena, row + 8 + 8 * n, value);
    });
    putSlice(arena, row + 96, message.context);
    arena.u32[(row + 104) >> 2] = 0;
    arena.u32[(row + 108) >> 2] = SLICE_ABSENT;
    if (message.snapshot !== undefined) putSlice(arena, row + 104, message.snapshot);
    arena.u32[(row + 112) >> 2] = first;
    arena.u32[(row + 116) >> 2] = message.entries.length;
    first += message.entries.length;
  });
  return { rows, entries };
}

/** Places byte strings behind a slice table; returns the table. */
export function placeSlices(arena: Arena, items: readonly Uint8Array[]): number {
  const table = arena.scratch.reserve(Math.max(1, items.length) * SLICE_BYTES, 4);
  items.forEach((item, i) => {
    putSlice(arena, table + i * SLICE_BYTES, item);
  });
  return table;
}

/** Returns a value as text, whatever the prototypes and array types in it; for comparisons. */
export function show(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    if (part instanceof Uint8Array) return toHex(part);
    // A Buffer comes as what its own toJSON made of it.
    const { type, data } = (part ?? {}) as { type?: string; data?: readonly number[] };
    return type === "Buffer" && data !== undefined ? toHex(Uint8Array.from(data)) : part;
  });
}

function u64(arena: Arena, at: number): bigint {
  return arena.view.getBigUint64(at, true);
}

function slice(arena: Arena, at: number): Uint8Array {
  const ptr = arena.u32[at >> 2] as number;
  return arena.u8.slice(ptr, ptr + (arena.u32[(at >> 2) + 1] as number));
}

/** Reads an ENTRY row back. */
export function readEntry(arena: Arena, row: number): PlainEntry {
  return {
    entryType: arena.u32[row >> 2] as number,
    term: u64(arena, row + 8),
    index: u64(arena, row + 16),
    data: slice(arena, row + 24),
    syncLog: arena.u32[(row + 4) >> 2] === 1,
    context: slice(arena, row + 32),
  };
}

/** Reads a MESSAGE row back. */
export function readMessage(arena: Arena, row: number, entries: number): PlainMessage {
  const first = arena.u32[(row + 112) >> 2] as number;
  const count = arena.u32[(row + 116) >> 2] as number;
  const hasSnapshot = arena.u32[(row + 108) >> 2] !== SLICE_ABSENT;
  return {
    msgType: arena.u32[row >> 2] as number,
    reject: arena.u32[(row + 4) >> 2] === 1,
    numbers: MESSAGE_U64.map((_, n) => u64(arena, row + 8 + 8 * n)),
    context: slice(arena, row + 96),
    snapshot: hasSnapshot ? slice(arena, row + 104) : undefined,
    entries: Array.from({ length: count }, (_, i) =>
      readEntry(arena, entries + (first + i) * ENTRY_BYTES),
    ),
  };
}

/** What one peer persists. */
export interface PlainReady {
  readonly regionId: bigint;
  readonly entries: readonly PlainEntry[];
  readonly cutFrom: bigint;
  /** Log indexes that are deleted, from cutFrom on. */
  readonly cut: bigint;
  /** Term, vote, commit, last index. */
  readonly raftState: readonly [bigint, bigint, bigint, bigint] | undefined;
  /** Region state, apply state, snapshot raft state. */
  readonly snapshot: readonly [Uint8Array, Uint8Array, Uint8Array] | undefined;
}

/** Places Readies and their entries; returns both tables. */
export function placeReadies(
  arena: Arena,
  readies: readonly PlainReady[],
): { rows: number; entries: number } {
  const entries = placeEntries(
    arena,
    readies.flatMap((ready) => ready.entries),
  );
  const rows = arena.scratch.reserve(Math.max(1, readies.length) * READY_BYTES, 4);
  let first = 0;
  readies.forEach((ready, i) => {
    const row = rows + i * READY_BYTES;
    const { raftState, snapshot } = ready;
    putU64(arena, row, ready.regionId);
    arena.u32[(row + 8) >> 2] = first;
    arena.u32[(row + 12) >> 2] = ready.entries.length;
    putU64(arena, row + 16, ready.cutFrom);
    putU64(arena, row + 24, ready.cutFrom + ready.cut);
    const flags = raftState === undefined ? 0 : READY_RAFT_STATE;
    putU64(arena, row + 32, BigInt(flags | (snapshot === undefined ? 0 : READY_SNAPSHOT)));
    raftState?.forEach((value, n) => {
      putU64(arena, row + 40 + 8 * n, value);
    });
    snapshot?.forEach((bytes, n) => {
      putSlice(arena, row + 72 + 8 * n, bytes);
    });
    first += ready.entries.length;
  });
  return { rows, entries };
}

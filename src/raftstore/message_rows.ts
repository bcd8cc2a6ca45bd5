/**
 * Raft messages as rows of linear memory, for the kernels that encode and decode them, and back.
 * Layouts: assembly/raft_abi.ts. Hot path. Not here: the wrapper with region and peers
 * (message_codec.ts), when a turn of the arena begins and ends.
 */
import { assert } from "../base/index.js";
import {
  type Arena,
  ENTRY_BYTES,
  ENTRY_CONTEXT_LENGTH,
  ENTRY_CONTEXT_PTR,
  ENTRY_DATA_LENGTH,
  ENTRY_DATA_PTR,
  ENTRY_INDEX,
  ENTRY_TERM,
  ENTRY_TYPE,
  MESSAGE_BYTES,
  MESSAGE_COMMIT,
  MESSAGE_CONTEXT_LENGTH,
  MESSAGE_CONTEXT_PTR,
  MESSAGE_ENTRY_COUNT,
  MESSAGE_ENTRY_FIRST,
  MESSAGE_FROM,
  MESSAGE_INDEX,
  MESSAGE_LOG_TERM,
  MESSAGE_REJECT,
  MESSAGE_REJECT_HINT,
  MESSAGE_SNAPSHOT_LENGTH,
  MESSAGE_SNAPSHOT_PTR,
  MESSAGE_TERM,
  MESSAGE_TO,
  MESSAGE_TYPE,
  SLICE_ABSENT,
} from "../kernel/index.js";
import { eraftpb } from "../pb/index.js";
import {
  type Entry,
  EntryType,
  type Message,
  MessageType,
  type Snapshot,
  snapshotFromWire,
  snapshotToWire,
} from "../raft/index.js";

const TWO_32 = 0x1_0000_0000;
/** High words from here on mean more than 2^53 - 1. */
const HIGH_UNSAFE = 0x20_0000;
const EMPTY_BYTES = new Uint8Array(0);
const NO_ENTRIES: readonly Entry[] = [];

/** No message takes more without its bytes and entries: 12 varints of 10 bytes, tags, 2 lengths. */
const MESSAGE_FIXED_BYTES = 160;
/** Nor an entry: 3 varints of 10 bytes, tags, 3 lengths. */
const ENTRY_FIXED_BYTES = 64;

/** What a message needs of the arena, at most. */
export interface RowNeeds {
  /** Bytes that are copied in. */
  input: number;
  /** Bytes of its encoded form. */
  output: number;
}

/** Returns the encoded snapshot of a message; null for none. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  return eraftpb.Snapshot.encode(snapshotToWire(snapshot)).finish();
}

/** Adds what a message needs; `snapshotBytes`: the length of its encoded snapshot. */
export function addNeeds(needs: RowNeeds, message: Message, snapshotBytes: number): void {
  let bytes = message.context.length + snapshotBytes;
  const { entries } = message;
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    bytes += entry.data.length + entry.context.length;
  }
  needs.input += bytes;
  needs.output += bytes + MESSAGE_FIXED_BYTES + entries.length * ENTRY_FIXED_BYTES;
}

/** Writes rows; one for each turn of the arena. */
export class RowWriter {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  #entries = 0;

  /** `entries` is the ENTRY table. Room for all rows and bytes was reserved or checked before. */
  constructor(
    private readonly arena: Arena,
    private readonly entries: number,
  ) {
    this.#u8 = arena.u8;
    this.#u32 = arena.u32;
  }

  /** Fills the MESSAGE row of what has no message; its encoded form is empty and not looked at. */
  nothing(row: number): void {
    this.#clear(row, MESSAGE_BYTES);
    this.#set(row + MESSAGE_SNAPSHOT_LENGTH, SLICE_ABSENT);
    this.#set(row + MESSAGE_ENTRY_FIRST, this.#entries);
  }

  /** Fills the MESSAGE row at `row`, and ENTRY rows behind those in use. */
  message(row: number, message: Message, snapshot: Uint8Array | undefined): void {
    this.#clear(row, MESSAGE_BYTES);
    this.#set(row + MESSAGE_TYPE, message.type);
    this.#set(row + MESSAGE_REJECT, message.reject ? 1 : 0);
    this.#number(row + MESSAGE_TO, message.to);
    this.#number(row + MESSAGE_FROM, message.from);
    this.#number(row + MESSAGE_TERM, message.term);
    this.#number(row + MESSAGE_LOG_TERM, message.logTerm);
    this.#number(row + MESSAGE_INDEX, message.index);
    this.#number(row + MESSAGE_COMMIT, message.commit);
    this.#number(row + MESSAGE_REJECT_HINT, message.rejectHint);
    this.#bytes(row + MESSAGE_CONTEXT_PTR, message.context);
    if (snapshot === undefined) this.#set(row + MESSAGE_SNAPSHOT_LENGTH, SLICE_ABSENT);
    else this.#bytes(row + MESSAGE_SNAPSHOT_PTR, snapshot);
    const { entries } = message;
    this.#set(row + MESSAGE_ENTRY_FIRST, this.#entries);
    this.#set(row + MESSAGE_ENTRY_COUNT, entries.length);
    for (let i = 0; i < entries.length; i++) this.#entry(entries[i] as Entry);
  }

  #entry(entry: Entry): void {
    const row = this.entries + this.#entries++ * ENTRY_BYTES;
    this.#clear(row, ENTRY_BYTES);
    this.#set(row + ENTRY_TYPE, entry.type);
    this.#number(row + ENTRY_TERM, entry.term);
    this.#number(row + ENTRY_INDEX, entry.index);
    this.#bytes(row + ENTRY_DATA_PTR, entry.data);
    this.#bytes(row + ENTRY_CONTEXT_PTR, entry.context);
  }

  /** Zeroes a row: a loop, because `fill` costs more for so few words. */
  #clear(row: number, bytes: number): void {
    const end = (row + bytes) >>> 2;
    for (let i = row >>> 2; i < end; i++) this.#u32[i] = 0;
  }

  #set(at: number, value: number): void {
    this.#u32[at >>> 2] = value;
  }

  #number(at: number, value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "terms, indexes and ids are below 2^53");
    this.#u32[at >>> 2] = value;
    if (value >= TWO_32) this.#u32[(at >>> 2) + 1] = Math.floor(value / TWO_32);
  }

  #bytes(at: number, bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    const ptr = this.arena.input.reserve(length, 1);
    assert(ptr !== 0, "the input region has room for what was measured");
    this.#u8.set(bytes, ptr);
    this.#u32[at >>> 2] = ptr;
    this.#u32[(at >>> 2) + 1] = length;
  }
}

/** Bytes of one slab: what a kept entry holds on to at most, besides its own message. */
const SLAB_BYTES = 16 * 1024;
/** Longer messages are copied on their own. */
const SLAB_COPY_MAX = SLAB_BYTES / 4;

/**
 * Copies bytes out of linear memory. Short ones share slabs, because an array buffer of its own
 * costs several times more than a copy.
 */
export class ByteSlabs {
  /** What the last `copy` wrote to, and the place where it begins. */
  bytes: Uint8Array = EMPTY_BYTES;
  start = 0;
  #slab = new Uint8Array(SLAB_BYTES);
  #used = 0;

  /** Copies `[ptr, ptr + length)` of `source`. */
  copy(source: Uint8Array, ptr: number, length: number): void {
    if (length > SLAB_COPY_MAX) {
      this.bytes = source.slice(ptr, ptr + length);
      this.start = 0;
      return;
    }
    if (length > SLAB_BYTES - this.#used) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    this.#slab.set(source.subarray(ptr, ptr + length), this.#used);
    this.bytes = this.#slab;
    this.start = this.#used;
    this.#used += length;
  }
}

/** Thrown inside of RowReader for a value that a Message cannot hold. */
class Refused extends Error {}

/** Reads rows; one for each turn of the arena. */
export class RowReader {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  /** Address that the first byte of the slab would have: the copy keeps its distances. */
  #from = 0;

  constructor(
    arena: Arena,
    private readonly entries: number,
    private readonly slabs: ByteSlabs,
  ) {
    this.#u8 = arena.u8;
    this.#u32 = arena.u32;
  }

  /**
   * Returns the message of the row at `row`, whose bytes lie at `[ptr, ptr + length)`: all that it
   * keeps of them are parts of one copy. Undefined when a number is above 2^53 - 1 or an enum value
   * unknown; "malformed" when its snapshot is.
   */
  message(row: number, ptr: number, length: number): Message | undefined | "malformed" {
    try {
      return this.#message(row, ptr, length);
    } catch (error) {
      if (error instanceof Refused) return undefined;
      throw error;
    }
  }

  #message(row: number, ptr: number, length: number): Message | "malformed" {
    const snapshotBytes = this.#word(row + MESSAGE_SNAPSHOT_LENGTH);
    const hasSnapshot = snapshotBytes !== SLICE_ABSENT;
    const entryCount = this.#word(row + MESSAGE_ENTRY_COUNT);
    const keepsBytes =
      entryCount > 0 || hasSnapshot || this.#word(row + MESSAGE_CONTEXT_LENGTH) > 0;
    if (keepsBytes) {
      this.slabs.copy(this.#u8, ptr, length);
      this.#from = ptr - this.slabs.start;
    }
    const snapshot = hasSnapshot ? this.#snapshot(row) : null;
    if (snapshot === "malformed") return snapshot;
    return {
      type: this.#enum(row + MESSAGE_TYPE, MessageType.RequestPreVoteResponse) as MessageType,
      to: this.#number(row + MESSAGE_TO),
      from: this.#number(row + MESSAGE_FROM),
      term: this.#number(row + MESSAGE_TERM),
      logTerm: this.#number(row + MESSAGE_LOG_TERM),
      index: this.#number(row + MESSAGE_INDEX),
      entries: entryCount === 0 ? NO_ENTRIES : this.#entries(row, entryCount),
      commit: this.#number(row + MESSAGE_COMMIT),
      snapshot,
      reject: this.#word(row + MESSAGE_REJECT) !== 0,
      rejectHint: this.#number(row + MESSAGE_REJECT_HINT),
      context: this.#bytes(row + MESSAGE_CONTEXT_PTR),
    };
  }

  #entries(row: number, count: number): Entry[] {
    const entries: Entry[] = [];
    let at = this.entries + this.#word(row + MESSAGE_ENTRY_FIRST) * ENTRY_BYTES;
    for (let i = 0; i < count; i++, at += ENTRY_BYTES) {
      entries.push({
        type: this.#enum(at + ENTRY_TYPE, EntryType.ConfChangeV2) as EntryType,
        term: this.#number(at + ENTRY_TERM),
        index: this.#number(at + ENTRY_INDEX),
        data: this.#bytes(at + ENTRY_DATA_PTR),
        context: this.#bytes(at + ENTRY_CONTEXT_PTR),
      });
    }
    return entries;
  }

  #snapshot(row: number): Snapshot | "malformed" {
    const bytes = this.#bytes(row + MESSAGE_SNAPSHOT_PTR);
    let decoded: eraftpb.Snapshot;
    try {
      decoded = eraftpb.Snapshot.decode(bytes);
    } catch {
      return "malformed";
    }
    const snapshot = snapshotFromWire(decoded);
    if (snapshot === undefined) throw new Refused();
    return snapshot;
  }

  #word(at: number): number {
    return this.#u32[at >>> 2] as number;
  }

  #enum(at: number, max: number): number {
    const value = this.#word(at);
    if (value > max) throw new Refused();
    return value;
  }

  #number(at: number): number {
    const high = this.#u32[(at >>> 2) + 1] as number;
    if (high >= HIGH_UNSAFE) throw new Refused();
    return high * TWO_32 + (this.#u32[at >>> 2] as number);
  }

  /** Returns the part of the message's copy that the slice at `at` names. */
  #bytes(at: number): Uint8Array {
    const length = this.#u32[(at >>> 2) + 1] as number;
    if (length === 0) return EMPTY_BYTES;
    const start = (this.#u32[at >>> 2] as number) - this.#from;
    return this.slabs.bytes.subarray(start, start + length);
  }
}

/** The lengths are next to their pointers: one slice each. */
assert(MESSAGE_CONTEXT_LENGTH === MESSAGE_CONTEXT_PTR + 4, "a slice is pointer, length");
assert(MESSAGE_SNAPSHOT_LENGTH === MESSAGE_SNAPSHOT_PTR + 4, "a slice is pointer, length");
assert(ENTRY_DATA_LENGTH === ENTRY_DATA_PTR + 4, "a slice is pointer, length");
assert(ENTRY_CONTEXT_LENGTH === ENTRY_CONTEXT_PTR + 4, "a slice is pointer, length");

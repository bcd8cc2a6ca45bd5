/**
 * What the peers of one poll round persist, as one engine write: the round's Readies become tables
 * in linear memory, the `readyBatch` kernel makes one write batch of them, submitted once, synced.
 * Hot path. Not here: what a Ready demands (ready.ts).
 * Source: tikv raftstore/store/async_io/write.rs.
 *
 * A round that does not fit into linear memory is built by the twin in memory of its own: the same
 * bytes, one write still.
 */
import { assert, type Clock, type Histogram } from "../base/index.js";
import {
  ENTRY_BYTES,
  ENTRY_CONTEXT_LENGTH,
  ENTRY_CONTEXT_PTR,
  ENTRY_DATA_LENGTH,
  ENTRY_DATA_PTR,
  ENTRY_ENCODED_LENGTH,
  ENTRY_ENCODED_PTR,
  ENTRY_INDEX,
  ENTRY_SYNC_LOG,
  ENTRY_TERM,
  ENTRY_TYPE,
  type Kernels,
  loadKernels,
  PAGE_BYTES,
  READY_APPLY_STATE,
  READY_BYTES,
  READY_COMMIT,
  READY_CUT_DELETES_MAX,
  READY_CUT_FROM,
  READY_CUT_TO,
  READY_ENTRY_COUNT,
  READY_ENTRY_FIRST,
  READY_FLAGS,
  READY_LAST_INDEX,
  READY_RAFT_STATE,
  READY_REGION_ID,
  READY_REGION_STATE,
  READY_SNAPSHOT,
  READY_SNAPSHOT_RAFT_STATE,
  READY_TERM,
  READY_VOTE,
  readyBatch,
  WRITE_BATCH_HEADER,
} from "../kernel/index.js";
import type { Entry } from "../raft/index.js";
import type { EnginePort } from "./engine_port.js";
import type { RaftLocalState } from "./local_state.js";
import type { PeerMsg } from "./messages.js";

/** The states that a received snapshot leaves, encoded. */
export interface SnapshotStates {
  readonly regionState: Uint8Array;
  readonly applyState: Uint8Array;
  readonly snapshotRaftState: Uint8Array;
}

/** One region's part of a round; parts of one region keep their order. */
export interface WriteRow {
  readonly regionId: number;
  /** Log indexes `[cutFrom, cutTo)` are deleted first; equal: none. */
  readonly cutFrom: number;
  readonly cutTo: number;
  readonly entries: readonly Entry[];
  readonly raftState: RaftLocalState | undefined;
  readonly snapshot: SnapshotStates | undefined;
}

/** Rounds whose write is under way at a time; then peers keep their Readies. A guess. */
const ROUNDS_IN_FLIGHT_MAX = 16;
/** Bytes of those. A guess: what a slow disk takes in a second. */
const BYTES_IN_FLIGHT_MAX = 64 << 20;
const NO_BYTES = new Uint8Array(0);

/** Upper bound of the bytes around an entry's data and context in a batch. */
const ENTRY_RECORD_BYTES = 96;
/** Upper bound of a row's other records, cut and state values aside. */
const ROW_RECORDS_BYTES = 256;
const CUT_RECORD_BYTES = 24;
/** What alignment of each reserved area may take. */
const ALIGN_BYTES = 64;

interface Sizes {
  readonly input: number;
  readonly tables: number;
  readonly output: number;
  readonly entries: number;
}

function sizesOf(rows: readonly WriteRow[]): Sizes {
  let input = ALIGN_BYTES;
  let output = WRITE_BATCH_HEADER;
  let entries = 0;
  for (const row of rows) {
    let bytes = 0;
    for (const entry of row.entries) bytes += entry.data.length + entry.context.length;
    const { snapshot } = row;
    if (snapshot !== undefined) {
      bytes += snapshot.regionState.length + snapshot.applyState.length;
      bytes += snapshot.snapshotRaftState.length;
    }
    const deletes = Math.min(row.cutTo - row.cutFrom, READY_CUT_DELETES_MAX);
    input += bytes;
    output += bytes + row.entries.length * ENTRY_RECORD_BYTES + ROW_RECORDS_BYTES;
    output += deletes * CUT_RECORD_BYTES;
    entries += row.entries.length;
  }
  const tables = rows.length * READY_BYTES + entries * ENTRY_BYTES + 2 * ALIGN_BYTES;
  return { input, tables, output, entries };
}

function fits({ arena }: Kernels, { input, tables, output }: Sizes): boolean {
  return input <= arena.input.free && tables <= arena.scratch.free && output <= arena.output.free;
}

/** Kernels without WebAssembly, over memory that holds a round of these sizes. */
function largeKernels({ input, tables, output }: Sizes): Kernels {
  const bytes = 3 * Math.max(input, tables, output) + 4 * PAGE_BYTES;
  const memoryBytes = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  const third = 1 / 3;
  return loadKernels({ build: "js", memoryBytes, inputShare: third, outputShare: third });
}

class TableWriter {
  readonly #u32: Uint32Array;
  readonly #u8: Uint8Array;
  #bytesAt: number;

  constructor(kernels: Kernels, bytesAt: number) {
    this.#u32 = kernels.arena.u32;
    this.#u8 = kernels.arena.u8;
    this.#bytesAt = bytesAt;
  }

  row(at: number, row: WriteRow, firstEntry: number): void {
    this.#u32.fill(0, at >>> 2, (at + READY_BYTES) >>> 2);
    this.#u64(at + READY_REGION_ID, row.regionId);
    this.#word(at + READY_ENTRY_FIRST, firstEntry);
    this.#word(at + READY_ENTRY_COUNT, row.entries.length);
    this.#u64(at + READY_CUT_FROM, row.cutFrom);
    this.#u64(at + READY_CUT_TO, row.cutTo);
    const { raftState, snapshot } = row;
    if (raftState !== undefined) {
      this.#u64(at + READY_TERM, raftState.term);
      this.#u64(at + READY_VOTE, raftState.vote);
      this.#u64(at + READY_COMMIT, raftState.commit);
      this.#u64(at + READY_LAST_INDEX, raftState.lastIndex);
    }
    if (snapshot !== undefined) {
      this.#slice(at + READY_REGION_STATE, snapshot.regionState);
      this.#slice(at + READY_APPLY_STATE, snapshot.applyState);
      this.#slice(at + READY_SNAPSHOT_RAFT_STATE, snapshot.snapshotRaftState);
    }
    const raftFlag = raftState === undefined ? 0 : READY_RAFT_STATE;
    this.#word(at + READY_FLAGS, raftFlag | (snapshot === undefined ? 0 : READY_SNAPSHOT));
  }

  entry(at: number, entry: Entry): void {
    this.#word(at + ENTRY_TYPE, entry.type);
    this.#word(at + ENTRY_SYNC_LOG, 0);
    this.#u64(at + ENTRY_TERM, entry.term);
    this.#u64(at + ENTRY_INDEX, entry.index);
    this.#slice(at + ENTRY_DATA_PTR, entry.data);
    this.#slice(at + ENTRY_CONTEXT_PTR, entry.context);
    this.#word(at + ENTRY_ENCODED_LENGTH, 0);
    this.#word(at + ENTRY_ENCODED_PTR, 0);
  }

  #word(at: number, value: number): void {
    this.#u32[at >>> 2] = value;
  }

  #u64(at: number, value: number): void {
    this.#u32[at >>> 2] = value;
    this.#u32[(at >>> 2) + 1] = Math.floor(value / 0x1_0000_0000);
  }

  /** Copies bytes into linear memory; pointer and length go to `at`. */
  #slice(at: number, bytes: Uint8Array = NO_BYTES): void {
    this.#word(at, this.#bytesAt);
    this.#word(at + 4, bytes.length);
    this.#u8.set(bytes, this.#bytesAt);
    this.#bytesAt += bytes.length;
  }
}

assert(
  ENTRY_DATA_LENGTH === ENTRY_DATA_PTR + 4 && ENTRY_CONTEXT_LENGTH === ENTRY_CONTEXT_PTR + 4,
  "a slice is a pointer and its length",
);

function encodeWith(
  kernels: Kernels,
  rows: readonly WriteRow[],
  sizes: Sizes,
  use: (representation: Uint8Array) => void,
): void {
  const { arena } = kernels;
  arena.enter();
  const readies = arena.scratch.reserve(rows.length * READY_BYTES);
  const entries = arena.scratch.reserve(sizes.entries * ENTRY_BYTES);
  const bytes = arena.input.reserve(sizes.input);
  const out = arena.output.reserve(sizes.output);
  assert(readies > 0 && entries > 0 && bytes > 0 && out > 0, "the sizes of a round were checked");
  const tables = new TableWriter(kernels, bytes);
  let next = 0;
  rows.forEach((row, i) => {
    tables.row(readies + i * READY_BYTES, row, next);
    for (const entry of row.entries) tables.entry(entries + next++ * ENTRY_BYTES, entry);
  });
  const done = readyBatch(kernels, readies, rows.length, entries, out, out + sizes.output);
  assert(done === rows.length, "a round is one write batch");
  use(arena.u8.subarray(out, arena.outEnd));
  arena.leave();
}

/**
 * Calls `use` with the write batch representation of the rows, in their order. It is a view that is
 * valid until `use` returns. Asserts that no row cuts backwards.
 */
export function encodeRound(
  kernels: Kernels,
  rows: readonly WriteRow[],
  use: (representation: Uint8Array) => void,
): void {
  const sizes = sizesOf(rows);
  encodeWith(fits(kernels, sizes) ? kernels : largeKernels(sizes), rows, sizes, use);
}

/** What the rounds' writes count. */
export class WriteCounters {
  writes = 0;
  bytes = 0;
  readies = 0;
  /** From a write's submission until it is durable. Replaced by bindRaftMetrics. */
  seconds: Histogram = { observe: () => {} };
}

interface Notice {
  readonly regionId: number;
  readonly life: number;
  readonly ready: number;
}

export interface RoundWriterDeps {
  readonly port: EnginePort;
  readonly kernels: Kernels;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Sends to a peer beyond its mailbox's bound; lost if the peer is gone. */
  readonly notify: (regionId: number, message: PeerMsg) => void;
  /** Wakes a peer that left its batch. */
  readonly resume: (regionId: number) => void;
}

/** Gathers a round's rows and submits them. */
export class RoundWriter {
  readonly counters = new WriteCounters();
  readonly #deps: RoundWriterDeps;
  #rows: WriteRow[] = [];
  #readies: Notice[] = [];
  #roundsInFlight = 0;
  #bytesInFlight = 0;
  #waiting = new Set<number>();

  constructor(deps: RoundWriterDeps) {
    this.#deps = deps;
  }

  /** Whether peers keep their Readies until writes are done. */
  get isFull(): boolean {
    return (
      this.#roundsInFlight >= ROUNDS_IN_FLIGHT_MAX || this.#bytesInFlight >= BYTES_IN_FLIGHT_MAX
    );
  }

  /** Resumes the region's peer once there is room again. */
  waitForRoom(regionId: number): void {
    this.#waiting.add(regionId);
  }

  /** Adds what Ready `ready` writes; the peer with this life is told when it is durable. */
  addReady(row: WriteRow, life: number, ready: number): void {
    this.#rows.push(row);
    this.#readies.push({ regionId: row.regionId, life, ready });
    this.counters.readies++;
  }

  /** Ends the round: submits what was added, if anything was. */
  submit(): void {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    const readies = this.#readies;
    this.#rows = [];
    this.#readies = [];
    encodeRound(this.#deps.kernels, rows, (bytes) => this.#write(bytes, readies));
  }

  #write(bytes: Uint8Array, readies: readonly Notice[]): void {
    const { length } = bytes;
    const { clock, notify, port } = this.#deps;
    const startMs = clock.monotonicMs();
    this.#roundsInFlight++;
    this.#bytesInFlight += length;
    this.counters.writes++;
    this.counters.bytes += length;
    port.write(bytes, true, () => {
      this.counters.seconds.observe((clock.monotonicMs() - startMs) / 1000);
      this.#roundsInFlight--;
      this.#bytesInFlight -= length;
      for (const { regionId, life, ready } of readies) {
        notify(regionId, { kind: "persisted", life, ready });
      }
      this.#wake();
    });
  }

  #wake(): void {
    if (this.isFull || this.#waiting.size === 0) return;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const regionId of waiting) this.#deps.resume(regionId);
  }
}

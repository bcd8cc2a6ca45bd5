/**
 * ready: a round's Readies (a log entry of 256 bytes and a raft state each) to one WriteBatch, and
 * two messages each to groups by target store, at 1, 16, 256 and 1,024 peers. `items`: protobufjs,
 * the key codec, the builder for single changes, a Map.
 */
import { raftLogKey, raftStateKey } from "../../src/codec/index.js";
import { WriteBatchBuilder } from "../../src/engine/index.js";
import { type Kernels, readyBatch, readyGroup } from "../../src/kernel/index.js";
import { fromBigInt, raft_serverpb } from "../../src/pb/index.js";
import { entryBytes, type PlainReady, placeReadies } from "../../test/support/raft_tables.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { benchKernel, type KernelWork } from "./support.js";

const SIZES = [1, 16, 256, 1024];
const DATA_BYTES = 256;
const STORES = 3;
const MESSAGES = 2;

function readiesOf(peers: number): PlainReady[] {
  const next = seededU32();
  return Array.from({ length: peers }, (_, i) => {
    const index = 1_000n + BigInt(i);
    const data = randomBytes(next, DATA_BYTES);
    const none = new Uint8Array(0);
    return {
      regionId: BigInt(2 + 4 * i),
      entries: [{ entryType: 0, term: 7n, index, data, syncLog: false, context: none }],
      cutFrom: 0n,
      cut: 0n,
      raftState: [7n, 3n, index - 1n, index],
      snapshot: undefined,
    };
  });
}

/** Bytes of u32 words. */
function bytesOf(words: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** The same by plain code. */
function plain(readies: readonly PlainReady[], targets: readonly number[]): Uint8Array[] {
  const batch = new WriteBatchBuilder();
  for (const { regionId, entries, raftState } of readies) {
    for (const entry of entries) {
      batch.put("raft", raftLogKey(regionId, entry.index), entryBytes(entry));
    }
    const [term, vote, commit, lastIndex] = raftState as [bigint, bigint, bigint, bigint];
    const state = {
      hardState: { term: fromBigInt(term), vote: fromBigInt(vote), commit: fromBigInt(commit) },
      lastIndex: fromBigInt(lastIndex),
    };
    const bytes = raft_serverpb.RaftLocalState.encode(state).finish();
    batch.put("raft", raftStateKey(regionId), bytes);
  }
  const groups = new Map<number, number[]>();
  targets.forEach((target, i) => {
    const group = groups.get(target);
    if (group === undefined) groups.set(target, [i]);
    else group.push(i);
  });
  const order = Array.from({ length: STORES }, (_, store) => groups.get(store) ?? []).flat();
  return [bytesOf(order), batch.bytes().slice()];
}

function readyWork(peers: number): KernelWork {
  const readies = readiesOf(peers);
  const next = seededU32();
  const targets = Array.from({ length: peers * MESSAGES }, () => next() % STORES);
  const prepare = (kernels: Kernels): { order: number; call(): void } => {
    const { arena } = kernels;
    const { rows, entries } = placeReadies(arena, readies);
    const table = arena.scratch.reserve(targets.length * 4);
    arena.u32.set(targets, table >> 2);
    const offsets = arena.scratch.reserve((STORES + 1) * 4);
    const order = arena.output.reserve(targets.length * 4);
    const out = arena.output.next;
    const { end } = arena.output;
    const call = (): void => {
      readyGroup(kernels, table, targets.length, STORES, offsets, order);
      readyBatch(kernels, rows, peers, entries, out, end);
    };
    return { order, call };
  };
  return {
    place(kernels) {
      const { arena } = kernels;
      const inputAt = arena.input.next;
      const { order, call } = prepare(kernels);
      const output = () => arena.u8.subarray(order, arena.outEnd);
      return { inputAt, input: arena.u8.slice(inputAt, arena.input.next), call, output };
    },
    copied(kernels) {
      const { order, call } = prepare(kernels);
      call();
      return [kernels.arena.u8.slice(order, kernels.arena.outEnd)];
    },
    plain: () => plain(readies, targets),
  };
}

/** Bench entry. */
export function run(context: BenchContext): Report[] {
  return benchKernel(context, "ready aggregation", readyWork, SIZES);
}

/**
 * ready kernels: all builds against the twin, and both against a WriteBatch made with the key codec,
 * protobufjs and the builder for single changes.
 */
import * as fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, toHex } from "../../src/base/index.js";
import {
  applyStateKey,
  raftLogKey,
  raftStateKey,
  regionStateKey,
  snapshotRaftStateKey,
} from "../../src/codec/index.js";
import {
  checkRepresentation,
  mergeRepresentations,
  WriteBatchBuilder,
} from "../../src/engine/index.js";
import {
  type Arena,
  CORRUPT,
  type KernelFunctions,
  OUT_FULL,
  READY_BYTES,
  READY_RAFT_STATE,
  READY_SNAPSHOT,
  WRITE_BATCH_HEADER,
} from "../../src/kernel/index.js";
import { fromBigInt, raft_serverpb } from "../../src/pb/index.js";
import {
  entryBytes,
  type PlainEntry,
  type PlainReady,
  placeReadies,
} from "../support/raft_tables.js";
import { agree, assertUntouched, bytesArbitrary, forAll } from "./support.js";

const u64Arbitrary = fc.oneof(
  fc.constantFrom(
    0n,
    1n,
    0xffff_fffen,
    0xffff_ffffn,
    1n << 32n,
    (1n << 53n) - 1n,
    (1n << 63n) - 1n,
  ),
  fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
);
const entryArbitrary: fc.Arbitrary<PlainEntry> = fc.record({
  entryType: fc.constantFrom(0, 1, 2),
  term: u64Arbitrary,
  index: u64Arbitrary,
  data: bytesArbitrary,
  syncLog: fc.boolean(),
  context: fc.constant(new Uint8Array(0)),
});
const readyArbitrary: fc.Arbitrary<PlainReady> = fc.record({
  regionId: u64Arbitrary,
  entries: fc.array(entryArbitrary, { maxLength: 4 }),
  cutFrom: u64Arbitrary,
  cut: fc.constantFrom(0n, 0n, 1n, 3n, 63n, 64n, 65n, 200_000n, 1n << 40n),
  raftState: fc.option(fc.tuple(u64Arbitrary, u64Arbitrary, u64Arbitrary, u64Arbitrary), {
    nil: undefined,
    freq: 4,
  }),
  snapshot: fc.option(fc.tuple(bytesArbitrary, bytesArbitrary, bytesArbitrary), {
    nil: undefined,
    freq: 3,
  }),
});

function raftStateBytes(state: readonly [bigint, bigint, bigint, bigint]): Uint8Array {
  const field = (name: string, value: bigint) =>
    value === 0n ? {} : { [name]: fromBigInt(value) };
  const [term, vote, commit, lastIndex] = state;
  const hardState = { ...field("term", term), ...field("vote", vote), ...field("commit", commit) };
  return raft_serverpb.RaftLocalState.encode({
    hardState,
    ...field("lastIndex", lastIndex),
  }).finish();
}

/** The batch of some Readies, one change after the other. */
function expected(readies: readonly PlainReady[]): Uint8Array {
  const batch = new WriteBatchBuilder();
  for (const { regionId, entries, cutFrom, cut, raftState, snapshot } of readies) {
    if (cut > 64n) {
      const end = raftLogKey(regionId, cutFrom + cut);
      batch.deleteRange("raft", raftLogKey(regionId, cutFrom), end);
    } else {
      for (let i = 0n; i < cut; i++) batch.delete("raft", raftLogKey(regionId, cutFrom + i));
    }
    for (const entry of entries) {
      batch.put("raft", raftLogKey(regionId, entry.index), entryBytes(entry));
    }
    if (raftState !== undefined) {
      batch.put("raft", raftStateKey(regionId), raftStateBytes(raftState));
    }
    if (snapshot === undefined) continue;
    batch.put("raft", regionStateKey(regionId), snapshot[0]);
    batch.put("raft", applyStateKey(regionId), snapshot[1]);
    batch.put("raft", snapshotRaftStateKey(regionId), snapshot[2]);
  }
  return batch.bytes().slice();
}

/** Builds batches of `room` bytes until all rows are done, as a caller that drains would. */
function build(
  functions: KernelFunctions,
  arena: Arena,
  readies: readonly PlainReady[],
  offset: number,
  room: number,
): { batches: string[]; log: string[] } {
  const { rows, entries } = placeReadies(arena, readies);
  const out = arena.output.start + offset;
  const batches: string[] = [];
  const log: string[] = [];
  let done = 0;
  do {
    const count = readies.length - done;
    const code = functions.readyBatch(rows + done * READY_BYTES, count, entries, out, out + room);
    log.push(`${code}`);
    if (code !== count) log.push(`item ${arena.errItem} needed ${arena.needed}`);
    batches.push(toHex(arena.u8.subarray(out, arena.outEnd)));
    if (code <= 0) break;
    done += code;
  } while (done < readies.length);
  assertUntouched(arena, out + room);
  return { batches, log };
}

test("one batch, byte for byte what single changes make, exactly full", () => {
  forAll(fc.tuple(fc.array(readyArbitrary, { maxLength: 12 }), fc.nat(17)), ([readies, offset]) => {
    const want = expected(readies);
    const seen = agree((functions, arena) => build(functions, arena, readies, offset, want.length));
    assert.equal(seen, { batches: [toHex(want)], log: [`${readies.length}`] });
    assert.is(checkRepresentation(want) >= 0, true);
  });
});

test("in any room, drained batches hold whole Readies and merge to the same", () => {
  const arbitrary = fc.tuple(
    fc.array(readyArbitrary, { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 0, max: 5000 }),
  );
  forAll(arbitrary, ([readies, spare]) => {
    const largest = Math.max(...readies.map((ready) => expected([ready]).length));
    const seen = agree((functions, arena) =>
      build(functions, arena, readies, 3, largest + spare),
    ) as { batches: string[] };
    const parts = seen.batches.map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
    assert.is(toHex(mergeRepresentations(parts)), toHex(expected(readies)));
  });
});

test("room that is too small: nothing is written, needed says what would do", () => {
  forAll(fc.tuple(readyArbitrary, fc.nat(2000)), ([ready, missing]) => {
    const want = expected([ready]);
    if (want.length === WRITE_BATCH_HEADER) return;
    const room = Math.max(0, want.length - 1 - (missing % want.length));
    const seen = agree((functions, arena) => build(functions, arena, [ready], 0, room));
    const needed = room < WRITE_BATCH_HEADER ? WRITE_BATCH_HEADER : want.length;
    const batch = room < WRITE_BATCH_HEADER ? "" : "00".repeat(WRITE_BATCH_HEADER);
    assert.equal(seen, { batches: [batch], log: [`${OUT_FULL}`, `item 0 needed ${needed}`] });
  });
});

test("a cut that ends before it starts is refused; rows before it are done", () => {
  const good: PlainReady = {
    regionId: 1n,
    entries: [],
    cutFrom: 5n,
    cut: 1n,
    raftState: undefined,
    snapshot: undefined,
  };
  for (const cut of [-1n, -(1n << 32n)]) {
    const bad = { ...good, cutFrom: 1n << 33n, cut };
    const seen = agree((functions, arena) => {
      const { rows, entries } = placeReadies(arena, [good, bad]);
      const { start, end } = arena.output;
      const code = functions.readyBatch(rows, 2, entries, start, end);
      return { code, item: arena.errItem, bytes: toHex(arena.u8.subarray(start, arena.outEnd)) };
    });
    assert.equal(seen, { code: CORRUPT, item: 1, bytes: toHex(expected([good])) });
  }
});

test("nothing writes an applied index but a received snapshot", () => {
  const ready: PlainReady = {
    regionId: 9n,
    entries: [],
    cutFrom: 0n,
    cut: 0n,
    raftState: [6n, 1n, 7n, 8n],
    snapshot: undefined,
  };
  assert.is(READY_RAFT_STATE & READY_SNAPSHOT, 0);
  const key = toHex(concatBytes(Uint8Array.of(0x72), applyStateKey(9n)));
  const holds = (one: PlainReady): boolean => {
    const seen = agree((functions, arena) => build(functions, arena, [one], 0, 500));
    return ((seen as { batches: string[] }).batches[0] as string).includes(key);
  };
  assert.not.ok(holds(ready));
  assert.ok(holds({ ...ready, snapshot: [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)] }));
});

/** Groups with the kernel; returns the code and the groups. */
function group(
  functions: KernelFunctions,
  arena: Arena,
  targets: readonly number[],
  stores: number,
) {
  const table = arena.scratch.reserve(targets.length * 4 + 4, 4);
  const offsets = arena.scratch.reserve((stores + 2) * 4, 4);
  const order = arena.scratch.reserve(targets.length * 4 + 4, 4);
  arena.u32.set(targets, table >> 2);
  const code = functions.readyGroup(table, targets.length, stores, offsets, order);
  if (code === CORRUPT) return { code, item: arena.errItem };
  const offsetAt = (i: number): number => arena.u32[(offsets >> 2) + i] as number;
  const groups = Array.from({ length: stores }, (_, store) => [
    ...arena.u32.subarray((order >> 2) + offsetAt(store), (order >> 2) + offsetAt(store + 1)),
  ]);
  const guards = [offsetAt(stores + 1), arena.u32[(order >> 2) + targets.length]];
  return { code, groups, last: offsetAt(stores), guards };
}

test("messages are grouped by target store, in their order; unknown stores are refused", () => {
  const arbitrary = fc.tuple(
    fc.array(fc.nat(9), { maxLength: 60 }),
    fc.integer({ min: 0, max: 10 }),
  );
  forAll(arbitrary, ([targets, stores]) => {
    const seen = agree((functions, arena) => group(functions, arena, targets, stores));
    const unknown = targets.findIndex((target) => target >= stores);
    if (unknown >= 0) {
      assert.equal(seen, { code: CORRUPT, item: unknown });
      return;
    }
    const groups = Array.from({ length: stores }, (_, store) =>
      targets.flatMap((target, i) => (target === store ? [i] : [])),
    );
    const guards = [0xcccc_cccc, 0xcccc_cccc];
    assert.equal(seen, { code: targets.length, groups, last: targets.length, guards });
  });
});

test.run();

/** @variants KERNEL=js,debug,simd */
/** A round's rows as one write batch: its records, the twin's bytes, rounds that are too large. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toHex } from "../../../src/base/index.js";
import { raftLogKey, raftStateKey, regionStateKey } from "../../../src/codec/index.js";
import { cfKey, writeRecords } from "../../../src/engine/index.js";
import { loadKernels } from "../../../src/kernel/index.js";
import { decodeEntry } from "../../../src/raft/index.js";
import type { PeerMsg } from "../../../src/raftstore/index.js";
import { decodeRaftLocalState } from "../../../src/raftstore/local_state.js";
import { encodeRound, RoundWriter, type WriteRow } from "../../../src/raftstore/write_task.js";

const MIB = 1024 * 1024;

function row(regionId: number, first: number, count: number, bytes = 20): WriteRow {
  const entries = Array.from({ length: count }, (_, i) => ({
    type: 0 as const,
    term: 7,
    index: first + i,
    data: new Uint8Array(bytes).fill(i + 1),
    context: i % 2 === 0 ? new Uint8Array(0) : Uint8Array.of(2),
  }));
  const lastIndex = first + count - 1;
  const raftState = { term: 7, vote: 3, commit: first, lastIndex };
  return { regionId, cutFrom: first, cutTo: first, entries, raftState, snapshot: undefined };
}

function encoded(rows: readonly WriteRow[], memoryBytes = MIB, build?: "js"): Uint8Array {
  const kernels = loadKernels(build === undefined ? { memoryBytes } : { memoryBytes, build });
  let bytes: Uint8Array | undefined;
  encodeRound(kernels, rows, (view) => {
    bytes = view.slice();
  });
  assert.ok(bytes);
  return bytes as Uint8Array;
}

/** Decodes an entry; its bytes become plain arrays, which compare by value. */
function plainEntry(bytes: Uint8Array): unknown {
  const entry = decodeEntry(bytes);
  assert.ok(entry);
  const { data, context } = entry as NonNullable<typeof entry>;
  return { ...entry, data: Uint8Array.from(data), context: Uint8Array.from(context) };
}

test("a row is its entries and its raft state", () => {
  const records = [...writeRecords(encoded([row(2, 6, 2)]))];
  const keys = records.map((one) => (one.kind === "put" ? toHex(one.key) : one.kind));
  assert.equal(keys, [
    toHex(cfKey("raft", raftLogKey(2n, 6n))),
    toHex(cfKey("raft", raftLogKey(2n, 7n))),
    toHex(cfKey("raft", raftStateKey(2n))),
  ]);
  const [first, second, state] = records.map((one) =>
    one.kind === "put" ? one.value : new Uint8Array(0),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  assert.equal([first, second].map(plainEntry), row(2, 6, 2).entries);
  const expected = { term: 7, vote: 3, commit: 6, lastIndex: 7 };
  assert.equal(decodeRaftLocalState(state), expected);
});

test("a snapshot cuts the old log and leaves its three states", () => {
  const snapshot = {
    regionState: Uint8Array.of(1),
    applyState: Uint8Array.of(2, 2),
    snapshotRaftState: Uint8Array.of(3, 3, 3),
  };
  const one = { ...row(2, 9, 1), cutFrom: 6, cutTo: 9, snapshot };
  const records = [...writeRecords(encoded([one]))];
  assert.equal(
    records.map(({ kind }) => kind),
    ["delete", "delete", "delete", "put", "put", "put", "put", "put"],
  );
  const state = records[5];
  assert.ok(state?.kind === "put");
  assert.equal(state.key, cfKey("raft", regionStateKey(2n)));
  assert.equal(state.value, snapshot.regionState);
});

test("the twin makes the same bytes, and so does a round that does not fit", () => {
  const rows = [row(2, 6, 100), row(300, 2 ** 40, 50, 333), row(2 ** 45, 77, 3, 0)];
  const bytes = encoded(rows);
  assert.ok(Buffer.compare(encoded(rows, MIB, "js"), bytes) === 0);
  const large = [row(2, 6, 8, 200_000), row(3, 6, 1, MIB)];
  assert.ok(Buffer.compare(encoded(large), encoded(large, 64 * MIB)) === 0);
});

test("a round is one synced write; its regions hear of it when it is done, and rounds are bounded", () => {
  const done: (() => void)[] = [];
  const notices: { regionId: number; message: PeerMsg }[] = [];
  const resumed: number[] = [];
  const writer = new RoundWriter({
    port: {
      engine: undefined as never,
      write: (_bytes, sync, onDone) => {
        assert.ok(sync);
        done.push(onDone);
      },
    },
    kernels: loadKernels({ memoryBytes: MIB }),
    clock: { monotonicMs: () => 0 },
    notify: (regionId, message) => notices.push({ regionId, message }),
    resume: (regionId) => resumed.push(regionId),
  });
  writer.submit();
  assert.is(done.length, 0);
  writer.addReady(row(2, 6, 1), 41, 1);
  writer.addReady(row(3, 6, 1), 42, 5);
  writer.addReady(row(2, 7, 1), 41, 2);
  writer.submit();
  assert.is(done.length, 1);
  assert.is(notices.length, 0);
  for (let i = 1; i < 16; i++) {
    assert.not(writer.isFull);
    writer.addReady(row(2, 7 + i, 1), 41, 2 + i);
    writer.submit();
  }
  assert.ok(writer.isFull);
  writer.waitForRoom(9);
  done.shift()?.();
  assert.equal(notices, [
    { regionId: 2, message: { kind: "persisted", life: 41, ready: 1 } },
    { regionId: 3, message: { kind: "persisted", life: 42, ready: 5 } },
    { regionId: 2, message: { kind: "persisted", life: 41, ready: 2 } },
  ]);
  assert.equal(resumed, [9]);
});

test.run();

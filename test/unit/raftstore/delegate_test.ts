/** Writes and empty entries: one batch a round, who is answered when and how (3.13). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readRaftApplyState } from "../../../src/raftstore/local_state.js";
import {
  ApplyHarness,
  kinds,
  normalEntry,
  proposal,
  putBatch,
  showApplyState,
  testRegion,
  writeEntry,
} from "../../support/apply_harness.js";

const REGION = testRegion();

test("the writes of many regions are one engine write, with their applied indexes", async () => {
  const harness = new ApplyHarness();
  const other = testRegion({ id: 3n });
  harness.register(REGION);
  harness.register(other);
  const proposals = [proposal(6), proposal(7)];
  const entries = [
    writeEntry(REGION, { index: 6 }, putBatch(["a", "1"], ["b", "2"])),
    writeEntry(REGION, { index: 7 }, putBatch(["a", "3"])),
  ];
  harness.apply(2, entries, proposals);
  harness.apply(3, [normalEntry(6), writeEntry(other, { index: 7 }, putBatch(["x", "9"]))]);
  harness.round();
  assert.is(harness.submitted.length, 1);
  assert.equal(kinds(proposals), ["", ""], "nobody is answered before the write is done");
  assert.is(harness.results().length, 0);
  await harness.written();
  assert.equal(kinds(proposals), ["ok", "ok"]);
  assert.is(harness.get("a"), "3");
  assert.is(harness.get("x"), "9");
  assert.is(
    showApplyState(readRaftApplyState(harness.engine, 2n)),
    "applied=7 commit=7/6 truncated=5/5",
  );
  const [first, second] = harness.results();
  assert.is(harness.results().length, 2);
  assert.is(first?.writtenKeys, 3);
  assert.is(first?.appliedTerm, 6);
  assert.is(second?.applyState.appliedIndex, 7);
});

test("a write for another version is refused, and the applied index moves on", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  const old = testRegion({ version: 3n });
  const newer = testRegion({ version: 5n });
  const otherPeers = testRegion({ confVer: 9n });
  const proposals = [proposal(6), proposal(7), proposal(8)];
  const entries = [old, newer, otherPeers].map((region, i) =>
    writeEntry(region, { index: 6 + i }, putBatch([`k${i}`, "v"])),
  );
  harness.apply(2, entries, proposals);
  await harness.settle();
  assert.equal(kinds(proposals), ["epochNotMatch", "epochNotMatch", "ok"]);
  const refusal = proposals[0]?.answers[0];
  assert.equal(refusal, {
    ok: false,
    error: {
      kind: "epochNotMatch",
      message:
        "EpochNotMatch current epoch of region 2 is conf_ver: 3 version: 4, " +
        "but you sent conf_ver: 3 version: 3",
      currentRegions: [REGION],
    },
  });
  assert.is(harness.get("k0"), undefined);
  assert.is(harness.get("k1"), undefined);
  assert.is(harness.get("k2"), "v");
  assert.is(harness.results()[0]?.applyState.appliedIndex, 8);
  assert.is(harness.metrics.epochNotMatch, 2);
});

/** Proposals by (index, term), entries by (index, term): what each proposal hears. */
const MATCHING: readonly {
  readonly name: string;
  readonly proposals: readonly (readonly [number, number])[];
  readonly entries: readonly (readonly [number, number, string?])[];
  readonly heard: readonly string[];
}[] = [
  { name: "match", proposals: [[6, 6]], entries: [[6, 6]], heard: ["ok"] },
  {
    name: "another term at the index",
    proposals: [[6, 6]],
    entries: [[6, 7]],
    heard: ["staleCommand"],
  },
  { name: "an entry of another peer", proposals: [[7, 6]], entries: [[6, 6]], heard: [""] },
  {
    name: "lower ones of an older term",
    proposals: [
      [6, 6],
      [7, 6],
      [7, 8],
    ],
    entries: [
      [6, 8],
      [7, 8],
    ],
    heard: ["staleCommand", "staleCommand", "ok"],
  },
  {
    name: "an empty entry of a newer term ends those above its index",
    proposals: [
      [6, 6],
      [9, 6],
      [10, 7],
    ],
    entries: [[6, 7, "empty"]],
    heard: ["staleCommand", "staleCommand", ""],
  },
  {
    name: "an entry of a newer term ends those above its index as well",
    proposals: [
      [8, 6],
      [7, 7],
    ],
    entries: [[6, 7]],
    heard: ["staleCommand", ""],
  },
  {
    name: "an empty entry that was proposed",
    proposals: [[6, 6]],
    entries: [[6, 6, "empty"]],
    heard: ["ok"],
  },
];

for (const { name, proposals, entries, heard } of MATCHING) {
  test(`callbacks: ${name}`, async () => {
    const harness = new ApplyHarness();
    harness.register(REGION);
    const made = proposals.map(([index, term]) => proposal(index, term));
    const log = entries.map(([index, term, empty]) =>
      empty === undefined
        ? writeEntry(REGION, { index, term }, putBatch([`k${index}`, "v"]))
        : normalEntry(index, new Uint8Array(0), term),
    );
    harness.apply(2, log, made);
    await harness.settle();
    assert.equal(kinds(made), heard);
  });
}

test("a region yields after its share, so that another's entries come in the same rounds", async () => {
  const harness = new ApplyHarness({ yieldBytes: 64 });
  harness.register(REGION);
  harness.register(testRegion({ id: 3n }));
  const many = Array.from({ length: 10 }, (_, i) =>
    writeEntry(REGION, { index: 6 + i }, putBatch([`k${i}`, "v".repeat(50)])),
  );
  harness.apply(2, many);
  harness.apply(3, [writeEntry(testRegion({ id: 3n }), { index: 6 }, putBatch(["x", "1"]))]);
  assert.ok(harness.system.poll());
  assert.is(harness.submitted.length, 1);
  await harness.written();
  assert.equal(
    harness.results().map((result) => [result.regionId, result.applyState.appliedIndex]),
    [
      [2, 6],
      [3, 6],
    ],
  );
  assert.is(harness.round(), 9);
  await harness.settle();
  assert.is(harness.results().at(-1)?.applyState.appliedIndex, 15);
  assert.is(harness.metrics.yields, 9);
});

test("destroy answers everything, after what was applied is written", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  const proposals = [proposal(6), proposal(7)];
  const late = proposal(8);
  harness.apply(2, [writeEntry(REGION, { index: 6 }, putBatch(["a", "1"]))], proposals);
  harness.system.send(2, { kind: "destroy" });
  harness.apply(2, [], [late]);
  harness.round();
  assert.equal(kinds([late]), ["regionNotFound"]);
  assert.is(harness.messages.length, 0);
  await harness.written();
  assert.equal(kinds(proposals), ["ok", "regionNotFound"]);
  assert.equal(
    harness.messages.map(({ message }) => message.kind),
    ["applyRes", "applyDestroyed"],
  );
  assert.is(harness.system.size, 0);
  const after = proposal(9);
  harness.apply(2, [], [after]);
  assert.equal(kinds([after]), ["regionNotFound"], "no delegate: answered at once");
});

test("destroy waits for every write under way, not for the oldest only", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  for (const index of [6, 7]) {
    harness.apply(2, [writeEntry(REGION, { index }, putBatch([`k${index}`, "1"]))]);
    harness.round();
  }
  assert.is(harness.writes.length, 2);
  await harness.written(1);
  harness.system.send(2, { kind: "destroy" });
  harness.round();
  const kindsSent = (): string[] => harness.messages.map(({ message }) => message.kind);
  assert.equal(kindsSent(), ["applyRes"]);
  await harness.written();
  assert.equal(kindsSent(), ["applyRes", "applyRes", "applyDestroyed"]);
});

const MIB = 1 << 20;

test("a round's batch is written before it grows beyond its bound", async () => {
  const harness = new ApplyHarness({ yieldBytes: MIB });
  const entries = (id: bigint) => [
    writeEntry(testRegion({ id }), { index: 6 }, putBatch(["a", "v".repeat(0.6 * MIB)])),
  ];
  for (let id = 2; id < 6; id++) {
    harness.register(testRegion({ id: BigInt(id) }));
    harness.apply(id, entries(BigInt(id)));
  }
  assert.ok(harness.system.poll());
  assert.is(harness.submitted.length, 2);
  await harness.settle();
  assert.is(harness.results().length, 4);
});

test("with too much under way delegates wait, and go on when it is written", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  const large = putBatch(["a", "v".repeat(3 * MIB)]);
  for (let index = 6; index < 26; index++) {
    harness.apply(2, [writeEntry(REGION, { index }, large)]);
  }
  harness.round();
  const { pendingBytes } = harness.metrics;
  assert.ok(pendingBytes >= 32 * MIB && pendingBytes < 36 * MIB, `${pendingBytes} bytes under way`);
  const held = harness.submitted.length;
  assert.is(harness.round(), 0, "nothing runs meanwhile");
  await harness.written(2);
  assert.ok(harness.round() > 0);
  assert.ok(harness.submitted.length > held);
  await harness.settle();
  assert.is(harness.results().at(-1)?.applyState.appliedIndex, 25);
  assert.is(harness.metrics.pendingBytes, 0);
});

test("a large task is applied in the low lane, and order is kept", async () => {
  const harness = new ApplyHarness({ yieldBytes: MIB, batch: { poolSize: 1 } });
  const other = testRegion({ id: 3n });
  harness.register(REGION);
  harness.register(other);
  const large = putBatch(["a", "v".repeat(1.5 * MIB)]);
  const entries = [6, 7, 8].map((index) => writeEntry(REGION, { index }, large));
  harness.apply(2, entries);
  harness.apply(2, [writeEntry(REGION, { index: 9 }, putBatch(["a", "last"]))]);
  harness.apply(3, [writeEntry(other, { index: 6 }, putBatch(["x", "1"]))]);
  assert.ok(harness.system.poll());
  await harness.written();
  assert.equal(
    harness.results().map(({ regionId }) => regionId),
    [3],
    "the small one does not wait for the large one",
  );
  await harness.settle();
  assert.is(harness.get("a"), "last");
  assert.is(harness.results().at(-1)?.applyState.appliedIndex, 9);
});

test("a new registration ends what waits and starts from its state", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  const waiting = proposal(9);
  harness.apply(2, [writeEntry(REGION, { index: 6 }, putBatch(["a", "1"]))], [waiting]);
  const applyState = {
    appliedIndex: 20,
    commitIndex: 20,
    commitTerm: 6,
    truncatedIndex: 20,
    truncatedTerm: 6,
  };
  harness.register(testRegion({ version: 5n }), { applyState, appliedTerm: 6 });
  const next = proposal(21);
  const region = testRegion({ version: 5n });
  harness.apply(2, [writeEntry(region, { index: 21 }, putBatch(["b", "2"]))], [next]);
  await harness.settle();
  assert.equal(kinds([waiting, next]), ["staleCommand", "ok"]);
  assert.equal(
    harness.results().map((result) => result.applyState.appliedIndex),
    [6, 21],
  );
});

test("a snapshot is taken of exactly what is applied", async () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  harness.apply(2, [writeEntry(REGION, { index: 6 }, putBatch(["a", "1"]))]);
  harness.system.send(2, { kind: "snapshot", task: { regionId: 2, toPeerId: 13 } });
  harness.apply(2, [writeEntry(REGION, { index: 7 }, putBatch(["a", "2"]))]);
  harness.round();
  assert.is(harness.generated.length, 0);
  assert.is(harness.submitted.length, 1, "nothing behind the snapshot is applied yet");
  await harness.settle();
  assert.is(harness.get("a"), "2");
  assert.is(harness.generated.length, 1);
  const [request] = harness.generated;
  assert.equal(request?.key, { regionId: 2, term: 6, index: 6 });
  assert.is(request?.toPeerId, 13);
  assert.equal(request?.confState.voters, [11, 12, 13]);
  assert.equal(request?.engineSnapshot.get("default", Buffer.from("za")), new Uint8Array([0x31]));
  assert.is(readRaftApplyState(request?.engineSnapshot as never, 2n)?.appliedIndex, 6);
  request?.engineSnapshot.close();
});

test("entries that do not follow each other are a bug", () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  harness.apply(2, [normalEntry(8)]);
  assert.throws(() => harness.round(), /one after the other/);
});

test("a commit index that goes back is a bug", () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  harness.apply(2, [normalEntry(6)], [], normalEntry(9));
  harness.apply(2, [normalEntry(7)]);
  assert.throws(() => harness.round(), /never goes back/);
});

test("an entry of another region's log is damage", () => {
  const harness = new ApplyHarness();
  harness.register(REGION);
  harness.apply(2, [writeEntry(testRegion({ id: 3n }), { index: 6 }, putBatch(["a", "1"]))]);
  assert.throws(() => harness.round(), /belongs to its region/);
});

test.run();

/** Splits and log cuts as applied (semantics 3.7, 3.3, 3.11). */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { regionStateKey } from "../../../src/codec/index.js";
import { splitRegion } from "../../../src/raftstore/apply/exec_split.js";
import type { SplitPart } from "../../../src/raftstore/commands.js";
import {
  encodeRegionLocalState,
  initialApplyState,
  PEER_STATE,
  readRaftApplyState,
  readRegionLocalState,
} from "../../../src/raftstore/local_state.js";
import type { ExecResult } from "../../../src/raftstore/messages.js";
import type { RegionInfo } from "../../../src/raftstore/region.js";
import {
  ApplyHarness,
  adminEntry,
  kinds,
  proposal,
  putBatch,
  testRegion,
  writeEntry,
} from "../../support/apply_harness.js";

function part(key: string, id: number): SplitPart {
  return {
    splitKey: utf8(key),
    newRegionId: BigInt(id),
    newPeerIds: [id + 1, id + 2, id + 3].map(BigInt),
  };
}

function show(region: RegionInfo): string {
  const key = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  return `${region.id}[${key(region.startKey)},${key(region.endKey)})v${region.version}`;
}

const REGION = testRegion({ startKey: utf8("b"), endKey: utf8("y") });

test("right derive: the right-most keeps the id; each key ends a new region", () => {
  const split = splitRegion(REGION, [part("f", 20), part("k", 30)], true);
  assert.ok(split.ok);
  if (!split.ok) return;
  assert.equal(split.value.regions.map(show), ["20[b,f)v6", "30[f,k)v6", "2[k,y)v6"]);
  assert.is(show(split.value.derived), "2[k,y)v6");
  const [first] = split.value.regions;
  assert.equal(
    first?.peers.map((peer) => [peer.id, peer.storeId, peer.role]),
    [
      [21n, 1n, 0],
      [22n, 2n, 0],
      [23n, 3n, 0],
    ],
  );
  assert.is(first?.confVer, 3n);
});

test("left derive: the left-most keeps the id; each key begins a new region", () => {
  const split = splitRegion(REGION, [part("f", 20), part("k", 30)], false);
  assert.ok(split.ok);
  if (!split.ok) return;
  assert.equal(split.value.regions.map(show), ["2[b,f)v6", "20[f,k)v6", "30[k,y)v6"]);
  assert.is(show(split.value.derived), "2[b,f)v6");
});

test("roles are copied, a joint state too", () => {
  const peers = [
    { id: 11n, storeId: 1n, role: 3 },
    { id: 12n, storeId: 2n, role: 2 },
    { id: 13n, storeId: 3n, role: 1 },
  ] as const;
  const split = splitRegion(testRegion({ peers }), [part("f", 20)], true);
  assert.equal(split.ok && split.value.regions[0]?.peers.map((peer) => peer.role), [3, 2, 1]);
});

const REFUSALS: readonly (readonly [string, readonly SplitPart[], string, RegExp])[] = [
  ["no parts", [], "other", /missing split requests/],
  ["an empty key", [part("", 20)], "other", /missing split key/],
  ["keys that descend", [part("k", 20), part("f", 30)], "other", /do not ascend/],
  ["a key twice", [part("k", 20), part("k", 30)], "other", /do not ascend/],
  ["the start key", [part("b", 20)], "keyNotInRegion", /not in region/],
  ["the end key", [part("y", 20)], "keyNotInRegion", /not in region/],
  ["a key before", [part("a", 20)], "keyNotInRegion", /not in region/],
  ["a key behind", [part("f", 20), part("z", 30)], "keyNotInRegion", /not in region/],
  [
    "too few peer ids",
    [{ ...part("f", 20), newPeerIds: [21n, 22n] }],
    "other",
    /invalid new peer id count, need 3 but got 2/,
  ],
];

for (const [name, parts, kind, message] of REFUSALS) {
  test(`refused: ${name}`, async () => {
    const split = splitRegion(REGION, parts, true);
    assert.is(split.ok, false);
    assert.is(!split.ok && split.error.kind, kind);
    assert.match(split.ok ? "" : split.error.message, message);
    const harness = new ApplyHarness();
    harness.register(REGION);
    const waiting = proposal(6);
    harness.apply(
      2,
      [adminEntry(REGION, 6, { kind: "split", parts, rightDerive: true })],
      [waiting],
    );
    await harness.settle();
    assert.equal(kinds([waiting]), [kind]);
    assert.is(readRegionLocalState(harness.engine, 2n), undefined, "nothing is written");
    assert.is(readRaftApplyState(harness.engine, 2n)?.appliedIndex, 6);
  });
}

/** Splits region 2 at "m" into 20 and itself; answers with the harness, its peer told. */
async function split(
  prepare: (harness: ApplyHarness) => Promise<void> | void = () => {},
): Promise<{ harness: ApplyHarness; result: Extract<ExecResult, { kind: "split" }> }> {
  const harness = new ApplyHarness();
  await prepare(harness);
  const region = testRegion();
  harness.register(region);
  const entry = adminEntry(region, 6, { kind: "split", parts: [part("m", 20)], rightDerive: true });
  harness.apply(2, [entry]);
  await harness.settle();
  const result = harness.results()[0]?.results[0];
  assert.is(result?.kind, "split");
  return { harness, result: result as Extract<ExecResult, { kind: "split" }> };
}

test("the states of all regions are one write with the applied index", async () => {
  const { harness, result } = await split();
  assert.is(harness.submitted.length, 1);
  assert.equal(result.regions.map(show), ["20[,m)v5", "2[m,)v5"]);
  assert.equal(result.notCreated, []);
  assert.is(show(result.derived), "2[m,)v5");
  for (const region of result.regions) {
    assert.equal(readRegionLocalState(harness.engine, region.id), { state: 0, region });
  }
  assert.equal(readRaftApplyState(harness.engine, 20n), initialApplyState());
  assert.is(readRaftApplyState(harness.engine, 2n)?.appliedIndex, 6);
  assert.ok(harness.creates.isSplitting(20), "claimed until the peer is registered");
  harness.creates.releaseSplit(20, 21);
});

test("writes of the old version hear of the regions that split off", async () => {
  const { harness, result } = await split();
  const [old, other, current] = [proposal(7), proposal(8), proposal(9)];
  harness.apply(
    2,
    [
      writeEntry(testRegion(), { index: 7 }, putBatch(["x", "1"])),
      writeEntry(testRegion({ version: 9n }), { index: 8 }, putBatch(["x", "2"])),
      writeEntry(result.derived, { index: 9 }, putBatch(["x", "3"])),
    ],
    [old, other, current],
  );
  await harness.settle();
  assert.equal(kinds([old, other, current]), ["epochNotMatch", "epochNotMatch", "ok"]);
  const regionsIn = (of: typeof old): string[] => {
    const [answer] = of.answers;
    if (answer === undefined || answer.ok || answer.error.kind !== "epochNotMatch") return [];
    return answer.error.currentRegions.map(show);
  };
  assert.equal(regionsIn(old), ["2[m,)v5", "20[,m)v5"]);
  assert.equal(regionsIn(other), ["2[m,)v5"], "who is ahead knows them");
});

test("an uninitialised peer of the same id gives way", async () => {
  const { harness, result } = await split(({ creates }) => {
    assert.ok(creates.claimForMessage(20, 21));
  });
  assert.equal(result.notCreated, []);
  assert.is(readRegionLocalState(harness.engine, 20n)?.state, PEER_STATE.Normal);
  assert.ok(harness.creates.isSplitting(20));
  harness.creates.releaseMessage(20, 21);
  assert.ok(harness.creates.isSplitting(20), "the split has taken the claim over");
});

test("a newer peer that a message made stays: the split leaves the region alone", async () => {
  const { harness, result } = await split(({ creates }) => {
    assert.ok(creates.claimForMessage(20, 99));
  });
  assert.equal(result.notCreated, [20]);
  assert.is(readRegionLocalState(harness.engine, 20n), undefined);
  assert.is(readRaftApplyState(harness.engine, 20n), undefined);
  assert.is(readRegionLocalState(harness.engine, 2n)?.region.version, 5n);
  assert.not(harness.creates.claimForMessage(20, 21));
  harness.creates.releaseMessage(20, 99);
  assert.ok(harness.creates.claimForMessage(20, 21));
});

test("a region that was here before, its tombstone too, is not made again", async () => {
  for (const state of [PEER_STATE.Tombstone, PEER_STATE.Normal]) {
    const before = testRegion({ id: 20n, version: 9n });
    const { harness, result } = await split(async ({ engine }) => {
      const batch = engine.newWriteBatch();
      batch.put("raft", regionStateKey(20n), encodeRegionLocalState({ state, region: before }));
      await engine.write(batch, { sync: false });
    });
    assert.equal(result.notCreated, [20]);
    assert.equal(readRegionLocalState(harness.engine, 20n), { state, region: before });
    assert.not(harness.creates.isSplitting(20));
  }
});

test("a log cut moves the truncated state; one that is cut already, and a zero term, do nothing", async () => {
  const harness = new ApplyHarness();
  const region = testRegion();
  harness.register(region);
  const proposals = [7, 8, 9, 10].map((index) => proposal(index));
  const cut = (at: number, index: number, term: number) =>
    adminEntry(testRegion({ version: 1n, confVer: 1n }), at, { kind: "compactLog", index, term });
  harness.apply(
    2,
    [
      writeEntry(region, { index: 6 }, putBatch(["a", "1"])),
      cut(7, 6, 6),
      cut(8, 6, 6),
      cut(9, 5, 5),
      cut(10, 8, 0),
    ],
    proposals,
  );
  await harness.settle();
  assert.equal(kinds(proposals), ["ok", "ok", "ok", "other"]);
  const [result] = harness.results();
  assert.equal(result?.results, [{ kind: "compactLog", truncatedIndex: 6, truncatedTerm: 6 }]);
  const state = readRaftApplyState(harness.engine, 2n);
  assert.equal([state?.truncatedIndex, state?.truncatedTerm, state?.appliedIndex], [6, 6, 10]);
  assert.is(harness.submitted.length, 1, "no epoch changed: one batch");
});

test("a log is not cut at or beyond the entry that says so", () => {
  const harness = new ApplyHarness();
  harness.register(testRegion());
  harness.apply(2, [adminEntry(testRegion(), 6, { kind: "compactLog", index: 6, term: 6 })]);
  assert.throws(() => harness.round(), /behind applied entries/);
});

test.run();

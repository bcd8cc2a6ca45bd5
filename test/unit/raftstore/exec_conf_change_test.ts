/** Changes of peers as applied (semantics 3.9): roles, epoch, refusals, what is written. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { changePeers } from "../../../src/raftstore/apply/exec_conf_change.js";
import type { PeerChange } from "../../../src/raftstore/commands.js";
import { confStateOf } from "../../../src/raftstore/conf_state.js";
import {
  PEER_STATE,
  readRaftApplyState,
  readRegionLocalState,
} from "../../../src/raftstore/local_state.js";
import type { PeerInfo, RegionInfo } from "../../../src/raftstore/region.js";
import {
  ApplyHarness,
  adminEntry,
  kinds,
  proposal,
  putBatch,
  testRegion,
  writeEntry,
} from "../../support/apply_harness.js";

const ROLES = ["V", "L", "I", "D"] as const;

/** "11V 12L" is peer 11 on store 1, a voter, and peer 12 on store 2, a learner. */
function peers(text: string): PeerInfo[] {
  return text
    .split(" ")
    .filter((part) => part !== "")
    .map((part) => {
      const [, id, role, store] = /^(\d+)([VLID])(?:@(\d+))?$/.exec(part) as RegExpExecArray;
      const number = BigInt(id as string);
      return {
        id: number,
        storeId: store === undefined ? number - 10n : BigInt(store),
        role: ROLES.indexOf(role as "V") as PeerInfo["role"],
      };
    });
}

function show(region: RegionInfo): string {
  return region.peers.map((peer) => `${peer.id}${ROLES[peer.role]}`).join(" ");
}

/** "+14V" adds a voter or promotes, "+14L" adds a learner or demotes, "-14" removes. */
function changes(text: string): PeerChange[] {
  return text
    .split(" ")
    .filter((part) => part !== "")
    .map((part) => {
      const removes = part.startsWith("-");
      const [peer] = peers(removes ? `${part.slice(1).replace(/(@|$)/, "V$1")}` : part.slice(1));
      const type = removes ? 1 : peer?.role === 1 ? 2 : 0;
      return { type, peer: peer as PeerInfo };
    });
}

/** Region, changes, and the peers that come of them with the growth of conf_ver; or a refusal. */
const ROWS: readonly (readonly [string, string, string | RegExp, number?])[] = [
  ["11V 12V", "+13V", "11V 12V 13V", 1],
  ["11V 12V", "+13L", "11V 12V 13L", 1],
  ["11V 12V 13L", "+13V", "11V 12V 13V", 1],
  ["11V 12V 13V", "+13L", "11V 12V 13L", 1],
  ["11V 12V 13V", "-12", "11V 13V", 1],
  ["11V 12V 13L", "-13", "11V 12V", 1],
  ["11V 12V 13V", "+14V +12L", "11V 12D 13V 14I", 2],
  ["11V 12V 13V 14L", "+14V +12L", "11V 12D 13V 14I", 2],
  ["11V 12V 13V 14L", "+12L -14", "11V 12D 13V", 2],
  ["11V 12D 13V 14I", "", "11V 12L 13V 14V", 2],
  ["11V 12V 13D", "", "11V 12V 13L", 1],
  ["11V 12V", "", /non-joint/],
  ["11V 12D 13I", "+14V", /still in joint/],
  ["11V 12V", "+22V@2", /store 2 has peer 12 already, not 22/],
  ["11V 12V", "+22L@2", /store 2 has peer 12 already, not 22/],
  ["11V 12V", "+12V@5", /peer 12 is on another store/],
  ["11V 12V", "-13", /remove missing peer 13/],
  ["11V 12V", "-22@2", /remove unmatched peer: expect peer 12, got 22/],
  ["11V 12V", "+12V", /can't be added twice/],
  ["11V 12L", "+12L", /can't be added twice/],
  ["11V 12V 13V", "-12 +13L", /can't remove voter 12 directly/],
  ["11V 12V 13V", "+14V +14L", /can't be added twice/],
];

for (const [before, request, expected, grows] of ROWS) {
  test(`[${before}] ${request || "leave"} → ${expected}`, () => {
    const region = testRegion({ peers: peers(before) });
    const result = changePeers(region, changes(request));
    if (expected instanceof RegExp) {
      assert.match(result.ok ? show(result.value) : result.error, expected);
      assert.not(result.ok);
      return;
    }
    assert.ok(result.ok, result.ok ? "" : result.error);
    if (!result.ok) return;
    assert.is(show(result.value), expected);
    assert.is(result.value.confVer, region.confVer + BigInt(grows as number));
    assert.is(result.value.version, region.version);
    assert.is(show(region), before, "the input is not changed");
  });
}

test("members follow from roles", () => {
  const members = confStateOf(testRegion({ peers: peers("13V 11V 12D 14I 15L") }));
  assert.equal(members, {
    voters: [11, 13, 14],
    learners: [15],
    votersOutgoing: [11, 12, 13],
    learnersNext: [12],
    autoLeave: false,
  });
  assert.equal(confStateOf(testRegion()).votersOutgoing, []);
});

async function applied(region: RegionInfo, text: string): Promise<ApplyHarness> {
  const harness = new ApplyHarness();
  harness.register(region);
  harness.apply(2, [
    writeEntry(region, { index: 6 }, putBatch(["a", "1"])),
    adminEntry(region, 7, { kind: "changePeer", changes: changes(text) }),
    writeEntry(region, { index: 8 }, putBatch(["a", "2"])),
  ]);
  await harness.settle();
  return harness;
}

test("region state and applied index are one write; the peer hears before more is applied", async () => {
  const harness = await applied(testRegion(), "+14L");
  assert.is(harness.submitted.length, 2);
  const [first, second] = harness.results();
  assert.is(first?.applyState.appliedIndex, 7);
  const [result] = first?.results ?? [];
  assert.is(result?.kind, "changePeer");
  if (result?.kind !== "changePeer") return;
  assert.ok(result.changed);
  assert.is(result.index, 7);
  assert.is(show(result.region), "11V 12V 13V 14L");
  assert.is(result.entry.index, 7);
  assert.equal(readRegionLocalState(harness.engine, 2n), { state: 0, region: result.region });
  // A write does not compare conf_ver: it goes on in the same log.
  assert.is(second?.applyState.appliedIndex, 8);
  assert.is(harness.get("a"), "2");
});

test("a refused change answers, changes nothing, and the applied index moves on", async () => {
  const harness = new ApplyHarness();
  const region = testRegion();
  harness.register(region);
  const proposals = [proposal(6), proposal(7), proposal(8)];
  const old = testRegion({ confVer: 2n });
  harness.apply(
    2,
    [
      adminEntry(region, 6, { kind: "changePeer", changes: changes("-15") }),
      adminEntry(old, 7, { kind: "changePeer", changes: changes("-13") }),
      adminEntry(testRegion({ version: 9n }), 8, { kind: "changePeer", changes: changes("-13") }),
    ],
    proposals,
  );
  await harness.settle();
  assert.equal(kinds(proposals), ["other", "epochNotMatch", "ok"]);
  const results = harness.results().flatMap((result) => result.results);
  assert.equal(
    results.map((result) => result.kind === "changePeer" && [result.index, result.changed]),
    [
      [6, false],
      [7, false],
      [8, true],
    ],
  );
  assert.is(readRaftApplyState(harness.engine, 2n)?.appliedIndex, 8);
  assert.is(show(readRegionLocalState(harness.engine, 2n)?.region as RegionInfo), "11V 12V");
  assert.is(harness.metrics.admin.changePeer.all, 3);
  assert.is(harness.metrics.admin.changePeer.success, 1);
});

test("a removed peer leaves a tombstone and applies nothing more", async () => {
  const harness = await applied(testRegion(), "-11");
  const state = readRegionLocalState(harness.engine, 2n);
  assert.is(state?.state, PEER_STATE.Tombstone);
  assert.is(show(state?.region as RegionInfo), "12V 13V");
  assert.is(harness.get("a"), "1");
  assert.is(readRaftApplyState(harness.engine, 2n)?.appliedIndex, 7);
  const late = proposal(9);
  harness.apply(2, [writeEntry(testRegion(), { index: 9 }, putBatch(["a", "3"]))], [late]);
  await harness.settle();
  assert.equal(kinds([late]), ["regionNotFound"]);
  assert.is(harness.get("a"), "1");
});

test.run();

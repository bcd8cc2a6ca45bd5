/** Who may speak to a peer, and what makes one: the tables of the semantics, row by row. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../src/base/index.js";
import { MessageType, newMessage } from "../../../src/raft/index.js";
import type { RaftMessage, RegionInfo } from "../../../src/raftstore/index.js";
import { PEER_STATE, type RegionLocalState } from "../../../src/raftstore/local_state.js";
import { claimCreate, isFirstMessage, judgeUnknown } from "../../../src/raftstore/peer_create.js";
import { judgeMessage } from "../../../src/raftstore/peer_message.js";
import { mayCreatePeer } from "../../../src/raftstore/peer_send.js";
import { StoreMeta } from "../../../src/raftstore/store_meta.js";

const OWN_STORE = 1;

/** Region 2, epoch 5/4: peer 11 on store 1, 12 on 2, 13 on 3. */
const REGION: RegionInfo = {
  id: 2n,
  startKey: utf8("b"),
  endKey: utf8("m"),
  confVer: 5n,
  version: 4n,
  peers: [11n, 12n, 13n].map((id, i) => ({ id, storeId: BigInt(i + 1), role: 0 })),
};

interface Given {
  type?: MessageType;
  from?: number;
  to?: number;
  toStore?: number;
  confVer?: number;
  version?: number;
  tombstone?: boolean;
  commit?: number;
  term?: number;
  index?: number;
  extra?: RaftMessage["extra"];
  range?: readonly [string, string];
}

function message(given: Given): RaftMessage {
  const { from = 12, to = 11, type, tombstone = false, extra = "none" } = given;
  const raft = type === undefined ? undefined : newMessage(type, to);
  if (raft !== undefined) {
    raft.commit = given.commit ?? 0;
    raft.term = given.term ?? 6;
    raft.index = given.index ?? 5;
  }
  const [start, end] = given.range ?? ["", ""];
  return {
    regionId: 2,
    fromPeer: { id: from, storeId: from - 10, role: 0 },
    toPeer: { id: to, storeId: given.toStore ?? OWN_STORE, role: 0 },
    epoch: { confVer: given.confVer ?? 5, version: given.version ?? 4 },
    message: raft,
    isTombstone: tombstone,
    startKey: start === "" ? EMPTY_BYTES : utf8(start),
    endKey: end === "" ? EMPTY_BYTES : utf8(end),
    extra,
    checkRegion: undefined,
  };
}

const { Append, Heartbeat, RequestPreVote, RequestVote, Snapshot, TimeoutNow } = MessageType;

const EXISTING: readonly (readonly [string, Given, string])[] = [
  ["a message for another store", { type: Append, toStore: 9 }, "drop mismatch_store_id"],
  ["a member with the same epoch", { type: Append }, "step"],
  ["a member with an older epoch", { type: Append, confVer: 3 }, "step"],
  ["a stranger with a newer epoch", { type: Append, from: 30, confVer: 6 }, "step"],
  ["a stranger with the same epoch", { type: Append, from: 30 }, "step"],
  ["a stranger with an older conf_ver", { type: Append, from: 30, confVer: 4 }, "staleSender"],
  ["a stranger with an older version", { type: Append, from: 30, version: 3 }, "staleSender"],
  ["its vote", { type: RequestVote, from: 30, confVer: 4 }, "staleSender tell"],
  ["its pre-vote", { type: RequestPreVote, from: 30, confVer: 4 }, "staleSender tell"],
  ["an older peer of this store", { type: Append, to: 10 }, "drop stale_msg"],
  ["a newer peer of this store", { type: Append, to: 20 }, "replaced"],
  ["a tombstone of the same epoch", { tombstone: true }, "drop stale_msg"],
  ["a tombstone of a newer conf_ver", { tombstone: true, confVer: 6 }, "removed"],
  ["a tombstone of a newer version", { tombstone: true, version: 5 }, "removed"],
  ["one of an older epoch", { tombstone: true, confVer: 4 }, "drop stale_msg"],
  ["one for another peer", { tombstone: true, confVer: 6, to: 20 }, "drop stale_msg"],
];

for (const [what, given, expected] of EXISTING) {
  test(`to an existing peer: ${what}: ${expected}`, () => {
    const own = { storeId: OWN_STORE, peerId: 11, region: REGION };
    const verdict = judgeMessage(message(given), own);
    const shown =
      verdict.kind === "drop"
        ? `drop ${verdict.reason}`
        : verdict.kind === "staleSender" && verdict.tell
          ? "staleSender tell"
          : verdict.kind;
    assert.is(shown, expected);
  });
}

const NORMAL: RegionLocalState = { state: PEER_STATE.Normal, region: REGION };
const APPLYING: RegionLocalState = { state: PEER_STATE.Applying, region: REGION };
const TOMBSTONE: RegionLocalState = { state: PEER_STATE.Tombstone, region: REGION };

const UNKNOWN: readonly (readonly [string, Given, RegionLocalState | undefined, string])[] = [
  ["no state: a vote", { type: RequestVote }, undefined, "create"],
  ["no state: a pre-vote", { type: RequestPreVote }, undefined, "create"],
  ["no state: a heartbeat, commit 0", { type: Heartbeat }, undefined, "create"],
  ["no state: a heartbeat, commit 6", { type: Heartbeat, commit: 6 }, undefined, "drop"],
  ["no state: an append", { type: Append }, undefined, "drop"],
  ["no state: a snapshot", { type: Snapshot }, undefined, "drop"],
  ["no state: a TimeoutNow", { type: TimeoutNow }, undefined, "drop"],
  ["no state: another store's", { type: RequestVote, toStore: 9 }, undefined, "drop"],
  ["no state: a tombstone message", { tombstone: true }, undefined, "drop"],
  ["no state: an extra message", { extra: "checkStalePeer" }, undefined, "drop"],
  ["normal: a vote", { type: RequestVote }, NORMAL, "keep"],
  ["normal: the first append", { type: Append }, NORMAL, "keep"],
  ["normal: a later append", { type: Append, index: 6 }, NORMAL, "drop"],
  ["normal: a heartbeat", { type: Heartbeat }, NORMAL, "drop"],
  ["applying: a vote", { type: RequestVote }, APPLYING, "keep"],
  [
    "tombstone: a removed sender",
    { type: RequestVote, from: 30, confVer: 4 },
    TOMBSTONE,
    "tombstone",
  ],
  ["tombstone: its append too", { type: Append, from: 30, version: 3 }, TOMBSTONE, "tombstone"],
  ["tombstone: a member's stale vote", { type: RequestVote, confVer: 4 }, TOMBSTONE, "tellRegion"],
  [
    "tombstone: a member's question",
    { extra: "checkStalePeer", confVer: 4 },
    TOMBSTONE,
    "tellRegion",
  ],
  ["tombstone: a member's stale append", { type: Append, confVer: 4 }, TOMBSTONE, "drop"],
  ["tombstone: the same peer again", { type: RequestVote, confVer: 6 }, TOMBSTONE, "drop"],
  ["tombstone: an older peer", { type: RequestVote, confVer: 6, to: 10 }, TOMBSTONE, "drop"],
  ["tombstone: a newer peer", { type: RequestVote, confVer: 6, to: 20 }, TOMBSTONE, "create"],
  ["tombstone: its heartbeat", { type: Heartbeat, confVer: 6, to: 20 }, TOMBSTONE, "create"],
  ["tombstone: its append", { type: Append, confVer: 6, to: 20 }, TOMBSTONE, "drop"],
];

for (const [what, given, state, expected] of UNKNOWN) {
  test(`without a peer: ${what}: ${expected}`, () => {
    assert.is(judgeUnknown(message(given), OWN_STORE, state).kind, expected);
  });
}

test("what creates a peer says the sender's range", () => {
  const types = Object.entries(MessageType).filter(([, type]) => {
    return mayCreatePeer(newMessage(type, 1));
  });
  assert.equal(types.map(([name]) => name).sort(), ["Heartbeat", "RequestPreVote", "RequestVote"]);
});

test("the first messages to a split region's peer", () => {
  assert.ok(isFirstMessage(message({ type: RequestVote, term: 9 })));
  assert.ok(isFirstMessage(message({ type: Append, term: 6, index: 5 })));
  assert.not(isFirstMessage(message({ type: Append, term: 7, index: 5 })));
  assert.not(isFirstMessage(message({ extra: "checkStalePeer" })));
});

test("a region that overlaps, is being made, or is being cleaned, makes no peer", () => {
  const meta = new StoreMeta();
  const vote = message({ type: RequestVote, range: ["m", "p"] });
  meta.setSpans(7, [{ startKey: utf8("b"), endKey: utf8("m") }]);
  assert.is(claimCreate(meta, vote), undefined);
  assert.is(claimCreate(meta, vote), "claimed");
  meta.creates.releaseMessage(2, 11);
  meta.setSpans(7, [{ startKey: utf8("b"), endKey: utf8("n") }]);
  assert.is(claimCreate(meta, vote), "overlap");
  meta.removeSpans(7);
  meta.cleaning.add(2);
  assert.is(claimCreate(meta, vote), "cleaning");
  meta.cleaning.delete(2);
  assert.is(claimCreate(meta, vote), undefined);
});

test("votes that wait for splits are bounded; the oldest goes", () => {
  const meta = new StoreMeta();
  for (let regionId = 1; regionId <= 1025; regionId++) {
    meta.keepVote({ ...message({ type: RequestVote }), regionId });
  }
  assert.is(meta.takeVote(1), undefined);
  assert.is(meta.takeVote(2)?.regionId, 2);
  assert.is(meta.takeVote(2), undefined);
  assert.is(meta.takeVote(1025)?.regionId, 1025);
});

test.run();

/** Region errors: every row with TiKV's text, and the order when several are wrong at once. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8 } from "../../../src/base/index.js";
import {
  checkKeysInRegion,
  checkRequest,
  type PeerView,
  type RegionInfo,
  type RequestHeader,
} from "../../../src/raftstore/index.js";

const STORE = 1n;
const REGION: RegionInfo = {
  id: 2n,
  startKey: utf8("b"),
  endKey: utf8("d"),
  confVer: 3n,
  version: 4n,
  peers: [{ id: 5n, storeId: STORE, role: 0 }],
};
const PEER: PeerView = {
  region: REGION,
  peerId: 5n,
  term: 8n,
  isLeader: true,
  leader: { id: 5n, storeId: STORE, role: 0 },
};
const GOOD: RequestHeader = {
  regionId: 2n,
  confVer: 3n,
  version: 4n,
  peerId: 5n,
  storeId: STORE,
  term: 8n,
};

function check(header: Partial<RequestHeader>, peer: Partial<PeerView> = {}): unknown {
  const found = checkRequest({ ...GOOD, ...header }, STORE, (id) =>
    id === REGION.id ? { ...PEER, ...peer } : undefined,
  );
  return found.ok ? "ok" : found.error;
}

test("a right context passes; conf_ver is not compared for data requests", () => {
  assert.is(check({}), "ok");
  assert.is(check({ confVer: 9n }), "ok");
});

test("term: absent and one behind pass, two behind is stale, ahead passes", () => {
  assert.is(check({ term: 0n }), "ok");
  assert.is(check({ term: 7n }), "ok");
  assert.is(check({ term: 9n }), "ok");
  assert.equal(check({ term: 6n }), { kind: "staleCommand", message: "stale command" });
});

test("StoreNotMatch", () => {
  assert.equal(check({ storeId: 9n }), {
    kind: "storeNotMatch",
    message: "to store id 9, mine 1",
    requestStoreId: 9n,
    actualStoreId: 1n,
  });
});

test("RegionNotFound", () => {
  assert.equal(check({ regionId: 0n }), {
    kind: "regionNotFound",
    message: "region 0 not found",
    regionId: 0n,
  });
});

test("MismatchPeerId", () => {
  assert.equal(check({ peerId: 0n }), {
    kind: "mismatchPeerId",
    message: "mismatch peer id 0 != 5",
    requestPeerId: 0n,
    storePeerId: 5n,
  });
});

test("NotLeader with and without a hint", () => {
  const leader = { id: 6n, storeId: 7n, role: 0 as const };
  assert.equal(check({}, { isLeader: false, leader }), {
    kind: "notLeader",
    message: "peer is not leader for region 2, leader may Some(id: 6 store_id: 7)",
    regionId: 2n,
    leader,
  });
  assert.equal(check({}, { isLeader: false, leader: undefined }), {
    kind: "notLeader",
    message: "peer is not leader for region 2, leader may None",
    regionId: 2n,
  });
});

test("EpochNotMatch for an older and for a newer version, with the current region", () => {
  for (const version of [3n, 5n]) {
    assert.equal(check({ version }), {
      kind: "epochNotMatch",
      message:
        "EpochNotMatch current epoch of region 2 is conf_ver: 3 version: 4, " +
        `but you sent conf_ver: 3 version: ${version}`,
      currentRegions: [REGION],
    });
  }
  const missing = check({ version: 0n, confVer: 0n }) as { message: string };
  assert.match(missing.message, /but you sent $/);
});

test("order: with any set of faults, the first in TiKV's order is answered", () => {
  const faults = [
    { kind: "storeNotMatch", header: { storeId: 9n }, peer: {} },
    { kind: "regionNotFound", header: { regionId: 9n }, peer: {} },
    { kind: "mismatchPeerId", header: { peerId: 9n }, peer: {} },
    { kind: "notLeader", header: {}, peer: { isLeader: false } },
    { kind: "staleCommand", header: { term: 1n }, peer: {} },
    { kind: "epochNotMatch", header: { version: 9n }, peer: {} },
  ];
  for (let set = 1; set < 1 << faults.length; set++) {
    const chosen = faults.filter((_, i) => (set & (1 << i)) !== 0);
    const header = Object.assign({}, ...chosen.map((fault) => fault.header));
    const peer = Object.assign({}, ...chosen.map((fault) => fault.peer));
    const answer = check(header, peer) as { kind: string };
    assert.is(answer.kind, chosen[0]?.kind, `faults ${chosen.map(({ kind }) => kind)}`);
  }
});

test("KeyNotInRegion: start is inside, end is not", () => {
  assert.is(checkKeysInRegion([utf8("b"), utf8("cz")], REGION), undefined);
  assert.equal(checkKeysInRegion([utf8("b"), utf8("d")], REGION), {
    kind: "keyNotInRegion",
    message: "key 64 is not in region key range [62, 64) for region 2",
    key: utf8("d"),
    regionId: 2n,
    startKey: utf8("b"),
    endKey: utf8("d"),
  });
  const open = { ...REGION, endKey: EMPTY_BYTES };
  assert.is(checkKeysInRegion([utf8("zz")], open), undefined);
  assert.is(checkKeysInRegion([utf8("a")], open)?.kind, "keyNotInRegion");
});

test("a replica without data is RegionNotInitialized, behind the check of the leader", () => {
  const empty = { region: { ...REGION, confVer: 0n, version: 0n, peers: [] }, isLeader: false };
  const by = (served: "leader" | "replica"): string => {
    const peer = { ...PEER, ...empty };
    const found = checkRequest({ ...GOOD, term: 1n }, STORE, () => peer, served);
    return found.ok ? "ok" : found.error.kind;
  };
  assert.is(by("leader"), "notLeader");
  assert.is(by("replica"), "regionNotInitialized");
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  buriedStore,
  checkBootstrap,
  checkMove,
  checkPutStore,
  mergeLabels,
  NODE_STATE,
  type PeerMeta,
  type Refusal,
  registeredStore,
  removedStore,
  restoredStore,
  STORE_STATE,
  type StoreInfo,
  type StoreMeta,
  type StoreStats,
  storeAfterHeartbeat,
  storeStateName,
} from "../../../src/pd/core/index.js";

const MINUTE_MS = 60_000;
const NOW_MS = 1_700_000_000_000;

function store(id: bigint, address: string, more: Partial<StoreMeta> = {}): StoreMeta {
  return {
    id,
    address,
    state: STORE_STATE.up,
    labels: [],
    version: "8.5.0",
    peerAddress: "",
    statusAddress: "",
    gitHash: "",
    startTimestamp: 100n,
    deployPath: "",
    lastHeartbeat: 0n,
    physicallyDestroyed: false,
    nodeState: NODE_STATE.serving,
    ...more,
  };
}

function info(meta: StoreMeta): StoreInfo {
  return { meta, stats: undefined, instanceStartTime: 0, seenMs: 0 };
}

const REMOVED = { state: STORE_STATE.tombstone, nodeState: NODE_STATE.removed };
const STATS: StoreStats = {
  capacity: 10n,
  available: 5n,
  usedSize: 1n,
  regionCount: 1,
  sendingSnapCount: 0,
  receivingSnapCount: 0,
  applyingSnapCount: 0,
  isBusy: false,
  slowScore: 1n,
  startTime: 100,
};

const REFUSED: readonly [string, StoreMeta, StoreMeta[], RegExp][] = [
  ["store id 0", store(0n, "h:1"), [], /^invalid put store address:"h:1" version:"8.5.0"/],
  [
    "address of another",
    store(2n, "h:1"),
    [store(1n, "h:1")],
    /^duplicated store address: id:2 address:"h:1" .*, already registered by id:1 address:"h:1" /,
  ],
  [
    "peer address of another",
    store(2n, "h:2", { peerAddress: "h:1" }),
    [store(1n, "h:1")],
    /^duplicated store peer address: /,
  ],
  ["tombstone", store(1n, "h:1"), [store(1n, "h:1", REMOVED)], /^store is tombstone$/],
  [
    "bad version",
    store(1n, "h:1", { version: "eight" }),
    [],
    /^invalid put store .*, error: invalid version "eight"$/,
  ],
];

for (const [name, next, known, text] of REFUSED) {
  test(`checkPutStore refuses: ${name}`, () => {
    assert.match(checkPutStore(next, known.map(info))?.message ?? "accepted", text);
  });
}

test("checkPutStore accepts: a new store, itself again, the address of a removed store", () => {
  assert.is(checkPutStore(store(1n, "h:1"), []), undefined);
  assert.is(checkPutStore(store(1n, "h:1"), [info(store(1n, "h:1"))]), undefined);
  assert.is(checkPutStore(store(2n, "h:1"), [info(store(1n, "h:1", REMOVED))]), undefined);
  const destroyed = store(1n, "h:1", { physicallyDestroyed: true });
  assert.is(checkPutStore(store(2n, "h:1"), [info(destroyed)]), undefined);
  assert.is(checkPutStore(store(1n, "h:1", { version: "v8.5.0-alpha+x" }), []), undefined);
});

test("who answers at the old address decides whether a store may move", () => {
  const [next, known] = [store(1n, "h:2"), store(1n, "h:1")];
  const refused = (answer: "same" | "other" | "gone" | "silent", recent: boolean): boolean =>
    checkMove(next, known, answer, recent) !== undefined;
  assert.ok(refused("same", true));
  assert.ok(refused("same", false), "alive though it did not report lately");
  assert.not.ok(refused("gone", true), "a restart right after the last heartbeat");
  assert.not.ok(refused("other", true), "its old port went to somebody else");
  assert.ok(refused("silent", true), "stopped or stalled");
  assert.not.ok(refused("silent", false));
  const text = checkMove(next, known, "same", true)?.message ?? "";
  assert.match(text, /^duplicated store id: store 1 is alive at h:1 and cannot also be at h:2; /);
});

test("registering again keeps what PD knows and takes what the store says", () => {
  const labels = [{ key: "zone", value: "a" }];
  const known: StoreInfo = {
    meta: store(1n, "h:1", { state: 1, nodeState: 2, lastHeartbeat: 7n, labels }),
    stats: STATS,
    instanceStartTime: 100,
    seenMs: 5,
  };
  const host = { key: "host", value: "b" };
  const next = registeredStore(
    store(1n, "h:2", { startTimestamp: 200n, labels: [host] }),
    known,
    9,
  );
  assert.is(next.seenMs, 9);
  assert.is(next.meta.address, "h:2");
  assert.is(next.meta.state, 1, "Offline stays Offline");
  assert.is(next.meta.nodeState, 2);
  assert.is(next.meta.lastHeartbeat, 7n);
  assert.is(next.meta.startTimestamp, 200n);
  assert.equal(next.meta.labels, [...labels, host]);
  assert.is(next.stats, STATS);
  assert.is(next.instanceStartTime, 0);
});

test("labels merge without regard to case; an empty value removes", () => {
  const known = [
    { key: "Zone", value: "a" },
    { key: "host", value: "b" },
  ];
  const given = [
    { key: "zone", value: "c" },
    { key: "host", value: "" },
  ];
  assert.equal(mergeLabels(known, given), [{ key: "Zone", value: "c" }]);
});

test("of two processes that report as one store the older is refused until it registers", () => {
  const first = storeAfterHeartbeat(1n, info(store(1n, "h:1")), STATS, NOW_MS, 7) as StoreInfo;
  assert.is(first.seenMs, 7);
  assert.is(first.meta.lastHeartbeat, BigInt(NOW_MS) * 1_000_000n);
  const newer = storeAfterHeartbeat(
    1n,
    first,
    { ...STATS, startTime: 200 },
    NOW_MS,
    8,
  ) as StoreInfo;
  const older = storeAfterHeartbeat(1n, newer, STATS, NOW_MS, 7);
  const text = "message" in older ? older.message : "taken";
  assert.match(text, /^duplicated store id: two processes .* 200 and 100/);
  const again = registeredStore(store(1n, "h:1"), newer, 9);
  assert.ok("meta" in storeAfterHeartbeat(1n, again, STATS, NOW_MS, 7), "registered anew");
});

test("heartbeats of unknown and removed stores", () => {
  const unknown = storeAfterHeartbeat(9n, undefined, STATS, NOW_MS, 7);
  assert.is("message" in unknown && unknown.message, "store 9 not found");
  const refused = storeAfterHeartbeat(1n, info(store(1n, "h:1", REMOVED)), STATS, NOW_MS, 7);
  assert.is("message" in refused && refused.message, "store is tombstone");
});

test("states by silence: Up, Disconnected after 20 s, Down after max-store-down-time", () => {
  const at = (ageMs: number, state = 0): string => {
    const lastHeartbeat = BigInt(NOW_MS - ageMs) * 1_000_000n;
    return storeStateName(store(1n, "h:1", { state, lastHeartbeat }), NOW_MS, 30 * MINUTE_MS);
  };
  assert.is(at(20_000), "Up");
  assert.is(at(20_001), "Disconnected");
  assert.is(at(30 * MINUTE_MS), "Disconnected");
  assert.is(at(30 * MINUTE_MS + 1), "Down");
  assert.is(at(-5000), "Up", "the clock went back");
  assert.is(at(0, STORE_STATE.offline), "Offline");
  assert.is(at(0, STORE_STATE.tombstone), "Tombstone");
});

test("bootstrap requests are checked in PD's order with PD's texts", () => {
  const peer: PeerMeta = { id: 3n, storeId: 1n, role: 0, isWitness: false };
  const empty = new Uint8Array(0);
  const region = {
    id: 2n,
    startKey: empty,
    endKey: empty,
    confVer: 1n,
    version: 1n,
    peers: [peer],
    isInFlashback: false,
    flashbackStartTs: 0n,
  };
  const first = store(1n, "h:1");
  const check = (change: Partial<typeof region>): string | undefined =>
    checkBootstrap(first, { ...region, ...change }, 5n);
  const tail = "for bootstrap 5";
  assert.is(check({}), undefined);
  assert.is(checkBootstrap(undefined, region, 5n), `missing store meta ${tail}`);
  assert.is(checkBootstrap(store(0n, "h:1"), region, 5n), "invalid zero store id");
  assert.is(checkBootstrap(first, undefined, 5n), `missing region meta ${tail}`);
  const range = `invalid first region key range, must all be empty ${tail}`;
  assert.is(check({ startKey: Uint8Array.of(1) }), range);
  assert.is(check({ id: 0n }), "invalid zero region id");
  assert.is(check({ peers: [] }), `invalid first region peer count 0, must be 1 ${tail}`);
  assert.is(check({ peers: [{ ...peer, storeId: 9n }] }), `invalid peer store id 9 != 1 ${tail}`);
  assert.is(check({ peers: [{ ...peer, id: 0n }] }), "invalid zero peer id");
});

const three = (): StoreInfo[] => [1n, 2n, 3n].map((id) => info(store(id, `h:${id}`)));

test("a store leaves only while enough others are up, unless it is lost anyway", () => {
  const stores = three();
  const refused = removedStore(3n, stores, 3, false);
  assert.match("message" in refused ? refused.message : "", /no extra up store/);
  const free = removedStore(3n, stores, 2, false) as StoreInfo;
  assert.is(free.meta.state, STORE_STATE.offline);
  assert.is(free.meta.nodeState, NODE_STATE.removing);
  assert.not.ok(free.meta.physicallyDestroyed);
  const lost = removedStore(3n, stores, 3, true);
  assert.ok("meta" in lost && lost.meta.physicallyDestroyed);
  assert.is((removedStore(9n, stores, 1, false) as Refusal).kind, "unknown");
  const gone = info(store(4n, "h:4", REMOVED));
  assert.is((removedStore(4n, [...stores, gone], 1, false) as Refusal).kind, "tombstone");
});

test("a store that leaves comes back unless it is destroyed or gone", () => {
  const leaving = removedStore(3n, three(), 2, false) as StoreInfo;
  const back = restoredStore(3n, leaving) as StoreInfo;
  assert.is(back.meta.state, STORE_STATE.up);
  assert.is(back.meta.nodeState, NODE_STATE.serving);
  const meta = { ...leaving.meta, physicallyDestroyed: true };
  assert.is((restoredStore(3n, { ...leaving, meta }) as Refusal).kind, "conflict");
  assert.is((restoredStore(3n, buriedStore(leaving)) as Refusal).kind, "tombstone");
  assert.is((restoredStore(3n, undefined) as Refusal).kind, "unknown");
});

test.run();

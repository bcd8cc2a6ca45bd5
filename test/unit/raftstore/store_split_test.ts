/** A store splits its regions: by size, by number of keys, by order of PD, and opens again after it. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { keyInRange, toHex, utf8 } from "../../../src/base/index.js";
import { REAL_CLOCK } from "../../../src/node/real_clock.js";
import { REPLICATION_DEFAULTS, type RegionInfo } from "../../../src/raftstore/index.js";
import { FakePd } from "../../support/fake_pd.js";
import {
  contextOf,
  type Fixture,
  memoryEngine,
  startFixture,
} from "../../support/store_fixture.js";
import { within } from "../../support/within.js";

const FAST = {
  ...REPLICATION_DEFAULTS,
  raftBaseTickIntervalMs: 10,
  raftStoreMaxLeaderLeaseMs: 90,
  splitRegionCheckTickIntervalMs: 20,
  regionSplitCheckDiffBytes: 1000,
  regionSplitSizeBytes: 10_000,
  regionMaxSizeBytes: 15_000,
};

const KEYS = Array.from({ length: 500 }, (_, i) => `key${1000 + i}`);

function regionOf(store: Fixture["store"], key: string): RegionInfo {
  const bytes = utf8(key);
  const region = store
    .regions()
    .find(({ startKey, endKey }) => keyInRange(bytes, startKey, endKey));
  assert.ok(region, `a region holds ${key}`);
  return region as RegionInfo;
}

/** As a client: asks the region that holds the key, again if that has split meanwhile. */
async function put(store: Fixture["store"], key: string, value: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const ctx = contextOf(regionOf(store, key), 1);
    const pair = { key: utf8(key), value: utf8(value), ttl: 0n };
    const reply = await store.storage.raw.put(ctx, "", pair, false);
    if (reply.ok) return;
    const { type } = reply.error;
    assert.is(type, "region", `the store refuses ${key} by ${type}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`${key} was never taken`);
}

async function get(store: Fixture["store"], key: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const reply = await store.storage.raw.get(contextOf(regionOf(store, key), 1), "", utf8(key));
    if (reply.ok)
      return reply.value === undefined ? undefined : Buffer.from(reply.value).toString();
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`${key} was never read`);
}

/** Regions in key order; asserts that they tile the key space and share no id. */
function tiled(store: Fixture["store"]): RegionInfo[] {
  const regions = [...store.regions()].sort((a, b) =>
    toHex(a.startKey) < toHex(b.startKey) ? -1 : 1,
  );
  let end = "";
  for (const [i, region] of regions.entries()) {
    assert.is(toHex(region.startKey), end, `region ${region.id} begins where the last one ends`);
    end = toHex(region.endKey);
    assert.ok(end !== "" || i === regions.length - 1, "only the last is unbounded");
  }
  assert.is(end, "");
  const ids = regions.flatMap(({ id, peers }) => [id, ...peers.map((peer) => peer.id)]);
  assert.is(new Set(ids).size, ids.length, "ids of regions and peers are unique");
  return regions;
}

async function keysAreThere(store: Fixture["store"]): Promise<void> {
  for (const key of KEYS) assert.is(await get(store, key), `${key}${"v".repeat(90)}`, key);
}

test("by size, while writes go on; the store opens again", async () => {
  const engine = await memoryEngine();
  const pd = new FakePd();
  const given = { clock: REAL_CLOCK, engine, pd, raftstore: { replication: FAST } };
  const { store } = await startFixture(given);
  for (const key of KEYS) await put(store, key, `${key}${"v".repeat(90)}`);
  const sizeOf = (region: RegionInfo): number =>
    KEYS.filter((key) => keyInRange(utf8(key), region.startKey, region.endKey)).length * 105;
  await within(5000, "regions of at most the maximum", () =>
    tiled(store).every((region) => sizeOf(region) <= FAST.regionMaxSizeBytes),
  );
  const regions = tiled(store);
  assert.ok(regions.length >= 4 && regions.length <= 8, `${regions.length} regions`);
  await keysAreThere(store);
  await within(2000, "PD hears of every region", () =>
    regions.every(({ id, version }) =>
      pd.regionHeartbeats.some(({ region }) => region.id === id && region.version === version),
    ),
  );
  const reported = new Set(pd.splits.map(({ id }) => id));
  assert.ok(regions.every(({ id }) => reported.has(id)));
  await store.stop();

  const again = await startFixture(given);
  assert.equal(tiled(again.store), regions);
  await keysAreThere(again.store);
  await again.store.stop();
  await engine.close();
});

test("by number of keys", async () => {
  const replication = {
    ...FAST,
    regionSplitSizeBytes: 1e9,
    regionMaxSizeBytes: 1e9,
    regionSplitKeys: 100,
    regionMaxKeys: 150,
  };
  const { store, engine } = await startFixture({ clock: REAL_CLOCK, raftstore: { replication } });
  for (const key of KEYS.slice(0, 400)) await put(store, key, "v".repeat(20));
  await within(5000, "several regions", () => tiled(store).length >= 3);
  await store.stop();
  await engine.close();
});

test("by order of PD, at a key and in the middle", async () => {
  const pd = new FakePd();
  const replication = { ...FAST, splitRegionCheckTickIntervalMs: 0 };
  const given = { clock: REAL_CLOCK, pd, raftstore: { replication } };
  const { store, engine } = await startFixture(given);
  for (const key of KEYS.slice(0, 100)) await put(store, key, "v");
  const [region] = store.regions() as [RegionInfo];
  const order = (at: RegionInfo, ...keys: readonly string[]): void =>
    pd.order({
      regionId: at.id,
      confVer: at.confVer,
      version: at.version,
      targetPeer: at.peers[0],
      splitRegion: { keys: keys.map(utf8) },
    });
  order(region, "key1010");
  await within(2000, "the split", () => tiled(store).length === 2);
  order(region, "key1020");
  const right = regionOf(store, "key1099");
  order(right);
  const regions = await within(2000, "the region is halved", () => {
    const found = tiled(store);
    return found.length >= 3 && found;
  });
  assert.is(Buffer.from(regions[0]?.endKey as Uint8Array).toString(), "key1010");
  const middle = Buffer.from(regions[1]?.endKey as Uint8Array).toString();
  assert.ok(middle >= "key1050" && middle <= "key1060", middle);
  assert.is(regions.length, 3, "the order for an old epoch is refused");
  await store.stop();
  await engine.close();
});

test.run();

/** RegionCache against a naive model, and the corners of its keys. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, keyInRange } from "../../../src/base/index.js";
import { type CachedRegion, RegionCache } from "../../../src/client/region_cache.js";

const key = (text: string): Uint8Array => Buffer.from(text);

function region(id: number, start: string, end: string, version = 1, loadedMs = 0): CachedRegion {
  const peers = [{ id: 1n, storeId: 1n, role: 0 as const }];
  const keys = { startKey: key(start), endKey: key(end) };
  const epoch = { confVer: 1n, version: BigInt(version) };
  return { id: BigInt(id), ...keys, ...epoch, peers, leader: undefined, loadedMs };
}

function cacheOf(...regions: CachedRegion[]): RegionCache {
  const cache = new RegionCache(100, 1000);
  for (const item of regions) cache.insert(item);
  return cache;
}

const ids = (cache: RegionCache): number[] => cache.list().map(({ id }) => Number(id));

test("a key on a boundary belongs to the right, an end on a boundary to the left", () => {
  const cache = cacheOf(region(1, "", "m"), region(2, "m", ""));
  assert.is(cache.find(key("m"), 0)?.id, 2n);
  assert.is(cache.find(key("l"), 0)?.id, 1n);
  assert.is(cache.find(key(""), 0)?.id, 1n);
  assert.is(cache.findBefore(key("m"), 0)?.id, 1n);
  assert.is(cache.findBefore(key("m\0"), 0)?.id, 2n);
  assert.is(cache.findBefore(key(""), 0)?.id, 2n);
});

test("a gap answers nothing", () => {
  const cache = cacheOf(region(1, "b", "c"), region(2, "x", "z"));
  for (const text of ["a", "c", "d", "z"]) assert.is(cache.find(key(text), 0), undefined, text);
  for (const text of ["", "b", "d", "x", "zz"]) {
    assert.is(cache.findBefore(key(text), 0), undefined, text);
  }
});

test("a newer region pushes all older ones out that it overlaps", () => {
  const cache = cacheOf(
    region(1, "", "b"),
    region(2, "b", "d"),
    region(3, "d", "f"),
    region(4, "f", ""),
  );
  cache.insert(region(5, "a", "e", 2));
  assert.equal(ids(cache), [5, 4]);
  cache.insert(region(6, "", "", 3));
  assert.equal(ids(cache), [6]);
});

test("an older region is not taken over a newer one", () => {
  const newer = region(1, "a", "c", 5);
  const cache = cacheOf(newer);
  assert.is(cache.insert(region(2, "", "z", 4)), false);
  assert.equal(cache.list(), [newer]);
});

test("old regions are not believed, and the oldest leaves a full cache", () => {
  const cache = new RegionCache(2, 1000);
  cache.insert(region(1, "a", "b", 1, 5));
  cache.insert(region(2, "b", "c", 1, 1));
  cache.insert(region(3, "c", "d", 1, 9));
  assert.equal(ids(cache), [1, 3]);
  assert.is(cache.find(key("a"), 1005)?.id, 1n);
  assert.is(cache.find(key("a"), 1006), undefined);
});

test("invalidate forgets exactly the region that it was given", () => {
  const old = region(1, "a", "c");
  const cache = cacheOf(old);
  const young = region(1, "a", "c", 2);
  cache.insert(young);
  cache.invalidate(old);
  assert.equal(ids(cache), [1]);
  cache.invalidate(young);
  assert.is(cache.size, 0);
});

const KEYS = ["", "a", "b", "c", "d", "e", "f"];
const arbitrary = fc
  .tuple(fc.nat(6), fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 4 }))
  .filter(([start, end]) => start < end)
  .map(([start, end, version]) =>
    region(start * 8 + end, KEYS[start] as string, end === 7 ? "" : (KEYS[end] as string), version),
  );

function overlap(a: CachedRegion, b: CachedRegion): boolean {
  return (
    keyInRange(a.startKey, b.startKey, b.endKey) || keyInRange(b.startKey, a.startKey, a.endKey)
  );
}

test("after any insertions: sorted, no overlap, nothing older over newer, find agrees with a scan", () => {
  fc.assert(
    fc.property(fc.array(arbitrary, { maxLength: 30 }), (regions) => {
      const cache = new RegionCache(100, 1000);
      for (const item of regions) {
        const before = [...cache.list()];
        if (!cache.insert(item)) {
          assert.ok(before.some((other) => overlap(other, item) && other.version > item.version));
          assert.equal(cache.list(), before, "nothing changed");
        } else {
          assert.is(cache.find(item.startKey, 0), item, "it is found");
        }
      }
      const list = cache.list();
      for (const [i, item] of list.entries()) {
        const next = list[i + 1];
        if (next === undefined) break;
        assert.ok(item.endKey.length > 0, "only the last is unbounded");
        assert.ok(compareBytes(item.endKey, next.startKey) <= 0, "no overlap");
      }
      for (const text of [...KEYS, "aa", "zz"]) {
        const expected = list.find((r) => keyInRange(key(text), r.startKey, r.endKey));
        assert.is(cache.find(key(text), 0), expected, text);
      }
    }),
    { numRuns: 500 },
  );
});

test.run();

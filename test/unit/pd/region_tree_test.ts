/** The region index and the staleness rules against a list that is searched from end to end. */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compareBytes, EMPTY_BYTES } from "../../../src/base/index.js";
import {
  BasicCluster,
  equalRange,
  type RegionInfo,
  type RegionMeta,
  RegionTree,
  regionContains,
  regionFromMeta,
} from "../../../src/pd/core/index.js";

/** Key number n as two bytes; 0 is the empty start, and as an end `KEYS` is +inf. */
const KEYS = 40;
function startKey(n: number): Uint8Array {
  return n === 0 ? EMPTY_BYTES : Uint8Array.of(n >> 4, n & 15);
}
function endKey(n: number): Uint8Array {
  return n >= KEYS ? EMPTY_BYTES : startKey(n);
}

function meta(id: number, from: number, to: number, version = 1, confVer = 1): RegionMeta {
  return {
    id: BigInt(id),
    startKey: startKey(from),
    endKey: endKey(to),
    confVer: BigInt(confVer),
    version: BigInt(version),
    peers: [{ id: BigInt(id * 10), storeId: 1n, role: 0, isWitness: false }],
    isInFlashback: false,
    flashbackStartTs: 0n,
  };
}

function region(value: RegionMeta, term = 0): RegionInfo {
  const plain = regionFromMeta(value);
  return { ...plain, leader: value.peers[0], stats: { ...plain.stats, term: BigInt(term) } };
}

function overlap(a: RegionMeta, b: RegionMeta): boolean {
  const before = (end: Uint8Array, start: Uint8Array): boolean =>
    end.length > 0 && compareBytes(end, start) <= 0;
  return !before(a.endKey, b.startKey) && !before(b.endKey, a.startKey);
}

/** PD's rules over a plain array. */
class ListModel {
  list: RegionInfo[] = [];

  put(next: RegionInfo): "stale" | "ok" {
    const { meta: m } = next;
    const origin = this.list.find((old) => old.meta.id === m.id);
    const whole = m.startKey.length === 0 && m.endKey.length === 0;
    const recreated = m.version === 1n && m.confVer === 1n && !whole;
    const ranged = origin === undefined || !equalRange(origin.meta, m);
    const overlaps = ranged ? this.list.filter((old) => overlap(old.meta, m)) : [];
    if (!recreated) {
      if (overlaps.some((old) => m.version < old.meta.version)) return "stale";
      if (origin !== undefined) {
        if (m.version < origin.meta.version || m.confVer < origin.meta.confVer) return "stale";
        if (next.stats.term > 0n && next.stats.term < origin.stats.term) return "stale";
      }
    }
    this.list = this.list.filter((old) => old.meta.id !== m.id && !overlap(old.meta, m));
    this.list.push(next);
    this.list.sort((a, b) => compareBytes(a.meta.startKey, b.meta.startKey));
    return "ok";
  }
}

const arbitraryReport = fc
  .record({
    id: fc.integer({ min: 1, max: 12 }),
    from: fc.integer({ min: 0, max: KEYS - 1 }),
    length: fc.integer({ min: 1, max: KEYS }),
    version: fc.integer({ min: 1, max: 4 }),
    confVer: fc.integer({ min: 1, max: 3 }),
    term: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ id, from, length, version, confVer, term }) =>
    region(meta(id, from, Math.min(KEYS, from + length), version, confVer), term),
  );

function sameLookups(cluster: BasicCluster, list: readonly RegionInfo[]): void {
  for (let n = 0; n < KEYS; n++) {
    const key = startKey(n);
    const at = list.findIndex((r) => regionContains(r.meta, key));
    const [here, before] = [list[at], list[at - 1]];
    assert.is(cluster.tree.search(key), here, `search ${n}`);
    const touches =
      here !== undefined &&
      before !== undefined &&
      compareBytes(before.meta.endKey, here.meta.startKey) === 0;
    assert.is(cluster.tree.searchPrev(key), touches ? before : undefined, `prev ${n}`);
    const probe = meta(99, n, n + 3);
    assert.equal(
      cluster.tree.overlaps(key, probe.endKey).map((r) => r.meta.id),
      list.filter((r) => overlap(r.meta, probe)).map((r) => r.meta.id),
      `overlaps ${n}`,
    );
  }
}

test("property: reports and lookups agree with the list", () => {
  fc.assert(
    fc.property(fc.array(arbitraryReport, { maxLength: 60 }), (reports) => {
      const cluster = new BasicCluster();
      const model = new ListModel();
      for (const report of reports) {
        assert.is(cluster.putRegion(report).kind, model.put(report));
        const all = cluster.scanRegions(EMPTY_BYTES, EMPTY_BYTES, 0) as RegionInfo[];
        assert.equal(
          all.map((r) => r.meta.id),
          model.list.map((r) => r.meta.id),
        );
        assert.is(cluster.regionCount, model.list.length);
        assert.is(cluster.tree.size, model.list.length);
      }
      sameLookups(cluster, model.list);
      assert.is(cluster.storeLoad(1n).regionCount, model.list.length);
      assert.is(cluster.storeLoad(1n).leaderCount, model.list.length);
    }),
    { numRuns: 150 },
  );
});

test("leaves split and empty: 5,000 regions in, looked up, out again", () => {
  const tree = new RegionTree();
  const key = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
  const make = (n: number): RegionInfo =>
    regionFromMeta({ ...meta(n + 1, 0, 0), startKey: key(n), endKey: key(n + 1) });
  for (let n = 0; n < 5000; n++) tree.set(make((n * 2731) % 5000));
  assert.is(tree.size, 5000);
  for (let n = 0; n < 5000; n++) assert.is(tree.search(key(n))?.meta.id, BigInt(n + 1));
  for (let n = 0; n < 5000; n += 2) assert.ok(tree.remove(make(n)), `remove ${n}`);
  assert.is(tree.search(key(0)), undefined);
  assert.is(tree.searchPrev(key(1)), undefined, "no neighbour that touches");
  assert.is(tree.search(key(4999))?.meta.id, 5000n);
  for (let n = 1; n < 5000; n += 2) assert.ok(tree.remove(make(n)), `remove ${n}`);
  assert.is(tree.size, 0);
  assert.not.ok(tree.remove(make(7)));
});

test("what a report makes PD save: new, epoch up, peers changed; not a mere heartbeat", () => {
  const cluster = new BasicCluster();
  const saves = (value: RegionInfo): boolean => {
    const outcome = cluster.putRegion(value);
    return outcome.kind === "ok" && outcome.save;
  };
  const whole = meta(1, 0, KEYS, 1, 1);
  assert.ok(saves(region(whole, 5)), "new");
  assert.not.ok(saves(region(whole, 6)), "term alone");
  assert.ok(saves(region({ ...whole, confVer: 2n }, 6)), "conf_ver");
  const latest = { ...whole, confVer: 2n, version: 2n };
  assert.ok(saves(region(latest, 6)), "version");
  const learners = latest.peers.map((peer) => ({ ...peer, role: 1 as const }));
  assert.ok(saves(region({ ...latest, peers: learners }, 6)), "peer role");
});

test("an empty or reversed range is refused", () => {
  const cluster = new BasicCluster();
  cluster.putRegion(region(meta(1, 0, KEYS, 1)));
  for (const [from, to] of [
    [5, 5],
    [9, 3],
  ] as const) {
    const outcome = cluster.putRegion(region(meta(2, from, to, 3)));
    assert.is(outcome.kind, "invalid", `[${from}, ${to})`);
  }
  assert.is(cluster.regionCount, 1);
});

test("a split evicts the parent's old range and counts follow", () => {
  const cluster = new BasicCluster();
  cluster.putRegion(region(meta(1, 0, KEYS, 1), 5));
  const right = cluster.putRegion(region(meta(2, 20, KEYS, 2), 5));
  assert.equal(right.kind === "ok" && right.evicted.map((old) => old.meta.id), [1n]);
  const left = cluster.putRegion(region(meta(1, 0, 20, 2), 6));
  assert.equal(left, { kind: "ok", save: true, changed: true, evicted: [] });
  assert.is(cluster.storeLoad(1n).regionCount, 2);
  const stale = cluster.putRegion(region(meta(1, 0, KEYS, 1), 7));
  const text = stale.kind === "stale" ? stale.message : "taken";
  assert.match(text, /^region is stale: region id:1 .* origin id:/);
});

test("scanRegions: limit, end, and holes when the whole range is asked for", () => {
  const cluster = new BasicCluster();
  cluster.putRegion(region(meta(1, 0, 10, 2)));
  cluster.putRegion(region(meta(2, 10, 20, 2)));
  cluster.putRegion(region(meta(3, 25, KEYS, 2)));
  const ids = (from: number, to: number, limit = 0): bigint[] =>
    (cluster.scanRegions(startKey(from), endKey(to), limit) as RegionInfo[]).map((r) => r.meta.id);
  assert.equal(ids(0, KEYS), [1n, 2n, 3n]);
  assert.equal(ids(5, 10), [1n], "the end is exclusive");
  assert.equal(ids(5, 11), [1n, 2n]);
  assert.equal(ids(21, KEYS), [3n], "the first behind the key");
  assert.equal(ids(0, KEYS, 2), [1n, 2n]);
  const cover = (from: number, to: number, limit = 0): number | string => {
    const found = cluster.scanRegions(startKey(from), endKey(to), limit, true);
    return Array.isArray(found) ? found.length : found.message;
  };
  assert.is(cover(0, 20), 2);
  assert.match(String(cover(0, 21)), /hole/);
  assert.match(String(cover(0, KEYS)), /hole/);
  assert.is(cover(0, KEYS, 2), 2, "the limit was reached before the hole");
  assert.is(cover(26, KEYS), 1);
  assert.match(String(cover(22, KEYS)), /hole/);
});

test.run();

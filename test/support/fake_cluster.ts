/**
 * The state that a fake PD and fake stores share: regions, leaders, raw pairs. Tests move leaders,
 * split regions and so on; clients must cope.
 */
import { compareBytes, fromHex, keyInRange, toHex } from "../../src/base/index.js";

export interface FakePeer {
  readonly id: number;
  readonly storeId: number;
}

export interface FakeRegion {
  id: number;
  start: Uint8Array;
  end: Uint8Array;
  confVer: number;
  version: number;
  peers: FakePeer[];
  /** Store id of the leader; 0 while there is none. */
  leader: number;
}

export interface FakePair {
  readonly value: Uint8Array;
  readonly ttl: number;
}

export class FakeCluster {
  readonly clusterId: bigint;
  /** In key order, without gaps. */
  regions: FakeRegion[] = [];
  /** Store id → host:port. */
  readonly addresses = new Map<number, string>();
  /** By hex key, whose order is the order of the keys. */
  readonly pairs = new Map<string, FakePair>();
  #nextId = 100;

  constructor(clusterId = 0xfedc_ba98_7654_3210n) {
    this.clusterId = clusterId;
  }

  nextId(): number {
    return this.#nextId++;
  }

  /** Makes one region over the stores known so far, led by the first. */
  bootstrap(): void {
    const stores = [...this.addresses.keys()];
    const peers = stores.map((storeId) => ({ id: this.nextId(), storeId }));
    const empty = new Uint8Array(0);
    const id = this.nextId();
    const leader = stores[0] as number;
    this.regions = [{ id, start: empty, end: empty, confVer: 1, version: 1, peers, leader }];
  }

  regionOf(key: Uint8Array): FakeRegion {
    return this.regions.find((region) => keyInRange(key, region.start, region.end)) as FakeRegion;
  }

  /** Splits at `key`; the left part is new, the right part keeps the id, as in TiKV by default. */
  split(key: Uint8Array): void {
    const region = this.regionOf(key);
    if (compareBytes(region.start, key) === 0) return;
    const left: FakeRegion = {
      ...region,
      id: this.nextId(),
      end: key,
      version: region.version + 1,
      peers: region.peers.map(({ storeId }) => ({ id: this.nextId(), storeId })),
    };
    region.start = key;
    region.version++;
    this.regions.splice(this.regions.indexOf(region), 0, left);
  }

  /** Merges the region of `key` into its right neighbour. */
  mergeRight(key: Uint8Array): void {
    const region = this.regionOf(key);
    const index = this.regions.indexOf(region);
    const target = this.regions[index + 1];
    if (target === undefined) return;
    target.start = region.start;
    target.version = Math.max(target.version, region.version) + 1;
    this.regions.splice(index, 1);
  }

  /** Pairs in `[start, end)`, in order. */
  range(start: Uint8Array, end: Uint8Array): [Uint8Array, FakePair][] {
    const [from, to] = [toHex(start), toHex(end)];
    return [...this.pairs]
      .filter(([hex]) => hex >= from && (to === "" || hex < to))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([hex, pair]) => [fromHex(hex), pair]);
  }

  put(key: Uint8Array, value: Uint8Array, ttl = 0): void {
    this.pairs.set(toHex(key), { value: Uint8Array.from(value), ttl });
  }

  get(key: Uint8Array): FakePair | undefined {
    return this.pairs.get(toHex(key));
  }

  delete(key: Uint8Array): void {
    this.pairs.delete(toHex(key));
  }
}

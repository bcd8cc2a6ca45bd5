/**
 * Fake stores that carry out what PD orders, on virtual time and from a seed: a PD without gRPC
 * (RaftCluster on a kv in memory) in a closed loop. Orders are late, some are lost; regions report
 * when they change and every minute; stores die, leave and come back.
 */
import { compareBytes, Prng } from "../../src/base/index.js";
import {
  type PeerMeta,
  type RegionInfo,
  type RegionMeta,
  regionFromMeta,
} from "../../src/pd/core/index.js";
import type { RegionOrder, ScheduleConfig } from "../../src/pd/schedule/index.js";
import { SCHEDULE_DEFAULTS } from "../../src/pd/schedule/index.js";
import { RaftCluster } from "../../src/pd/server/cluster.js";
import { IdService } from "../../src/pd/server/id.js";
import type { Kv } from "../../src/pd/storage/index.js";
import { LogLines } from "./log_lines.js";
import { FakeRegion } from "./pd_fake_region.js";
import { scheduleStats, scheduleStore } from "./pd_stores.js";

const TICK_MS = 100;
const STORE_HEARTBEAT_MS = 10_000;
const REGION_HEARTBEAT_MS = 60_000;
const ELECTION_MS = 10_000;
const PEER_DOWN_MS = 600_000;
const START_MS = 1_700_000_000_000;

interface FakeStore {
  readonly id: bigint;
  aliveSinceMs: number;
  deadSinceMs: number | undefined;
  nextHeartbeatMs: number;
}

export interface FakeOptions {
  readonly seed: bigint;
  readonly config?: Partial<ScheduleConfig>;
  /** Of a hundred orders so many are lost. */
  readonly lossPercent?: number;
}

/** Returns a kv in memory. */
export function memoryKv(): Kv {
  const values = new Map<string, Uint8Array>();
  return {
    load: (key) => values.get(key),
    loadPrefix: (prefix, visit) => {
      for (const key of [...values.keys()].sort()) {
        if (key.startsWith(prefix)) visit(key, values.get(key) as Uint8Array);
      }
    },
    save: async (changes) => {
      for (const { key, value } of changes) {
        if (value === undefined) values.delete(key);
        else values.set(key, value);
      }
    },
  };
}

export class PdFakeCluster {
  readonly pd: RaftCluster;
  readonly prng: Prng;
  readonly regions = new Map<bigint, FakeRegion>();
  readonly stores = new Map<bigint, FakeStore>();
  readonly orders: RegionOrder[] = [];
  nowMs = 0;
  private readonly lossPercent: number;
  private readonly ids: IdService;
  private readonly late: { atMs: number; run: () => void }[] = [];
  private readonly nextReportMs = new Map<bigint, number>();

  constructor(options: FakeOptions) {
    this.prng = new Prng(options.seed);
    this.lossPercent = options.lossPercent ?? 5;
    const kv = memoryKv();
    const clock = { nowMs: () => START_MS + this.nowMs, monotonicMs: () => this.nowMs };
    this.ids = new IdService(kv, 7n);
    const schedule = { ...SCHEDULE_DEFAULTS, ...options.config };
    const throwIt = (error: Error): never => {
      throw error;
    };
    this.pd = new RaftCluster(
      7n,
      { schedule, probeTimeoutMs: 1 },
      {
        kv,
        clock,
        logger: new LogLines(),
        ids: this.ids,
        prng: new Prng(options.seed ^ 0x5eedn),
        probe: async () => "gone",
        onFatal: throwIt,
        sendOrder: (order) => this.takeOrder(order),
      },
    );
  }

  /** Starts the cluster with one store and one region over all keys. */
  async bootstrap(labels: Readonly<Record<string, string>> = {}): Promise<bigint> {
    const storeId = await this.id();
    const [regionId, peerId] = [await this.id(), await this.id()];
    const empty = new Uint8Array(0);
    const peers: PeerMeta[] = [{ id: peerId, storeId, role: 0, isWitness: false }];
    const meta: RegionMeta = {
      id: regionId,
      startKey: empty,
      endKey: empty,
      confVer: 1n,
      version: 1n,
      peers,
      isInFlashback: false,
      flashbackStartTs: 0n,
    };
    await this.pd.bootstrap(scheduleStore(storeId, labels).meta, meta);
    this.stores.set(storeId, newStore(storeId, this.nowMs));
    this.regions.set(regionId, new FakeRegion(meta, storeId, 0n));
    return storeId;
  }

  /** Adds a store. */
  async join(labels: Readonly<Record<string, string>> = {}): Promise<bigint> {
    const id = await this.id();
    const refused = await this.pd.putStore(scheduleStore(id, labels).meta);
    if (refused !== undefined) throw new Error(refused.message);
    this.stores.set(id, newStore(id, this.nowMs));
    return id;
  }

  /** Splits into `count` regions of `sizeMiB` at one-byte keys, as load would. */
  async splitInto(count: number, sizeMiB = 20n): Promise<void> {
    const [region] = [...this.regions.values()];
    const keys = Array.from({ length: count - 1 }, (_, i) => Uint8Array.of((i + 1) >> 8, i + 1));
    await this.split(region as FakeRegion, keys);
    for (const one of this.regions.values()) one.sizeMiB = sizeMiB;
    this.reportAll();
  }

  /** Splits a region that is led somewhere in the middle of its range. */
  async splitOne(): Promise<void> {
    const led = [...this.regions.values()].filter(({ leader }) => leader && this.isAlive(leader));
    if (led.length === 0) return;
    const region = this.prng.pick(led);
    const key = Uint8Array.of(...region.meta.startKey, 1 + this.prng.below(200));
    const { endKey } = region.meta;
    if (endKey.length > 0 && compareBytes(key, endKey) >= 0) return;
    await this.split(region, [key]);
    this.reportAll();
  }

  kill(storeId: bigint): void {
    (this.stores.get(storeId) as FakeStore).deadSinceMs = this.nowMs;
  }

  revive(storeId: bigint): void {
    const store = this.stores.get(storeId) as FakeStore;
    store.deadSinceMs = undefined;
    store.aliveSinceMs = this.nowMs;
    store.nextHeartbeatMs = this.nowMs;
    for (const region of this.regions.values()) {
      const peer = region.peerOn(storeId);
      if (peer !== undefined) this.catchUp(region, peer.id);
    }
  }

  /** Lets virtual time pass; promises of PD settle meanwhile. */
  async run(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    for (let ticks = 0; this.nowMs < endMs; ticks++) {
      this.step();
      if (ticks % 10 === 0) await Promise.resolve();
    }
    await Promise.resolve();
  }

  /** Lets time pass until `isSo`; returns how long that took, or throws after `limitMs`. */
  async until(limitMs: number, what: string, isSo: () => boolean): Promise<number> {
    const startMs = this.nowMs;
    while (!isSo()) {
      if (this.nowMs - startMs > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await this.run(1000);
    }
    return this.nowMs - startMs;
  }

  leaderCounts(): Map<bigint, number> {
    const counts = new Map<bigint, number>([...this.stores.keys()].map((id) => [id, 0]));
    for (const { leader } of this.regions.values()) {
      if (leader !== undefined) counts.set(leader, (counts.get(leader) ?? 0) + 1);
    }
    return counts;
  }

  peerCounts(): Map<bigint, number> {
    const counts = new Map<bigint, number>([...this.stores.keys()].map((id) => [id, 0]));
    for (const { meta } of this.regions.values()) {
      for (const { storeId } of meta.peers) counts.set(storeId, (counts.get(storeId) ?? 0) + 1);
    }
    return counts;
  }

  /** Returns whether every region has `count` voters on living stores and nothing else. */
  isReplicated(count: number): boolean {
    return [...this.regions.values()].every(
      ({ meta }) =>
        meta.peers.length === count &&
        meta.peers.every(({ role, storeId }) => role === 0 && this.isAlive(storeId)),
    );
  }

  /** Returns how many operators have finished or run, by description. */
  operatorDescs(): Map<string, number> {
    const counts = new Map<string, number>();
    const { operators } = this.pd.coordinator;
    for (const { desc } of [...operators.records.since(0), ...operators.all()]) {
      counts.set(desc, (counts.get(desc) ?? 0) + 1);
    }
    return counts;
  }

  isAlive(storeId: bigint): boolean {
    const store = this.stores.get(storeId);
    return store !== undefined && store.deadSinceMs === undefined;
  }

  private async id(): Promise<bigint> {
    return (await this.ids.alloc(1n)) as bigint;
  }

  private step(): void {
    this.nowMs += TICK_MS;
    for (const store of this.stores.values()) this.storeHeartbeat(store);
    for (const region of this.regions.values()) this.tickRegion(region);
    const due = this.late.filter(({ atMs }) => atMs <= this.nowMs);
    for (const one of due) {
      this.late.splice(this.late.indexOf(one), 1);
      one.run();
    }
    this.pd.tick();
  }

  private storeHeartbeat(store: FakeStore): void {
    if (store.deadSinceMs !== undefined || this.nowMs < store.nextHeartbeatMs) return;
    store.nextHeartbeatMs = this.nowMs + STORE_HEARTBEAT_MS;
    const stats = { ...scheduleStats(1000, 900), startTime: Math.floor(store.aliveSinceMs / 1000) };
    this.pd.storeHeartbeat(store.id, stats).catch(() => {});
  }

  private tickRegion(region: FakeRegion): void {
    if (region.leader !== undefined && this.isAlive(region.leader)) {
      const isQuorate = region.hasQuorum((id) => this.isAlive(id));
      const dueMs = this.nextReportMs.get(region.meta.id) ?? 0;
      if (isQuorate && this.nowMs >= dueMs) this.report(region);
      return;
    }
    const deadMs = this.stores.get(region.leader ?? 0n)?.deadSinceMs ?? this.nowMs;
    if (this.nowMs - deadMs < ELECTION_MS || !region.hasQuorum((id) => this.isAlive(id))) return;
    const electable = region.meta.peers.filter(
      (peer) =>
        (peer.role === 0 || peer.role === 2) &&
        this.isAlive(peer.storeId) &&
        !region.isPending(peer, this.nowMs),
    );
    if (electable.length === 0) return;
    region.leader = this.prng.pick(electable).storeId;
    region.term++;
    this.report(region);
  }

  private reportAll(): void {
    for (const region of this.regions.values()) this.report(region);
  }

  private report(region: FakeRegion): void {
    this.nextReportMs.set(region.meta.id, this.nowMs + REGION_HEARTBEAT_MS);
    const leader = region.meta.peers.find(({ storeId }) => storeId === region.leader);
    if (leader === undefined) return;
    const known = regionFromMeta(region.meta);
    const silentMs = (storeId: bigint): number =>
      this.nowMs - (this.stores.get(storeId)?.deadSinceMs ?? this.nowMs);
    const info: RegionInfo = {
      ...known,
      leader,
      stats: { ...known.stats, term: region.term, approximateSizeMiB: region.sizeMiB },
      downPeers: region.meta.peers
        .filter(({ storeId }) => silentMs(storeId) >= PEER_DOWN_MS)
        .map((peer) => ({ peer, seconds: BigInt(Math.floor(silentMs(peer.storeId) / 1000)) })),
      pendingPeers: region.meta.peers.filter((peer) => region.isPending(peer, this.nowMs)),
    };
    this.pd.regionHeartbeat(info);
  }

  private takeOrder(order: RegionOrder): void {
    this.orders.push(order);
    if (this.prng.ratio(this.lossPercent, 100)) return;
    const atMs = this.nowMs + 5 + this.prng.below(200);
    this.late.push({ atMs, run: () => this.carryOut(order) });
  }

  private carryOut(order: RegionOrder): void {
    const region = this.regions.get(order.regionId);
    if (region === undefined || region.leader !== order.targetPeer.storeId) return;
    const isAlive = (id: bigint): boolean => this.isAlive(id);
    if (!isAlive(region.leader) || !region.hasQuorum(isAlive)) return;
    if (order.changePeers !== undefined && order.confVer === region.meta.confVer) {
      const before = new Set(region.meta.peers.map(({ id }) => id));
      if (!region.change(order.changePeers, isAlive)) return;
      for (const { id } of region.meta.peers) if (!before.has(id)) this.catchUp(region, id);
    }
    const to = order.transferLeader?.[0];
    if (to !== undefined) {
      const peer = region.peerOn(to.storeId);
      const fit = peer !== undefined && (peer.role === 0 || peer.role === 2);
      if (!fit || !isAlive(peer.storeId) || region.isPending(peer, this.nowMs)) return;
      region.leader = to.storeId;
      region.term++;
    }
    const keys = order.splitRegion?.keys;
    if (keys !== undefined && order.version === region.meta.version) {
      void this.split(region, [...keys]).then(() => this.reportAll());
    }
    this.report(region);
  }

  /** A new or returned peer has its data a while later; the leader reports it then. */
  private catchUp(region: FakeRegion, peerId: bigint): void {
    const atMs = this.nowMs + 500 + this.prng.below(3000);
    region.caughtUpMs.set(peerId, atMs);
    this.late.push({ atMs, run: () => this.whenAlive(region, peerId) });
  }

  private whenAlive(region: FakeRegion, peerId: bigint): void {
    const peer = region.meta.peers.find(({ id }) => id === peerId);
    if (peer === undefined) return;
    if (!this.isAlive(peer.storeId)) region.caughtUpMs.set(peerId, Number.POSITIVE_INFINITY);
    else if (region.leader !== undefined && this.isAlive(region.leader)) this.report(region);
  }

  private async split(region: FakeRegion, keys: Uint8Array[]): Promise<void> {
    const ids = await this.pd.askSplit(region.meta, keys.length);
    // PD may know a newer epoch already, by a report of what changed meanwhile.
    if (!ids.ok) return;
    const version = region.meta.version + BigInt(keys.length);
    const bounds = [...keys].sort(compareBytes);
    let { startKey } = region.meta;
    for (const [at, endKey] of bounds.entries()) {
      const { newPeerIds, newRegionId } = ids.value[at] as (typeof ids.value)[number];
      const peers = region.meta.peers.map((peer, i) => ({ ...peer, id: newPeerIds[i] as bigint }));
      const meta = { ...region.meta, id: newRegionId, startKey, endKey, version, peers };
      this.regions.set(newRegionId, new FakeRegion(meta, region.leader as bigint, region.sizeMiB));
      startKey = endKey;
    }
    region.meta = { ...region.meta, startKey, version };
  }
}

function newStore(id: bigint, nowMs: number): FakeStore {
  return { id, aliveSinceMs: nowMs, deadSinceMs: undefined, nextHeartbeatMs: nowMs };
}

/**
 * PD on its own machine: production's cluster, rules, scheduling, ids and storage, on a simulated
 * disk. What arrives over the network and what leaves is here; timestamps are the machine's time,
 * for raw keys do not need more.
 */
import { EMPTY_BYTES, err, type Logger, ok, Prng } from "../../src/base/index.js";
import {
  type DownPeer,
  NODE_STATE,
  type RegionInfo as PdRegion,
  type StoreStats as PdStoreStats,
  type PeerMeta,
  type Refusal,
  type RegionMeta,
  STORE_STATE,
  type StoreMeta,
} from "../../src/pd/core/index.js";
import {
  type Built,
  type FilterContext,
  type RegionOrder,
  SCHEDULE_DEFAULTS,
} from "../../src/pd/schedule/index.js";
import { RaftCluster } from "../../src/pd/server/cluster.js";
import { IdService } from "../../src/pd/server/id.js";
import { engineKv } from "../../src/pd/storage/index.js";
import type {
  PdReply,
  PeerInfo,
  RegionInfo,
  RegionReport,
  SplitIds,
  StoreInfo,
  StoreStats,
} from "../../src/raftstore/index.js";
import { SimDisk, SimEngine } from "./disk.js";
import type { SimHost } from "./host.js";
import type { SimTrace } from "./trace.js";

export const CLUSTER_ID = 7n;
const TICK_MS = 50;
const TSO_LOGICAL_BITS = 18n;
const STORE_LIMIT = 10_000;
const DISK_WEIGHTS = { writeMeanUs: 50, syncMeanUs: 500 };
const MIB = 1024 * 1024;

function peerMeta({ id, storeId, role }: PeerInfo): PeerMeta {
  return { id, storeId, role, isWitness: false };
}

/** Returns a store's region as PD has it. */
export function toPd(region: RegionInfo): RegionMeta {
  const { id, startKey, endKey, confVer, version } = region;
  const peers = region.peers.map(peerMeta);
  return {
    id,
    startKey,
    endKey,
    confVer,
    version,
    peers,
    isInFlashback: false,
    flashbackStartTs: 0n,
  };
}

/** Returns PD's region as stores have it. */
export function fromPd(meta: RegionMeta): RegionInfo {
  const { id, startKey, endKey, confVer, version } = meta;
  const peers = meta.peers.map(({ id: peerId, storeId, role }) => ({ id: peerId, storeId, role }));
  return { id, startKey, endKey, confVer, version, peers };
}

function reportToPd(report: RegionReport): PdRegion {
  const { region, leaderPeerId, downPeers = [], pendingPeers = [] } = report;
  const down: DownPeer[] = downPeers.map(({ peer, downSeconds }) => ({
    peer: peerMeta(peer),
    seconds: BigInt(downSeconds),
  }));
  const meta = toPd(region);
  return {
    meta,
    leader: meta.peers.find((peer) => peer.id === leaderPeerId),
    downPeers: down,
    pendingPeers: pendingPeers.map(peerMeta),
    buckets: undefined,
    stats: {
      term: report.term,
      approximateSizeMiB: BigInt(Math.max(1, Math.floor(report.approximateSize / MIB))),
      approximateKeys: BigInt(report.approximateKeys),
      bytesWritten: BigInt(report.bytesWritten),
      bytesRead: BigInt(report.bytesRead),
      keysWritten: BigInt(report.keysWritten),
      keysRead: BigInt(report.keysRead),
    },
  };
}

function storeToPd(store: StoreInfo): StoreMeta {
  return {
    id: store.id,
    address: store.address,
    state: STORE_STATE.up,
    labels: store.labels,
    version: store.version,
    peerAddress: "",
    statusAddress: store.statusAddress,
    gitHash: store.gitHash,
    startTimestamp: BigInt(store.startTimestamp),
    deployPath: store.deployPath,
    lastHeartbeat: 0n,
    physicallyDestroyed: false,
    nodeState: NODE_STATE.preparing,
  };
}

function statsToPd(stats: StoreStats): PdStoreStats {
  return {
    capacity: BigInt(stats.capacity),
    available: BigInt(stats.available),
    usedSize: BigInt(stats.usedSize),
    regionCount: stats.regionCount,
    sendingSnapCount: 0,
    receivingSnapCount: 0,
    applyingSnapCount: 0,
    isBusy: stats.isBusy,
    slowScore: 1n,
    startTime: stats.startTime,
  };
}

export interface SimPdDeps {
  readonly host: SimHost;
  readonly prng: Prng;
  readonly trace: SimTrace;
  readonly logger: Logger;
  readonly replicas: number;
  /** Takes an order to the store that leads a region. */
  readonly sendOrder: (order: RegionOrder) => void;
}

/** One process of PD. */
class PdProcess {
  readonly cluster: RaftCluster;
  readonly ids: IdService;

  constructor(deps: SimPdDeps, disk: SimDisk, onFatal: (error: Error) => void) {
    const { host, prng, replicas, sendOrder } = deps;
    const kv = engineKv(new SimEngine(disk, { host, prng, weights: DISK_WEIGHTS, onFatal }));
    this.ids = new IdService(kv, CLUSTER_ID);
    const schedule = {
      ...SCHEDULE_DEFAULTS,
      maxReplicas: replicas,
      storeLimitAddPerMinute: STORE_LIMIT,
      storeLimitRemovePerMinute: STORE_LIMIT,
    };
    this.cluster = new RaftCluster(
      CLUSTER_ID,
      { schedule, probeTimeoutMs: 1_000 },
      {
        kv,
        clock: host,
        logger: deps.logger,
        probe: () => Promise.reject(new Error("stores of the simulator do not move")),
        ids: this.ids,
        prng: new Prng(BigInt(prng.nextU32())),
        sendOrder,
        onFatal,
      },
    );
    this.tick(host);
  }

  private tick(host: SimHost): void {
    host.after(TICK_MS, () => {
      this.cluster.tick();
      this.tick(host);
    });
  }
}

/** PD's machine. The calls of stores run in turns of its host, while it is up. */
export class SimPd {
  readonly host: SimHost;
  private readonly deps: SimPdDeps;
  private readonly disk = new SimDisk();
  private process: PdProcess | undefined;
  private lastTs = 0n;
  /** Durable at once. */
  gcSafePoint = 0n;

  constructor(deps: SimPdDeps) {
    this.deps = deps;
    this.host = deps.host;
  }

  start(): void {
    if (this.process !== undefined) return;
    this.host.start();
    this.process = new PdProcess(this.deps, this.disk, () => this.crash());
  }

  crash(): void {
    if (this.process === undefined) return;
    this.process = undefined;
    this.host.crash();
    this.disk.crash(this.deps.prng.below(this.disk.unsyncedCount + 1));
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  /** The regions that PD knows, those without a leader too; none while it is down. */
  get regions(): readonly PdRegion[] {
    const found: PdRegion[] = [];
    const { basic } = this.running ?? { basic: undefined };
    if (basic === undefined) return found;
    for (let region = basic.tree.search(EMPTY_BYTES); region !== undefined; ) {
      found.push(region);
      const { endKey } = region.meta;
      region = endKey.length === 0 ? undefined : basic.tree.search(endKey);
    }
    return found;
  }

  get storeIds(): readonly bigint[] {
    return this.running?.basic.getStores().map((store) => store.meta.id) ?? [];
  }

  get operatorCount(): number {
    return this.running?.coordinator.operators.all().length ?? 0;
  }

  get replicas(): number {
    return this.running?.config.maxReplicas ?? this.deps.replicas;
  }

  /** Sets how many replicas regions shall have. */
  want(replicas: number): void {
    this.running?.changeConfig({ "replication.max-replicas": replicas }).catch(() => undefined);
  }

  find(key: Uint8Array): PdRegion | undefined {
    return this.running?.basic.tree.search(key);
  }

  byId(id: bigint): PdRegion | undefined {
    return this.running?.basic.getRegion(id);
  }

  bootstrapped(): boolean {
    return this.running?.bootstrapped ?? false;
  }

  allocIds(count: bigint): Promise<bigint | undefined> {
    return this.process?.ids.alloc(count) ?? Promise.resolve(undefined);
  }

  timestamps(count: number): bigint {
    const physical = BigInt(Math.floor(this.host.localUs / 1000)) << TSO_LOGICAL_BITS;
    this.lastTs = (physical > this.lastTs ? physical : this.lastTs) + BigInt(count);
    return this.lastTs;
  }

  async bootstrap(store: StoreInfo, region: RegionInfo): Promise<PdReply<void>> {
    const outcome = await this.running?.bootstrap(storeToPd(store), toPd(region));
    if (outcome?.kind === "ok") return ok(undefined);
    if (outcome?.kind === "already") return err({ kind: "alreadyBootstrapped", message: "" });
    return err({ kind: "refused", message: outcome?.message ?? "down" });
  }

  async putStore(store: StoreInfo): Promise<PdReply<void>> {
    return answerOf(await this.running?.putStore(storeToPd(store)));
  }

  async storeHeartbeat(stats: StoreStats): Promise<PdReply<void>> {
    return answerOf(await this.running?.storeHeartbeat(stats.storeId, statsToPd(stats)));
  }

  regionHeartbeat(report: RegionReport): void {
    const region = reportToPd(report);
    if (region.leader !== undefined) this.running?.regionHeartbeat(region);
  }

  async askBatchSplit(region: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    const answer = await this.running?.askSplit(toPd(region), count);
    if (answer?.ok === true) return ok(answer.value);
    return err({ kind: "refused", message: answer?.error ?? "down" });
  }

  /** Starts an operator that the nemesis wants; returns why not. */
  operate(build: (context: FilterContext) => Built): string | undefined {
    const { running } = this;
    if (running === undefined || this.host.isPaused) return "PD does not answer";
    const { operators } = running.coordinator;
    const built = build(operators.context);
    return built.ok ? operators.add(built.value) : built.error;
  }

  private get running(): RaftCluster | undefined {
    return this.process?.cluster;
  }
}

function answerOf(refusal: Refusal | undefined): PdReply<void> {
  return refusal === undefined ? ok(undefined) : err({ kind: "refused", message: refusal.message });
}

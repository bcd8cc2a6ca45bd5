/** A cluster for unit tests of scheduling: stores and regions set by hand, time set by hand. */
import { Prng } from "../../src/base/index.js";
import {
  BasicCluster,
  type PeerMeta,
  type PeerRole,
  type RegionInfo,
  regionFromMeta,
  type StoreInfo,
} from "../../src/pd/core/index.js";
import {
  type Built,
  Coordinator,
  type Operator,
  type RegionOrder,
  SCHEDULE_DEFAULTS,
  type ScheduleCluster,
  type ScheduleConfig,
  stepText,
} from "../../src/pd/schedule/index.js";
import { scheduleStore } from "./pd_stores.js";

const ROLES: Readonly<Record<string, PeerRole>> = { v: 0, l: 1, i: 2, d: 3 };

/** What a region is made of: "1 2 3l" are voters on stores 1 and 2 and a learner on 3. */
export interface RegionSpec {
  readonly peers: string;
  /** Store id; the first peer's by default. */
  readonly leader?: number;
  readonly confVer?: number;
  readonly version?: number;
  readonly sizeMiB?: number;
  /** Store ids. */
  readonly pending?: readonly number[];
  readonly down?: readonly number[];
}

/** Peer ids are 10 times the store id. */
function peersOf(text: string): PeerMeta[] {
  return text.split(" ").map((part) => {
    const storeId = BigInt(Number.parseInt(part, 10));
    const role = ROLES[part.replace(/\d+/, "") || "v"] as PeerRole;
    return { id: storeId * 10n, storeId, role, isWitness: false };
  });
}

export class ScheduleFixture implements ScheduleCluster {
  readonly basic = new BasicCluster();
  readonly prng = new Prng(1n);
  readonly orders: RegionOrder[] = [];
  readonly coordinator: Coordinator;
  config: ScheduleConfig;
  now = 0;
  /** Ids that are at hand. */
  idsLeft = 1_000_000;
  private lastId = 1000n;

  constructor(config: Partial<ScheduleConfig> = {}) {
    this.config = { ...SCHEDULE_DEFAULTS, ...config };
    this.coordinator = new Coordinator(this, (order) => this.orders.push(order));
  }

  get operators() {
    return this.coordinator.operators;
  }

  get context() {
    return this.coordinator.operators.context;
  }

  nowMs(): number {
    return this.now;
  }

  allocId(): bigint | undefined {
    if (this.idsLeft-- <= 0) return undefined;
    return ++this.lastId;
  }

  /** Adds stores 1 to `count`, or those given with labels. */
  stores(
    count: number,
    labels: (id: number) => Readonly<Record<string, string>> = () => ({}),
  ): this {
    for (let id = 1; id <= count; id++) {
      this.basic.putStore(scheduleStore(BigInt(id), labels(id), this.now));
    }
    return this;
  }

  changeStore(id: number, change: (store: StoreInfo) => StoreInfo): void {
    this.basic.putStore(change(this.basic.getStore(BigInt(id)) as StoreInfo));
  }

  /** Puts region `id`, which covers the keys [id, id + 1). */
  region(id: number, spec: RegionSpec): RegionInfo {
    const peers = peersOf(spec.peers);
    const on = (ids: readonly number[] = []): PeerMeta[] =>
      peers.filter(({ storeId }) => ids.includes(Number(storeId)));
    const leaderStore = BigInt(spec.leader ?? Number(peers[0]?.storeId));
    const known = regionFromMeta({
      id: BigInt(id),
      startKey: Uint8Array.of(id >> 8, id),
      endKey: Uint8Array.of((id + 1) >> 8, id + 1),
      confVer: BigInt(spec.confVer ?? 1),
      version: BigInt(spec.version ?? 1),
      peers,
      isInFlashback: false,
      flashbackStartTs: 0n,
    });
    const region: RegionInfo = {
      ...known,
      leader: peers.find(({ storeId }) => storeId === leaderStore),
      stats: { ...known.stats, approximateSizeMiB: BigInt(spec.sizeMiB ?? 10) },
      pendingPeers: on(spec.pending),
      downPeers: on(spec.down).map((peer) => ({ peer, seconds: 3600n })),
    };
    const outcome = this.basic.putRegion(region);
    if (outcome.kind !== "ok") throw new Error(outcome.message);
    return region;
  }

  /** As `region`, and tells the coordinator. */
  report(id: number, spec: RegionSpec): RegionInfo {
    const region = this.region(id, spec);
    this.coordinator.heartbeat(region, true);
    return region;
  }
}

/** Returns the steps of an operator as text, or why there is none. */
export function stepsOf(built: Built | Operator | undefined): string[] {
  if (built === undefined) return [];
  if ("ok" in built) return built.ok ? built.value.steps.map(stepText) : [built.error];
  return built.steps.map(stepText);
}

/** A PD for unit tests: the rules a store meets, in memory. Several stores may share one. */
import { err, ok } from "../../src/base/index.js";
import {
  equalRegions,
  type KnownRegion,
  type PdFailure,
  type PdPort,
  type PdReply,
  type RegionInfo,
  type RegionOrder,
  type RegionReport,
  type SchedulePort,
  type SplitIds,
  type StoreAddress,
  type StoreInfo,
  type StoreStats,
} from "../../src/raftstore/index.js";

export class FakePd implements PdPort, SchedulePort {
  readonly calls: string[] = [];
  readonly stores = new Map<bigint, StoreInfo>();
  readonly storeHeartbeats: StoreStats[] = [];
  readonly regionHeartbeats: RegionReport[] = [];
  /** The first region, once a store has bootstrapped the cluster. */
  region: RegionInfo | undefined;
  /** Every region that a bootstrap was accepted with; one, or PD is broken. */
  readonly accepted: RegionInfo[] = [];
  /** Answer of every call while set. */
  failure: PdFailure | undefined;
  /** Answers by call name, taken before the rules. */
  readonly answers = new Map<string, PdFailure>();
  /** Regions that splits made, as they were reported, in order. */
  readonly splits: RegionInfo[] = [];
  /** Gives an order to the store that opened last. */
  order: (order: RegionOrder) => void = () => {};
  /** Says that what regions reported is lost. */
  loseReports = (): void => {};
  private nextId = 1n;
  /** The timestamp that was given last. */
  nextTs = 1000n;

  constructor(readonly cluster: bigint = 7_000_000_000_000_000_001n) {}

  clusterId(): Promise<PdReply<bigint>> {
    return this.answer("clusterId", () => ok(this.cluster));
  }

  allocId(): Promise<PdReply<bigint>> {
    return this.answer("allocId", () => ok(this.nextId++));
  }

  isBootstrapped(): Promise<PdReply<boolean>> {
    return this.answer("isBootstrapped", () => ok(this.region !== undefined));
  }

  bootstrap(store: StoreInfo, region: RegionInfo): Promise<PdReply<void>> {
    return this.answer("bootstrap", () => {
      if (this.region !== undefined) {
        return err({ kind: "alreadyBootstrapped", message: "cluster is already bootstrapped" });
      }
      this.region = region;
      this.accepted.push(region);
      this.stores.set(store.id, store);
      return ok(undefined);
    });
  }

  getRegion(): Promise<PdReply<RegionInfo | undefined>> {
    return this.answer("getRegion", () => ok(this.region));
  }

  putStore(store: StoreInfo): Promise<PdReply<void>> {
    return this.answer("putStore", () => {
      for (const other of this.stores.values()) {
        if (other.id !== store.id && other.address === store.address) {
          return err({
            kind: "refused",
            message: `duplicated store address: id:${store.id}, already registered by id:${other.id}`,
          });
        }
      }
      this.stores.set(store.id, store);
      return ok(undefined);
    });
  }

  storeHeartbeat(stats: StoreStats): Promise<PdReply<void>> {
    return this.answer("storeHeartbeat", () => {
      this.storeHeartbeats.push(stats);
      return ok(undefined);
    });
  }

  regionHeartbeat(report: RegionReport): Promise<PdReply<void>> {
    return this.answer("regionHeartbeat", () => {
      this.regionHeartbeats.push(report);
      return ok(undefined);
    });
  }

  getTimestamps(count: number): Promise<PdReply<bigint>> {
    return this.answer("getTimestamps", () => {
      this.nextTs += BigInt(count);
      return ok(this.nextTs);
    });
  }

  askBatchSplit(region: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    return this.answer("askBatchSplit", () =>
      ok(
        Array.from({ length: count }, () => ({
          newRegionId: this.nextId++,
          newPeerIds: region.peers.map(() => this.nextId++),
        })),
      ),
    );
  }

  reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>> {
    return this.answer("reportBatchSplit", () => {
      this.splits.push(...regions);
      return ok(undefined);
    });
  }

  /** What heartbeats said last. */
  getRegionById(id: bigint): Promise<PdReply<KnownRegion | undefined>> {
    return this.answer("getRegionById", () => {
      const report = this.regionHeartbeats.findLast(({ region }) => region.id === id);
      if (report === undefined) return ok(undefined);
      const { region, leaderPeerId } = report;
      return ok({ region, leader: region.peers.find((peer) => peer.id === leaderPeerId) });
    });
  }

  getStoreAddress(id: bigint): Promise<PdReply<StoreAddress>> {
    return this.answer("getStoreAddress", () => {
      const store = this.stores.get(id);
      if (store !== undefined) return ok({ address: store.address, removed: false });
      return err({ kind: "refused", message: `invalid store ID ${id}, not found` });
    });
  }

  onOrder(take: (order: RegionOrder) => void): void {
    this.order = take;
  }

  onReportsLost(again: () => void): void {
    this.loseReports = again;
  }

  /** Whether PD's first region is `region`. */
  holds(region: RegionInfo): boolean {
    return this.region !== undefined && equalRegions(this.region, region);
  }

  private async answer<T>(call: string, rule: () => PdReply<T>): Promise<PdReply<T>> {
    this.calls.push(call);
    await Promise.resolve();
    const failure = this.failure ?? this.answers.get(call);
    return failure === undefined ? rule() : err(failure);
  }
}

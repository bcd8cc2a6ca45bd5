/** PD as one store reaches it: every call crosses the simulated network, and may get no answer. */
import { err, ok, toHex } from "../../src/base/index.js";
import type { RegionOrder as PdOrder } from "../../src/pd/schedule/index.js";
import type {
  KnownRegion,
  PdPort,
  PdReply,
  RegionInfo,
  RegionOrder,
  RegionReport,
  SchedulePort,
  SplitIds,
  StoreAddress,
  StoreInfo,
  StoreStats,
} from "../../src/raftstore/index.js";
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";
import { CLUSTER_ID, fromPd, type SimPd } from "./pd.js";
import { callOver } from "./rpc.js";

const PD_TIMEOUT_US = 500_000;

export class SimPdPort implements PdPort, SchedulePort {
  private take: (order: RegionOrder) => void = () => undefined;
  private readonly network: SimNetwork;
  private readonly pd: SimPd;
  private readonly host: SimHost;

  constructor(network: SimNetwork, pd: SimPd, host: SimHost) {
    this.network = network;
    this.pd = pd;
    this.host = host;
  }

  clusterId(): Promise<PdReply<bigint>> {
    return this.call("members", "", async () => ok(CLUSTER_ID));
  }

  allocId(): Promise<PdReply<bigint>> {
    return this.call("allocId", "", async () => {
      const id = await this.pd.allocIds(1n);
      return id === undefined ? err({ kind: "unavailable", message: "no id" }) : ok(id);
    });
  }

  isBootstrapped(): Promise<PdReply<boolean>> {
    return this.call("isBootstrapped", "", async () => ok(this.pd.bootstrapped()));
  }

  bootstrap(store: StoreInfo, region: RegionInfo): Promise<PdReply<void>> {
    return this.call("bootstrap", `${region.id}`, () => this.pd.bootstrap(store, region));
  }

  getRegion(key: Uint8Array): Promise<PdReply<RegionInfo | undefined>> {
    return this.call("getRegion", toHex(key), async () => {
      const found = this.pd.find(key);
      return ok(found === undefined ? undefined : fromPd(found.meta));
    });
  }

  putStore(store: StoreInfo): Promise<PdReply<void>> {
    return this.call("putStore", `${store.id}`, () => this.pd.putStore(store));
  }

  storeHeartbeat(stats: StoreStats): Promise<PdReply<void>> {
    return this.call("storeHeartbeat", `${stats.storeId}`, () => this.pd.storeHeartbeat(stats));
  }

  regionHeartbeat(report: RegionReport): Promise<PdReply<void>> {
    const { region, leaderPeerId, term } = report;
    const text = `${region.id} ${region.version}/${region.confVer} ${leaderPeerId} ${term}`;
    return this.call("regionHeartbeat", text, async () => {
      this.pd.regionHeartbeat(report);
      return ok(undefined);
    });
  }

  getTimestamps(count: number): Promise<PdReply<bigint>> {
    return this.call("tso", `${count}`, async () => ok(this.pd.timestamps(count)));
  }

  getGcSafePoint(): Promise<PdReply<bigint>> {
    return this.call("gcSafePoint", "", async () => ok(this.pd.gcSafePoint));
  }

  askBatchSplit(region: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    const text = `${region.id} ${count}`;
    return this.call("askBatchSplit", text, () => this.pd.askBatchSplit(region, count));
  }

  reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>> {
    const text = regions.map((region) => region.id).join(" ");
    return this.call("reportBatchSplit", text, async () => ok(undefined));
  }

  getRegionById(id: bigint): Promise<PdReply<KnownRegion | undefined>> {
    return this.call("getRegionById", `${id}`, async () => {
      const found = this.pd.byId(id);
      if (found === undefined) return ok(undefined);
      return ok({ region: fromPd(found.meta), leader: found.leader });
    });
  }

  getStoreAddress(id: bigint): Promise<PdReply<StoreAddress>> {
    return this.call("getStore", `${id}`, async () => ok({ address: `${id}`, removed: false }));
  }

  onOrder(take: (order: RegionOrder) => void): void {
    this.take = take;
  }

  /** Brings an order of PD's to the store. */
  push(order: PdOrder): void {
    const { pd, host } = this;
    const what = Object.keys(order).filter((key) => /^(change|transfer|split)/.test(key));
    const text = `${order.regionId} ${order.version}/${order.confVer} ${what.join(" ")}`;
    const from = pd.host;
    const envelope = { from: from.name, to: host.name, kind: "order", bytes: text };
    this.network.send({ ...envelope, atUs: from.localUs }, () => host.turn(() => this.take(order)));
  }

  private call<T>(
    kind: string,
    text: string,
    work: () => Promise<PdReply<T>>,
  ): Promise<PdReply<T>> {
    return new Promise((resolve) => {
      callOver<PdReply<T>>(this.network, {
        from: this.host,
        to: this.pd.host,
        kind,
        text,
        timeoutUs: PD_TIMEOUT_US,
        work: (answer) => {
          // A write that fails ends PD, and nobody is answered.
          work().then(answer, () => undefined);
        },
        done: (reply) => resolve(reply ?? err({ kind: "unavailable", message: "no answer" })),
      });
    });
  }
}

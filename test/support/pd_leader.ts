/**
 * A leader on the wire for PD's integration tests: reports regions on one heartbeat stream of a
 * store and collects what PD orders; `obey` carries changes out at once, without raft.
 */
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { fromBigInt, type metapb, type pdpb, toBigInt } from "../../src/pb/index.js";
import { regionOrder } from "../../src/pd_client/order.js";
import type { RegionOrder } from "../../src/raftstore/index.js";
import type { TestPd } from "./pd.js";
import { within } from "./within.js";

export interface LedPeer {
  readonly id: number;
  readonly storeId: number;
  readonly role?: number;
}

export interface LedRegion {
  readonly id: number;
  startKey?: Uint8Array;
  endKey?: Uint8Array;
  confVer: number;
  version: number;
  peers: LedPeer[];
  /** Store id. */
  leader: number;
  pending?: LedPeer[];
  down?: LedPeer[];
}

export class PdLeader {
  readonly orders: RegionOrder[] = [];
  private readonly pd: TestPd;
  private readonly stream: ClientDuplexStream<object, pdpb.RegionHeartbeatResponse>;

  constructor(pd: TestPd) {
    this.pd = pd;
    this.stream = pd.client.stream("RegionHeartbeat") as never;
    this.stream.on("data", (response: pdpb.RegionHeartbeatResponse) => {
      const order = regionOrder(response);
      if (order !== undefined) this.orders.push(order);
    });
    this.stream.on("error", () => {});
  }

  /** Reports a region and waits until PD took it. */
  async report(region: LedRegion): Promise<void> {
    const epoch = { confVer: region.confVer, version: region.version };
    const peers = region.peers.map((peer) => ({ ...peer, role: peer.role ?? 0 }));
    this.stream.write({
      header: this.pd.client.header,
      region: {
        id: region.id,
        startKey: region.startKey ?? new Uint8Array(0),
        endKey: region.endKey ?? new Uint8Array(0),
        regionEpoch: epoch,
        peers,
      },
      leader: peers.find(({ storeId }) => storeId === region.leader),
      pendingPeers: region.pending ?? [],
      downPeers: (region.down ?? []).map((peer) => ({ peer, downSeconds: 700 })),
      approximateSize: fromBigInt(10n << 20n),
      term: 6,
    });
    await within(5000, "PD took the region", async () => {
      const got = await this.pd.client.call("GetRegionByID", { regionId: region.id });
      const known = got.region?.regionEpoch ?? null;
      return (
        known !== null &&
        Number(toBigInt(known.confVer)) === region.confVer &&
        Number(toBigInt(known.version)) === region.version &&
        Number(toBigInt(got.leader?.storeId ?? 0)) === region.leader
      );
    });
  }

  /** Resolves with the first order that `isIt`; takes it and all before it away. */
  async order(what: string, isIt: (order: RegionOrder) => boolean): Promise<RegionOrder> {
    return within(10_000, what, () => {
      const at = this.orders.findIndex(isIt);
      return at < 0 ? undefined : this.orders.splice(0, at + 1).at(-1);
    });
  }

  end(): void {
    this.stream.end();
  }
}

/** Registers stores 1 to `count`, the first with region 2 over all keys, peer 3. */
export async function startStores(pd: TestPd, count: number): Promise<void> {
  const store = (id: number): metapb.IStore => ({
    id,
    address: `127.0.0.1:${20_000 + id}`,
    version: "8.5.0",
    labels: [{ key: "zone", value: `z${id}` }],
  });
  const region = { id: 2, regionEpoch: { confVer: 1, version: 1 }, peers: [{ id: 3, storeId: 1 }] };
  await pd.client.call("Bootstrap", { store: store(1), region });
  for (let id = 2; id <= count; id++) await pd.client.call("PutStore", { store: store(id) });
  for (let id = 1; id <= count; id++) {
    const space = { capacity: fromBigInt(100n << 30n), available: fromBigInt(90n << 30n) };
    const stats = { storeId: id, ...space, startTime: 9 };
    await pd.client.call("StoreHeartbeat", { stats });
  }
}

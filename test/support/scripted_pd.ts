/**
 * A scripted PD over gRPC: answers from a FakeCluster, counts calls, fails where a test says so.
 * Keys in regions are plain, or encoded by `encodeKey`, as PD's keys are for API V2.
 */
import * as grpc from "@grpc/grpc-js";
import { fromBigInt, metapb, type pdpb, serviceDefinition, toBigInt } from "../../src/pb/index.js";
import type { FakeCluster, FakeRegion } from "./fake_cluster.js";
import { type BoundServer, serveGrpc } from "./grpc_server.js";

type Unary<Req> = (request: Req) => object;
type Script = () => { code: grpc.status; details: string } | pdpb.IError | undefined;

export class ScriptedPd {
  readonly cluster: FakeCluster;
  readonly calls = new Map<string, number>();
  /** One function a method; what it returns replaces the answer. */
  readonly scripts = new Map<string, Script>();
  /** URL that GetMembers names as the leader's; this PD's by default. */
  leaderUrl: string | undefined;
  encodeKey: (key: Uint8Array) => Uint8Array = (key) => key;
  physical = 1_764_000_000_000n;
  logical = 0n;
  /** Messages on Tso streams. */
  tsoMessages = 0;
  onTso: (stream: grpc.ServerDuplexStream<pdpb.TsoRequest, pdpb.ITsoResponse>) => boolean = () =>
    false;
  readonly heartbeats: pdpb.RegionHeartbeatRequest[] = [];
  #server: BoundServer | undefined;

  constructor(cluster: FakeCluster) {
    this.cluster = cluster;
  }

  static async start(cluster: FakeCluster, port = 0): Promise<ScriptedPd> {
    const pd = new ScriptedPd(cluster);
    await pd.listen(port);
    return pd;
  }

  get address(): string {
    return this.#server?.address as string;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  async listen(port: number): Promise<void> {
    const definition = serviceDefinition("pdpb.PD");
    this.#server = await serveGrpc(
      [
        [definition, this.#handlers()],
        [serviceDefinition("keyspacepb.Keyspace"), this.#keyspace()],
      ],
      port,
    );
  }

  stop(): void {
    this.#server?.stop();
  }

  count(method: string): number {
    return this.calls.get(method) ?? 0;
  }

  #header(): pdpb.IResponseHeader {
    return { clusterId: fromBigInt(this.cluster.clusterId) };
  }

  #unary<Req extends { header: pdpb.RequestHeader | null }>(
    name: string,
    answer: Unary<Req>,
  ): grpc.handleUnaryCall<Req, object> {
    return (call, reply) => {
      this.calls.set(name, this.count(name) + 1);
      const scripted = this.scripts.get(name)?.();
      if (scripted !== undefined && "code" in scripted) {
        reply(scripted, null);
        return;
      }
      const header = this.#header();
      const sent = toBigInt(call.request.header?.clusterId ?? 0);
      if (name !== "GetMembers" && sent !== this.cluster.clusterId) {
        const details = `mismatch cluster id, need ${this.cluster.clusterId} but got ${sent}`;
        reply({ code: grpc.status.FAILED_PRECONDITION, details }, null);
        return;
      }
      if (scripted !== undefined) reply(null, { header: { ...header, error: scripted } });
      else reply(null, { header, ...answer(call.request) });
    };
  }

  #region(region: FakeRegion): metapb.IRegion {
    const { confVer, version } = region;
    const [startKey, endKey] = [region.start, region.end].map((key) =>
      key.length === 0 ? key : this.encodeKey(key),
    );
    const peers = region.peers;
    return { id: region.id, startKey, endKey, regionEpoch: { confVer, version }, peers };
  }

  #located(region: FakeRegion): pdpb.IRegion {
    const leader = region.peers.find((peer) => peer.storeId === region.leader) ?? null;
    return { region: this.#region(region), leader };
  }

  #regionsFrom(start: Uint8Array, end: Uint8Array): FakeRegion[] {
    return this.cluster.regions.filter((region) => {
      const encodedEnd = region.end.length === 0 ? region.end : this.encodeKey(region.end);
      const encodedStart = region.start.length === 0 ? region.start : this.encodeKey(region.start);
      const after = encodedEnd.length === 0 || Buffer.compare(start, encodedEnd) < 0;
      return after && (end.length === 0 || Buffer.compare(encodedStart, end) < 0);
    });
  }

  #store(id: number): metapb.IStore {
    const address = this.cluster.addresses.get(id) as string;
    return { id, address, state: metapb.StoreState.Up, version: "8.5.0" };
  }

  #handlers(): grpc.UntypedServiceImplementation {
    const stores = (): metapb.IStore[] =>
      [...this.cluster.addresses.keys()].map((id) => this.#store(id));
    return {
      GetMembers: this.#unary<pdpb.GetMembersRequest>("GetMembers", () => {
        const me = { name: "pd", memberId: 7, clientUrls: [this.leaderUrl ?? this.url] };
        return { members: [me], leader: me };
      }),
      GetRegion: this.#unary<pdpb.GetRegionRequest>("GetRegion", ({ regionKey }) => {
        const [region] = this.#regionsFrom(regionKey, new Uint8Array(0));
        return region === undefined ? {} : this.#located(region);
      }),
      GetRegionByID: this.#unary<pdpb.GetRegionByIDRequest>("GetRegionByID", ({ regionId }) => {
        const region = this.cluster.regions.find(({ id }) => BigInt(id) === toBigInt(regionId));
        return region === undefined ? {} : this.#located(region);
      }),
      ScanRegions: this.#unary<pdpb.ScanRegionsRequest>("ScanRegions", (request) => {
        const found = this.#regionsFrom(request.startKey, request.endKey);
        const limit = request.limit === 0 ? found.length : request.limit;
        return { regions: found.slice(0, limit).map((region) => this.#located(region)) };
      }),
      GetStore: this.#unary<pdpb.GetStoreRequest>("GetStore", ({ storeId }) => ({
        store: this.#store(Number(toBigInt(storeId))),
      })),
      GetAllStores: this.#unary<pdpb.GetAllStoresRequest>("GetAllStores", () => ({
        stores: stores(),
      })),
      AllocID: this.#unary<pdpb.AllocIDRequest>("AllocID", () => ({
        id: this.cluster.nextId(),
        count: 1,
      })),
      IsBootstrapped: this.#unary<pdpb.IsBootstrappedRequest>("IsBootstrapped", () => ({
        bootstrapped: this.cluster.regions.length > 0,
      })),
      Bootstrap: this.#unary<pdpb.BootstrapRequest>("Bootstrap", () => ({})),
      PutStore: this.#unary<pdpb.PutStoreRequest>("PutStore", ({ store }) => {
        if (store !== null) this.cluster.addresses.set(Number(toBigInt(store.id)), store.address);
        return {};
      }),
      StoreHeartbeat: this.#unary<pdpb.StoreHeartbeatRequest>("StoreHeartbeat", () => ({})),
      GetClusterConfig: this.#unary<pdpb.GetClusterConfigRequest>("GetClusterConfig", () => ({
        cluster: { id: fromBigInt(this.cluster.clusterId), maxPeerCount: 3 },
      })),
      Tso: (stream: grpc.ServerDuplexStream<pdpb.TsoRequest, pdpb.ITsoResponse>) =>
        this.#tso(stream),
      RegionHeartbeat: (
        stream: grpc.ServerDuplexStream<pdpb.RegionHeartbeatRequest, pdpb.IRegionHeartbeatResponse>,
      ) => {
        stream.on("data", (request: pdpb.RegionHeartbeatRequest) => {
          this.heartbeats.push(request);
          const regionId = request.region?.id ?? 0;
          stream.write({ header: this.#header(), regionId });
        });
        stream.on("end", () => stream.end());
        stream.on("error", () => {});
      },
    };
  }

  #tso(stream: grpc.ServerDuplexStream<pdpb.TsoRequest, pdpb.ITsoResponse>): void {
    stream.on("error", () => {});
    stream.on("end", () => stream.end());
    stream.on("data", ({ count }: pdpb.TsoRequest) => {
      this.tsoMessages++;
      if (this.onTso(stream)) return;
      this.logical += BigInt(count);
      if (this.logical >= 1n << 18n) {
        this.physical++;
        this.logical = BigInt(count);
      }
      const timestamp = { physical: fromBigInt(this.physical), logical: fromBigInt(this.logical) };
      stream.write({ header: this.#header(), count, timestamp });
    });
  }

  #keyspace(): grpc.UntypedServiceImplementation {
    return {
      LoadKeyspace: this.#unary<{ header: pdpb.RequestHeader | null; name: string }>(
        "LoadKeyspace",
        ({ name }) => (name === "DEFAULT" ? { keyspace: { id: 0, name } } : {}),
      ),
    };
  }
}

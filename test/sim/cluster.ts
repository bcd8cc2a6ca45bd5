/**
 * Machines, network, PD and stores of one run, put together. What faults, clients and checkers see
 * of them is here; what runs on a machine is a StoreProcess.
 */
import { type Logger, type Prng, toHex, utf8 } from "../../src/base/index.js";
import {
  PEER_ROLE,
  type RaftEvents,
  type RaftMessage,
  type RegionInfo,
} from "../../src/raftstore/index.js";
import type { MessageCodec } from "../../src/raftstore/message_codec.js";
import { MemorySnapDisk } from "../../src/raftstore/snapshot/files.js";
import type { LeaderInfo } from "../../src/storage/index.js";
import { SimDisk, SimEngine } from "./disk.js";
import { SimHost } from "./host.js";
import { machineLogger } from "./log.js";
import type { SimLoop } from "./loop.js";
import type { FaultStore, FaultTarget } from "./nemesis/target.js";
import { SimNetwork } from "./network.js";
import type { SimOptions, SimStreams } from "./options.js";
import { fromPd, SimPd } from "./pd.js";
import { SimPdPort } from "./pd_port.js";
import type { StoreEnv, StoreProcess } from "./process.js";
import { callOver } from "./rpc.js";
import { type SnapshotEnd, SnapshotStream } from "./snapshot_stream.js";
import type { SimTrace } from "./trace.js";
import { SimTransport } from "./transport.js";
import { TXN_KEYS } from "./txn/keys.js";
import type { RpcTarget } from "./txn/ports.js";
import type {
  AppliedState,
  ClusterView,
  PeerRole,
  PeerView,
  RegionView,
  StoreView,
} from "./view.js";
import { type KvAccess, type KvReply, type KvRequest, keyAt, type Route } from "./workload/kv.js";

const ROLES: readonly PeerRole[] = ["voter", "learner", "incomingVoter", "demotingVoter"];
/** Virtual time that a round of a batch system takes. */
const ROUND_US = 10;

/** Returns a region as checkers see it. */
export function regionView(region: RegionInfo): RegionView {
  return {
    regionId: Number(region.id),
    start: toHex(region.startKey),
    end: toHex(region.endKey),
    version: Number(region.version),
    confVer: Number(region.confVer),
    members: region.peers.map(({ id, storeId, role }) => ({
      peerId: Number(id),
      storeId: Number(storeId),
      role: ROLES[role] as PeerRole,
    })),
  };
}

/** How a store process is made; tests and planted bugs change it. */
export interface StoreKind {
  readonly start: (env: StoreEnv) => StoreProcess;
  readonly codec: MessageCodec;
}

export interface ClusterDeps {
  readonly loop: SimLoop;
  readonly trace: SimTrace;
  readonly options: SimOptions;
  readonly streams: SimStreams;
  readonly kind: StoreKind;
}

/** A machine with a disk and, most of the time, a store process. */
export class SimStore implements FaultStore, StoreView {
  readonly host: SimHost;
  readonly disk = new SimDisk();
  readonly snapDisk = new MemorySnapDisk();
  readonly number: number;
  incarnation = 0;
  process: StoreProcess | undefined;
  pdPort: SimPdPort | undefined;
  private seen: readonly PeerView[] = [];
  private seenAt = -1;
  private readonly cluster: SimCluster;
  private readonly prng: Prng;

  constructor(cluster: SimCluster, number: number) {
    this.cluster = cluster;
    this.number = number;
    this.prng = cluster.deps.streams.disk;
    this.host = new SimHost(`s${number}`, cluster.deps.loop, cluster.deps.streams.nemesis);
  }

  get storeId(): number {
    return this.process?.storeId ?? 0;
  }

  get isUp(): boolean {
    return this.process !== undefined;
  }

  get peers(): readonly PeerView[] {
    // Between two events nothing changes.
    const { fired } = this.cluster.deps.loop;
    if (this.seenAt !== fired) this.seen = this.process?.peers() ?? [];
    this.seenAt = fired;
    return this.seen;
  }

  appliedState(regionId: number): AppliedState | undefined {
    return this.process?.appliedState(regionId);
  }

  get events(): RaftEvents | undefined {
    return this.process?.events;
  }

  /** Brings what this store's leaders say to another store. */
  private tell(storeId: number, regions: readonly LeaderInfo[]): void {
    const target = this.cluster.byId(storeId);
    if (target === undefined) return;
    const { host } = this;
    const bytes = regions
      .map(({ regionId, readState }) => `${regionId} ${readState.safeTs}`)
      .join();
    this.cluster.network.send(
      { from: host.name, to: target.host.name, kind: "checkLeader", bytes, atUs: host.localUs },
      () => target.host.turn(() => target.process?.onLeaders(regions)),
    );
  }

  snapshotEnd(): SnapshotEnd | undefined {
    const { process, host } = this;
    if (process?.events === undefined || process.snapshots === undefined) return undefined;
    return { host, snapshots: process.snapshots, events: process.events };
  }

  crash(): void {
    if (this.process === undefined) return;
    this.cluster.deps.trace.line(this.cluster.deps.loop.nowUs, this.host.name, "down");
    this.process = undefined;
    this.seenAt = -1;
    this.host.crash();
    this.disk.crash(this.prng.below(this.disk.unsyncedCount + 1));
    this.snapDisk.crash(this.prng.ratio(1, 2));
  }

  restart(): void {
    if (this.process !== undefined) return;
    this.incarnation++;
    this.host.start();
    this.cluster.deps.trace.line(this.cluster.deps.loop.nowUs, this.host.name, "up");
    const { host, disk, prng, number } = this;
    const { options, streams, trace, kind } = this.cluster.deps;
    const onFatal = (error: Error): void => {
      trace.line(this.cluster.deps.loop.nowUs, host.name, `fatal: ${error.message}`);
      this.crash();
    };
    this.pdPort = new SimPdPort(this.cluster.network, this.cluster.pd, host);
    const engine = new SimEngine(disk, { host, prng, weights: options.disk, onFatal });
    this.process = kind.start({
      number,
      host,
      timers: host,
      runner: { defer: (callback) => void host.afterUs(ROUND_US, callback) },
      disk,
      engine,
      snapDisk: this.snapDisk,
      pd: this.pdPort,
      checkLeader: { send: (storeId, regions) => this.tell(storeId, regions) },
      transport: this.cluster.transport(this),
      prng: streams.stores,
      options,
      trace,
      logger: machineLogger(host.name, this.cluster.deps.loop),
      fail: (error) => this.cluster.deps.loop.fail(error),
      onFatal,
    });
  }
}

export class SimCluster implements FaultTarget, KvAccess {
  readonly network: SimNetwork;
  readonly pd: SimPd;
  readonly pdHost: SimHost;
  readonly stores: readonly SimStore[];
  readonly clientHosts: readonly SimHost[];
  snapshotCutsPerMille = 0;
  /** Snapshots that arrived whole. */
  snapshots = 0;
  readonly deps: ClusterDeps;
  private readonly log: Logger;

  constructor(deps: ClusterDeps) {
    this.deps = deps;
    this.log = machineLogger("kv", deps.loop);
    const { loop, trace, options, streams } = deps;
    this.network = new SimNetwork(loop, streams.net, options.network, trace);
    const machine = (name: string): SimHost => new SimHost(name, loop, streams.nemesis);
    this.pdHost = machine("pd");
    this.pd = new SimPd({
      host: this.pdHost,
      prng: streams.disk,
      trace,
      logger: machineLogger("pd", loop),
      replicas: options.replicas,
      sendOrder: (order) => this.byId(Number(order.targetPeer.storeId))?.pdPort?.push(order),
    });
    this.stores = [...Array(options.stores).keys()].map((i) => new SimStore(this, i + 1));
    this.clientHosts = [...Array(options.clients).keys()].map((i) => machine(`c${i}`));
  }

  get hosts(): readonly SimHost[] {
    return [...this.stores.map((store) => store.host), this.pdHost, ...this.clientHosts];
  }

  boot(): void {
    for (const host of this.clientHosts) host.start();
    this.pd.start();
    for (const store of this.stores) store.restart();
  }

  get splitPlaces(): number {
    const { options } = this.deps;
    return options.isTxn ? TXN_KEYS.length : options.keys * 2;
  }

  /** Behind odd numbers lies the middle between two raw keys. */
  splitKeyAt(place: number): Uint8Array {
    if (this.deps.options.isTxn) return TXN_KEYS[place] as Uint8Array;
    return utf8(keyAt(place >>> 1) + (place % 2 === 1 ? "5" : ""));
  }

  /** The machine of a store, for RPCs. */
  rpcTarget(storeId: number): RpcTarget | undefined {
    const store = this.byId(storeId);
    if (store === undefined) return undefined;
    return {
      host: store.host,
      serveRpc: (...call) => store.process?.serveRpc(...call),
    };
  }

  leaderStores(): readonly number[] {
    return this.stores.flatMap((store) =>
      store.peers.some((peer) => peer.isLeader) ? [store.storeId] : [],
    );
  }

  counts(): { splits: number; snapshots: number } {
    const versions = this.pd.regions.map(({ meta }) => Number(meta.version));
    return {
      splits: Math.max(0, ...versions.map((version) => version - 1)),
      snapshots: this.snapshots,
    };
  }

  view(): ClusterView {
    const pdRegions = this.pd.regions.map(({ meta }) => regionView(fromPd(meta)));
    return { nowUs: this.deps.loop.nowUs, stores: this.stores, pdRegions };
  }

  /** The store whose turn the current event ran. */
  touchedStore(): SimStore | undefined {
    const { touched } = this.deps.loop;
    if (touched === undefined) return undefined;
    return this.stores.find((store) => store.host === touched && store.isUp);
  }

  /** What is not as it should be in a healed cluster, beside what checkers see. */
  restReasons(): string[] {
    const { regions } = this.pd;
    if (regions.length === 0) return ["PD knows no region"];
    if (this.pd.operatorCount > 0) return ["PD's operators are under way"];
    return regions.flatMap(({ meta: { id, peers } }) => {
      const voters = peers.filter(({ role }) => role === PEER_ROLE.Voter).length;
      if (voters === this.deps.options.replicas && voters === peers.length) return [];
      return [`region ${id} has ${voters} voters of ${peers.length} peers`];
    });
  }

  describe(): string[] {
    return this.stores.flatMap((store) => {
      if (store.process === undefined) return [`${store.host.name} down`];
      return store.process.describe().map((line) => `${store.host.name} ${line}`);
    });
  }

  transport(store: SimStore): SimTransport {
    const { kind, streams } = this.deps;
    return new SimTransport({
      network: this.network,
      host: store.host,
      prng: streams.net,
      codec: kind.codec,
      targetOf: (storeId) => this.byId(storeId),
      events: () => store.process?.events,
      sendSnapshot: (message) => this.sendSnapshot(store, message),
    });
  }

  private sendSnapshot(store: SimStore, message: RaftMessage): void {
    const from = store.snapshotEnd();
    const target = this.byId(message.toPeer.storeId);
    if (from === undefined) return;
    const stream = new SnapshotStream(
      {
        network: this.network,
        prng: this.deps.streams.net,
        from,
        isSenderUp: () => store.snapshotEnd()?.events === from.events,
        to: () => target?.snapshotEnd(),
        cutsPerMille: this.snapshotCutsPerMille,
        onArrived: () => {
          this.snapshots++;
        },
      },
      message,
    );
    // Never from inside of the round that sends it.
    store.host.afterUs(0, () => stream.start());
  }

  byId(storeId: number): SimStore | undefined {
    return this.stores.find((store) => this.lastIds.get(store) === storeId);
  }

  /** Ids outlive processes. */
  private readonly lastIds = {
    known: new Map<SimStore, number>(),
    get(store: SimStore): number {
      if (store.storeId !== 0) this.known.set(store, store.storeId);
      return this.known.get(store) ?? 0;
    },
  };

  request(client: number, request: KvRequest, done: (reply: KvReply | undefined) => void): void {
    const from = this.clientHosts[client] as SimHost;
    const store = this.byId(Number(request.route.storeId));
    if (store === undefined) {
      from.afterUs(1_000, () => done(undefined));
      return;
    }
    const { route, key, operation } = request;
    callOver<KvReply>(this.network, {
      from,
      to: store.host,
      kind: "kv",
      text: `${route.region.id} ${key} ${operation.kind}`,
      timeoutUs: this.deps.options.requestTimeoutUs,
      work: (answer) =>
        store.process?.serve(request, (reply) => {
          const { isReplicaRead } = route;
          const at = { region: Number(route.region.id), store: store.storeId, isReplicaRead };
          this.log.debug("kv", { client, key, operation, ...at, reply });
          answer(reply);
        }),
      done,
    });
  }

  locate(client: number, key: string, done: (route: Route | undefined) => void): void {
    callOver<Route | undefined>(this.network, {
      from: this.clientHosts[client] as SimHost,
      to: this.pdHost,
      kind: "locate",
      text: key,
      timeoutUs: this.deps.options.requestTimeoutUs,
      work: (answer) => {
        const found = this.pd.find(new TextEncoder().encode(key));
        if (found?.leader === undefined) return answer(undefined);
        const { id, storeId } = found.leader;
        return answer({ region: fromPd(found.meta), peerId: id, storeId, isReplicaRead: false });
      },
      done,
    });
  }
}

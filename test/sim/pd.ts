/**
 * A small PD for the simulator: ids, timestamps, the region map by PD's staleness rules, and the
 * replica count of each region, kept by orders in answer to heartbeats. What a loss of PD does:
 * nothing answers; its state is durable.
 */
import { err, ok, toHex } from "../../src/base/index.js";
import {
  type KnownRegion,
  type PdPort,
  type PdReply,
  PEER_ROLE,
  type PeerInfo,
  type RegionInfo,
  type RegionOrder,
  type RegionReport,
  type SchedulePort,
  type SplitIds,
  type StoreAddress,
  type StoreInfo,
} from "../../src/raftstore/index.js";
import type { SimHost } from "./host.js";
import type { SimNetwork } from "./network.js";
import { callOver } from "./rpc.js";

const CLUSTER_ID = 7n;
const FIRST_ID = 1n;
const TSO_LOGICAL_BITS = 18n;

interface PdRegion {
  readonly region: RegionInfo;
  readonly leader: PeerInfo;
  readonly term: bigint;
}

/** What the nemesis wants of a region beside its replica count; gone when it is carried out. */
export type Wish =
  | { readonly kind: "transfer"; readonly storeId: bigint }
  | { readonly kind: "split"; readonly keys: readonly Uint8Array[] }
  | { readonly kind: "move"; readonly from: bigint; readonly to: bigint };

function covers(a: RegionInfo, b: RegionInfo): boolean {
  const [aEnd, bEnd] = [toHex(a.endKey), toHex(b.endKey)];
  const isBefore = aEnd !== "" && aEnd <= toHex(b.startKey);
  const isAfter = bEnd !== "" && bEnd <= toHex(a.startKey);
  return !isBefore && !isAfter;
}

/** PD's state and rules; all methods run in turns of PD's host. */
export class SimPd {
  readonly clusterId = CLUSTER_ID;
  readonly stores = new Map<bigint, StoreInfo>();
  readonly wishes = new Map<bigint, Wish>();
  replicas: number;
  private nextId = FIRST_ID;
  private lastTs = 0n;
  private isBootstrapped = false;
  private readonly known = new Map<bigint, PdRegion>();
  private readonly host: SimHost;

  constructor(host: SimHost, replicas: number) {
    this.host = host;
    this.replicas = replicas;
  }

  get regions(): readonly PdRegion[] {
    return [...this.known.values()];
  }

  get bootstrapped(): boolean {
    return this.isBootstrapped;
  }

  allocId(): bigint {
    return this.nextId++;
  }

  timestamps(count: number): bigint {
    const physical = BigInt(Math.floor(this.host.localUs / 1000)) << TSO_LOGICAL_BITS;
    this.lastTs = (physical > this.lastTs ? physical : this.lastTs) + BigInt(count);
    return this.lastTs;
  }

  bootstrap(store: StoreInfo, region: RegionInfo): PdReply<void> {
    if (this.isBootstrapped) return err({ kind: "alreadyBootstrapped", message: "bootstrapped" });
    this.isBootstrapped = true;
    this.stores.set(store.id, store);
    const leader = region.peers[0] as PeerInfo;
    this.known.set(region.id, { region, leader, term: 0n });
    return ok(undefined);
  }

  find(key: Uint8Array): PdRegion | undefined {
    const hex = toHex(key);
    return this.regions.find(({ region }) => {
      const end = toHex(region.endKey);
      return toHex(region.startKey) <= hex && (end === "" || hex < end);
    });
  }

  byId(id: bigint): PdRegion | undefined {
    return this.known.get(id);
  }

  /** Takes a heartbeat unless it is stale; returns the order that answers it. */
  onHeartbeat(report: RegionReport): RegionOrder | undefined {
    const { region, term } = report;
    const leader = region.peers.find((peer) => peer.id === report.leaderPeerId);
    if (leader === undefined || this.isStale(region, term)) return undefined;
    for (const other of this.known.values()) {
      if (other.region.id !== region.id && covers(other.region, region)) {
        this.known.delete(other.region.id);
        this.wishes.delete(other.region.id);
      }
    }
    this.known.set(region.id, { region, leader, term });
    return this.orderFor(report, leader);
  }

  askBatchSplit(region: RegionInfo, count: number): PdReply<readonly SplitIds[]> {
    const known = this.known.get(region.id)?.region;
    if (known !== undefined && (known.version > region.version || known.confVer > region.confVer)) {
      return err({ kind: "refused", message: "region epoch is stale" });
    }
    const ids = [...Array(count).keys()].map(() => ({
      newRegionId: this.allocId(),
      newPeerIds: region.peers.map(() => this.allocId()),
    }));
    return ok(ids);
  }

  private isStale(region: RegionInfo, term: bigint): boolean {
    for (const { region: other, term: otherTerm } of this.known.values()) {
      if (other.id === region.id) {
        const isOld = region.version < other.version || region.confVer < other.confVer;
        if (isOld || (term > 0n && term < otherTerm)) return true;
      } else if (covers(other, region) && other.version > region.version) return true;
    }
    return false;
  }

  private orderFor(report: RegionReport, leader: PeerInfo): RegionOrder | undefined {
    const { region } = report;
    const order = (part: Partial<RegionOrder>): RegionOrder => ({
      regionId: region.id,
      confVer: region.confVer,
      version: region.version,
      targetPeer: leader,
      ...part,
    });
    const isJoint = region.peers.some(
      ({ role }) => role === PEER_ROLE.IncomingVoter || role === PEER_ROLE.DemotingVoter,
    );
    if (isJoint) return order({ changePeers: [] });
    const repair = this.repair(report, leader);
    if (repair !== undefined) return order(repair);
    const wish = this.wishes.get(region.id);
    return wish === undefined ? undefined : this.fulfil(region, wish, order);
  }

  /** One step towards the wanted number of voters. */
  private repair(
    { region, pendingPeers = [] }: RegionReport,
    leader: PeerInfo,
  ): Partial<RegionOrder> | undefined {
    const voters = region.peers.filter(({ role }) => role === PEER_ROLE.Voter);
    const learner = region.peers.find(({ role }) => role === PEER_ROLE.Learner);
    const wish = this.wishes.get(region.id);
    if (wish?.kind === "move" && learner !== undefined && learner.storeId === wish.to) {
      return this.finishMove(region, wish, learner, leader, pendingPeers);
    }
    if (learner !== undefined) {
      if (voters.length >= this.replicas) {
        return { changePeers: [{ type: 1, peer: learner }] };
      }
      if (pendingPeers.some((peer) => peer.id === learner.id)) return {};
      return { changePeers: [{ type: 0, peer: { ...learner, role: PEER_ROLE.Voter } }] };
    }
    if (voters.length < this.replicas) {
      const free = [...this.stores.keys()].find(
        (id) => !region.peers.some((peer) => peer.storeId === id),
      );
      if (free === undefined) return undefined;
      return { changePeers: [{ type: 2, peer: this.newLearner(free) }] };
    }
    if (voters.length > this.replicas) {
      const extra = voters.find((peer) => peer.id !== leader.id) as PeerInfo;
      return { changePeers: [{ type: 1, peer: extra }] };
    }
    return undefined;
  }

  private newLearner(storeId: bigint): PeerInfo {
    return { id: this.allocId(), storeId, role: PEER_ROLE.Learner };
  }

  /** Swaps a voter for the learner that caught up: joint, then the old one is removed. */
  private finishMove(
    region: RegionInfo,
    wish: Wish & { readonly kind: "move" },
    learner: PeerInfo,
    leader: PeerInfo,
    pendingPeers: readonly PeerInfo[],
  ): Partial<RegionOrder> | undefined {
    const old = region.peers.find((peer) => peer.storeId === wish.from);
    if (old === undefined || old.role !== PEER_ROLE.Voter) {
      this.wishes.delete(region.id);
      return undefined;
    }
    if (pendingPeers.some((peer) => peer.id === learner.id)) return {};
    if (old.id === leader.id) {
      const others = region.peers.filter(
        (peer) => peer.role === PEER_ROLE.Voter && peer.id !== old.id,
      );
      return { transferLeader: others };
    }
    return {
      changePeers: [
        { type: 0, peer: { ...learner, role: PEER_ROLE.Voter } },
        { type: 2, peer: { ...old, role: PEER_ROLE.Learner } },
      ],
    };
  }

  private fulfil(
    region: RegionInfo,
    wish: Wish,
    order: (part: Partial<RegionOrder>) => RegionOrder,
  ): RegionOrder | undefined {
    if (wish.kind === "move") {
      const isFree = !region.peers.some((peer) => peer.storeId === wish.to);
      const isThere = region.peers.some((peer) => peer.storeId === wish.from);
      if (isFree && isThere)
        return order({ changePeers: [{ type: 2, peer: this.newLearner(wish.to) }] });
      this.wishes.delete(region.id);
      return undefined;
    }
    this.wishes.delete(region.id);
    if (wish.kind === "split") return order({ splitRegion: { keys: wish.keys } });
    const peer = region.peers.find(({ storeId }) => storeId === wish.storeId);
    return peer === undefined ? undefined : order({ transferLeader: [peer] });
  }
}

const PD_TIMEOUT_US = 500_000;

/** PD as one store reaches it. */
export class SimPdPort implements PdPort, SchedulePort {
  private take: (order: RegionOrder) => void = () => undefined;
  private readonly network: SimNetwork;
  private readonly pd: SimPd;
  private readonly pdHost: SimHost;
  private readonly host: SimHost;

  constructor(network: SimNetwork, pd: SimPd, pdHost: SimHost, host: SimHost) {
    this.network = network;
    this.pd = pd;
    this.pdHost = pdHost;
    this.host = host;
  }

  clusterId(): Promise<PdReply<bigint>> {
    return this.call("members", "", () => ok(this.pd.clusterId));
  }

  allocId(): Promise<PdReply<bigint>> {
    return this.call("allocId", "", () => ok(this.pd.allocId()));
  }

  isBootstrapped(): Promise<PdReply<boolean>> {
    return this.call("isBootstrapped", "", () => ok(this.pd.bootstrapped));
  }

  bootstrap(store: StoreInfo, region: RegionInfo): Promise<PdReply<void>> {
    return this.call("bootstrap", `${region.id}`, () => this.pd.bootstrap(store, region));
  }

  getRegion(key: Uint8Array): Promise<PdReply<RegionInfo | undefined>> {
    return this.call("getRegion", toHex(key), () => ok(this.pd.find(key)?.region));
  }

  putStore(store: StoreInfo): Promise<PdReply<void>> {
    return this.call("putStore", `${store.id}`, () => {
      this.pd.stores.set(store.id, store);
      return ok(undefined);
    });
  }

  storeHeartbeat(): Promise<PdReply<void>> {
    return this.call("storeHeartbeat", "", () => ok(undefined));
  }

  regionHeartbeat(report: RegionReport): Promise<PdReply<void>> {
    const { region, leaderPeerId, term } = report;
    const text = `${region.id} ${region.version}/${region.confVer} ${leaderPeerId} ${term}`;
    return this.call("regionHeartbeat", text, () => {
      const order = this.pd.onHeartbeat(report);
      if (order !== undefined) this.push(order);
      return ok(undefined);
    });
  }

  getTimestamps(count: number): Promise<PdReply<bigint>> {
    return this.call("tso", `${count}`, () => ok(this.pd.timestamps(count)));
  }

  askBatchSplit(region: RegionInfo, count: number): Promise<PdReply<readonly SplitIds[]>> {
    return this.call("askBatchSplit", `${region.id} ${count}`, () =>
      this.pd.askBatchSplit(region, count),
    );
  }

  reportBatchSplit(regions: readonly RegionInfo[]): Promise<PdReply<void>> {
    const text = regions.map((region) => region.id).join(" ");
    return this.call("reportBatchSplit", text, () => ok(undefined));
  }

  getRegionById(id: bigint): Promise<PdReply<KnownRegion | undefined>> {
    return this.call("getRegionById", `${id}`, () => ok(this.pd.byId(id)));
  }

  getStoreAddress(id: bigint): Promise<PdReply<StoreAddress>> {
    return this.call("getStore", `${id}`, () => {
      const store = this.pd.stores.get(id);
      if (store === undefined) return err({ kind: "refused", message: `no store ${id}` });
      return ok({ address: store.address, removed: false });
    });
  }

  onOrder(take: (order: RegionOrder) => void): void {
    this.take = take;
  }

  private push(order: RegionOrder): void {
    const { pdHost, host } = this;
    const text = `order ${order.regionId} ${order.version}/${order.confVer}`;
    const envelope = {
      from: pdHost.name,
      to: host.name,
      kind: "order",
      bytes: text,
      atUs: pdHost.localUs,
    };
    this.network.send(envelope, () => host.turn(() => this.take(order)));
  }

  private call<T>(kind: string, text: string, work: () => PdReply<T>): Promise<PdReply<T>> {
    return new Promise((resolve) => {
      callOver<PdReply<T>>(this.network, {
        from: this.host,
        to: this.pdHost,
        kind,
        text,
        timeoutUs: PD_TIMEOUT_US,
        work: (answer) => answer(work()),
        done: (reply) => resolve(reply ?? err({ kind: "unavailable", message: "no answer" })),
      });
    });
  }
}

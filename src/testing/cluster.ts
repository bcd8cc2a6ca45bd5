/**
 * A cluster for tests: PD and stores on free loopback ports, and faults on request. Members are real
 * ones; everything that goes wrong happens between them, in proxies, or to their processes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng, utf8 } from "../base/index.js";
import { RawClient, type RawClientConfig } from "../client/index.js";
import type { LocatedRegion } from "../pd_client/index.js";
import { Admin } from "./admin.js";
import type { Backend, BackendHooks } from "./backend.js";
import { ControlServer } from "./control_server.js";
import { Fronts } from "./fronts.js";
import { InProcessBackend } from "./in_process.js";
import { type LinkFaults, Network, type Party } from "./network.js";
import { ClusterError, type ClusterOptions, clusterConfig } from "./options.js";
import { until } from "./poll.js";
import { ProcessBackend } from "./process_backend.js";
import type { RegionErrorKind } from "./region_errors.js";
import { RpcFaults } from "./rpc_faults.js";

/** A store as a test sees it. */
export interface ClusterStore {
  /** From 0, in the order in which stores were added. */
  readonly index: number;
  /** PD's id; 0n before it was ready for the first time. */
  readonly id: bigint;
  /** What clients and other stores connect to: a proxy. */
  readonly address: string;
  /** host:port of the status server itself; null without one. */
  readonly statusAddress: string | null;
  /** The binding that opened; null before. */
  readonly engine: string | null;
  /** Process id; null in process. */
  readonly pid: number | null;
  readonly state: "running" | "paused" | "ended" | "removed";
}

/** Which requests of clients a fault meets. */
export interface RequestFilter {
  /** Index of a store; none: all. */
  readonly store?: number | undefined;
  /** Name of a method, such as "RawGet", called by itself or in BatchCommands; none: all. */
  readonly method?: string | undefined;
  /** How many requests; none: until clearRequestFaults. */
  readonly count?: number | undefined;
}

/** Two parties; each one that is left out stands for every member and the clients. */
export interface LinkFilter {
  readonly from?: Party | undefined;
  readonly to?: Party | undefined;
  /** Whether only what `from` sends is meant; default: both directions. */
  readonly oneWay?: boolean | undefined;
}

const READY_MS = 60_000;
const STORES_DEFAULT = 3;

type MutableStore = { -readonly [K in keyof ClusterStore]: ClusterStore[K] } & { labels: string };

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #network = new Network();
  readonly #faults: RpcFaults;
  readonly #fronts: Fronts;
  readonly #backend: Backend;
  readonly #stores: MutableStore[] = [];
  readonly #clients: RawClient[] = [];
  readonly #deaths: string[] = [];
  /** "" = in memory. */
  readonly #dataDir: string;
  /** Whether the directory was made here. */
  readonly #ownDir: boolean;
  #admin: Admin | undefined;
  #control: ControlServer | undefined;

  /**
   * Starts nothing yet. `config` stands for options.config where it was read already. Throws
   * ClusterError for options that make no sense.
   */
  constructor(options: ClusterOptions = {}, config = clusterConfig(options)) {
    this.#options = options;
    this.#faults = new RpcFaults(new Prng(options.seed ?? 1n));
    const { stores = STORES_DEFAULT } = options;
    const given = options.memory === true ? "" : options.dataDir;
    this.#ownDir = given === undefined;
    this.#dataDir = given ?? mkdtempSync(join(tmpdir(), "rutile-cluster-"));
    const hooks: BackendHooks = {
      advertise: (member) => this.#fronts.address(member),
      route: (from, address) => this.#fronts.route(from, address),
      onLine: (member, line) => options.onLog?.(member, line),
      onDeath: (member, why) => this.#onDeath(member, why),
    };
    const Kind = options.mode === "inProcess" ? InProcessBackend : ProcessBackend;
    this.#backend = new Kind(config, { dataDir: this.#dataDir, stores }, hooks);
    const { pids } = this.#backend;
    this.#fronts = new Fronts({
      network: this.#network,
      faults: this.#faults,
      pids: pids.bind(this.#backend),
    });
  }

  /**
   * Starts PD and the stores; each serves when this resolves. See ready() for replicas. A start that
   * fails stops everything, so that it keeps no process alive.
   */
  async start(): Promise<void> {
    const { ports, stores = STORES_DEFAULT } = this.#options;
    try {
      await this.#fronts.open("pd", [], ports?.pd);
      await this.startPd();
      for (let i = 0; i < stores; i++) await this.addStore();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Serves this cluster's verbs over HTTP on loopback; returns host:port. stop() closes it. */
  async http(port = 0): Promise<string> {
    this.#control ??= new ControlServer(this);
    return this.#control.listen(port);
  }

  /** Stops everything and closes the clients. Idempotent. */
  async stop(): Promise<void> {
    await this.#control?.close();
    for (const client of this.#clients) client.close();
    this.#admin?.close();
    this.#network.heal();
    await this.#backend.stop();
    await this.#fronts.close();
    if (this.#ownDir) rmSync(this.#dataDir, { recursive: true, force: true });
  }

  /** host:port of PD, for clients. */
  get pdEndpoints(): readonly string[] {
    return [this.#fronts.address("pd")];
  }

  get stores(): readonly ClusterStore[] {
    return this.#stores;
  }

  /** Members that ended by themselves, with why. */
  get deaths(): readonly string[] {
    return this.#deaths;
  }

  /** Requests that injected errors, delays and drops met so far. */
  get faultsHit(): number {
    return this.#faults.hits;
  }

  /** Waits until each key has a leader and every replica it should have on the stores that run. */
  async ready(limitMs = READY_MS): Promise<void> {
    await until(limitMs, "ready", () => this.#askAdmin().missing(this.#running().length));
  }

  /** Returns a client that stop() closes. */
  async client(config: Partial<RawClientConfig> = {}): Promise<RawClient> {
    const client = await RawClient.connect({ pdEndpoints: this.pdEndpoints, ...config });
    this.#clients.push(client);
    return client;
  }

  /** Returns all regions in key order, as PD knows them. */
  regions(): Promise<LocatedRegion[]> {
    return this.#askAdmin().regions();
  }

  /** Returns the index of the store that leads the region of `key`. */
  async leaderOf(key: string | Uint8Array): Promise<number> {
    const region = await this.#regionOf(key);
    const found = this.#stores.find(({ id }) => id === region.leader?.storeId);
    if (found === undefined) throw new ClusterError(`region ${region.id} has no leader`);
    return found.index;
  }

  /** Splits the region of `key` there; returns the region that starts at `key`. */
  splitAt(key: string | Uint8Array, limitMs = READY_MS): Promise<LocatedRegion> {
    return this.#askAdmin().splitAt(bytesOf(key), limitMs);
  }

  /** Moves the leader of a region to a store. */
  async transferLeader(regionId: bigint, store: number, limitMs = READY_MS): Promise<void> {
    await this.#askAdmin().transferLeader(regionId, this.#store(store).id, limitMs);
  }

  /** Answers matching requests of clients with a region error instead of handing them on. */
  injectRegionError(store: number, error: RegionErrorKind, filter: RequestFilter = {}): void {
    this.#store(store);
    this.#faults.add({ ...filter, store, fault: { kind: "regionError", error } });
  }

  /** Holds matching requests of clients back for `ms`. */
  delayRequests(ms: number, filter: RequestFilter = {}): void {
    this.#faults.add({ ...filter, fault: { kind: "delay", ms } });
  }

  /** Loses a share of matching requests of clients: nobody answers them. */
  dropRequests(fraction: number, filter: RequestFilter = {}): void {
    this.#faults.add({ ...filter, fraction, fault: { kind: "drop" } });
  }

  /** Ends all faults of requests. */
  clearRequestFaults(): void {
    this.#faults.clear();
  }

  /** Makes bytes between parties take `ms` longer. */
  delayLink(ms: number, filter: LinkFilter = {}): void {
    this.#setLinks(filter, { delayMs: ms });
  }

  /** Loses a share of the Raft messages between stores. */
  dropRaft(fraction: number, filter: LinkFilter = {}): void {
    this.#setLinks(filter, { drop: fraction });
  }

  /** Lets nothing through between parties; connections stay, and go on when it is healed. */
  cut(filter: LinkFilter): void {
    this.#setLinks(filter, { cut: true });
  }

  /** Resets new connections between parties, and those that are open now. */
  refuse(filter: LinkFilter): void {
    this.#setLinks(filter, { refuse: true });
    for (const [from, to] of this.#links(filter)) {
      if (to !== "clients") this.#fronts.reset(to, from);
    }
  }

  /** Cuts a store off from everything: stores, PD and clients. */
  isolate(store: number): void {
    this.cut({ from: store });
  }

  /** Ends all faults of links. */
  heal(): void {
    this.#network.heal();
  }

  /** Ends a store with SIGKILL; in process, without grace. Its data stays if there is a dataDir. */
  async kill(store: number): Promise<void> {
    await this.#backend.kill(this.#ending(store).index);
  }

  /** Ends a store as an operator does, with SIGTERM. */
  async stopStore(store: number): Promise<void> {
    await this.#backend.stopStore(this.#ending(store).index);
  }

  /** Stops a store's process in its tracks (SIGSTOP). */
  pause(store: number): void {
    const found = this.#store(store);
    if (found.state !== "running") throw new ClusterError(`store ${store} is ${found.state}`);
    this.#backend.setPaused(store, true);
    found.state = "paused";
  }

  /** Lets a paused store go on. */
  resume(store: number): void {
    const found = this.#store(store);
    if (found.state !== "paused") throw new ClusterError(`store ${store} is ${found.state}`);
    this.#backend.setPaused(store, false);
    found.state = "running";
  }

  /** Starts a store that has ended; one that runs is stopped before. */
  async restart(store: number): Promise<void> {
    const found = this.#store(store);
    if (found.state === "removed") throw new ClusterError(`store ${store} is removed`);
    if (this.#dataDir === "") throw new ClusterError("what was in memory cannot be started again");
    if (found.state !== "ended") await this.stopStore(store);
    await this.#startStore(found);
  }

  /** Ends PD with SIGKILL. */
  async killPd(): Promise<void> {
    this.#fronts.aim("pd", undefined);
    await this.#backend.killPd();
  }

  /** Starts PD again where it was. */
  async startPd(): Promise<void> {
    const port = await this.#backend.startPd();
    this.#fronts.aim("pd", port);
    this.#admin ??= new Admin(`127.0.0.1:${port}`);
  }

  /** Adds a store and returns it once it serves. */
  async addStore(labels?: string): Promise<ClusterStore> {
    const index = this.#stores.length;
    const others = this.#options.mode === "inProcess" ? this.#stores.map((one) => one.index) : [];
    await this.#fronts.open(index, others, this.#options.ports?.store(index));
    for (const other of others) await this.#fronts.addUser(other, index);
    const list = this.#options.labels ?? [];
    const store: MutableStore = {
      index,
      id: 0n,
      address: this.#fronts.address(index),
      statusAddress: null,
      engine: null,
      pid: null,
      state: "ended",
      labels: labels ?? list[index % Math.max(1, list.length)] ?? "",
    };
    this.#stores.push(store);
    await this.#startStore(store);
    return store;
  }

  /** Takes a store out of the cluster: PD moves its regions away, then it is stopped. */
  async removeStore(store: number, limitMs = READY_MS): Promise<void> {
    const found = this.#store(store);
    await this.#askAdmin().removeStore(found.id, limitMs);
    if (found.state !== "ended") await this.stopStore(store);
    found.state = "removed";
  }

  async #startStore(store: MutableStore): Promise<void> {
    const started = await this.#backend.startStore(store.index, store.labels);
    this.#fronts.aim(store.index, started.port);
    store.statusAddress = started.statusAddress;
    store.engine = started.engine;
    store.pid = started.pid;
    store.state = "running";
    const known = await this.#askAdmin().stores();
    store.id = known.find(({ address }) => address === store.address)?.id ?? 0n;
  }

  #ending(store: number): MutableStore {
    const found = this.#store(store);
    if (found.state === "ended" || found.state === "removed") {
      throw new ClusterError(`store ${store} is ${found.state}`);
    }
    found.state = "ended";
    this.#fronts.aim(store, undefined);
    return found;
  }

  #onDeath(member: string, why: string): void {
    this.#deaths.push(`${member} ended with ${why}`);
    this.#options.onDeath?.(member, why);
    const found = this.#stores.find(({ index }) => member === `store-${index + 1}`);
    if (found === undefined) return;
    found.state = "ended";
    this.#fronts.aim(found.index, undefined);
  }

  #store(index: number): MutableStore {
    const found = this.#stores[index];
    if (found === undefined) throw new ClusterError(`no store ${index}`);
    return found;
  }

  #running(): readonly MutableStore[] {
    return this.#stores.filter(({ state }) => state === "running" || state === "paused");
  }

  #askAdmin(): Admin {
    if (this.#admin === undefined) throw new ClusterError("the cluster was not started");
    return this.#admin;
  }

  async #regionOf(key: string | Uint8Array): Promise<LocatedRegion> {
    const region = (await this.regions()).findLast(
      ({ startKey }) => Buffer.compare(startKey, bytesOf(key)) <= 0,
    );
    if (region === undefined) throw new ClusterError("PD knows no region of the key");
    return region;
  }

  #setLinks(filter: LinkFilter, faults: Partial<LinkFaults>): void {
    for (const [from, to] of this.#links(filter)) {
      this.#network.link(from, to).set(faults);
      if (filter.oneWay !== true) this.#network.link(to, from).set(faults);
    }
  }

  #links({ from, to }: LinkFilter): [Party, Party][] {
    const all: Party[] = ["pd", "clients", ...this.#stores.map(({ index }) => index)];
    const known = (party: Party): Party => {
      if (typeof party === "number") this.#store(party);
      return party;
    };
    const sources = from === undefined ? all : [known(from)];
    const targets = to === undefined ? all : [known(to)];
    return sources.flatMap((a) =>
      targets.filter((b) => a !== b).map((b): [Party, Party] => [a, b]),
    );
  }
}

function bytesOf(key: string | Uint8Array): Uint8Array {
  return typeof key === "string" ? utf8(key) : key;
}

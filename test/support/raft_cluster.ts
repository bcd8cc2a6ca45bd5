/**
 * N stores of production code in one thread, on memory engines that can crash, virtual time and an
 * in-memory network with filters. Nothing happens by itself: `tick` moves time, `settle` lets
 * everything run that needs none. The same calls give the same run.
 */
import * as assert from "uvu/assert";
import {
  EMPTY_BYTES,
  NULL_LOGGER,
  NULL_METRICS,
  Prng,
  type TikvError,
  type Timers,
  utf8,
  utf8Decode,
} from "../../src/base/index.js";
import { applyStateKey, dataKey, raftStateKey, regionStateKey } from "../../src/codec/index.js";
import {
  type Engine,
  MemoryDisk,
  openMemoryEngine,
  WriteBatchBuilder,
} from "../../src/engine/index.js";
import { type Kernels, loadKernels } from "../../src/kernel/index.js";
import {
  type AdminCommand,
  type AdminResult,
  type CommandResult,
  decodeRaftMessage,
  type EnginePort,
  encodeRaftMessage,
  MemorySnapDisk,
  MemorySnapFiles,
  type Peer,
  RAFTSTORE_DEFAULTS,
  type RaftMessage,
  REPLICATION_DEFAULTS,
  type RegionInfo,
  type ReplicationOptions,
  type RequestHeader,
  Store,
  type TransportHooks,
} from "../../src/raftstore/index.js";
import {
  encodeRaftApplyState,
  encodeRaftLocalState,
  encodeRegionLocalState,
  encodeStoreIdent,
  initialApplyState,
  initialRaftState,
  PEER_STATE,
} from "../../src/raftstore/local_state.js";
import { FakeClock } from "./fake_clock.js";
import { FakePd } from "./fake_pd.js";

export const CLUSTER_ID = 7n;
const SETTLE_ROUNDS_MAX = 10_000;
const SNAPSHOT = 7;

/** Timers on a FakeClock; `run` fires what is due. */
class VirtualTimers implements Timers {
  private readonly waiting = new Map<number, { atMs: number; callback: () => void }>();
  private next = 0;

  constructor(private readonly clock: FakeClock) {}

  after(delayMs: number, callback: () => void): () => void {
    const id = this.next++;
    this.waiting.set(id, { atMs: this.clock.monotonicMs() + delayMs, callback });
    return () => this.waiting.delete(id);
  }

  /** Fires what is due, earliest first; returns whether anything was. */
  run(): boolean {
    const nowMs = this.clock.monotonicMs();
    const due = [...this.waiting].filter(([, { atMs }]) => atMs <= nowMs);
    due.sort(([a, x], [b, y]) => x.atMs - y.atMs || a - b);
    for (const [id, { callback }] of due) {
      if (this.waiting.delete(id)) callback();
    }
    return due.length > 0;
  }
}

/** One store, alive or crashed. */
export class TestStore {
  disk = new MemoryDisk({ journal: true });
  /** All batches that were ever written, in order. */
  readonly journal: Uint8Array[] = [];
  readonly snapDisk = new MemorySnapDisk();
  readonly fatal: TikvError[] = [];
  engine!: Engine;
  store: Store | undefined;
  hooks!: TransportHooks;
  timers!: VirtualTimers;
  deferred: (() => void)[] = [];
  writesInFlight = 0;
  /** Holds back the completion of engine writes while true. */
  holdWrites = false;
  held: (() => void)[] = [];
  /** Engine writes that were synced, and all. */
  syncs = 0;
  writes = 0;

  constructor(
    readonly id: number,
    readonly cluster: RaftCluster,
  ) {}

  get live(): Store {
    assert.ok(this.store, `store ${this.id} runs`);
    return this.store as Store;
  }

  peer(regionId: number): Peer | undefined {
    return this.store?.delegate(BigInt(regionId));
  }

  get(key: string): string | undefined {
    const value = this.engine.get("default", dataKey(utf8(key)));
    return value === undefined ? undefined : utf8Decode(value);
  }

  /** Goes on with an empty disk. */
  replaceDisk(): void {
    this.disk = new MemoryDisk({ journal: true });
  }

  open(): void {
    this.engine = openMemoryEngine((error) => {
      throw error;
    }, this.disk);
  }

  start(): void {
    const { clock, kernels, options, pd } = this.cluster;
    this.timers = new VirtualTimers(clock);
    this.deferred = [];
    this.held = [];
    this.writesInFlight = 0;
    const deferred = this.deferred;
    const ident = { clusterId: CLUSTER_ID, storeId: BigInt(this.id), apiVersion: 0 };
    const address = `127.0.0.1:${20160 + this.id}`;
    const raftstore = { ...RAFTSTORE_DEFAULTS, address, version: "8.5.0", replication: options };
    const info = {
      ...{ id: ident.storeId, address, statusAddress: "", version: "8.5.0", gitHash: "" },
      ...{ startTimestamp: 0, deployPath: "", labels: [] },
    };
    this.store = new Store(
      { ...raftstore, apiVersion: 0, reserveSpaceBytes: 0 },
      {
        port: this.port(),
        pd,
        clock,
        timers: this.timers,
        runner: { defer: (callback) => deferred.push(callback) },
        kernels,
        prng: new Prng(BigInt(this.cluster.seed * 100 + this.id)),
        snapFiles: new MemorySnapFiles(this.snapDisk, this.timers),
        transport: (hooks) => {
          this.hooks = hooks;
          return {
            send: (message) => {
              this.cluster.onSent(this, message);
              return "queued";
            },
            flush: () => {},
          };
        },
        logger: this.cluster.logger,
        metrics: NULL_METRICS,
        statFs: () => ({ capacity: 0, available: 0 }),
        onFatal: (error) => this.fatal.push(error),
      },
      ident,
      info,
    );
    this.store.start();
  }

  /** Ends the process: of the unsynced writes the first `kept` survive. */
  crash(kept: number = this.disk.unsyncedCount): void {
    this.store = undefined;
    this.deferred = [];
    this.disk.crash(Math.min(kept, this.disk.unsyncedCount));
    this.snapDisk.crash(false);
  }

  private port(): EnginePort {
    const { engine } = this;
    return {
      engine,
      write: (representation, sync, onDone) => {
        this.writesInFlight++;
        this.writes++;
        if (sync) this.syncs++;
        this.journal.push(representation.slice());
        const number = this.journal.length;
        void engine.writeBytes(representation, { sync }).then(() => {
          const done = (): void => {
            this.writesInFlight--;
            this.cluster.onWritten(this, number, sync);
            if (this.engine === engine && this.store !== undefined) onDone();
          };
          if (this.holdWrites) this.held.push(done);
          else done();
        });
      },
    };
  }
}

export interface ClusterOptions {
  readonly stores?: number;
  readonly seed?: number;
  readonly options?: Partial<ReplicationOptions>;
  /** The first region's peers are on the first so many stores; default: all. */
  readonly voters?: number;
  readonly kernels?: Kernels;
}

const KERNELS = loadKernels({ memoryBytes: 1024 * 1024 });

/** The first region: id 2, peer 10 + s on store s. */
export function firstRegion(voters: number): RegionInfo {
  const peers = Array.from({ length: voters }, (_, i) => {
    return { id: BigInt(11 + i), storeId: BigInt(1 + i), role: 0 as const };
  });
  return { id: 2n, startKey: EMPTY_BYTES, endKey: EMPTY_BYTES, confVer: 1n, version: 1n, peers };
}

export class RaftCluster {
  readonly clock = new FakeClock();
  readonly pd = new FakePd(CLUSTER_ID);
  readonly kernels: Kernels;
  readonly options: ReplicationOptions;
  readonly stores: readonly TestStore[];
  readonly seed: number;
  readonly logger = NULL_LOGGER;
  /** False: the message is lost. */
  filter: (from: number, to: number, message: RaftMessage) => boolean = () => true;
  /** Sees the end of each engine write; `number` counts its batches from 1. */
  onWritten: (store: TestStore, number: number, sync: boolean) => void = () => {};
  /** Messages on their way; while `holdMessages` they stay there. */
  readonly inTransit: { from: TestStore; bytes: Uint8Array; snapshot: boolean }[] = [];
  holdMessages = false;
  messagesSent = 0;

  private constructor(given: ClusterOptions) {
    this.kernels = given.kernels ?? KERNELS;
    this.seed = given.seed ?? 1;
    this.options = {
      ...REPLICATION_DEFAULTS,
      raftLogGcTickIntervalMs: 0,
      splitRegionCheckTickIntervalMs: 0,
      ...given.options,
    };
    const count = given.stores ?? 3;
    this.stores = Array.from({ length: count }, (_, i) => new TestStore(i + 1, this));
  }

  /** Starts the stores with the first region on them. */
  static async open(given: ClusterOptions = {}): Promise<RaftCluster> {
    const cluster = new RaftCluster(given);
    const region = firstRegion(given.voters ?? cluster.stores.length);
    for (const store of cluster.stores) {
      store.open();
      const batch = new WriteBatchBuilder();
      const ident = { clusterId: CLUSTER_ID, storeId: BigInt(store.id), apiVersion: 0 };
      batch.put("default", Uint8Array.of(1, 1), encodeStoreIdent(ident));
      if (region.peers.some(({ storeId }) => storeId === BigInt(store.id))) {
        const state = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
        batch.put("raft", regionStateKey(region.id), state);
        batch.put("raft", applyStateKey(region.id), encodeRaftApplyState(initialApplyState()));
        batch.put("raft", raftStateKey(region.id), encodeRaftLocalState(initialRaftState()));
      }
      store.journal.push(batch.bytes().slice());
      await store.engine.write(batch, { sync: true });
      store.start();
    }
    await cluster.settle();
    return cluster;
  }

  store(id: number): TestStore {
    const store = this.stores[id - 1];
    assert.ok(store, `store ${id} exists`);
    return store as TestStore;
  }

  /** Runs everything that needs no time. */
  async settle(): Promise<void> {
    for (let round = 0; round < SETTLE_ROUNDS_MAX; round++) {
      let worked = this.deliver();
      for (const store of this.stores) {
        if (store.store === undefined) continue;
        worked = store.timers.run() || worked;
        for (const callback of store.deferred.splice(0)) {
          callback();
          worked = true;
        }
      }
      const writing = this.stores.some((store) => store.writesInFlight > store.held.length);
      if (!worked && !writing) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error("the cluster does not come to rest");
  }

  /** Lets `count` base ticks pass. */
  async tick(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clock.advance(this.options.raftBaseTickIntervalMs);
      await this.settle();
    }
  }

  /** Ticks until the condition holds. */
  async until(what: string, condition: () => boolean, ticksMax = 100): Promise<void> {
    await this.settle();
    for (let i = 0; i < ticksMax && !condition(); i++) await this.tick();
    if (!condition()) throw new Error(`${what}: not within ${ticksMax} ticks\n${this.show()}`);
  }

  /** The peers' state lines. */
  show(): string {
    return this.stores
      .flatMap((store) =>
        (store.store?.delegates() ?? []).map(
          (peer) => `store ${store.id} region ${peer.regionId}: ${peer.rawNode.debugState()}`,
        ),
      )
      .join("\n");
  }

  /** The store whose peer leads the region and may serve reads; undefined: none does. */
  leaderOf(regionId: number): TestStore | undefined {
    const leading = this.stores.filter((store) => store.peer(regionId)?.canReadLocally());
    assert.ok(leading.length <= 1, `one lease: ${leading.map(({ id }) => id)}`);
    return leading[0];
  }

  async mustLead(regionId = 2): Promise<TestStore> {
    await this.until(`a leader of ${regionId}`, () => this.leaderOf(regionId) !== undefined);
    return this.leaderOf(regionId) as TestStore;
  }

  /** Makes the peer on a store lead. */
  async mustTransfer(regionId: number, to: number): Promise<void> {
    await this.until(`store ${to} leads region ${regionId}`, () => {
      const leader = this.leaderOf(regionId);
      if (leader === undefined || leader.id === to) return leader?.id === to;
      const peer = leader.peer(regionId) as Peer;
      const target = peer.region.peers.find(({ storeId }) => storeId === BigInt(to));
      if (target !== undefined)
        this.admin(leader, regionId, { kind: "transferLeader", peer: target });
      return false;
    });
  }

  /** A context for the peer, as it sees itself. */
  header(peer: Peer): RequestHeader {
    const { region, peerId, self } = peer;
    const { id: regionId, confVer, version } = region;
    return { regionId, confVer, version, peerId, storeId: self.storeId, term: 0n };
  }

  /** Proposes a put on a store; the answers arrive in the returned list. */
  put(store: TestStore, key: string, value: string, regionId = 2): CommandResult<void>[] {
    const answers: CommandResult<void>[] = [];
    const peer = store.peer(regionId);
    if (peer === undefined) return answers;
    const batch = new WriteBatchBuilder();
    batch.put("default", dataKey(utf8(key)), utf8(value));
    const command = {
      header: this.header(peer),
      data: batch.bytes().slice(),
      frees: false,
      done: (result: CommandResult<void>) => answers.push(result),
    };
    store.live.send(regionId, { kind: "write", command });
    return answers;
  }

  /** Puts through whoever leads the key's region, again until it is acknowledged. */
  async mustPut(key: string, value: string): Promise<void> {
    let answers: CommandResult<void>[] = [];
    await this.until(`put ${key}`, () => {
      if (answers[0]?.ok) return true;
      const regionId = this.regionOf(key);
      const leader = regionId === undefined ? undefined : this.leaderOf(regionId);
      if (leader !== undefined && regionId !== undefined) {
        answers = this.put(leader, key, value, regionId);
      }
      return false;
    });
  }

  /** The region that holds a key, by the newest version that a leader has. */
  regionOf(key: string): number | undefined {
    const bytes = utf8(key);
    const found = this.stores
      .flatMap((store) => store.store?.delegates() ?? [])
      .filter((peer) => peer.isLeader && contains(peer.region, bytes))
      .sort((a, b) => Number(b.region.version - a.region.version));
    return found[0]?.regionId;
  }

  /** Asks a replica to confirm a read; the answers arrive in the returned list. */
  read(store: TestStore, regionId = 2, replicaRead = true): CommandResult<{ readIndex: number }>[] {
    const answers: CommandResult<{ readIndex: number }>[] = [];
    const header = this.header(store.peer(regionId) as Peer);
    const done = (result: CommandResult<{ readIndex: number }>): void => {
      answers.push(result);
    };
    store.live.send(regionId, { kind: "read", command: { header, replicaRead, done } });
    return answers;
  }

  /** Reads from the leader under its lease. */
  async mustGet(key: string): Promise<string | undefined> {
    let regionId: number | undefined;
    await this.until(`a leader for ${key}`, () => {
      regionId = this.regionOf(key);
      return regionId !== undefined && this.leaderOf(regionId) !== undefined;
    });
    return this.leaderOf(regionId as number)?.get(key);
  }

  /** Sends an admin command to a store's peer; the answers arrive in the returned list. */
  admin(store: TestStore, regionId: number, command: AdminCommand): CommandResult<AdminResult>[] {
    const answers: CommandResult<AdminResult>[] = [];
    const header = this.header(store.peer(regionId) as Peer);
    const done = (result: CommandResult<AdminResult>): void => {
      answers.push(result);
    };
    store.live.send(regionId, { kind: "admin", request: { header, command, done } });
    return answers;
  }

  /** Sends an admin command to whoever leads, until it succeeds; returns its regions. */
  async mustAdmin(
    regionId: number,
    command: (peer: Peer) => AdminCommand,
  ): Promise<readonly RegionInfo[]> {
    let answers: CommandResult<AdminResult>[] = [];
    const refusals: string[] = [];
    try {
      await this.until(`an admin command of region ${regionId}`, () => {
        if (answers[0]?.ok) return true;
        if (answers[0] !== undefined && !answers[0].ok) refusals.push(answers[0].error.message);
        const leader = this.leaderOf(regionId);
        if (leader !== undefined) {
          answers = this.admin(leader, regionId, command(leader.peer(regionId) as Peer));
        }
        return false;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${refusals.slice(-3).join("\n")}`);
    }
    return answers[0]?.ok ? answers[0].value.regions : [];
  }

  /** Only stores of one group hear each other. */
  partition(...groups: readonly (readonly number[])[]): void {
    this.filter = (from, to) => groups.some((group) => group.includes(from) && group.includes(to));
  }

  heal(): void {
    this.filter = () => true;
  }

  /** Crashes a store, keeping so many of its unsynced writes, and starts it again. */
  async restart(id: number, kept?: number): Promise<void> {
    const store = this.store(id);
    store.crash(kept);
    store.open();
    store.start();
    await this.settle();
  }

  /** Stops all stores in order; everything that waits is answered. */
  shutdown(): void {
    for (const { store } of this.stores) store?.shutdown();
  }

  onSent(from: TestStore, message: RaftMessage): void {
    this.messagesSent++;
    const snapshot = message.message?.type === SNAPSHOT;
    this.inTransit.push({ from, bytes: encodeRaftMessage(message).slice(), snapshot });
  }

  private deliver(): boolean {
    if (this.holdMessages || this.inTransit.length === 0) return false;
    for (const { from, bytes, snapshot } of this.inTransit.splice(0)) {
      const message = decodeRaftMessage(bytes);
      assert.ok(message, "own messages decode");
      if (snapshot) this.deliverSnapshot(from, message as RaftMessage);
      else this.deliverOne(from, message as RaftMessage);
    }
    return true;
  }

  private deliverOne(from: TestStore, message: RaftMessage): void {
    const to = this.stores[message.toPeer.storeId - 1];
    if (to?.store === undefined || !this.filter(from.id, to.id, message)) {
      if (from.store !== undefined) {
        from.hooks.events.onUnreachable(message.regionId, message.toPeer.id);
      }
      return;
    }
    to.hooks.events.onRaftMessage(message);
  }

  private deliverSnapshot(from: TestStore, message: RaftMessage): void {
    const to = this.stores[message.toPeer.storeId - 1];
    const end = (failed: boolean): void => {
      if (from.store === undefined) return;
      from.hooks.events.onSnapshotSent(message.regionId, message.toPeer.id, failed);
    };
    const snapshot = message.message?.snapshot;
    if (to?.store === undefined || !snapshot || !this.filter(from.id, to.id, message)) {
      end(true);
      return;
    }
    const { regionId } = message;
    const key = { regionId, term: snapshot.metadata.term, index: snapshot.metadata.index };
    const source = from.hooks.snapshots.open(key, message.toPeer.id);
    const sink = to.hooks.snapshots.receive(message);
    if (source === undefined || typeof sink === "string") {
      source?.close();
      if (typeof sink !== "string") sink.abort();
      end(true);
      return;
    }
    const { hooks } = to;
    const pump = (): void => {
      const chunk = source.next();
      if (chunk === undefined) {
        source.close();
        sink.finish((problem) => {
          if (problem === undefined && to.store !== undefined) hooks.events.onRaftMessage(message);
          end(problem !== undefined);
        });
        return;
      }
      const problem = sink.write(chunk);
      assert.is(problem, undefined);
      source.ready(() => sink.ready(pump));
    };
    source.ready(() => sink.ready(pump));
  }
}

function contains({ startKey, endKey }: RegionInfo, key: Uint8Array): boolean {
  return (
    Buffer.compare(startKey, key) <= 0 && (endKey.length === 0 || Buffer.compare(key, endKey) < 0)
  );
}

/** The answers in short: "ok", or the kind of the error. */
export function outcomes(answers: readonly CommandResult<unknown>[]): string {
  return answers.map((answer) => (answer.ok ? "ok" : answer.error.kind)).join("+");
}

/**
 * Stores with all of raftstore, in one thread on virtual time, for tests of snapshots between them:
 * streams can be held, cut and refused at a chunk, stores crash and start again, messages between
 * two stores can be dropped. No PD: members and splits are proposed by the test.
 */
import { NULL_LOGGER, NULL_METRICS, Prng, utf8, utf8Decode } from "../../src/base/index.js";
import {
  applyStateKey,
  dataKey,
  raftStateKey,
  regionStateKey,
  STORE_IDENT_KEY,
} from "../../src/codec/index.js";
import { MemoryDisk, openMemoryEngine } from "../../src/engine/index.js";
import { type Kernels, loadKernels } from "../../src/kernel/index.js";
import { MessageType } from "../../src/raft/index.js";
import {
  type AdminCommand,
  enginePort,
  MemorySnapDisk,
  MemorySnapFiles,
  type PeerInfo,
  RAFTSTORE_DEFAULTS,
  type RaftMessage,
  REPLICATION_DEFAULTS,
  type RegionError,
  type RegionInfo,
  type ReplicationOptions,
  type SnapshotSink,
  type SnapshotSource,
  Store,
  type StoreInfo,
  type StoreOptions,
  type Transport,
} from "../../src/raftstore/index.js";
import {
  encodeRaftApplyState,
  encodeRaftLocalState,
  encodeRegionLocalState,
  encodeStoreIdent,
  initialApplyState,
  initialRaftState,
  PEER_STATE,
  readRegionLocalState,
} from "../../src/raftstore/local_state.js";
import type { Peer } from "../../src/raftstore/peer.js";
import { SimLoop } from "../sim/loop.js";
import { FakePd } from "./fake_pd.js";
import { dataOf } from "./snapshot_store.js";

export const REGION_ID = 2;
const CLUSTER_ID = 7n;
const LINK_MS = 1;
const MIB = 1 << 20;

const REPLICATION: ReplicationOptions = {
  ...REPLICATION_DEFAULTS,
  raftBaseTickIntervalMs: 100,
  raftStoreMaxLeaderLeaseMs: 800,
  raftLogGcTickIntervalMs: 0,
  splitRegionCheckTickIntervalMs: 0,
  peerStaleStateCheckIntervalMs: 0,
};

/** Where a stream is: `chunk` were written at the receiver. */
export interface StreamView {
  readonly from: number;
  readonly to: number;
  readonly regionId: number;
  readonly index: number;
  readonly chunk: number;
}

/** What happens to a stream before its next chunk. */
export type StreamVerdict = "go" | "hold" | "cut";

/** A machine: its disks outlive the store that runs on it. */
export class SnapshotNode {
  readonly disk = new MemoryDisk({ journal: true });
  readonly snapDisk = new MemorySnapDisk();
  store: Store | undefined;
  engine = openMemoryEngine(fail, this.disk);
  /** Events of this life that ran. */
  life = 0;
  readonly fatal: Error[] = [];

  constructor(readonly id: number) {}

  get up(): Store {
    if (this.store === undefined) throw new Error(`store ${this.id} is down`);
    return this.store;
  }

  peer(regionId = REGION_ID): Peer | undefined {
    return this.store?.delegate(BigInt(regionId)) as Peer | undefined;
  }

  get(key: string): string | undefined {
    const value = this.engine.get("default", dataKey(utf8(key)));
    return value === undefined ? undefined : utf8Decode(value);
  }

  /** PEER_STATE on disk. */
  stateOnDisk(regionId = REGION_ID): number | undefined {
    return readRegionLocalState(this.engine, BigInt(regionId))?.state;
  }
}

function fail(error: Error): never {
  throw error;
}

export class SnapshotCluster {
  readonly loop = new SimLoop();
  readonly pd = new FakePd(CLUSTER_ID);
  readonly nodes: readonly SnapshotNode[];
  /** Asked before each chunk of each stream, and again while it holds. */
  onChunk: (stream: StreamView) => StreamVerdict = () => "go";
  /** Whether a message is lost. */
  isLost: (message: RaftMessage) => boolean = () => false;
  /** Ends of streams: "2>3 good", "1>3 snapshot stream is cut". */
  readonly streams: string[] = [];
  private readonly kernels: Kernels = loadKernels({ memoryBytes: 8 * MIB });
  private readonly prng = new Prng(1n);

  /** `count` stores; the first region has peers 11, 12, … on the first `voters` of them. */
  constructor(
    count: number,
    voters: number,
    private readonly options: Partial<ReplicationOptions> = {},
  ) {
    this.nodes = Array.from({ length: count }, (_, i) => new SnapshotNode(i + 1));
    this.region = {
      id: BigInt(REGION_ID),
      startKey: new Uint8Array(0),
      endKey: new Uint8Array(0),
      confVer: 1n,
      version: 1n,
      peers: this.nodes.slice(0, voters).map(({ id }) => peerOn(id)),
    };
  }

  /** The first region as it was at the start. */
  readonly region: RegionInfo;

  node(id: number): SnapshotNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`no store ${id}`);
    return node;
  }

  /** Writes the first states, starts all stores, waits for a leader on store 1. */
  async boot(): Promise<void> {
    for (const node of this.nodes) {
      const batch = node.engine.newWriteBatch();
      const ident = { clusterId: CLUSTER_ID, storeId: BigInt(node.id), apiVersion: 0 };
      batch.put("default", STORE_IDENT_KEY, encodeStoreIdent(ident));
      if (this.region.peers.some(({ storeId }) => Number(storeId) === node.id)) {
        const { region } = this;
        const state = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
        batch.put("raft", regionStateKey(region.id), state);
        batch.put("raft", applyStateKey(region.id), encodeRaftApplyState(initialApplyState()));
        batch.put("raft", raftStateKey(region.id), encodeRaftLocalState(initialRaftState()));
      }
      await node.engine.write(batch, { sync: true });
      this.start(node);
    }
    await this.until("a leader", () => this.leader() !== undefined);
    await this.lead(1);
  }

  /** Starts the store of a machine. */
  start(node: SnapshotNode): void {
    const life = ++node.life;
    const { loop } = this;
    const alive = (callback: () => void) => () => {
      if (node.life === life && node.store !== undefined) callback();
    };
    const timers = {
      after: (delayMs: number, callback: () => void) => {
        const event = loop.after(delayMs * 1000, alive(callback));
        return () => event.cancel();
      },
    };
    const clock = {
      nowMs: () => 1_700_000_000_000 + Math.floor(loop.nowUs / 1000),
      monotonicMs: () => loop.nowUs / 1000,
    };
    const port = enginePort(node.engine, (error) => loop.fail(error));
    const store = new Store(
      this.storeOptions(node),
      {
        port: {
          engine: node.engine,
          write: (bytes, sync, done) => port.write(bytes, sync, alive(done)),
        },
        pd: this.pd,
        clock,
        timers,
        runner: { defer: (callback) => void timers.after(0, callback) },
        kernels: this.kernels,
        prng: new Prng(BigInt(this.prng.nextU32())),
        snapFiles: new MemorySnapFiles(node.snapDisk, timers),
        transport: () => this.transportOf(node),
        logger: NULL_LOGGER,
        metrics: NULL_METRICS,
        statFs: () => ({ capacity: 1e12, available: 1e12 }),
        onFatal: (error) => node.fatal.push(error),
      },
      { clusterId: CLUSTER_ID, storeId: BigInt(node.id), apiVersion: 0 },
      storeInfo(node),
    );
    node.store = store;
    store.start();
  }

  private storeOptions({ id }: SnapshotNode): StoreOptions {
    return {
      ...RAFTSTORE_DEFAULTS,
      address: `store-${id}`,
      version: "8.5.0",
      replication: { ...REPLICATION, ...this.options },
      apiVersion: 0,
      reserveSpaceBytes: 0,
    };
  }

  /** Loses power: of the unsynced writes of its engine `kept` stay. */
  crash(node: SnapshotNode, kept = 0, resurrect = false): void {
    node.store = undefined;
    node.disk.crash(Math.min(kept, node.disk.unsyncedCount));
    node.snapDisk.crash(resurrect);
    node.engine = openMemoryEngine(fail, node.disk);
  }

  leader(regionId = REGION_ID): SnapshotNode | undefined {
    return this.nodes.find((node) => node.peer(regionId)?.isLeader === true);
  }

  /** Runs until `condition`; fails when it does not come within a virtual minute. */
  async until(what: string, condition: () => boolean, limitMs = 60_000): Promise<void> {
    const { loop } = this;
    let found = condition();
    if (found) return;
    await loop.run(loop.nowUs + limitMs * 1000, () => {
      found = condition();
      if (found) loop.stop();
    });
    if (!found) throw new Error(`not within ${limitMs} virtual ms: ${what}\n${this.describe()}`);
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.loop.run(this.loop.nowUs + ms * 1000, () => {});
  }

  /** Writes keys through the leader; resolves when they are acknowledged. */
  async put(entries: Readonly<Record<string, string>>, regionId = REGION_ID): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const error = await this.write(entries, regionId);
      if (error === undefined) return;
      if (attempt === 50) throw new Error(`refused: ${error.message}`);
      // As a client: another leader, or a split that the peer has not heard of.
      await this.pass(20);
    }
  }

  private async write(
    entries: Readonly<Record<string, string>>,
    regionId: number,
  ): Promise<RegionError | undefined> {
    let answer: { readonly ok: boolean; readonly error?: RegionError } | undefined;
    await this.until("a leader to write to", () => this.leader(regionId) !== undefined);
    const leader = this.leader(regionId) as SnapshotNode;
    const batch = leader.engine.newWriteBatch();
    for (const [key, value] of Object.entries(entries)) {
      batch.put("default", dataKey(utf8(key)), utf8(value));
    }
    const done = (result: NonNullable<typeof answer>): void => {
      answer = result;
    };
    const header = headerOf(leader.peer(regionId) as Peer);
    const command = { header, data: batch.bytes().slice(), frees: false, done };
    leader.up.send(regionId, { kind: "write", command });
    await this.until("a write is answered", () => answer !== undefined);
    return answer?.ok === true ? undefined : answer?.error;
  }

  /** Writes `count` keys below `prefix`, a few entries of the log. */
  async fill(prefix: string, count: number, value: string): Promise<void> {
    for (let from = 0; from < count; from += 50) {
      const entries: Record<string, string> = {};
      for (let i = from; i < Math.min(count, from + 50); i++) {
        entries[`${prefix}${String(i).padStart(5, "0")}`] = `${value} ${i}`;
      }
      await this.put(entries);
    }
  }

  /** Proposes a command; resolves with the error, or undefined when it was applied. */
  async admin(command: AdminCommand, regionId = REGION_ID): Promise<RegionError | undefined> {
    let answer: { readonly ok: boolean; readonly error?: RegionError } | undefined;
    const leader = this.leader(regionId);
    const peer = leader?.peer(regionId);
    if (leader === undefined || peer === undefined) throw new Error("no leader");
    const done = (result: NonNullable<typeof answer>): void => {
      answer = result;
    };
    leader.up.send(regionId, { kind: "admin", request: { header: headerOf(peer), command, done } });
    await this.until(`${command.kind} is answered`, () => answer !== undefined);
    return answer?.ok === true ? undefined : answer?.error;
  }

  /** Makes store `id` lead. */
  async lead(id: number): Promise<void> {
    const isThere = (): boolean => this.node(id).peer()?.isLeader === true;
    for (let attempt = 0; !isThere() && attempt < 20; attempt++) {
      await this.until("a leader", () => this.leader() !== undefined);
      await this.pass(300);
      await this.admin({ kind: "transferLeader", peer: peerOn(id) });
      await this.pass(500);
    }
    if (!isThere()) throw new Error(`store ${id} does not lead\n${this.describe()}`);
    await this.put({ zled: `${id}` });
  }

  /** Compacts the leader's log up to what is applied; everybody else's follows. */
  async compact(): Promise<void> {
    const peer = this.leader()?.peer();
    if (peer === undefined) throw new Error("no leader");
    const index = peer.applied - 1;
    const term = peer.rawNode.termAt(index) as number;
    const error = await this.admin({ kind: "compactLog", index, term });
    if (error !== undefined) throw new Error(error.message);
  }

  /** Waits until the store has applied what the leader has, and holds the same data. */
  async caughtUp(node: SnapshotNode, regionId = REGION_ID): Promise<void> {
    const isSame = (): boolean => {
      const [own, leader] = [node.peer(regionId), this.leader(regionId)?.peer(regionId)];
      if (own?.dataReady !== true || leader === undefined) return false;
      return own.applied === leader.applied && leader.applied === leader.rawNode.committed;
    };
    await this.until(`store ${node.id} catches up`, isSame);
    const { region } = node.peer(regionId) as Peer;
    const own = dataOf(node.engine, region).join("\n");
    const leader = dataOf((this.leader(regionId) as SnapshotNode).engine, region).join("\n");
    if (own !== leader) throw new Error(`store ${node.id} has other data`);
  }

  /** One line a peer, for failures. */
  describe(): string {
    return this.nodes
      .flatMap((node) => {
        if (node.store === undefined) return [`store ${node.id} down`];
        return node.store.delegates().map((one) => {
          const peer = one as Peer;
          const { applied, term, isLeader, region } = peer;
          const { version, confVer } = region;
          const role = isLeader ? "leads" : "follows";
          const log = `log ${peer.storage.firstIndex()}-${peer.storage.lastIndex()}`;
          const epoch = `epoch ${confVer}/${version}`;
          const who = `store ${node.id} region ${peer.regionId} ${role} term ${term}`;
          return `${who} applied ${applied} ${log} ${epoch}`;
        });
      })
      .concat(this.streams.map((line) => `stream ${line}`))
      .join("\n");
  }

  private transportOf(node: SnapshotNode): Transport {
    const life = node.life;
    return {
      send: (message) => {
        const isSnapshot = message.message?.type === MessageType.Snapshot;
        // A snapshot that is lost is reported; whoever loses anything else learns nothing.
        if (this.isLost(message)) {
          if (isSnapshot) this.report(node, message, "lost");
          return "queued";
        }
        this.loop.after(LINK_MS * 1000, () => {
          if (!isSnapshot) this.node(message.toPeer.storeId).store?.router.onRaftMessage(message);
          else if (node.life === life && node.store !== undefined) this.stream(node, message);
        });
        return "queued";
      },
      flush: () => {},
    };
  }

  private report(from: SnapshotNode, message: RaftMessage, problem: string | undefined): void {
    const { regionId, toPeer } = message;
    this.streams.push(`${from.id}>${toPeer.storeId} ${problem ?? "good"}`);
    const life = from.life;
    this.loop.after(LINK_MS * 1000, () => {
      if (from.life !== life) return;
      from.store?.router.onSnapshotSent(regionId, toPeer.id, problem !== undefined);
    });
  }

  /** Sends one snapshot as the real transport does. */
  private stream(from: SnapshotNode, message: RaftMessage): void {
    const { loop } = this;
    const to = this.node(message.toPeer.storeId);
    const onChunk = (view: StreamView): StreamVerdict => this.onChunk(view);
    const onEnd = (problem: string | undefined): void => this.report(from, message, problem);
    new Stream({ loop, from, to, onChunk, onEnd }, message).start();
  }
}

interface StreamDeps {
  readonly loop: SimLoop;
  readonly from: SnapshotNode;
  readonly to: SnapshotNode;
  readonly onChunk: (view: StreamView) => StreamVerdict;
  readonly onEnd: (problem: string | undefined) => void;
}

/** One snapshot on its way, until it arrived or either end is down. */
class Stream {
  private chunks = 0;
  private isOver = false;
  private source: SnapshotSource | undefined;
  private sink: SnapshotSink | undefined;
  private readonly lives: readonly [number, number];

  constructor(
    private readonly deps: StreamDeps,
    private readonly message: RaftMessage,
  ) {
    this.lives = [deps.from.life, deps.to.life];
  }

  start(): void {
    const { from, to } = this.deps;
    const { regionId, toPeer, message } = this.message;
    const metadata = message?.snapshot?.metadata;
    if (metadata === undefined) throw new Error("a snapshot message has a snapshot");
    const key = { regionId, term: metadata.term, index: metadata.index };
    this.source = from.up.snapshots.open(key, toPeer.id);
    if (this.source === undefined) {
      this.end("the snapshot is gone");
      return;
    }
    const sink = to.store?.snapshots.receive(this.message) ?? "the store is down";
    if (typeof sink === "string") {
      this.end(sink);
      return;
    }
    this.sink = sink;
    this.watch();
    this.read(key.index);
  }

  /** Finds out that an end went down, as a broken connection does. */
  private watch(): void {
    const { loop, from, to } = this.deps;
    if (this.isOver) return;
    const [fromLife, toLife] = this.lives;
    const isUp = from.store !== undefined && to.store !== undefined;
    if (!isUp || from.life !== fromLife || to.life !== toLife) this.cut();
    else loop.after(50_000, () => this.watch());
  }

  private cut(): void {
    this.sink?.abort();
    this.end("the stream is cut");
  }

  private end(problem: string | undefined): void {
    if (this.isOver) return;
    this.isOver = true;
    this.source?.close();
    this.deps.onEnd(problem);
  }

  private read(index: number): void {
    const { from, to, loop, onChunk } = this.deps;
    this.source?.ready(() => {
      if (this.isOver) return;
      const { regionId } = this.message;
      const where = { regionId, index, chunk: this.chunks };
      const verdict = onChunk({ from: from.id, to: to.id, ...where });
      if (verdict === "cut") {
        this.cut();
        return;
      }
      if (verdict === "hold") {
        loop.after(10_000, () => this.read(index));
        return;
      }
      const bytes = this.source?.next();
      loop.after(LINK_MS * 1000, () => this.write(index, bytes));
    });
  }

  private write(index: number, bytes: Uint8Array | undefined): void {
    this.sink?.ready(() => {
      if (this.isOver) return;
      if (bytes === undefined) {
        this.finish();
        return;
      }
      const problem = this.sink?.write(bytes);
      this.chunks++;
      if (problem === undefined) this.read(index);
      else this.end(problem);
    });
  }

  private finish(): void {
    this.sink?.finish((problem) => {
      if (this.isOver) return;
      if (problem === undefined) this.deps.to.store?.router.onRaftMessage(this.message);
      this.end(problem);
    });
  }
}

function storeInfo({ id }: SnapshotNode): StoreInfo {
  return {
    id: BigInt(id),
    address: `store-${id}`,
    statusAddress: "",
    version: "8.5.0",
    gitHash: "",
    startTimestamp: 0,
    deployPath: "",
    labels: [],
  };
}

/** The peer of a store: 11 on store 1 and so on. */
export function peerOn(storeId: number, role: PeerInfo["role"] = 0): PeerInfo {
  return { id: BigInt(10 + storeId), storeId: BigInt(storeId), role };
}

export function headerOf(peer: Peer) {
  const { region, peerId, self } = peer;
  const { id: regionId, confVer, version } = region;
  return { regionId, confVer, version, peerId, storeId: self.storeId, term: 0n };
}

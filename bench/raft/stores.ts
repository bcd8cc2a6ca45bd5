/**
 * Stores in this process whose messages cross as frames: raftstore, batch system, engine and codec
 * of production, on the real clock; without gRPC, PD and storage. For propose.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EMPTY_BYTES, NULL_LOGGER, NULL_METRICS, Prng, utf8 } from "../../src/base/index.js";
import { applyStateKey, dataKey, raftStateKey, regionStateKey } from "../../src/codec/index.js";
import { type Engine, openEngine, WriteBatchBuilder } from "../../src/engine/index.js";
import { type Kernels, loadKernels } from "../../src/kernel/index.js";
import { realTimers } from "../../src/node/real_timers.js";
import {
  enginePort,
  MemorySnapDisk,
  MemorySnapFiles,
  MessageCodec,
  type Peer,
  RAFTSTORE_DEFAULTS,
  type RaftMessage,
  REPLICATION_DEFAULTS,
  type RegionInfo,
  Store,
  type Transport,
  type TransportHooks,
} from "../../src/raftstore/index.js";
import {
  encodeRaftApplyState,
  encodeRaftLocalState,
  encodeRegionLocalState,
  initialApplyState,
  initialRaftState,
  PEER_STATE,
} from "../../src/raftstore/local_state.js";
import { REAL_CLOCK } from "../../test/support/clocks.js";
import { FakePd } from "../../test/support/fake_pd.js";
import { within } from "../../test/support/within.js";

const CLUSTER_ID = 7n;
const FRAME_LIMITS = { messagesMax: 256, bytesMax: 10 << 20 };
const START_MS = 60_000;

export interface StoresOptions {
  readonly stores: number;
  readonly regions: number;
  readonly engine: "memory" | "librocksdb";
  /** raftstore.raft-base-tick-interval: an election takes 10 to 20 of them. */
  readonly tickMs: number;
}

/** One store; `writes` counts its engine writes, `syncs` those that were synced. */
export interface BenchStore {
  readonly engine: Engine;
  readonly store: Store;
  readonly hooks: TransportHooks;
  writes: number;
  syncs: number;
}

/** Returns the first key of region number `index`; empty for the first and behind the last. */
function boundary(index: number, regions: number): Uint8Array {
  return index === 0 || index === regions
    ? EMPTY_BYTES
    : utf8(`r${String(index).padStart(5, "0")}`);
}

/** Returns a key in region number `index`. */
export function keyIn(index: number, counter: number): Uint8Array {
  return utf8(`r${String(index).padStart(5, "0")}k${String(counter).padStart(9, "0")}`);
}

/** Returns the id of region number `index`. */
export function regionIdOf(index: number): number {
  return 2 + 16 * index;
}

function regionOf(index: number, { regions, stores }: StoresOptions): RegionInfo {
  const id = regionIdOf(index);
  return {
    id: BigInt(id),
    startKey: boundary(index, regions),
    endKey: boundary(index + 1, regions),
    confVer: 1n,
    version: 1n,
    peers: Array.from({ length: stores }, (_, s) => ({
      id: BigInt(id + 1 + s),
      storeId: BigInt(1 + s),
      role: 0 as const,
    })),
  };
}

/** Frames between the stores: encoded in flush, decoded in the turn behind it. */
class LoopbackTransport implements Transport {
  #messages: RaftMessage[] = [];
  #targets: number[] = [];
  messages = 0;
  frames = 0;

  constructor(
    private readonly codec: MessageCodec,
    private readonly peers: readonly BenchStore[],
    private readonly storeCount: number,
  ) {}

  send(message: RaftMessage): "queued" {
    this.#messages.push(message);
    this.#targets.push(message.toPeer.storeId - 1);
    return "queued";
  }

  flush(): void {
    if (this.#messages.length === 0) return;
    this.messages += this.#messages.length;
    const frames = this.codec.encodeFrames(
      this.#messages,
      this.#targets,
      this.storeCount,
      FRAME_LIMITS,
    );
    this.#messages = [];
    this.#targets = [];
    this.frames += frames.length;
    setImmediate(() => {
      const decoded = this.codec.decodeFrames(frames.map(({ bytes }) => bytes));
      for (const [i, { target }] of frames.entries()) {
        for (const message of decoded[i] ?? []) {
          if (typeof message === "string") throw new Error("an own frame is refused");
          this.peers[target]?.hooks.events.onRaftMessage(message);
        }
      }
    });
  }
}

async function openStoreEngine(kind: StoresOptions["engine"], path: string): Promise<Engine> {
  return openEngine({
    path: kind === "memory" ? "" : path,
    binding: kind,
    blockCacheBytes: 64 << 20,
    writeBufferBytes: 64 << 20,
    onFatal: (error) => {
      throw error;
    },
  });
}

async function writeRegions(engine: Engine, options: StoresOptions): Promise<void> {
  for (let index = 0; index < options.regions; index++) {
    const region = regionOf(index, options);
    const batch = engine.newWriteBatch();
    const state = encodeRegionLocalState({ state: PEER_STATE.Normal, region });
    batch.put("raft", regionStateKey(region.id), state);
    batch.put("raft", applyStateKey(region.id), encodeRaftApplyState(initialApplyState()));
    batch.put("raft", raftStateKey(region.id), encodeRaftLocalState(initialRaftState()));
    await engine.write(batch, { sync: false });
  }
}

/** Stores with their regions, each of which has a leader somewhere. */
export class BenchStores {
  /** By region: the store that leads it. */
  readonly leaders: BenchStore[] = [];

  private constructor(
    readonly options: StoresOptions,
    readonly all: BenchStore[],
    readonly transports: readonly LoopbackTransport[],
    private readonly directory: string,
    private readonly kernels: Kernels,
  ) {}

  static async open(options: StoresOptions): Promise<BenchStores> {
    const directory = mkdtempSync(join(tmpdir(), "rutile-propose-"));
    const kernels = loadKernels();
    const all: BenchStore[] = [];
    const transports: LoopbackTransport[] = [];
    for (let id = 1; id <= options.stores; id++) {
      const engine = await openStoreEngine(options.engine, join(directory, String(id)));
      await writeRegions(engine, options);
      const transport = new LoopbackTransport(new MessageCodec(kernels), all, options.stores);
      transports.push(transport);
      all.push(startStore(id, engine, transport, kernels, options.tickMs));
    }
    const stores = new BenchStores(options, all, transports, directory, kernels);
    await stores.findLeaders();
    return stores;
  }

  /**
   * Ends the stores and starts them again on their data, on disk only. Returns the time from the
   * opening of the engines until every region has a leader that serves, ms.
   */
  async restart(): Promise<number> {
    const { directory, engine, tickMs } = { ...this.options, directory: this.directory };
    await this.stop();
    const started = performance.now();
    for (let id = 1; id <= this.options.stores; id++) {
      const opened = await openStoreEngine(engine, join(directory, String(id)));
      const transport = this.transports[id - 1] as LoopbackTransport;
      this.all.push(startStore(id, opened, transport, this.kernels, tickMs));
    }
    await this.findLeaders();
    return performance.now() - started;
  }

  private async findLeaders(): Promise<void> {
    this.leaders.length = 0;
    for (let index = 0; index < this.options.regions; index++) {
      const serving = (): BenchStore | undefined =>
        this.all.find(({ store }) => peerOf(store, index)?.canReadLocally());
      this.leaders.push(await within(START_MS, `a leader of region ${index}`, serving));
    }
  }

  private async stop(): Promise<void> {
    for (const { store } of this.all) store.shutdown();
    for (const { engine } of this.all) await engine.close();
    this.all.length = 0;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function peerOf(store: Store, index: number): Peer | undefined {
  return store.delegate(BigInt(regionIdOf(index)));
}

function startStore(
  id: number,
  engine: Engine,
  transport: LoopbackTransport,
  kernels: Kernels,
  tickMs: number,
): BenchStore {
  const address = `127.0.0.1:${20160 + id}`;
  const port = enginePort(engine, (error) => {
    throw error;
  });
  const replication = {
    ...REPLICATION_DEFAULTS,
    raftBaseTickIntervalMs: tickMs,
    raftStoreMaxLeaderLeaseMs: 9 * tickMs,
    splitRegionCheckTickIntervalMs: 0,
  };
  const options = { ...RAFTSTORE_DEFAULTS, address, version: "8.5.0", replication };
  const started: { hooks?: TransportHooks } = {};
  const counted = { writes: 0, syncs: 0 };
  const store = new Store(
    { ...options, apiVersion: 0, reserveSpaceBytes: 0 },
    {
      port: {
        engine,
        write(representation, sync, onDone) {
          counted.writes++;
          if (sync) counted.syncs++;
          port.write(representation, sync, onDone);
        },
      },
      pd: new FakePd(CLUSTER_ID),
      clock: REAL_CLOCK,
      timers: realTimers,
      kernels,
      prng: new Prng(BigInt(id)),
      snapFiles: new MemorySnapFiles(new MemorySnapDisk(), realTimers),
      transport: (hooks) => {
        started.hooks = hooks;
        return transport;
      },
      logger: NULL_LOGGER,
      metrics: NULL_METRICS,
      statFs: () => ({ capacity: 0, available: 0 }),
      onFatal: (error) => {
        throw error;
      },
    },
    { clusterId: CLUSTER_ID, storeId: BigInt(id), apiVersion: 0 },
    {
      ...{ id: BigInt(id), address, statusAddress: "", version: "8.5.0", gitHash: "" },
      ...{ startTimestamp: 0, deployPath: "", labels: [] },
    },
  );
  store.start();
  if (started.hooks === undefined) throw new Error("a store makes its transport");
  return Object.assign(counted, { engine, store, hooks: started.hooks });
}

/** Proposes a put of `value` in region number `index`; `done` hears whether it was applied. */
export function propose(
  stores: BenchStores,
  index: number,
  counter: number,
  value: Uint8Array,
  done: (ok: boolean) => void,
): void {
  const { store } = stores.leaders[index] as BenchStore;
  const peer = peerOf(store, index);
  if (peer === undefined) throw new Error("a region is there");
  const { region, peerId, self } = peer;
  const { confVer, version } = region;
  const header = { regionId: region.id, confVer, version, peerId, storeId: self.storeId, term: 0n };
  const batch = new WriteBatchBuilder();
  batch.put("default", dataKey(keyIn(index, counter)), value);
  const data = batch.bytes().slice();
  const command = {
    header,
    data,
    frees: false,
    done: (result: { ok: boolean }) => done(result.ok),
  };
  const sent = store.send(peer.regionId, { kind: "write", command });
  if (sent !== "sent") throw new Error(`a proposal was not taken: ${sent}`);
}

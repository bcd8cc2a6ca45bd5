/**
 * The disk of a store and the engine on it: production's memory engine behind production's write
 * queue, on virtual time. A write is visible before it is durable; a crash keeps a prefix of the
 * batches since the last sync, the one under way included, each whole or absent.
 *
 * Slow: writes and syncs take longer. Failing: the next sync errs, which is fatal for the store.
 * Full: writes err, and the free space that the store reads is below its reserve.
 */
import { assert, type Prng } from "../../src/base/index.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Engine,
  EngineStats,
  KeyRange,
  Snapshot,
} from "../../src/engine/index.js";
import { MemoryDisk, MemoryEngine } from "../../src/engine/memory.js";
import { MemoryTree, type TreeNode } from "../../src/engine/memory_tree.js";
import { QueuedEngine } from "../../src/engine/queued_engine.js";
import { writeRecords } from "../../src/engine/write_batch.js";
import { WriteQueue } from "../../src/engine/write_queue.js";
import type { SimHost } from "./host.js";
import { type DiskWeights, exponential } from "./options.js";

/** Bytes that survive the process. */
export class SimDisk extends MemoryDisk {
  /** Factor on every latency. */
  slowness = 1;
  failNextSync = false;
  isFull = false;
  private live = new MemoryTree();
  /** The tree as of the last sync. */
  private durable: TreeNode;
  /** What a crash may lose, oldest first; the last may be under way and not visible yet. */
  private pending: Uint8Array[] = [];
  private engine: MemoryEngine | undefined;

  constructor() {
    super({ journal: true });
    this.durable = this.live.freeze();
  }

  override attach(engine: MemoryEngine): MemoryTree {
    assert(this.engine === undefined, "one engine at a time");
    this.engine = engine;
    return this.live;
  }

  override detach(engine: MemoryEngine): void {
    if (this.engine === engine) this.engine = undefined;
  }

  /** A native write begins: from now on it may survive. */
  begin(representation: Uint8Array): void {
    this.pending.push(representation.slice());
  }

  /** The last write that began is visible. */
  show(): void {
    applyTo(this.live, this.pending.at(-1) as Uint8Array);
  }

  /** Everything visible is durable. */
  syncAll(): void {
    this.durable = this.live.freeze();
    this.pending = [];
  }

  override get unsyncedCount(): number {
    return this.pending.length;
  }

  override crash(keptCount: number): void {
    assert(keptCount <= this.pending.length, "kept writes exist");
    const tree = new MemoryTree();
    tree["top"] = this.durable;
    for (const representation of this.pending.slice(0, keptCount)) applyTo(tree, representation);
    this.live = tree;
    this.durable = tree.freeze();
    this.pending = [];
    this.engine = undefined;
  }

  /** The newest state, for checkers. */
  get newest(): TreeNode {
    return this.live.root;
  }
}

function applyTo(tree: MemoryTree, representation: Uint8Array): void {
  for (const record of writeRecords(representation)) {
    if (record.kind === "put") tree.set(record.key.slice(), record.value.slice());
    else if (record.kind === "delete") tree.delete(record.key);
    else tree.deleteRange(record.start, record.end);
  }
}

export interface SimEngineDeps {
  readonly host: SimHost;
  readonly prng: Prng;
  readonly weights: DiskWeights;
  readonly onFatal: (error: Error) => void;
}

/** A memory engine whose writes take virtual time. */
export class SimEngine extends QueuedEngine implements Engine {
  readonly binding = "memory";
  readonly description = "simulated";
  readonly path = "";
  protected override readonly queue: WriteQueue;
  private readonly reader: MemoryEngine;
  private readonly disk: SimDisk;
  private readonly deps: SimEngineDeps;

  constructor(disk: SimDisk, deps: SimEngineDeps) {
    super();
    this.disk = disk;
    this.deps = deps;
    this.reader = new MemoryEngine(deps.onFatal, disk);
    this.queue = new WriteQueue(
      {
        apply: (representation, sync) => this.nativeWrite(representation, sync),
        syncLog: () => this.nativeSync(),
      },
      deps.onFatal,
    );
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.reader.get(cf, key);
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return this.reader.multiGet(cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    return this.reader.multiGetArena(request);
  }

  snapshot(): Snapshot {
    return this.reader.snapshot();
  }

  stats(): EngineStats {
    return { ...this.reader.stats(), ...this.queue.stats() };
  }

  approximateSize(cf: CfName, range: KeyRange): number {
    return this.reader.approximateSize(cf, range);
  }

  compact(): Promise<void> {
    return this.reader.compact();
  }

  async close(): Promise<void> {
    await this.queue.close();
    await this.reader.close();
  }

  private async nativeWrite(representation: Uint8Array, sync: boolean): Promise<void> {
    if (this.disk.isFull) throw new Error("no space left on device");
    this.disk.begin(representation);
    await this.wait(this.deps.weights.writeMeanUs);
    this.disk.show();
    if (sync) await this.nativeSync();
  }

  private async nativeSync(): Promise<void> {
    await this.wait(this.deps.weights.syncMeanUs);
    if (this.disk.failNextSync) {
      this.disk.failNextSync = false;
      throw new Error("fdatasync: input/output error");
    }
    this.disk.syncAll();
  }

  private wait(meanUs: number): Promise<void> {
    const { host, prng } = this.deps;
    const delayUs = 10 + exponential(prng, meanUs * this.disk.slowness);
    return new Promise((resolve) => {
      host.afterUs(delayUs, resolve);
    });
  }
}

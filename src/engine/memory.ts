/**
 * The in-memory engine: a versioned tree with O(1) snapshots, on a simulated disk that survives
 * `close` and loses what was not synced on `crash`. For the simulator, unit tests and --memory.
 * Not here: injected errors and delays (fault.ts).
 */
import { assert, compareBytes, TikvError } from "../base/index.js";
import { arenaGetByLookup } from "./arena_get.js";
import { cfKey, cfUpperBound } from "./cf.js";
import { MemoryIter } from "./memory_iter.js";
import { MemoryTree, TreeCursor, type TreeNode, treeGet } from "./memory_tree.js";
import { OpenHandles } from "./open_handles.js";
import { NO_PRESSURE } from "./pressure.js";
import { QueuedEngine } from "./queued_engine.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Engine,
  EngineStats,
  Iter,
  IterOptions,
  KeyRange,
  Snapshot,
} from "./types.js";
import { writeRecords } from "./write_batch.js";
import { WriteQueue } from "./write_queue.js";

/**
 * What a memory engine writes to. One engine has it open at a time. With `journal` it remembers the
 * native writes since the last sync, so that a crash can lose them.
 */
export class MemoryDisk {
  private readonly journal: boolean;
  private tree = new MemoryTree();
  private unsynced: Uint8Array[] = [];
  private synced: Uint8Array[] = [];
  private holder: MemoryEngine | undefined;

  constructor(options: { readonly journal: boolean } = { journal: false }) {
    this.journal = options.journal;
  }

  /** Takes the disk for `engine`. Err RUTILE:Engine:Locked while another engine has it. */
  attach(engine: MemoryEngine): MemoryTree {
    if (this.holder !== undefined) {
      throw new TikvError("RUTILE:Engine:Locked", "another engine has this memory disk open");
    }
    this.holder = engine;
    return this.tree;
  }

  /** Gives the disk back. No effect when `engine` lost it in a crash. */
  detach(engine: MemoryEngine): void {
    if (this.holder === engine) this.holder = undefined;
  }

  /** Applies one native write. Ignored when a crash took the disk from `engine`. */
  apply(engine: MemoryEngine, representation: Uint8Array): void {
    if (this.holder !== engine) return;
    applyTo(this.tree, representation);
    if (this.journal) this.unsynced.push(representation.slice());
  }

  /** Makes everything applied so far survive a crash. */
  sync(engine: MemoryEngine): void {
    if (this.holder !== engine || !this.journal) return;
    this.synced.push(...this.unsynced);
    this.unsynced = [];
  }

  /** Native writes that a crash may lose. */
  get unsyncedCount(): number {
    return this.unsynced.length;
  }

  /**
   * Loses power: of the native writes since the last sync the first `keptCount` stay, each whole.
   * The engine that had the disk open can no longer change it. Needs `journal`. O(all writes).
   */
  crash(keptCount: number): void {
    assert(this.journal, "a disk that crashes keeps a journal");
    assert(keptCount >= 0 && keptCount <= this.unsynced.length, "kept writes exist");
    this.synced.push(...this.unsynced.slice(0, keptCount));
    this.unsynced = [];
    this.tree = new MemoryTree();
    for (const representation of this.synced) applyTo(this.tree, representation);
    this.holder = undefined;
  }
}

function applyTo(tree: MemoryTree, representation: Uint8Array): void {
  // Everything is parsed before anything is changed: a damaged batch must not be half there.
  for (const record of [...writeRecords(representation)]) {
    if (record.kind === "put") tree.set(record.key.slice(), record.value.slice());
    else if (record.kind === "delete") tree.delete(record.key);
    else tree.deleteRange(record.start, record.end);
  }
}

/** Returns an open engine on `disk`, a new one if absent. Err RUTILE:Engine:Locked. */
export function openMemoryEngine(
  onFatal: (error: Error) => void,
  disk: MemoryDisk = new MemoryDisk(),
): MemoryEngine {
  return new MemoryEngine(onFatal, disk);
}

/** See Engine in types.ts. */
export class MemoryEngine extends QueuedEngine implements Engine {
  readonly binding = "memory";
  readonly description = "memory";
  readonly path = "";
  private readonly disk: MemoryDisk;
  private readonly tree: MemoryTree;
  protected override readonly queue: WriteQueue;
  private readonly handles = new OpenHandles();

  constructor(onFatal: (error: Error) => void, disk: MemoryDisk) {
    super();
    this.disk = disk;
    this.tree = disk.attach(this);
    this.queue = new WriteQueue(
      {
        // Applied in a later microtask, as no caller may count on seeing a write before it resolved.
        apply: async (representation, sync) => {
          await undefined;
          disk.apply(this, representation);
          if (sync) disk.sync(this);
        },
        syncLog: async () => disk.sync(this),
      },
      onFatal,
    );
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    this.handles.mustBeOpen();
    return treeGet(this.tree.root, cfKey(cf, key))?.slice();
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.get(cf, key));
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.handles.mustBeOpen();
    return arenaGetByLookup(request, (key) => treeGet(this.tree.root, key));
  }

  snapshot(): Snapshot {
    this.handles.mustBeOpen();
    return new MemorySnapshot(this.tree.freeze(), this.handles);
  }

  stats(): EngineStats {
    return {
      ...this.queue.stats(),
      snapshotsOpen: this.handles.snapshots,
      iteratorsOpen: this.handles.iterators,
      sizeBytes: 0,
      pressure: NO_PRESSURE,
    };
  }

  /** Exact, and O(keys of the range). */
  approximateSize(cf: CfName, range: KeyRange): number {
    this.handles.mustBeOpen();
    const end = cfUpperBound(cf, range.end);
    const cursor = new TreeCursor(this.tree.root);
    let bytes = 0;
    for (let on = cursor.seek(cfKey(cf, range.start)); on; on = cursor.next()) {
      if (compareBytes(cursor.key, end) >= 0) break;
      bytes += cursor.key.length - 1 + cursor.value.length;
    }
    return bytes;
  }

  async compact(): Promise<void> {
    this.handles.mustBeOpen();
  }

  async close(): Promise<void> {
    if (this.handles.closed) return;
    this.handles.markClosed();
    await this.queue.close();
    this.disk.detach(this);
  }
}

/** A frozen version of the tree. */
class MemorySnapshot implements Snapshot {
  private readonly root: TreeNode;
  private readonly handles: OpenHandles;
  private iterators = 0;
  private closed = false;

  constructor(root: TreeNode, handles: OpenHandles) {
    this.root = root;
    this.handles = handles;
    handles.snapshots++;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    this.mustBeOpen();
    return treeGet(this.root, cfKey(cf, key))?.slice();
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return keys.map((key) => this.get(cf, key));
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.mustBeOpen();
    return arenaGetByLookup(request, (key) => treeGet(this.root, key));
  }

  iterate(cf: CfName, options: IterOptions): Iter {
    this.mustBeOpen();
    this.iterators++;
    return new MemoryIter(this.root, cf, options, this.handles, () => {
      this.iterators--;
    });
  }

  provenEmpty(cf: CfName, start: Uint8Array, end: Uint8Array): boolean {
    this.mustBeOpen();
    const cursor = new TreeCursor(this.root);
    const first = cursor.seek(cfKey(cf, start));
    return !first || compareBytes(cursor.key, cfUpperBound(cf, end)) >= 0;
  }

  close(): void {
    if (this.closed) return;
    assert(this.iterators === 0, "the iterators of a snapshot are closed before it");
    this.closed = true;
    this.handles.snapshots--;
  }

  private mustBeOpen(): void {
    assert(!this.closed, "the snapshot is open");
  }
}

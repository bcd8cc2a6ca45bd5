/**
 * The engine over the system's librocksdb: true snapshots, native range deletes, batched reads in
 * linear memory. Reads are synchronous calls; writes, log syncs, compactions, opening and closing
 * run on koffi's thread pool. One native write is in flight (write_queue.ts).
 * Not here: the marker of the directory (format.ts) and its checks (check/). Hot path.
 */
import { assert, compareBytes } from "../base/index.js";
import { cfKey, cfUpperBound } from "./cf.js";
import { checkDirectory } from "./check/directory_check.js";
import { ManifestNote } from "./check/manifest_seen.js";
import { allocateFixed, type Librocksdb, loadLibrocksdb } from "./librocksdb_api.js";
import { LibrocksdbIter, type NativeIterOptions } from "./librocksdb_iter.js";
import { MultiGet } from "./librocksdb_multi_get.js";
import { loadU64, NativeDatabase, statusError, storeU64, takeText } from "./librocksdb_native.js";
import { withNativeOptions } from "./librocksdb_options.js";
import { lockedError } from "./lock_holder.js";
import { OpenHandles } from "./open_handles.js";
import { pressureOf } from "./pressure.js";
import { QueuedEngine } from "./queued_engine.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Engine,
  EngineOptions,
  EngineStats,
  Iter,
  IterOptions,
  KeyRange,
  Snapshot,
} from "./types.js";
import { WriteQueue } from "./write_queue.js";

/**
 * Opens a directory that exists. Errs with TikvError RUTILE:Engine:Unavailable, Locked, Corruption
 * or Io.
 */
export async function openLibrocksdbEngine(options: EngineOptions): Promise<Engine> {
  const api = loadLibrocksdb();
  // RocksDB verifies each block that it reads; what it does not see are gaps and lost ends.
  checkDirectory(options.path, { tables: false });
  const db = await withNativeOptions(api, options, (native) =>
    openNative(api, native, options.path),
  );
  const engine = new LibrocksdbEngine(new NativeDatabase(api, options.path, db), options.onFatal);
  engine.note.update();
  return engine;
}

function openNative(api: Librocksdb, native: number, path: string): Promise<number> {
  const failure = allocateFixed(8);
  return new Promise((resolve, reject) => {
    api.rocksdb_open.async(native, path, failure.address, (error, db) => {
      const text = loadU64(failure.words, 0);
      if (error !== null) reject(error);
      else if (text === 0) resolve(db);
      else reject(openError(path, takeText(api, text)));
    });
  });
}

function openError(path: string, text: string): Error {
  const cause = statusError(path, text);
  // RocksDB says so for a lock of another process, and of this one.
  return /LOCK: .*(temporarily unavailable|No locks available)|lock hold by/i.test(text)
    ? lockedError(path, cause)
    : cause;
}

/** Deleted entries that `provenEmpty` passes over: as dear as a few point reads. */
const EMPTY_SKIP_MAX = 64;

/** Open databases of this process, for the end of the process. */
const openDatabases = new Set<NativeDatabase>();
let exitHooked = false;

/**
 * Stops background threads before the process unloads the library: they would touch destroyed
 * globals and turn the exit code into a crash.
 */
function stopAtExit(database: NativeDatabase): void {
  openDatabases.add(database);
  if (exitHooked) return;
  exitHooked = true;
  process.on("exit", () => {
    for (const { api, db } of openDatabases) api.rocksdb_cancel_all_background_work(db, 1);
  });
}

/** See Engine in types.ts. */
class LibrocksdbEngine extends QueuedEngine implements Engine {
  readonly binding = "librocksdb";
  readonly description: string;
  readonly path: string;
  readonly note: ManifestNote;
  private readonly database: NativeDatabase;
  protected override readonly queue: WriteQueue;
  private readonly handles = new OpenHandles();
  private readonly multi: MultiGet;
  private readonly readOptions: number;
  private readonly writeOptions: number;
  private readonly writeOptionsSync: number;
  /** Compactions under way; `close` waits for them. */
  private readonly compactions = new Set<Promise<void>>();

  constructor(database: NativeDatabase, onFatal: (error: Error) => void) {
    super();
    const { api } = database;
    this.database = database;
    this.path = database.path;
    this.note = new ManifestNote(database.path);
    this.description = `librocksdb ${api.version}`;
    this.multi = new MultiGet(database);
    this.readOptions = api.rocksdb_readoptions_create();
    this.writeOptions = api.rocksdb_writeoptions_create();
    this.writeOptionsSync = api.rocksdb_writeoptions_create();
    api.rocksdb_writeoptions_set_sync(this.writeOptionsSync, 1);
    const syncLog = (): Promise<void> => database.callAsync("rocksdb_flush_wal", database.db, 1);
    this.queue = new WriteQueue({ apply: this.apply.bind(this), syncLog }, onFatal);
    stopAtExit(database);
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    this.handles.mustBeOpen();
    return this.database.get(this.readOptions, cf, key);
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    this.handles.mustBeOpen();
    return this.multi.list(this.readOptions, cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.handles.mustBeOpen();
    return this.multi.arena(request, this.readOptions);
  }

  snapshot(): Snapshot {
    this.handles.mustBeOpen();
    return new LibrocksdbSnapshot(this.database, this.multi, this.handles);
  }

  stats(): EngineStats {
    const property = (name: string): number => {
      return this.handles.closed ? 0 : this.database.property(name);
    };
    return {
      ...this.queue.stats(),
      snapshotsOpen: this.handles.snapshots,
      iteratorsOpen: this.handles.iterators,
      sizeBytes: property("rocksdb.total-sst-files-size"),
      pressure: pressureOf(property),
    };
  }

  approximateSize(cf: CfName, range: KeyRange): number {
    this.handles.mustBeOpen();
    const start = cfKey(cf, range.start);
    const end = cfUpperBound(cf, range.end);
    if (compareBytes(start, end) >= 0) return 0;
    // Pointers and lengths of one range, the answer, then the keys.
    const block = allocateFixed(48 + start.length + end.length);
    block.bytes.set(start, 48);
    block.bytes.set(end, 48 + start.length);
    storeU64(block.words, 0, block.address + 48);
    storeU64(block.words, 8, start.length);
    storeU64(block.words, 16, block.address + 48 + start.length);
    storeU64(block.words, 24, end.length);
    const at = block.address;
    const { api, db, errorAddress } = this.database;
    api.rocksdb_approximate_sizes(db, 1, at, at + 8, at + 16, at + 24, at + 32, errorAddress);
    this.database.check();
    return loadU64(block.words, 32);
  }

  async compact(): Promise<void> {
    this.handles.mustBeOpen();
    const { api, db } = this.database;
    const running = new Promise<void>((resolve, reject) => {
      api.rocksdb_compact_range.async(db, 0, 0, 0, 0, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    this.compactions.add(running);
    await running.finally(() => this.compactions.delete(running));
    this.note.update();
  }

  async close(): Promise<void> {
    if (this.handles.closed) return;
    this.handles.markClosed();
    await this.queue.close();
    await Promise.allSettled(this.compactions);
    const { api, db } = this.database;
    api.rocksdb_readoptions_destroy(this.readOptions);
    api.rocksdb_writeoptions_destroy(this.writeOptions);
    api.rocksdb_writeoptions_destroy(this.writeOptionsSync);
    openDatabases.delete(this.database);
    await new Promise<void>((resolve, reject) => {
      api.rocksdb_close.async(db, (error) => (error === null ? resolve() : reject(error)));
    });
    this.note.update();
  }

  private async apply(representation: Uint8Array, sync: boolean): Promise<void> {
    const { api, db } = this.database;
    const batch = api.rocksdb_writebatch_create_from(representation, representation.length);
    const options = sync ? this.writeOptionsSync : this.writeOptions;
    try {
      await this.database.callAsync("rocksdb_write", db, options, batch);
      this.note.wrote(representation.length);
    } finally {
      api.rocksdb_writebatch_destroy(batch);
    }
  }
}

/** A native snapshot handle. */
class LibrocksdbSnapshot implements Snapshot {
  private readonly database: NativeDatabase;
  private readonly multi: MultiGet;
  private readonly handles: OpenHandles;
  private readonly handle: number;
  /** Read options with the snapshot; 0 before the first point read. */
  private options = 0;
  private iterators = 0;
  private closed = false;

  constructor(database: NativeDatabase, multi: MultiGet, handles: OpenHandles) {
    this.database = database;
    this.multi = multi;
    this.handles = handles;
    this.handle = database.api.rocksdb_create_snapshot(database.db);
    handles.snapshots++;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.database.get(this.readOptions(), cf, key);
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return this.multi.list(this.readOptions(), cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    return this.multi.arena(request, this.readOptions());
  }

  iterate(cf: CfName, options: IterOptions): Iter {
    return this.iterator(cf, options);
  }

  provenEmpty(cf: CfName, start: Uint8Array, end: Uint8Array): boolean {
    const range = { lower: start, upper: end, keysOnly: true };
    const iter = this.iterator(cf, { ...range, skipMax: EMPTY_SKIP_MAX });
    try {
      return iter.isProvenEmpty();
    } finally {
      iter.close();
    }
  }

  private iterator(cf: CfName, options: NativeIterOptions): LibrocksdbIter {
    this.mustBeOpen();
    this.iterators++;
    return new LibrocksdbIter(this.database, this.handle, cf, options, this.handles, () => {
      this.iterators--;
    });
  }

  close(): void {
    if (this.closed) return;
    assert(this.iterators === 0, "the iterators of a snapshot are closed before it");
    this.closed = true;
    const { api, db } = this.database;
    if (this.options !== 0) api.rocksdb_readoptions_destroy(this.options);
    api.rocksdb_release_snapshot(db, this.handle);
    this.handles.snapshots--;
  }

  private readOptions(): number {
    this.mustBeOpen();
    if (this.options === 0) {
      this.options = this.database.api.rocksdb_readoptions_create();
      this.database.api.rocksdb_readoptions_set_snapshot(this.options, this.handle);
    }
    return this.options;
  }

  private mustBeOpen(): void {
    assert(!this.closed, "the snapshot is open");
  }
}

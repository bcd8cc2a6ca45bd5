/**
 * The engine over the npm `rocksdb` binding (RocksDB 6.17 prebuilt, no system library): the default
 * where librocksdb is not installed. The binding is asynchronous with one handle a directory, so it
 * lives in a worker; reads are synchronous through rocksdb_bridge.ts, writes are messages.
 * Not here: the marker of the directory (format.ts); its checks (check/) run in the worker. Hot path.
 */
import { compareBytes, TikvError } from "../base/index.js";
import { cfKey, cfUpperBound } from "./cf.js";
import { lockedError } from "./lock_holder.js";
import { OpenHandles } from "./open_handles.js";
import { pressureOf } from "./pressure.js";
import { QueuedEngine } from "./queued_engine.js";
import { RocksdbBridge } from "./rocksdb_bridge.js";
import {
  type NativeOpenOptions,
  OP_APPROXIMATE_SIZE,
  OP_PROPERTY,
  PIN_NONE,
} from "./rocksdb_protocol.js";
import { readMany, readManyArena, Snapshots } from "./rocksdb_snapshot.js";
import { ENGINE_SUPPORTS } from "./supports.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Engine,
  EngineOptions,
  EngineStats,
  KeyRange,
  Snapshot,
} from "./types.js";
import { WriteQueue } from "./write_queue.js";

const DESCRIPTION = "rocksdb 6.17.3 (npm)";
/** The binding takes sizes as u32. */
const NATIVE_SIZE_MAX = 0xffff_ffff;
/** Table files that stay open; the process limit is often 1,024, sockets need the rest. */
const OPEN_FILES_MAX = 512;

/** What tests change; the defaults are for production. */
export interface RocksdbTuning {
  /** Size of the shared area, bytes; larger frames cross in pieces. */
  readonly areaBytes: number;
  readonly readDeadlineMs: number;
  readonly writeDeadlineMs: number;
  /** Open snapshots at most; each may hold two native iterators. Beyond: RUTILE:Engine:Busy. */
  readonly snapshotsMax: number;
  readonly workerUrl: URL;
}

export const ROCKSDB_TUNING: RocksdbTuning = {
  areaBytes: 1 << 20,
  readDeadlineMs: 30_000,
  writeDeadlineMs: 120_000,
  snapshotsMax: ENGINE_SUPPORTS.rocksdb.snapshotsMax,
  workerUrl: new URL("./rocksdb_worker.js", import.meta.url),
};

/**
 * Opens a directory that exists. Errs with TikvError RUTILE:Engine:Locked, Corruption, Io, or
 * Unavailable when the binding has no build for this platform.
 */
export async function openRocksdbEngine(
  options: EngineOptions,
  tuning: RocksdbTuning = ROCKSDB_TUNING,
): Promise<Engine> {
  const engine = new RocksdbEngine(options, tuning);
  await engine.open({
    createIfMissing: true,
    cacheSize: Math.min(options.blockCacheBytes, NATIVE_SIZE_MAX),
    writeBufferSize: Math.min(options.writeBufferBytes, NATIVE_SIZE_MAX),
    maxOpenFiles: OPEN_FILES_MAX,
  });
  return engine;
}

class RocksdbEngine extends QueuedEngine implements Engine {
  readonly binding = "rocksdb";
  readonly description = DESCRIPTION;
  readonly path: string;
  private readonly bridge: RocksdbBridge;
  protected override readonly queue: WriteQueue;
  private readonly handles = new OpenHandles();
  private readonly snapshots: Snapshots;
  private opening = true;

  constructor(options: EngineOptions, tuning: RocksdbTuning) {
    super();
    this.path = options.path;
    this.bridge = new RocksdbBridge(tuning.workerUrl, {
      ...tuning,
      // An error of the opening is the caller's answer; it is not news for onFatal as well.
      onFatal: (error) => (this.opening ? undefined : this.queue.fail(error)),
    });
    this.snapshots = new Snapshots(this.bridge, this.handles, tuning.snapshotsMax);
    this.queue = new WriteQueue(
      {
        apply: (representation, sync) => this.apply(representation, sync),
        syncLog: () => this.bridge.write(new Uint8Array(0), true, PIN_NONE),
      },
      options.onFatal,
    );
  }

  async open(options: NativeOpenOptions): Promise<void> {
    try {
      await this.bridge.call({ kind: "open", path: this.path, options }, [], 0);
    } catch (error) {
      await this.bridge.abandon();
      if (error instanceof TikvError && error.code === "RUTILE:Engine:Locked") {
        throw lockedError(this.path, error);
      }
      throw error;
    }
    this.opening = false;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.multiGet(cf, [key])[0];
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    this.handles.mustBeOpen();
    return readMany(this.bridge, this.snapshots.frame, PIN_NONE, cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    this.handles.mustBeOpen();
    return readManyArena(this.bridge, this.snapshots.frame, PIN_NONE, request);
  }

  snapshot(): Snapshot {
    this.handles.mustBeOpen();
    return this.snapshots.take();
  }

  stats(): EngineStats {
    const property = (name: string): number => {
      return this.handles.closed ? 0 : this.property(name);
    };
    return {
      ...this.queue.stats(),
      snapshotsOpen: this.handles.snapshots,
      iteratorsOpen: this.handles.iterators,
      sizeBytes: property("rocksdb.total-sst-files-size"),
      pressure: pressureOf(property),
    };
  }

  /** Table files only: what is in memtables does not count. */
  approximateSize(cf: CfName, range: KeyRange): number {
    this.handles.mustBeOpen();
    const start = cfKey(cf, range.start);
    const end = cfUpperBound(cf, range.end);
    // The binding is built with asserts: a reversed range would abort the process.
    if (compareBytes(start, end) >= 0) return 0;
    const frame = this.snapshots.frame.start().u32(OP_APPROXIMATE_SIZE);
    frame.sized(start).sized(end);
    const answer = this.bridge.read(frame.frame()).slice();
    return new Float64Array(answer.buffer, 0, 1)[0] as number;
  }

  compact(): Promise<void> {
    this.handles.mustBeOpen();
    return this.bridge.call({ kind: "compact" }, [], 0);
  }

  async close(): Promise<void> {
    if (this.handles.closed) return;
    this.handles.markClosed();
    await this.queue.close();
    await this.bridge.close();
  }

  private async apply(representation: Uint8Array, sync: boolean): Promise<void> {
    const pin = this.snapshots.beforeWrite();
    await this.bridge.write(representation, sync, pin);
    this.snapshots.afterWrite();
  }

  private property(name: string): number {
    const frame = this.snapshots.frame.start().u32(OP_PROPERTY);
    frame.sized(new TextEncoder().encode(name));
    const text = new TextDecoder().decode(this.bridge.read(frame.frame()).slice());
    return text === "" ? 0 : Number(text);
  }
}

/**
 * The facade that every RPC uses: raw commands with their checks, the batch path, and what acts on
 * the whole store. Not here: gRPC (server/), regions (raftstore/), formats (raw/).
 */
import { assert, type Clock, type MetricsRegistry, ok, type Timers } from "../base/index.js";
import { dataKey, keyFromRaw } from "../codec/index.js";
import type { ArenaGet, ArenaGetResult, CfName, Engine } from "../engine/index.js";
import { CF_PREFIX, representationCount } from "../engine/index.js";
import type { Kernels } from "../kernel/index.js";
import type { PdPort, ReadDelegate, RegionRouter } from "../raftstore/index.js";
import { rawFormat } from "../raw/index.js";
import { CausalTs } from "./causal_ts.js";
import { checksumWith } from "./checksum.js";
import { closingFailure, keyFailure } from "./errors.js";
import { WriteQuota } from "./flow_control.js";
import { FlowGate } from "./flow_gate.js";
import { bindFlowMetrics, FlowMetrics } from "./flow_metrics.js";
import { GcMetrics } from "./gc_metrics.js";
import { GcWorker } from "./gc_worker.js";
import { LatchQueue } from "./latches.js";
import { bindStorageMetrics, StorageMetrics } from "./metrics.js";
import type { StorageOptions } from "./options.js";
import { RaftKv } from "./raft_kv.js";
import { nowSeconds, type RawDeps } from "./raw_context.js";
import { RawReads } from "./raw_read.js";
import { RawWrites } from "./raw_write.js";
import { ReadPool } from "./read_pool.js";
import { regionAdmin } from "./region_admin.js";
import { RegionViews } from "./region_views.js";
import { AdvanceTsWorker, type CheckLeaderPort, type LeaderInfo } from "./resolved_ts/advance.js";
import { safeTsOfRange, takeLeaders } from "./resolved_ts/leaders.js";
import { ResolvedTsMetrics, resolvedTsView } from "./resolved_ts/metrics.js";
import { ReadProgress } from "./resolved_ts/progress.js";
import { storeDebug } from "./store_debug.js";
import { TtlChecker } from "./ttl_checker.js";
import type { OpenDeadlockTransport } from "./txn_deadlock.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import { txnStatus } from "./txn_status.js";
import { RaftTxnStorage } from "./txn_storage.js";
import type {
  ApiVersion,
  BatchPath,
  RawStorage,
  RegionAdmin,
  RegionView,
  Reply,
  Storage,
  StoreDebug,
} from "./types.js";

export interface StorageDeps {
  readonly engine: Engine;
  readonly router: RegionRouter;
  /** Whether writes have to be refused for want of space. */
  readonly disk: { refuses(frees: boolean): boolean };
  readonly pd: PdPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: MetricsRegistry;
  readonly logger: ConstructorParameters<typeof TtlChecker>[1]["logger"];
  readonly kernels: Kernels;
  /** Calls back in a later turn of the event loop; the default is that of the platform. */
  readonly nextTurn?: (next: () => void) => void;
  /** The way to the store that leads deadlock detection; absent: nobody else is asked. */
  readonly deadlockTransport?: OpenDeadlockTransport;
  /** The way to the replicas of regions that this store leads; absent: nobody is told. */
  readonly checkLeader?: CheckLeaderPort;
}

const SYNC = { sync: true } as const;
const CF_NAMES: readonly string[] = ["default", "lock", "write"];

/** Raw commands by RPC; each hands its arguments on. */
function rawStorage(reads: RawReads, writes: RawWrites): RawStorage {
  return {
    get: (ctx, cf, key) => reads.get(ctx, cf, key),
    batchGet: (ctx, cf, keys) => reads.batchGet(ctx, cf, keys),
    getKeyTtl: (ctx, cf, key) => reads.getKeyTtl(ctx, cf, key),
    put: (ctx, cf, pair, forCas) => writes.put(ctx, cf, [pair], { command: "raw_put", forCas }),
    batchPut: (ctx, cf, pairs, forCas) =>
      writes.put(ctx, cf, pairs, { command: "raw_batch_put", forCas }),
    delete: (ctx, cf, key, forCas) =>
      writes.delete(ctx, cf, [key], { command: "raw_delete", forCas }),
    batchDelete: (ctx, cf, keys, forCas) =>
      writes.delete(ctx, cf, keys, { command: "raw_batch_delete", forCas }),
    deleteRange: (ctx, cf, startKey, endKey) => writes.deleteRange(ctx, cf, startKey, endKey),
    scan: (ctx, cf, options) => reads.scan(ctx, cf, options),
    batchScan: (ctx, cf, ranges, eachLimit, options) =>
      reads.batchScan(ctx, cf, ranges, eachLimit, options),
    compareAndSwap: (ctx, cf, key, previous, value, ttl, remove) =>
      writes.compareAndSwap(ctx, cf, key, { previous, value, ttl, remove }),
    checksum: (ctx, ranges) => reads.checksum(ctx, ranges),
  };
}

/** GC reads past the block cache: what it looks at is mostly what nobody else does. */
function gcWorker(
  { gcPollIntervalMs }: StorageOptions,
  kv: RaftKv,
  deps: StorageDeps,
): GcWorker | undefined {
  const { pd } = deps;
  if (gcPollIntervalMs === 0 || pd.getGcSafePoint === undefined) return undefined;
  return new GcWorker(gcPollIntervalMs, {
    ...deps,
    metrics: new GcMetrics(deps.metrics),
    getGcSafePoint: async () => (await pd.getGcSafePoint?.()) ?? ok(0n),
    view: (peer) => {
      const region = kv.snapshot(peer);
      return { snapshot: new TxnSnapshot(region, false), close: () => region.close() };
    },
  });
}

/** Flow control with its metrics. */
function flowGate({ flowControl }: StorageOptions, deps: StorageDeps): FlowGate {
  const { clock, engine, timers } = deps;
  const metrics = new FlowMetrics(deps.metrics);
  const flow = new FlowGate(flowControl, {
    ...{ clock, timers },
    pressure: () => engine.stats().pressure,
    onHeld: (waitedMs) => metrics.observeHeld(waitedMs),
  });
  bindFlowMetrics(deps.metrics, () => flow.state());
  return flow;
}

/** The storage of one store. */
export class RaftStorage implements Storage, BatchPath {
  readonly raw: RawStorage;
  readonly txn: RaftTxnStorage;
  readonly regions: RegionAdmin;
  readonly debug: StoreDebug;
  readonly apiVersion: ApiVersion;
  readonly keySizeMaxBytes: number;
  readonly entrySizeMaxBytes: number;
  readonly rawKeyPrefix: Uint8Array = Uint8Array.of(CF_PREFIX.default, 0x7a);
  readonly ttlChecker: TtlChecker;
  /** Absent when PD cannot be asked. */
  readonly gcWorker: GcWorker | undefined;
  private readonly kv: RaftKv;
  private readonly pool: ReadPool;
  private readonly quota: WriteQuota;
  private readonly flow: FlowGate;
  private readonly metrics: StorageMetrics;
  private readonly views: RegionViews;
  private readonly progress = new ReadProgress();
  private readonly advance: AdvanceTsWorker;
  private closed = false;

  constructor(
    options: StorageOptions,
    private readonly deps: StorageDeps,
  ) {
    const { engine, router, disk, clock, logger, pd } = deps;
    this.apiVersion = options.apiVersion;
    this.keySizeMaxBytes = options.maxKeySizeBytes;
    this.entrySizeMaxBytes = options.raftEntryMaxSizeBytes;
    this.metrics = new StorageMetrics(deps.metrics);
    this.quota = new WriteQuota(options.schedulerPendingWriteThresholdBytes);
    this.views = new RegionViews(router);
    this.flow = flowGate(options, deps);
    const { flow, metrics, quota } = this;
    const nextTurn = deps.nextTurn ?? setImmediate;
    this.kv = new RaftKv(options, { engine, router, disk, quota, flow, metrics });
    this.pool = new ReadPool(
      {
        activeMax: options.readPoolActiveMax,
        tasksMax: options.readPoolTasksMax,
        sliceMs: options.readSliceMs,
        responseMaxBytes: options.scanResponseMaxBytes,
        memoryMaxBytes: options.readPoolMemoryMaxBytes,
      },
      clock,
      nextTurn,
    );
    const format = rawFormat(options.apiVersion);
    const latches = new LatchQueue();
    const raw: RawDeps = { format, options, kv: this.kv, clock, metrics };
    const reads = new RawReads(raw, this.pool, checksumWith(deps.kernels));
    this.raw = rawStorage(reads, new RawWrites(raw, latches, new CausalTs(pd)));
    this.txn = new RaftTxnStorage(options, {
      ...deps,
      nextTurn,
      kv: this.kv,
      pool: this.pool,
      quota,
      metrics,
      registry: deps.metrics,
      safeTs: this.progress,
      safeTsOfRange: (start, end) => safeTsOfRange(start, end, this.progress, router),
    });
    this.regions = regionAdmin(router, format, (ts) => this.txn.maxTs.refusal(ts));
    this.debug = storeDebug(engine, router);
    this.ttlChecker = new TtlChecker(options.ttlCheckPollIntervalMs, {
      format,
      kv: this.kv,
      latches,
      clock,
      logger,
      metrics,
      peers: () => router.delegates(),
    });
    this.advance = this.newAdvance(options.advanceTsIntervalMs);
    this.gcWorker = gcWorker(options, this.kv, deps);
    bindStorageMetrics(deps.metrics, metrics, () => ({
      writingBytes: this.quota.usedBytes,
      runningReads: this.pool.running,
      ttlPollIntervalMs: options.ttlCheckPollIntervalMs,
    }));
  }

  private newAdvance(intervalMs: number): AdvanceTsWorker {
    const { clock, engine, logger, router, timers, pd, checkLeader } = this.deps;
    const { progress } = this;
    const { concurrencyManager } = this.txn;
    const peers = (): readonly ReadDelegate[] => router.delegates();
    return new AdvanceTsWorker(intervalMs, {
      ...{ clock, engine, logger, timers, progress, concurrencyManager, storeId: router.storeId },
      metrics: new ResolvedTsMetrics(this.deps.metrics, { progress, clock, peers }),
      port: checkLeader ?? { send: () => undefined },
      peers,
      tso: async () => {
        const reply = await pd.getTimestamps(1);
        return reply.ok ? reply.value : undefined;
      },
    });
  }

  /** What transactions here are doing, as JSON for people. */
  txnStatus(): object {
    const peers = (): readonly ReadDelegate[] => this.deps.router.delegates();
    return txnStatus({
      ...this.txn.status(),
      gcSafePoint: this.gcWorker?.safePoint,
      resolvedTs: resolvedTsView({ peers, progress: this.progress }),
    });
  }

  get batch(): BatchPath {
    return this;
  }

  get clusterId(): bigint {
    return this.deps.router.clusterId;
  }

  get storeId(): bigint {
    return this.deps.router.storeId;
  }

  cfOf(name: string): CfName | undefined {
    if (name === "") return "default";
    return CF_NAMES.includes(name) ? (name as CfName) : undefined;
  }

  onLeaders(regions: readonly LeaderInfo[]): bigint[] {
    return takeLeaders(regions, this.progress, this.deps.router);
  }

  region(id: number): RegionView | undefined {
    return this.closed ? undefined : this.views.region(id);
  }

  nowSeconds(): number {
    return nowSeconds(this.deps.clock);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    const result = this.deps.engine.multiGetArena(request);
    // TiKV's name for gets that were batched across requests.
    this.metrics.onBatch("raw_batch_get_command", result.done);
    return result;
  }

  async writeBytes(region: RegionView, representation: Uint8Array): Promise<Reply<void>> {
    this.metrics.onBatch("raw_batch_write", representationCount(representation));
    const reply = await this.kv.writeBytes(region.peer, region.header, representation);
    if (!reply.ok && reply.error.type === "region" && reply.error.error.kind === "serverIsBusy") {
      this.metrics.onTooBusy("batch");
    }
    return reply;
  }

  /**
   * As TiKV, whatever the API version: the bounds are taken as user keys of transactions, that is,
   * encoded. Raw V1 data between them is deleted by its bytes.
   */
  async unsafeDestroyRange(startKey: Uint8Array, endKey: Uint8Array): Promise<Reply<void>> {
    if (this.closed) return closingFailure();
    if (startKey.length === 0 || endKey.length === 0) {
      return keyFailure("unsafe destroy range needs a start key and an end key");
    }
    const start = dataKey(keyFromRaw(startKey));
    const end = dataKey(keyFromRaw(endKey));
    if (Buffer.compare(start, end) >= 0) return ok(undefined);
    const { engine } = this.deps;
    const batch = engine.newWriteBatch();
    for (const cf of ["default", "lock", "write"] as const) batch.deleteRange(cf, start, end);
    await engine.write(batch, SYNC);
    return ok(undefined);
  }

  /** Starts the background passes. */
  start(): void {
    assert(!this.closed, "a stopped storage does not start again");
    this.flow.start();
    this.ttlChecker.start();
    this.gcWorker?.start();
    this.txn.start();
    this.advance.start();
  }

  /** Refuses new requests ("TiKV is Closing"); those under way go on. */
  close(): void {
    this.closed = true;
    this.kv.close();
    this.txn.close();
    this.advance.stop();
  }

  /** Requests that raftstore has not answered. */
  get running(): number {
    return this.kv.running + this.txn.running;
  }

  /** Resolves when nothing is under way; what raftstore will not answer must have been refused. */
  async stop(): Promise<void> {
    this.close();
    await this.ttlChecker.stop();
    await this.gcWorker?.stop();
    await this.pool.stop();
    while (this.running > 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

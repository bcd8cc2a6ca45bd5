/**
 * The transactional storage of a store: composes reads, the scheduler, max_ts, lock waits. What the
 * gRPC layer sees is txn_types.ts.
 */
import {
  type Clock,
  compareBytes,
  type Logger,
  type MetricsRegistry,
  ok,
  type Result,
  type Timers,
  toHex,
} from "../base/index.js";
import { dataEndKey, dataKey } from "../codec/index.js";
import type { Kernels } from "../kernel/index.js";
import { openKernelScan, openVersionScan, type PointList, type PointSink } from "../mvcc/index.js";
import type { PdPort, ReadDelegate, RegionRouter } from "../raftstore/index.js";
import {
  ConcurrencyManager,
  commandOf,
  type DeadlockFound,
  type DeadlockRequest,
  type LockInfo,
  LockManager,
  type MvccInfo,
  type RequestOf,
  type ResultOf,
  type TxnCommand,
  type TxnCommandKind,
} from "../txn/index.js";
import { keyFailure } from "./errors.js";
import type { WriteQuota } from "./flow_control.js";
import { checkRangeInRegion, type KvEngine } from "./kv_engine.js";
import { LockManagerMetrics } from "./lock_manager_metrics.js";
import type { StorageMetrics } from "./metrics.js";
import type { StorageOptions } from "./options.js";
import { judgeChecks } from "./read_check.js";
import type { ReadPool } from "./read_pool.js";
import { checkTxnRange, textOfInvalid } from "./txn_check.js";
import { DeadlockDriver, type OpenDeadlockTransport } from "./txn_deadlock.js";
import type { TxnDeps } from "./txn_deps.js";
import { MemoryLockKeeper } from "./txn_lock_keeper.js";
import { LockWaitDriver } from "./txn_lock_waits.js";
import { MaxTs } from "./txn_max_ts.js";
import { bindTxnMetrics, type TxnGauges, TxnMetrics } from "./txn_metrics.js";
import { TxnPoints } from "./txn_points.js";
import { TxnReads } from "./txn_read.js";
import { ReadGate, type SafeTsSource } from "./txn_read_gate.js";
import { TxnScans } from "./txn_scan.js";
import { TxnScheduler } from "./txn_scheduler.js";
import { COMMANDS_SHOWN, type TxnStatusSources } from "./txn_status.js";
import type {
  ExecDetails,
  GetResult,
  GroupedCommand,
  GroupedKind,
  LockWait,
  ScanLockRequest,
  TxnContext,
  TxnPair,
  TxnReply,
  TxnScanRequest,
  TxnStatusNews,
  TxnStorage,
} from "./txn_types.js";
import type { Reply } from "./types.js";

export interface TxnStorageDeps {
  readonly kv: KvEngine;
  readonly kernels: Kernels;
  readonly router: RegionRouter;
  readonly pool: ReadPool;
  readonly quota: WriteQuota;
  readonly pd: Pick<PdPort, "getTimestamps">;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Calls back in a later turn of the event loop. */
  readonly nextTurn: (next: () => void) => void;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  readonly registry: MetricsRegistry;
  readonly safeTs: SafeTsSource;
  /** Timestamp up to which the replicas of a range answer stale reads. */
  readonly safeTsOfRange: (startKey: Uint8Array, endKey: Uint8Array) => bigint;
  readonly deadlockTransport?: OpenDeadlockTransport | undefined;
  /** For tests; the default is the table of all commands. */
  readonly commandOf?: <K extends TxnCommandKind>(kind: K) => TxnCommand<K>;
}

/** Waits at a time; more are answered as if their time were over. */
const WAITERS_MAX = 65_536;
/** Of a key in an error text. */
const SHOWN_KEY_BYTES = 64;

export class RaftTxnStorage implements TxnStorage {
  readonly concurrencyManager = new ConcurrencyManager(0n);
  readonly maxTs: MaxTs;
  readonly scheduler: TxnScheduler;
  private readonly reads: TxnReads;
  private readonly points: TxnPoints;
  private readonly scans: TxnScans;
  private readonly waits: LockWaitDriver;
  private readonly deadlocks: DeadlockDriver;
  private readonly memoryLocks: MemoryLockKeeper;

  constructor(
    private readonly options: StorageOptions,
    private readonly deps: TxnStorageDeps,
  ) {
    const { concurrencyManager } = this;
    const txnMetrics = new TxnMetrics(deps.registry);
    // The pool's slices are turns of their own, so that a scan may take one of the arena.
    const openScan = openKernelScan(deps.kernels, openVersionScan);
    const shared: TxnDeps = { ...deps, options, txnMetrics, concurrencyManager, openScan };
    this.maxTs = new MaxTs(options.txn, { ...deps, concurrencyManager });
    const gate = new ReadGate({ ...shared, maxTs: this.maxTs, safeTs: deps.safeTs });
    const readDeps = { ...shared, maxTs: this.maxTs, safeTs: deps.safeTs };
    deps.router.judgeReads?.((checks) => {
      const startedMs = deps.clock.monotonicMs();
      const verdict = judgeChecks(concurrencyManager, checks);
      txnMetrics.onReplicaCheck(deps.clock.monotonicMs() - startedMs, verdict.length > 0);
      return verdict;
    });
    this.memoryLocks = new MemoryLockKeeper(options.txn, deps);
    this.scans = new TxnScans(readDeps, gate, deps.pool, this.memoryLocks);
    this.points = new TxnPoints(readDeps, deps.kernels);
    this.reads = new TxnReads(readDeps, gate, this.scans, this.points);
    const { wakeUpDelayMs, waitForLockTimeoutMs } = options.txn;
    const lockMetrics = new LockManagerMetrics(deps.registry);
    this.deadlocks = new DeadlockDriver({
      ...deps,
      metrics: lockMetrics,
      transport: deps.deadlockTransport,
      ttlMs: waitForLockTimeoutMs,
      onFound: (found) => this.waits.onDeadlock(found),
    });
    const manager = new LockManager(
      { waitForLockTimeoutMs, wakeUpDelayMs, waitersMax: WAITERS_MAX },
      this.deadlocks,
    );
    this.waits = new LockWaitDriver({
      ...deps,
      metrics: lockMetrics,
      manager,
      resume: (blocked, lockDeadlineMs) => this.scheduler.resume(blocked, lockDeadlineMs),
    });
    this.scheduler = new TxnScheduler({
      ...shared,
      kernels: deps.kernels,
      quota: deps.quota,
      commandOf: deps.commandOf ?? commandOf,
      maxTs: this.maxTs,
      lockWaits: this.waits,
      memoryLocks: this.memoryLocks,
    });
    bindTxnMetrics(deps.registry, txnMetrics, () => this.gauges());
    lockMetrics.bind(manager, this.deadlocks);
  }

  get(
    ctx: TxnContext,
    key: Uint8Array,
    version: bigint,
    details: ExecDetails,
  ): TxnReply<GetResult> | Promise<TxnReply<GetResult>> {
    return this.reads.get(ctx, key, version, details);
  }

  getMany(ctx: TxnContext, list: PointList, details: ExecDetails, sink: PointSink): boolean {
    return this.points.getMany(ctx, list, details, sink);
  }

  batchGet(
    ctx: TxnContext,
    keys: readonly Uint8Array[],
    version: bigint,
    details: ExecDetails,
  ): TxnReply<readonly TxnPair[]> | Promise<TxnReply<readonly TxnPair[]>> {
    return this.reads.batchGet(ctx, keys, version, details);
  }

  scan(
    ctx: TxnContext,
    request: TxnScanRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly TxnPair[]>> {
    return this.scans.scan(ctx, request, details);
  }

  scanLock(
    ctx: TxnContext,
    request: ScanLockRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly LockInfo[]>> {
    return this.scans.scanLock(ctx, request, details);
  }

  run<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    details: ExecDetails,
  ): Promise<TxnReply<ResultOf<K>>> {
    return this.scheduler.run<K>(ctx, request, details);
  }

  runTogether<K extends GroupedKind>(
    ctx: TxnContext,
    commands: readonly GroupedCommand<K>[],
  ): void {
    this.scheduler.runTogether(ctx, commands);
  }

  noteTxnStatus(news: readonly TxnStatusNews[]): void {
    this.scheduler.noteTxnStatus(news);
  }

  mvccByKey(ctx: TxnContext, key: Uint8Array): Promise<TxnReply<MvccInfo>> {
    return this.reads.mvccByKey(ctx, key);
  }

  mvccByStartTs(
    ctx: TxnContext,
    startTs: bigint,
  ): Promise<TxnReply<{ readonly key: Uint8Array; readonly info: MvccInfo } | undefined>> {
    return this.scans.mvccByStartTs(ctx, startTs);
  }

  /**
   * Without latches and whatever the locks say, as in TiKV: for data that nobody uses any more. The
   * range is closed on both sides; an empty one is refused.
   */
  async deleteRange(
    ctx: TxnContext,
    startKey: Uint8Array,
    endKey: Uint8Array,
    notifyOnly: boolean,
  ): Promise<Reply<void>> {
    const command = "delete_range";
    const { kv, metrics } = this.deps;
    metrics.onCommand(command);
    const check = { storage: this.options.apiVersion, request: ctx.apiVersion, command };
    const refused = checkTxnRange(check, startKey, endKey);
    if (refused !== undefined) return keyFailure(textOfInvalid(refused));
    const peer = kv.check(ctx);
    if (!peer.ok) return peer;
    if (compareBytes(startKey, endKey) >= 0) {
      const [start, end] = [startKey, endKey].map((key) => toHex(key.subarray(0, SHOWN_KEY_BYTES)));
      return keyFailure(`invalid delete range command, start_key: ${start}, end_key: ${end}`);
    }
    const outside = checkRangeInRegion(startKey, endKey, peer.value.region);
    if (outside !== undefined) return outside;
    const batch = kv.newBatch();
    if (!notifyOnly) {
      const [start, end] = [dataKey(startKey), dataEndKey(endKey)];
      for (const cf of ["default", "lock", "write"] as const) batch.deleteRange(cf, start, end);
    }
    if (batch.count === 0 && !notifyOnly) return ok(undefined);
    return kv.write(peer.value, ctx, batch, { frees: true });
  }

  safeTs(startKey: Uint8Array, endKey: Uint8Array): bigint {
    return this.deps.safeTsOfRange(startKey, endKey);
  }

  lockWaits(): readonly LockWait[] {
    return this.waits.entries();
  }

  detect(request: DeadlockRequest): Result<DeadlockFound | undefined, "notLeader"> {
    return this.deadlocks.serve(request);
  }

  private gauges(): TxnGauges {
    const { concurrencyManager } = this;
    return {
      runningCommands: this.scheduler.running,
      memory: this.scheduler.memoryUse,
      statusCache: this.scheduler.rememberedTxns,
      maxTs: concurrencyManager.maxTs,
      maxTsLimit: this.maxTs.limit,
      memoryLocks: {
        count: concurrencyManager.size,
        minTs: concurrencyManager.globalMinLockTs(),
      },
      pessimisticLockBytes: this.memoryLocks.bytes,
      pessimisticLocks: this.memoryLocks.counts,
    };
  }

  /** What goes on, for people; see txn_status.ts. */
  status(): Omit<TxnStatusSources, "gcSafePoint" | "resolvedTs"> {
    const { held, waiting } = this.scheduler.latches;
    const { bytes, size } = this.memoryLocks;
    return {
      gauges: this.gauges(),
      nowMs: this.deps.clock.monotonicMs(),
      oldestCommands: this.scheduler.oldest(COMMANDS_SHOWN),
      latches: { held, waiting },
      lockWaits: this.waits.entries(),
      detector: this.deadlocks.current,
      pessimisticLocks: { count: size, bytes },
    };
  }

  /** Commands under way. */
  get running(): number {
    return this.scheduler.running;
  }

  /** From now on a new leader asks PD at once, not when its first async commit has to be refused. */
  start(): void {
    this.maxTs.start();
    const ask = (peer: ReadDelegate): void => {
      if (peer.isLeader) this.maxTs.isSynced({ peer, term: peer.term });
    };
    for (const peer of this.deps.router.delegates()) ask(peer);
    this.deps.router.watch?.(ask);
  }

  /** Ends waits for locks and background questions; commands under way end by themselves. */
  close(): void {
    this.maxTs.stop();
    this.waits.close();
    this.deadlocks.close();
  }
}

/**
 * Runs transactional commands: admission, latches, a snapshot on the leader, the command's rules,
 * the write, the answer. Not here: the rules (txn/commands), reads without a write (txn_read.ts),
 * waiting for locks (txn_lock_waits.ts). Source: tikv src/storage/txn/scheduler.rs.
 *
 * Invariants:
 * - Latches are held from before the snapshot until the outcome of the write is known, and memory
 *   locks (guards) just as long: raftstore answers a write only then, whoever leads meanwhile.
 * - The answer may come earlier (`ResponsePolicy`); nothing else does.
 * - A write carries the term of its snapshot.
 */
import { assert, ok } from "../base/index.js";
import type { Modify } from "../mvcc/index.js";
import {
  type CommandState,
  type ProcessContext,
  type ProcessOutcome,
  type RequestOf,
  type ResponsePolicy,
  type ResultOf,
  raisedMaxTs,
  type TxnCommandKind,
  type WaitOutcome,
} from "../txn/index.js";
import { busyFailure } from "./errors.js";
import { WriteQuota } from "./flow_control.js";
import type { WriteKind } from "./kv_engine.js";
import { LatchQueue } from "./latches.js";
import { checkTxnKeySize, checkTxnVersion, keysOfRequest, requestBytes } from "./txn_check.js";
import { deadlineOf, type LeaderSnapshot, openOnLeader } from "./txn_deps.js";
import { deadlineFailure, fromFailure, isBusy, type TxnFailure, txnFailure } from "./txn_errors.js";
import { batchOf } from "./txn_lock_keeper.js";
import type { Leaving } from "./txn_memory_locks.js";
import { logIfSlow } from "./txn_slow_log.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import { TxnStatusCache } from "./txn_status_cache.js";
import type { BlockedRequest, SchedulerDeps, Step, Task } from "./txn_task.js";
import type { ExecDetails, TxnContext, TxnReply } from "./txn_types.js";
import type { Reply } from "./types.js";

export class TxnScheduler {
  readonly latches = new LatchQueue();
  private readonly memory: WriteQuota;
  private readonly statusCache: TxnStatusCache;
  private readonly committedTs: ProcessContext["committedTs"];
  private under = 0;

  constructor(private readonly deps: SchedulerDeps) {
    const { memoryQuotaBytes, statusCacheMax } = deps.options.txn;
    this.memory = new WriteQuota(memoryQuotaBytes);
    this.statusCache = new TxnStatusCache(statusCacheMax);
    this.committedTs = (startTs) => this.statusCache.committedTs(startTs);
  }

  /** Commands that hold or wait for something; those that wait for a lock do not count. */
  get running(): number {
    return this.under;
  }

  /** Bytes of those commands, about, and how many there may be. */
  get memoryUse(): { readonly usedBytes: number; readonly maxBytes: number } {
    const maxBytes = this.deps.options.txn.memoryQuotaBytes;
    return { usedBytes: this.memory.usedBytes, maxBytes };
  }

  /** Committed transactions that are remembered, and how many may be. */
  get rememberedTxns(): { readonly used: number; readonly max: number } {
    return { used: this.statusCache.size, max: this.deps.options.txn.statusCacheMax };
  }

  /** Runs a command; `details` is filled until the promise settles. */
  run<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    details: ExecDetails,
  ): Promise<TxnReply<ResultOf<K>>> {
    const { commandOf, metrics } = this.deps;
    const { tag } = commandOf(request.kind as K);
    metrics.onCommand(tag);
    const refused = this.refuse(ctx, tag, keysOfRequest(request));
    if (refused !== undefined) return Promise.resolve(refused);
    return new Promise((resolve, reject) => {
      this.begin<K>(ctx, request, { details, resolve, reject, lockDeadlineMs: undefined });
    });
  }

  /** Runs a pessimistic lock again that has waited for another one. */
  resume({ ctx, request, details, answer }: BlockedRequest, lockDeadlineMs: number): void {
    const fail = (error: unknown): never => {
      throw error;
    };
    const end = { details, resolve: answer, reject: fail, lockDeadlineMs };
    this.begin<"acquirePessimisticLock">(ctx, request, end);
  }

  private begin<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    end: Pick<Task<K>, "details" | "lockDeadlineMs" | "resolve" | "reject">,
  ): void {
    const { clock, commandOf, txnMetrics } = this.deps;
    const command = commandOf(request.kind as K);
    const bytes = requestBytes(request);
    const busy = this.admit(command.tag, bytes);
    if (busy !== undefined) {
      end.resolve(busy);
      return;
    }
    txnMetrics.onStage(command.tag, "new");
    const keys = keysOfRequest(request);
    const startedMs = clock.monotonicMs();
    const deadlineMs = deadlineOf(ctx, startedMs);
    const { details, lockDeadlineMs, reject, resolve } = end;
    // Fields are listed, here and below: copies by spread show in profiles.
    const task: Task<K> = {
      ctx,
      command,
      request,
      keys,
      bytes,
      startedMs,
      deadlineMs,
      lockDeadlineMs,
      details,
      resolve,
      reject,
    };
    const raising = this.deps.maxTs.raise(raisedMaxTs(request));
    if (raising === undefined) {
      this.step(task, { request });
      return;
    }
    const onAsked = (refused: TxnFailure | undefined): void => {
      if (refused === undefined) this.step(task, { request });
      else this.end(task, refused);
    };
    raising.then(onAsked, (error: unknown) => this.fail(task, noLatches, error));
  }

  private refuse(
    { apiVersion }: TxnContext,
    command: string,
    keys: readonly Uint8Array[],
  ): TxnFailure | undefined {
    const { options } = this.deps;
    const check = { storage: options.apiVersion, request: apiVersion, command };
    return checkTxnVersion(check, keys) ?? checkTxnKeySize(keys, options.maxKeySizeBytes);
  }

  private admit(tag: string, bytes: number): TxnFailure | undefined {
    const { metrics, quota } = this.deps;
    if (this.memory.tryAcquire(bytes)) {
      if (quota.tryAcquire(bytes)) {
        this.under++;
        return undefined;
      }
      this.memory.release(bytes);
    }
    metrics.onTooBusy(tag);
    return fromFailure(busyFailure());
  }

  /** Runs one step of a command: most have one, those that scan a region one for each batch. */
  private step<K extends TxnCommandKind>(task: Task<K>, state: CommandState<K>): void {
    const keys = task.command.latchKeys(state);
    if (keys.length === 0 && state.scannedKeys === undefined && task.command.scan !== undefined) {
      this.scan(task, state);
      return;
    }
    const { clock, metrics } = this.deps;
    const queuedMs = clock.monotonicMs();
    const onHeld = (release: () => void): void => {
      const waitedMs = clock.monotonicMs() - queuedMs;
      task.details.latchWaitMs += waitedMs;
      metrics.observeLatchWait(task.command.tag, waitedMs);
      this.withSnapshot(task, release, (leader) => this.process({ task, leader, release }, state));
    };
    const [key] = keys;
    // Who was woken with the right to lock comes before all who wait for the latch.
    if (task.lockDeadlineMs !== undefined && key !== undefined && keys.length === 1) {
      this.latches.takeNext(key, onHeld);
    } else {
      this.latches.take(keys, onHeld);
    }
  }

  /** Looks for the keys that a command concerns, then goes on with them. */
  private scan<K extends TxnCommandKind>(task: Task<K>, state: CommandState<K>): void {
    this.withSnapshot(task, noLatches, (leader) => {
      const found = this.decide(task, leader, (context) => task.command.scan?.(state, context));
      if (found === undefined) return;
      if (!found.ok) this.end(task, txnFailure(found.error, task.ctx.regionId));
      else if (found.value !== undefined) this.step(task, found.value);
      else this.end(task, ok(undefined as ResultOf<K>));
    });
  }

  /** Calls `use` with a snapshot, which it closes, or ends the command. */
  private withSnapshot<K extends TxnCommandKind>(
    task: Task<K>,
    release: () => void,
    use: (leader: LeaderSnapshot) => void,
  ): void {
    const { clock, kv, txnMetrics } = this.deps;
    const askedMs = clock.monotonicMs();
    if (askedMs >= task.deadlineMs) {
      release();
      this.end(task, deadlineFailure());
      return;
    }
    const onOpened = (opened: Reply<LeaderSnapshot>): void => {
      const waitedMs = clock.monotonicMs() - askedMs;
      task.details.waitMs += waitedMs;
      txnMetrics.onEngine("snapshot", waitedMs, opened);
      txnMetrics.onStage(task.command.tag, opened.ok ? "snapshot_ok" : "snapshot_err");
      if (opened.ok) {
        use(opened.value);
        return;
      }
      release();
      this.end(task, fromFailure(opened));
    };
    txnMetrics.onStage(task.command.tag, "snapshot");
    const opened = openOnLeader(kv, task.ctx, task.keys);
    if (opened instanceof Promise) {
      opened.then(onOpened, (error: unknown) => this.fail(task, release, error));
    } else {
      onOpened(opened);
    }
  }

  /**
   * Calls rules over a snapshot and closes it. Returns undefined, and has failed the task, when they
   * threw.
   */
  private decide<K extends TxnCommandKind, R>(
    task: Task<K>,
    leader: LeaderSnapshot,
    rules: (context: Pick<ProcessContext, "snapshot" | "statistics" | "concurrencyManager">) => R,
  ): R | undefined {
    const { clock, concurrencyManager, memoryLocks, txnMetrics } = this.deps;
    const { command, details } = task;
    const { statistics } = details;
    const startedMs = clock.monotonicMs();
    try {
      const snapshot = new TxnSnapshot(leader.snapshot, true, memoryLocks.viewOf(leader));
      return rules({ snapshot, statistics, concurrencyManager });
    } catch (error) {
      this.fail(task, noLatches, error);
      return undefined;
    } finally {
      leader.snapshot.close();
      const tookMs = clock.monotonicMs() - startedMs;
      details.processMs += tookMs;
      txnMetrics.observeProcess(command.tag, tookMs);
    }
  }

  private process<K extends TxnCommandKind>(step: Step<K>, state: CommandState<K>): void {
    const { task, leader, release } = step;
    const { maxTs, memoryLocks, txnMetrics } = this.deps;
    txnMetrics.onStage(task.command.tag, "process");
    let isInMemory = false;
    const outcome = this.decide(task, leader, (context) => {
      const { concurrencyManager, snapshot, statistics } = context;
      const decided = task.command.processWrite(state, {
        concurrencyManager,
        snapshot,
        statistics,
        maxTsSynced: maxTs.isSynced(leader),
        committedTs: this.committedTs,
      });
      if (decided.ok && decided.value.type !== "wait") {
        isInMemory = memoryLocks.tryKeep(leader, task.command.kind, decided.value.modifies);
      }
      return decided;
    });
    if (outcome === undefined) {
      release();
    } else if (outcome.ok) {
      this.carryOut(step, outcome.value, isInMemory);
    } else {
      release();
      txnMetrics.onRefused(task.command.tag, outcome.error);
      this.end(task, txnFailure(outcome.error, task.ctx.regionId));
    }
  }

  /** `isInMemory`: the changes are made, in the table of locks in memory. */
  private carryOut<K extends TxnCommandKind>(
    step: Step<K>,
    outcome: ProcessOutcome<K>,
    isInMemory: boolean,
  ): void {
    const { task, release } = step;
    if (outcome.type === "wait") {
      // Before others can take the latches: what they release must wake it.
      this.wait(task, outcome);
      release();
      return;
    }
    const modifies = isInMemory ? [] : outcome.modifies;
    if (outcome.type === "continue") {
      this.write(step, modifies, { frees: true }, (written) => {
        if (!written.ok) {
          release();
          this.end(task, fromFailure(written));
          return;
        }
        for (const status of outcome.knownStatus) this.statusCache.note(status);
        this.deps.lockWaits.onReleased(outcome.released);
        release();
        this.deps.txnMetrics.onStage(task.command.tag, "next_cmd");
        // Others have their turn between the batches of a long command.
        this.deps.nextTurn(() => this.step(task, outcome.next as CommandState<K>));
      });
      return;
    }
    const reply = ok(outcome.response);
    const { frees, guards, knownStatus, pessimisticLocks, released } = outcome;
    const kind = { frees, ...this.hooksOf(outcome.policy, () => task.resolve(reply)) };
    this.write(step, modifies, kind, (written) => {
      for (const guard of guards) guard.release();
      if (written.ok) for (const status of knownStatus) this.statusCache.note(status);
      this.end(task, written.ok ? reply : fromFailure(written));
      // Before the latches go: who is woken to lock gets them first.
      if (written.ok) this.deps.lockWaits.onReleased(released);
      release();
      if (!written.ok) return;
      if (pessimisticLocks !== undefined) this.deps.lockWaits.onAcquired(pessimisticLocks);
    });
  }

  /** When the answer may come before the write is applied. */
  private hooksOf(
    policy: ResponsePolicy,
    answer: () => void,
  ): Pick<WriteKind, "onProposed" | "onCommitted"> {
    const { asyncApplyPrewrite, pipelined } = this.deps.options.txn;
    if (policy === "onProposed" && pipelined) return { onProposed: answer };
    if (policy === "onCommitted" && asyncApplyPrewrite) return { onCommitted: answer };
    return {};
  }

  /** Writes changes, if there are any, and calls `then` once their outcome is known. */
  private write<K extends TxnCommandKind>(
    { task, leader, release }: Step<K>,
    modifies: readonly Modify[],
    kind: WriteKind,
    then: (written: Reply<void>) => void,
  ): void {
    if (modifies.length === 0) {
      then(ok(undefined));
      return;
    }
    const { clock, kv, memoryLocks, txnMetrics } = this.deps;
    const { command, ctx, details } = task;
    const batch = batchOf(kv, modifies);
    const leaving = memoryLocks.leavingFor(leader, modifies);
    const hooks = leaving === undefined ? kind : withLeaving(kind, leaving);
    const startedMs = clock.monotonicMs();
    txnMetrics.onStage(command.tag, "write");
    const { regionId, confVer, version, peerId, storeId } = ctx;
    const header = { regionId, confVer, version, peerId, storeId, term: leader.term };
    const onWritten = (written: Reply<void>): void => {
      const tookMs = clock.monotonicMs() - startedMs;
      details.writeMs += tookMs;
      txnMetrics.onEngine("write", tookMs, written);
      txnMetrics.onStage(command.tag, "write_finish");
      leaving?.onDone(written.ok);
      if (written.ok) txnMetrics.onWritten(command.tag, modifies.length);
      then(written);
    };
    kv.write(leader.peer, header, batch, { ...hooks, admitted: true }).then(
      onWritten,
      (error: unknown) => this.fail(task, release, error),
    );
  }

  /** A pessimistic lock that is held by another transaction. */
  private wait<K extends TxnCommandKind>(task: Task<K>, wait: WaitOutcome): void {
    const { command, ctx, details, request } = task;
    assert(request.kind === "acquirePessimisticLock", "only pessimistic locks are waited for");
    this.deps.txnMetrics.onStage(command.tag, "lock_wait");
    this.finish(task);
    const answer = task.resolve as BlockedRequest["answer"];
    const { lockDeadlineMs } = task;
    this.deps.lockWaits.wait({ ctx, request, wait, lockDeadlineMs, details, answer });
  }

  private end<K extends TxnCommandKind>(task: Task<K>, reply: TxnReply<ResultOf<K>>): void {
    const { metrics, txnMetrics } = this.deps;
    if (!reply.ok) {
      txnMetrics.onStage(task.command.tag, "error");
      if (isBusy(reply.error)) metrics.onTooBusy(task.command.tag);
    }
    this.finish(task);
    task.resolve(reply);
  }

  /** A bug, or data that does not parse: the request fails, its latches are given back. */
  private fail<K extends TxnCommandKind>(task: Task<K>, release: () => void, error: unknown): void {
    release();
    this.finish(task);
    task.reject(error);
  }

  private finish<K extends TxnCommandKind>(task: Task<K>): void {
    const { clock, metrics, quota, txnMetrics } = this.deps;
    const { bytes, command, details } = task;
    this.under--;
    this.memory.release(bytes);
    quota.release(bytes);
    txnMetrics.onScanned(command.tag, details.statistics);
    const totalMs = clock.monotonicMs() - task.startedMs;
    metrics.observeDuration(command.tag, totalMs);
    logIfSlow(this.deps, task, totalMs);
  }
}

const noLatches = (): void => {};

/** Adds to a write that locks in memory give way to it. */
function withLeaving(kind: WriteKind, leaving: Leaving): WriteKind {
  return {
    ...kind,
    onProposed: () => {
      leaving.onProposed();
      kind.onProposed?.();
    },
  };
}

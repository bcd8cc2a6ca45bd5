/**
 * Commands under way, from their admission to their answer: what each of them holds of the quotas,
 * what it counts in metrics, what follows its write. Not here: when which step runs
 * (txn_scheduler.ts, txn_group.ts).
 */
import { assert, ok } from "../base/index.js";
import type { RequestHeader } from "../raftstore/index.js";
import {
  type ProcessContext,
  type RequestOf,
  type ResponsePolicy,
  type ResultOf,
  raisedMaxTs,
  type TxnCommandKind,
  type WriteOutcome,
} from "../txn/index.js";
import { busyFailure } from "./errors.js";
import { WriteQuota } from "./flow_control.js";
import type { WriteKind } from "./kv_engine.js";
import {
  beginsTxn,
  checkPrimarySize,
  checkTxnKeySize,
  checkTxnVersion,
  keysOfRequest,
  requestBytes,
} from "./txn_check.js";
import { deadlineOf } from "./txn_deps.js";
import { fromFailure, isBusy, type TxnFailure } from "./txn_errors.js";
import type { Leaving } from "./txn_memory_locks.js";
import { logIfSlow } from "./txn_slow_log.js";
import { TxnStatusCache } from "./txn_status_cache.js";
import type { SchedulerDeps, Task } from "./txn_task.js";
import type { TxnContext, TxnReply } from "./txn_types.js";
import type { Reply } from "./types.js";

/** Who is told how a command ends. */
export type TaskEnd<K extends TxnCommandKind> = Pick<
  Task<K>,
  "details" | "lockDeadlineMs" | "resolve" | "reject"
>;

/** What is told of a command under way. */
export type Running = Pick<Task<TxnCommandKind>, "ctx" | "keys" | "startedMs"> & {
  readonly command: { readonly tag: string };
};

export class TxnTasks {
  readonly statusCache: TxnStatusCache;
  readonly committedTs: ProcessContext["committedTs"];
  private readonly memory: WriteQuota;
  /** In the order of their admission. */
  private readonly admitted = new Set<Running>();

  constructor(private readonly deps: SchedulerDeps) {
    const { memoryQuotaBytes, statusCacheMax } = deps.options.txn;
    this.memory = new WriteQuota(memoryQuotaBytes);
    this.statusCache = new TxnStatusCache(statusCacheMax);
    this.committedTs = (startTs) => this.statusCache.committedTs(startTs);
  }

  /** Commands that hold or wait for something; those that wait for a lock do not count. */
  get running(): number {
    return this.admitted.size;
  }

  /** The oldest of those commands, at most `max`. */
  oldest(max: number): Running[] {
    const found: Running[] = [];
    for (const task of this.admitted) {
      if (found.length === max) break;
      found.push(task);
    }
    return found;
  }

  /** Bytes of those commands, about. */
  get memoryBytes(): number {
    return this.memory.usedBytes;
  }

  /** Returns why a request is refused whatever the store holds; undefined = it is not. */
  refuse<K extends TxnCommandKind>(
    { apiVersion }: TxnContext,
    request: RequestOf<K>,
  ): TxnFailure | undefined {
    const { commandOf, options } = this.deps;
    const keys = keysOfRequest(request);
    const command = commandOf(request.kind as K).tag;
    const check = { storage: options.apiVersion, request: apiVersion, command };
    const ofMode = beginsTxn(request) ? keys : [];
    const limit = options.maxKeySizeBytes;
    const tooLong = checkTxnKeySize(keys, limit) ?? checkPrimarySize(request, limit);
    return checkTxnVersion(check, ofMode) ?? tooLong;
  }

  /** Admits a request. Returns undefined, and has answered it, when there is too much to do. */
  open<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    { details, lockDeadlineMs, reject, resolve }: TaskEnd<K>,
  ): Task<K> | undefined {
    const { clock, commandOf, txnMetrics } = this.deps;
    const command = commandOf(request.kind as K);
    const bytes = requestBytes(request);
    const busy = this.admit(command.tag, bytes);
    if (busy !== undefined) {
      resolve(busy);
      return undefined;
    }
    txnMetrics.onStage(command.tag, "new");
    const keys = keysOfRequest(request);
    const startedMs = clock.monotonicMs();
    const deadlineMs = deadlineOf(ctx, startedMs);
    // Fields are listed: copies by spread show in profiles.
    const task: Task<K> = {
      ctx,
      command,
      request,
      keys,
      bytes,
      startedMs,
      deadlineMs,
      raisedTs: raisedMaxTs(request),
      lockDeadlineMs,
      details,
      resolve,
      reject,
    };
    this.admitted.add(task);
    return task;
  }

  private admit(tag: string, bytes: number): TxnFailure | undefined {
    const { metrics, quota } = this.deps;
    if (this.memory.tryAcquire(bytes)) {
      if (quota.tryAcquire(bytes)) {
        return undefined;
      }
      this.memory.release(bytes);
    }
    metrics.onTooBusy(tag);
    return fromFailure(busyFailure());
  }

  /** When the answer may come before the write is applied. */
  hooksOf(
    policy: ResponsePolicy,
    answer: () => void,
  ): Pick<WriteKind, "onProposed" | "onCommitted"> {
    const { asyncApplyPrewrite, pipelined } = this.deps.options.txn;
    if (policy === "onProposed" && pipelined) return { onProposed: answer };
    if (policy === "onCommitted" && asyncApplyPrewrite) return { onCommitted: answer };
    return {};
  }

  /** The outcome of a command's write is known: everything that it held goes, in this order. */
  conclude<K extends TxnCommandKind>(
    task: Task<K>,
    outcome: WriteOutcome<ResultOf<K>>,
    release: () => void,
    written: Reply<void>,
  ): void {
    const { lockWaits } = this.deps;
    const { guards, knownStatus, pessimisticLocks, released, response } = outcome;
    for (const guard of guards) guard.release();
    if (written.ok) for (const status of knownStatus) this.statusCache.note(status);
    this.end(task, written.ok ? ok(response) : fromFailure(written));
    // Before the latches go: who is woken to lock gets them first.
    if (written.ok) lockWaits.onReleased(released);
    release();
    if (written.ok && pessimisticLocks !== undefined) lockWaits.onAcquired(pessimisticLocks);
  }

  /** Answers a command. */
  end<K extends TxnCommandKind>(task: Task<K>, reply: TxnReply<ResultOf<K>>): void {
    const { metrics, txnMetrics } = this.deps;
    if (!reply.ok) {
      txnMetrics.onStage(task.command.tag, "error");
      if (isBusy(reply.error)) metrics.onTooBusy(task.command.tag);
    }
    this.finish(task);
    task.resolve(reply);
  }

  /** A bug, or data that does not parse: the request fails, its latches are given back. */
  fail<K extends TxnCommandKind>(task: Task<K>, release: () => void, error: unknown): void {
    release();
    this.finish(task);
    task.reject(error);
  }

  /** As `fail`, for a command whose rules have held keys in memory. */
  failWrite<K extends TxnCommandKind>(
    task: Task<K>,
    { guards }: Pick<WriteOutcome<ResultOf<K>>, "guards">,
    release: () => void,
    error: unknown,
  ): void {
    for (const guard of guards) guard.release();
    this.fail(task, release, error);
  }

  /** Gives back what a command has of the quotas; it holds nothing more. */
  finish<K extends TxnCommandKind>(task: Task<K>): void {
    const { clock, metrics, quota, txnMetrics } = this.deps;
    const { bytes, command, details } = task;
    assert(this.admitted.delete(task), "a command that was admitted ends once");
    this.memory.release(bytes);
    quota.release(bytes);
    txnMetrics.onScanned(command.tag, details.statistics);
    const totalMs = clock.monotonicMs() - task.startedMs;
    metrics.observeDuration(command.tag, totalMs);
    logIfSlow(this.deps, task, totalMs);
  }
}

/** Returns the header of a write that is refused once somebody else has led since `term`. */
export function writeHeader(ctx: TxnContext, term: bigint): RequestHeader {
  const { regionId, confVer, version, peerId, storeId } = ctx;
  return { regionId, confVer, version, peerId, storeId, term };
}

/** Adds to a write that locks in memory give way to it. */
export function withLeaving(kind: WriteKind, leaving: Leaving): WriteKind {
  return {
    ...kind,
    onProposed: () => {
      leaving.onProposed();
      kind.onProposed?.();
    },
  };
}

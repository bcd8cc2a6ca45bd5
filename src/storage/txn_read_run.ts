/** One read of a transaction from its start to its answer: times, counters, the slow log. */
import { ok } from "../base/index.js";
import type { ReadDelegate } from "../raftstore/index.js";
import { deadlineOf, type TxnDeps } from "./txn_deps.js";
import { isBusy } from "./txn_errors.js";
import { logIfSlow } from "./txn_slow_log.js";
import type { ExecDetails, TxnContext, TxnReply } from "./txn_types.js";

const TAKEN = ok(undefined);

export class ReadRun {
  private readonly startedMs: number;
  private readonly deadlineMs: number;
  private snapshotMs: number | undefined;
  private peer: ReadDelegate | undefined;

  constructor(
    private readonly deps: TxnDeps,
    /** TiKV's name of the command: "get", "batch_get", "scan", "scan_lock". */
    readonly tag: string,
    readonly ctx: TxnContext,
    /** Keys that the request names; a range's start. */
    readonly keys: readonly Uint8Array[],
    readonly details: ExecDetails,
  ) {
    this.startedMs = deps.clock.monotonicMs();
    this.deadlineMs = deadlineOf(ctx, this.startedMs);
    deps.metrics.onCommand(tag);
  }

  /** Whether nobody waits for the answer any more. */
  get isLate(): boolean {
    return this.deps.clock.monotonicMs() >= this.deadlineMs;
  }

  /** The read has its snapshot; what took until now was waiting. */
  onSnapshot(peer: ReadDelegate): void {
    this.snapshotMs = this.deps.clock.monotonicMs();
    const waitedMs = this.snapshotMs - this.startedMs;
    this.details.waitMs += waitedMs;
    this.deps.txnMetrics.onEngine("snapshot", waitedMs, TAKEN);
    this.peer = peer;
  }

  /** The read is over; returns its answer. `keys`: others than those it was made with. */
  end<T>(reply: TxnReply<T>, keys: ArrayLike<Uint8Array> = this.keys): TxnReply<T> {
    const { clock, metrics, txnMetrics } = this.deps;
    const { details, tag } = this;
    const nowMs = clock.monotonicMs();
    if (this.snapshotMs !== undefined) {
      const processMs = nowMs - this.snapshotMs;
      details.processMs += processMs;
      txnMetrics.observeProcess(tag, processMs);
    } else if (!reply.ok && reply.error.type === "region") {
      txnMetrics.onEngine("snapshot", nowMs - this.startedMs, reply);
    }
    const { statistics } = details;
    const { processedKeys } = statistics.write;
    this.peer?.onRead(processedKeys, statistics.processedSize);
    metrics.onKeysRead(tag, processedKeys);
    txnMetrics.onScanned(tag, statistics);
    metrics.observeDuration(tag, nowMs - this.startedMs);
    if (!reply.ok && isBusy(reply.error)) metrics.onTooBusy(tag);
    const { ctx } = this;
    logIfSlow(this.deps, { ctx, command: { tag }, keys, details }, nowMs - this.startedMs);
    return reply;
  }
}

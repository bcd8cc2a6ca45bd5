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
import type {
  CommandState,
  ProcessContext,
  ProcessOutcome,
  RequestOf,
  ResultOf,
  TxnCommandKind,
  WaitOutcome,
} from "../txn/index.js";
import type { WriteKind } from "./kv_engine.js";
import { LatchQueue } from "./latches.js";
import { type LeaderSnapshot, openOnLeader } from "./txn_deps.js";
import { deadlineFailure, fromFailure, type TxnFailure, txnFailure } from "./txn_errors.js";
import { TxnGroups } from "./txn_group.js";
import { batchOf } from "./txn_lock_keeper.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type { BlockedRequest, SchedulerDeps, Step, Task } from "./txn_task.js";
import { type Running, TxnTasks, withLeaving, writeHeader } from "./txn_tasks.js";
import type {
  ExecDetails,
  GroupedCommand,
  GroupedKind,
  TxnContext,
  TxnReply,
  TxnStatusNews,
} from "./txn_types.js";
import type { Reply } from "./types.js";

export class TxnScheduler {
  readonly latches = new LatchQueue();
  private readonly tasks: TxnTasks;
  private readonly groups: TxnGroups;

  constructor(private readonly deps: SchedulerDeps) {
    const { latches } = this;
    this.tasks = new TxnTasks(deps);
    const alone = <K extends TxnCommandKind>(task: Task<K>): void => this.start(task);
    this.groups = new TxnGroups(deps, { tasks: this.tasks, latches, alone });
  }

  /** Commands that hold or wait for something; those that wait for a lock do not count. */
  get running(): number {
    return this.tasks.running;
  }

  /** The oldest of those commands, at most `max`. */
  oldest(max: number): Running[] {
    return this.tasks.oldest(max);
  }

  /** Bytes of those commands, about, and how many there may be. */
  get memoryUse(): { readonly usedBytes: number; readonly maxBytes: number } {
    const maxBytes = this.deps.options.txn.memoryQuotaBytes;
    return { usedBytes: this.tasks.memoryBytes, maxBytes };
  }

  /** Committed transactions that are remembered, and how many may be. */
  get rememberedTxns(): { readonly used: number; readonly max: number } {
    const { size } = this.tasks.statusCache;
    return { used: size, max: this.deps.options.txn.statusCacheMax };
  }

  /** Runs a command; `details` is filled until the promise settles. */
  run<K extends TxnCommandKind>(
    ctx: TxnContext,
    request: RequestOf<K>,
    details: ExecDetails,
  ): Promise<TxnReply<ResultOf<K>>> {
    const { commandOf, metrics } = this.deps;
    metrics.onCommand(commandOf(request.kind as K).tag);
    const refused = this.tasks.refuse<K>(ctx, request);
    if (refused !== undefined) return Promise.resolve(refused);
    return new Promise((resolve, reject) => {
      const end = { details, resolve, reject, lockDeadlineMs: undefined };
      const task = this.tasks.open<K>(ctx, request, end);
      if (task !== undefined) this.start(task);
    });
  }

  /** Runs commands that arrived together, each as `run` would; see txn_group.ts. */
  runTogether<K extends GroupedKind>(
    ctx: TxnContext,
    commands: readonly GroupedCommand<K>[],
  ): void {
    this.groups.run(ctx, commands);
  }

  /** Notes what others say of transactions; those that end below their start are none. */
  noteTxnStatus(news: readonly TxnStatusNews[]): void {
    for (const one of news) if (one.commitTs > one.startTs) this.tasks.statusCache.note(one);
  }

  /** Runs a pessimistic lock again that has waited for another one. */
  resume({ ctx, request, details, answer }: BlockedRequest, lockDeadlineMs: number): void {
    const fail = (error: unknown): never => {
      throw error;
    };
    const end = { details, resolve: answer, reject: fail, lockDeadlineMs };
    const task = this.tasks.open<"acquirePessimisticLock">(ctx, request, end);
    if (task !== undefined) this.start(task);
  }

  private start<K extends TxnCommandKind>(task: Task<K>): void {
    const { request } = task;
    const raising = this.deps.maxTs.raise(task.raisedTs);
    if (raising === undefined) {
      this.step(task, { request });
      return;
    }
    const onAsked = (refused: TxnFailure | undefined): void => {
      if (refused === undefined) this.step(task, { request });
      else this.tasks.end(task, refused);
    };
    raising.then(onAsked, (error: unknown) => this.tasks.fail(task, noLatches, error));
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
      if (!found.ok) this.tasks.end(task, txnFailure(found.error, task.ctx.regionId));
      else if (found.value !== undefined) this.step(task, found.value);
      else this.tasks.end(task, ok(undefined as ResultOf<K>));
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
      this.tasks.end(task, deadlineFailure());
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
      this.tasks.end(task, fromFailure(opened));
    };
    txnMetrics.onStage(task.command.tag, "snapshot");
    const opened = openOnLeader(kv, task.ctx, task.keys);
    if (opened instanceof Promise) {
      opened.then(onOpened, (error: unknown) => this.tasks.fail(task, release, error));
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
      this.tasks.fail(task, noLatches, error);
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
        committedTs: this.tasks.committedTs,
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
      this.tasks.end(task, txnFailure(outcome.error, task.ctx.regionId));
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
          this.tasks.end(task, fromFailure(written));
          return;
        }
        for (const status of outcome.knownStatus) this.tasks.statusCache.note(status);
        this.deps.lockWaits.onReleased(outcome.released);
        release();
        this.deps.txnMetrics.onStage(task.command.tag, "next_cmd");
        // Others have their turn between the batches of a long command.
        this.deps.nextTurn(() => this.step(task, outcome.next as CommandState<K>));
      });
      return;
    }
    const { frees, policy, response } = outcome;
    const answer = (): void => task.resolve(ok(response));
    const kind = { frees, ...this.tasks.hooksOf(policy, answer) };
    this.write(step, modifies, kind, (written) => {
      this.tasks.conclude(task, outcome, release, written);
    });
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
    const header = writeHeader(ctx, leader.term);
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
      (error: unknown) => this.tasks.fail(task, release, error),
    );
  }

  /** A pessimistic lock that is held by another transaction. */
  private wait<K extends TxnCommandKind>(task: Task<K>, wait: WaitOutcome): void {
    const { command, ctx, details, request } = task;
    assert(request.kind === "acquirePessimisticLock", "only pessimistic locks are waited for");
    this.deps.txnMetrics.onStage(command.tag, "lock_wait");
    this.tasks.finish(task);
    const answer = task.resolve as BlockedRequest["answer"];
    const { lockDeadlineMs } = task;
    this.deps.lockWaits.wait({ ctx, request, wait, lockDeadlineMs, details, answer });
  }
}

const noLatches = (): void => {};

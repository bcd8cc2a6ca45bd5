/**
 * Commands that arrived together and touch no key in common: one check of their context, one
 * snapshot, the rules of each, and one write for all of them (or few, by size). A command whose
 * latches are not free, and all that could answer otherwise, goes alone. Hot path.
 *
 * Invariants, beside those of txn_scheduler.ts:
 * - The snapshot is taken when the latches of all members are held.
 * - What happens to one command - refusal, conflict, a throw in its rules - is nothing to the others;
 *   commands of one write share its outcome.
 */
import { assert } from "../base/index.js";
import { LockGlance, type MvccSnapshot, readFirst } from "../mvcc/index.js";
import type { ProcessContext, TxnCommandKind } from "../txn/index.js";
import type { LatchQueue } from "./latches.js";
import { keysFailure } from "./raw_context.js";
import { type LeaderSnapshot, openOnLeader } from "./txn_deps.js";
import { deadlineFailure, fromFailure, txnFailure } from "./txn_errors.js";
import { type Decided, GroupWriter, type Member } from "./txn_group_write.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type { SchedulerDeps, Task } from "./txn_task.js";
import type { TxnTasks } from "./txn_tasks.js";
import type { GroupedCommand, GroupedKind, TxnContext } from "./txn_types.js";
import type { Reply } from "./types.js";

/** Commands that share a snapshot; above, the rest forms the next group. */
const GROUP_COMMANDS_MAX = 256;

/** Below, reading for all costs as much as each reading for itself. */
const READ_FIRST_MIN = 2;

export interface GroupHost {
  readonly tasks: TxnTasks;
  readonly latches: Pick<LatchQueue, "tryTake">;
  /** Runs an admitted command as if it had come alone. */
  readonly alone: <K extends TxnCommandKind>(task: Task<K>) => void;
}

export class TxnGroups {
  private readonly writer: GroupWriter;
  private readonly glance = new LockGlance();

  constructor(
    private readonly deps: SchedulerDeps,
    private readonly host: GroupHost,
  ) {
    this.writer = new GroupWriter(deps, host.tasks);
  }

  run<K extends GroupedKind>(ctx: TxnContext, commands: readonly GroupedCommand<K>[]): void {
    let members: Member<K>[] = [];
    for (const command of commands) {
      const member = this.admit(ctx, command);
      if (member === undefined) continue;
      members.push(member);
      if (members.length < GROUP_COMMANDS_MAX) continue;
      this.open(ctx, members);
      members = [];
    }
    if (members.length > 0) this.open(ctx, members);
  }

  /** Returns a command with its latches; undefined: it is answered, or goes alone. */
  private admit<K extends GroupedKind>(
    ctx: TxnContext,
    { answer, details, fail, request }: GroupedCommand<K>,
  ): Member<K> | undefined {
    const { commandOf, maxTs, metrics } = this.deps;
    const { alone, latches, tasks } = this.host;
    metrics.onCommand(commandOf<K>(request.kind as K).tag);
    const refused = tasks.refuse<K>(ctx, request);
    if (refused !== undefined) {
      answer(refused);
      return undefined;
    }
    const end = { details, resolve: answer, reject: fail, lockDeadlineMs: undefined };
    const task = tasks.open<K>(ctx, request, end);
    if (task === undefined) return undefined;
    const isRaised = task.raisedTs === 0n || maxTs.tryRaise(task.raisedTs);
    const release = isRaised ? latches.tryTake(task.keys) : undefined;
    if (release !== undefined) return { task, release };
    alone(task);
    return undefined;
  }

  /** Takes the snapshot. */
  private open<K extends GroupedKind>(ctx: TxnContext, all: readonly Member<K>[]): void {
    const { clock, kv, txnMetrics } = this.deps;
    const askedMs = clock.monotonicMs();
    const members = all.filter(({ task, release }) => {
      if (askedMs < task.deadlineMs) return true;
      this.refuse(task, release, deadlineFailure());
      return false;
    });
    const [first] = members;
    if (first === undefined) return;
    const { tag } = first.task.command;
    const count = members.length;
    const onOpened = (opened: Reply<LeaderSnapshot>): void => {
      const waitedMs = clock.monotonicMs() - askedMs;
      for (const { task } of members) task.details.waitMs += waitedMs;
      txnMetrics.onEngine("snapshot", waitedMs, opened, count);
      txnMetrics.onStage(tag, opened.ok ? "snapshot_ok" : "snapshot_err", count);
      if (opened.ok) this.process(ctx, opened.value, members);
      else for (const { task, release } of members) this.refuse(task, release, fromFailure(opened));
    };
    const onThrown = (error: unknown): void => {
      for (const { task, release } of members) this.host.tasks.fail(task, release, error);
    };
    txnMetrics.onStage(tag, "snapshot", count);
    // Each command's keys are checked by themselves.
    const opened = openOnLeader(kv, ctx, []);
    if (opened instanceof Promise) opened.then(onOpened, onThrown);
    else onOpened(opened);
  }

  private refuse<K extends GroupedKind>(
    task: Task<K>,
    release: () => void,
    reply: Parameters<Task<K>["resolve"]>[0],
  ): void {
    release();
    this.host.tasks.end(task, reply);
  }

  /** Runs the rules of each, closes the snapshot, then writes and answers. */
  private process<K extends GroupedKind>(
    ctx: TxnContext,
    leader: LeaderSnapshot,
    members: readonly Member<K>[],
  ): void {
    const { clock, memoryLocks, metrics, txnMetrics } = this.deps;
    const [first] = members;
    assert(first !== undefined, "a group has a member");
    const { tag } = first.task.command;
    txnMetrics.onStage(tag, "process", members.length);
    metrics.observeLatchWait(tag, 0, members.length);
    const startedMs = clock.monotonicMs();
    const decided: Decided<K>[] = [];
    // What ends without a write is answered behind the others: answers wake waiters, who run at once.
    const ends: (() => void)[] = [];
    const snapshot = new TxnSnapshot(leader.snapshot, true, memoryLocks.viewOf(leader));
    this.readFirst(snapshot, members);
    this.decideAll(leader, snapshot, members, decided, ends);
    leader.snapshot.close();
    const tookMs = (clock.monotonicMs() - startedMs) / members.length;
    for (const { task } of members) task.details.processMs += tookMs;
    txnMetrics.observeProcess(tag, tookMs, members.length);
    this.writer.write(ctx, leader, decided);
    for (const end of ends) end();
  }

  /** Reads what the rules ask for first, of all keys at once. */
  private readFirst<K extends GroupedKind>(
    snapshot: TxnSnapshot,
    members: readonly Member<K>[],
  ): void {
    if (members.length < READ_FIRST_MIN) return;
    const sought: Uint8Array[] = [];
    const locked: Uint8Array[] = [];
    for (const { task } of members) {
      const seeks = task.command.seeksNewest?.(task.request) === true;
      for (const key of task.keys) (seeks ? sought : locked).push(key);
    }
    const { kernels } = this.deps;
    try {
      const read = (keys: readonly Uint8Array[], withNewest: boolean) =>
        keys.length > 0 ? readFirst(kernels, snapshot, keys, withNewest, this.glance) : undefined;
      const newest = read(sought, true);
      const locks = read(locked, false);
      snapshot.firstReads = { of: (key) => newest?.of(key) ?? locks?.of(key) };
    } catch {
      // Damage: the command that needs it meets it again, and fails alone.
    }
  }

  private decideAll<K extends GroupedKind>(
    leader: LeaderSnapshot,
    snapshot: MvccSnapshot,
    members: readonly Member<K>[],
    decided: Decided<K>[],
    ends: (() => void)[],
  ): void {
    const { concurrencyManager, maxTs } = this.deps;
    const { tasks } = this.host;
    const maxTsSynced = maxTs.isSynced(leader);
    const { committedTs } = tasks;
    for (const { task, release } of members) {
      const outside = keysFailure(task.keys, leader.peer);
      if (outside !== undefined) {
        ends.push(() => this.refuse(task, release, fromFailure(outside)));
        continue;
      }
      const { statistics } = task.details;
      const context = { concurrencyManager, snapshot, statistics, maxTsSynced, committedTs };
      const end = this.decide({ task, release }, context, decided);
      if (end !== undefined) ends.push(end);
    }
  }

  /** Runs the rules of one. Returns how it ends, if it writes nothing. */
  private decide<K extends GroupedKind>(
    { task, release }: Member<K>,
    context: ProcessContext,
    decided: Decided<K>[],
  ): (() => void) | undefined {
    const { tasks } = this.host;
    try {
      const result = task.command.processWrite({ request: task.request }, context);
      if (!result.ok) {
        const { error } = result;
        this.deps.txnMetrics.onRefused(task.command.tag, error);
        return () => this.refuse(task, release, txnFailure(error, task.ctx.regionId));
      }
      const outcome = result.value;
      assert(outcome.type === "write", "commands that wait or go on do not run in groups");
      decided.push({ task, release, outcome });
      return undefined;
    } catch (error) {
      return () => tasks.fail(task, release, error);
    }
  }
}

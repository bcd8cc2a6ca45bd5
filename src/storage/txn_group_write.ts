/**
 * Writes of commands that run together: their changes go into one batch, so that they are one entry
 * of the log, and share its outcome. Hot path.
 */
import { ok } from "../base/index.js";
import type { WriteBatch } from "../engine/index.js";
import type { ResultOf, WriteOutcome } from "../txn/index.js";
import type { WriteKind } from "./kv_engine.js";
import type { LeaderSnapshot } from "./txn_deps.js";
import { addModifies, modifiesBytes } from "./txn_lock_keeper.js";
import type { Leaving } from "./txn_memory_locks.js";
import type { SchedulerDeps, Task } from "./txn_task.js";
import { type TxnTasks, writeHeader } from "./txn_tasks.js";
import type { GroupedKind, TxnContext } from "./txn_types.js";
import type { Reply } from "./types.js";

/** Bytes of a write, about, unless one command alone has more; raftstore bounds entries higher. */
const WRITE_BYTES_MAX = 1024 * 1024;
/** A write leaves as much of raftstore.raft-entry-max-size free, so that the sum is never refused. */
const ENTRY_SHARE = 2;

/** A command that holds its latches. */
export interface Member<K extends GroupedKind> {
  readonly task: Task<K>;
  readonly release: () => void;
}

/** A member whose rules have run. */
export interface Decided<K extends GroupedKind> extends Member<K> {
  readonly outcome: WriteOutcome<ResultOf<K>>;
}

/** Changes of several commands that are proposed together. */
interface Pack<K extends GroupedKind> {
  readonly batch: WriteBatch;
  readonly frees: boolean;
  readonly members: Decided<K>[];
  readonly leaving: Leaving[];
  bytes: number;
}

const DONE: Reply<void> = ok(undefined);

export class GroupWriter {
  private readonly bytesMax: number;

  constructor(
    private readonly deps: SchedulerDeps,
    private readonly tasks: TxnTasks,
  ) {
    const { raftEntryMaxSizeBytes } = deps.options;
    this.bytesMax = Math.min(WRITE_BYTES_MAX, raftEntryMaxSizeBytes / ENTRY_SHARE);
  }

  /** Writes what the commands change, in their order, and answers each when its part is written. */
  write<K extends GroupedKind>(
    ctx: TxnContext,
    leader: LeaderSnapshot,
    decided: readonly Decided<K>[],
  ): void {
    const unchanged: Decided<K>[] = [];
    let pack: Pack<K> | undefined;
    for (const member of decided) {
      const { frees, modifies } = member.outcome;
      if (modifies.length === 0) {
        unchanged.push(member);
        continue;
      }
      const bytes = modifiesBytes(modifies);
      if (pack !== undefined && (pack.frees !== frees || pack.bytes + bytes > this.bytesMax)) {
        this.propose(ctx, leader, pack);
        pack = undefined;
      }
      pack ??= { batch: this.deps.kv.newBatch(), frees, members: [], leaving: [], bytes: 0 };
      addModifies(pack.batch, modifies);
      const leaving = this.deps.memoryLocks.leavingFor(leader, modifies);
      if (leaving !== undefined) pack.leaving.push(leaving);
      pack.members.push(member);
      pack.bytes += bytes;
    }
    if (pack !== undefined) this.propose(ctx, leader, pack);
    for (const { task, outcome, release } of unchanged) {
      this.tasks.conclude(task, outcome, release, DONE);
    }
  }

  private propose<K extends GroupedKind>(
    ctx: TxnContext,
    leader: LeaderSnapshot,
    pack: Pack<K>,
  ): void {
    const { clock, kv, txnMetrics } = this.deps;
    const { batch, members } = pack;
    const { tag } = (members[0] as Decided<K>).task.command;
    const startedMs = clock.monotonicMs();
    txnMetrics.onStage(tag, "write", members.length);
    const onWritten = (written: Reply<void>): void => {
      const tookMs = clock.monotonicMs() - startedMs;
      txnMetrics.onEngine("write", tookMs, written, members.length);
      txnMetrics.onStage(tag, "write_finish", members.length);
      for (const leaving of pack.leaving) leaving.onDone(written.ok);
      for (const { task, outcome, release } of members) {
        task.details.writeMs += tookMs;
        if (written.ok) txnMetrics.onWritten(tag, outcome.modifies.length);
        this.tasks.conclude(task, outcome, release, written);
      }
    };
    const onThrown = (error: unknown): void => {
      for (const { task, outcome, release } of members) {
        this.tasks.failWrite(task, outcome, release, error);
      }
    };
    const header = writeHeader(ctx, leader.term);
    kv.write(leader.peer, header, batch, this.kindOf(pack)).then(onWritten, onThrown);
  }

  /** Members that may be answered earlier are, one by one. */
  private kindOf<K extends GroupedKind>({ frees, leaving, members }: Pack<K>): WriteKind {
    const proposed: (() => void)[] = leaving.map((one) => () => one.onProposed());
    const committed: (() => void)[] = [];
    for (const { task, outcome } of members) {
      const answer = (): void => task.resolve(ok(outcome.response));
      const { onCommitted, onProposed } = this.tasks.hooksOf(outcome.policy, answer);
      if (onProposed !== undefined) proposed.push(onProposed);
      if (onCommitted !== undefined) committed.push(onCommitted);
    }
    return {
      frees,
      admitted: true,
      ...(proposed.length > 0 && { onProposed: () => callAll(proposed) }),
      ...(committed.length > 0 && { onCommitted: () => callAll(committed) }),
    };
  }
}

function callAll(calls: readonly (() => void)[]): void {
  for (const call of calls) call();
}

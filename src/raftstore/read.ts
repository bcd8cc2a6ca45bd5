/**
 * Reads that wait for the log: first for a quorum to confirm the leader (a read index), then until
 * this replica has applied up to it. Reads of one turn wait together. Pure.
 * Source: tikv raftstore/store/read_queue.rs.
 */
import { concatBytes, EMPTY_BYTES, getU64Be, putU64Be } from "../base/index.js";
import type { ReadCommand } from "./commands.js";

/** Reads of a peer that wait at a time; beyond it the store is busy. */
export const READS_WAITING_MAX = 4096;
const CONTEXT_BYTES = 16;

/**
 * Returns the context with the leader's verdict in place of the check, as it goes back to the asker.
 * A context without a check stays as it is.
 */
export function judgedContext(
  context: Uint8Array,
  judge: (check: Uint8Array) => Uint8Array,
): Uint8Array {
  if (context.length <= CONTEXT_BYTES) return context;
  const verdict = judge(context.subarray(CONTEXT_BYTES));
  return concatBytes(context.subarray(0, CONTEXT_BYTES), verdict);
}

/** Reads that one context asks for. */
export interface ReadGroup {
  readonly context: Uint8Array;
  readonly reads: readonly ReadCommand[];
  /** Tick of the newest attempt. */
  askedTick: number;
  /** Undefined until it is confirmed. */
  index: number | undefined;
  /** What the leader said about the check; empty without one. */
  verdict: Uint8Array;
}

export class ReadQueue {
  /** Tells this life of the peer from earlier ones, whose answers may still be on their way. */
  readonly #life: bigint;
  #number = 0n;
  #groups = new Map<bigint, ReadGroup>();
  #waiting = 0;

  constructor(life: bigint) {
    this.#life = life;
  }

  /** Reads that wait. */
  get length(): number {
    return this.#waiting;
  }

  /** Returns a context that nobody waits for, or ever will. */
  unusedContext(): Uint8Array {
    return this.#context(0n);
  }

  /** Queues reads under a new context, to be asked for now. */
  add(reads: readonly ReadCommand[], tick: number, check: Uint8Array = EMPTY_BYTES): ReadGroup {
    this.#number++;
    const id = this.#context(this.#number);
    const context = check.length === 0 ? id : concatBytes(id, check);
    const group: ReadGroup = {
      context,
      reads,
      askedTick: tick,
      index: undefined,
      verdict: EMPTY_BYTES,
    };
    this.#groups.set(this.#number, group);
    this.#waiting += reads.length;
    return group;
  }

  /** Forgets a group that could not be asked for. */
  cancel(group: ReadGroup): void {
    this.#take(getU64Be(group.context, 8), group, []);
  }

  /** Notes the answer to a context; ignores those of others and repeated ones. */
  onConfirmed(context: Uint8Array, index: number): void {
    if (context.length < CONTEXT_BYTES || getU64Be(context, 0) !== this.#life) return;
    const group = this.#groups.get(getU64Be(context, 8));
    if (group === undefined || group.index !== undefined) return;
    group.index = index;
    group.verdict = context.slice(CONTEXT_BYTES);
  }

  /** Takes out the groups that may be read at `applied`, in the order in which they came. */
  takeReady(applied: number): readonly ReadGroup[] {
    const ready: ReadGroup[] = [];
    for (const [number, group] of this.#groups) {
      if (group.index !== undefined && group.index <= applied) this.#take(number, group, ready);
    }
    return ready;
  }

  /** Takes out what is not confirmed: its leader is gone. */
  takeUnconfirmed(): readonly ReadGroup[] {
    const taken: ReadGroup[] = [];
    for (const [number, group] of this.#groups) {
      if (group.index === undefined) this.#take(number, group, taken);
    }
    return taken;
  }

  /** Returns the unconfirmed groups that were last asked for `ticks` or more ago. */
  overdue(tick: number, ticks: number): readonly ReadGroup[] {
    const due: ReadGroup[] = [];
    for (const group of this.#groups.values()) {
      if (group.index === undefined && tick - group.askedTick >= ticks) due.push(group);
    }
    return due;
  }

  drain(): readonly ReadGroup[] {
    const groups = [...this.#groups.values()];
    this.#groups = new Map();
    this.#waiting = 0;
    return groups;
  }

  #take(number: bigint, group: ReadGroup, into: ReadGroup[]): void {
    this.#groups.delete(number);
    this.#waiting -= group.reads.length;
    into.push(group);
  }

  #context(number: bigint): Uint8Array {
    const context = new Uint8Array(CONTEXT_BYTES);
    putU64Be(context, 0, this.#life);
    putU64Be(context, 8, number);
    return context;
  }
}

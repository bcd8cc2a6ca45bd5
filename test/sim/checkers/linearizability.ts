/**
 * Linearizability of each key by itself (the property is local): is there an order of a key's
 * operations that respects real time and in which every answer is what a register would give?
 *
 * Depth-first search of Wing and Gong over calls and returns, with Lowe's memo: a pair of (set of
 * operations that took effect, value) is visited once. Open operations may take effect at any time
 * after their call, or never:
 * - an open write whose value nobody saw is left out: it can always take effect last;
 * - open deletes are alike, so they are used in the order of their calls.
 * As written values are unique, a value is not overwritten while somebody has yet to see it.
 */
import type { Record, Value } from "../history.js";
import { CheckFailed } from "../view.js";

const NAME = "linearizability";
/** Pairs in the memo before the search gives up; a run's histories need some thousands. */
const MEMO_MAX = 2_000_000;

interface Node {
  readonly record: Record | undefined;
  /** Number of the operation among those that are searched. */
  readonly number: number;
  readonly isReturn: boolean;
  match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

/** Returns the value after `record` takes effect, or undefined if its answer contradicts `value`. */
export function step(value: Value, record: Record): { readonly value: Value } | undefined {
  const { operation, outcome } = record;
  switch (operation.kind) {
    case "get":
      return outcome === undefined || outcome.seen === value ? { value } : undefined;
    case "put":
      return { value: operation.value };
    case "delete":
      return { value: null };
    case "cas": {
      const swaps = value === operation.expect;
      if (outcome !== undefined) {
        if (outcome.swapped !== swaps || outcome.seen !== value) return undefined;
      }
      return { value: swaps ? operation.value : value };
    }
  }
}

/** Leaves out operations that cannot matter. */
function relevant(records: readonly Record[]): Record[] {
  const seen = new Set<Value>();
  for (const { operation, outcome } of records) {
    if (operation.kind === "cas") {
      if (outcome === undefined || outcome.swapped) seen.add(operation.expect);
      if (outcome !== undefined) seen.add(outcome.seen);
    } else if (operation.kind === "get" && outcome !== undefined) seen.add(outcome.seen);
  }
  return records.filter(({ operation, outcome }) => {
    if (outcome !== undefined || operation.kind === "delete") return true;
    return operation.kind !== "get" && seen.has(operation.value);
  });
}

/**
 * Returns the head of a list of calls and returns in the order of time; at one time calls come
 * first, so they overlap.
 */
function entriesOf(records: readonly Record[]): Node {
  const events: { timeUs: number; isReturn: boolean; node: Node }[] = [];
  records.forEach((record, number) => {
    const call: Node = blank(record, number, false);
    events.push({ timeUs: record.calledUs, isReturn: false, node: call });
    if (record.outcome === undefined) return;
    const back: Node = blank(record, number, true);
    call.match = back;
    events.push({ timeUs: record.returnedUs, isReturn: true, node: back });
  });
  events.sort((a, b) => a.timeUs - b.timeUs || Number(a.isReturn) - Number(b.isReturn));
  const head = blank(undefined, -1, false);
  let last = head;
  for (const { node } of events) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function blank(record: Record | undefined, number: number, isReturn: boolean): Node {
  return { record, number, isReturn, match: undefined, previous: undefined, next: undefined };
}

function unlink(node: Node): void {
  (node.previous as Node).next = node.next;
  if (node.next !== undefined) node.next.previous = node.previous;
}

function relink(node: Node): void {
  (node.previous as Node).next = node;
  if (node.next !== undefined) node.next.previous = node;
}

/** Which operations took effect, as a short text: a full prefix, then single numbers. */
class Effects {
  private readonly done: Uint8Array;
  /** Operations below returned; the others are open. */
  private readonly closedCount: number;
  private prefix = 0;
  private highestClosed = -1;

  constructor(count: number, closedCount: number) {
    this.done = new Uint8Array(count);
    this.closedCount = closedCount;
  }

  set(number: number, value: 0 | 1): void {
    this.done[number] = value;
    if (number >= this.closedCount) return;
    this.highestClosed = Math.max(this.highestClosed, number);
    if (value === 0) this.prefix = Math.min(this.prefix, number);
    while (this.prefix < this.closedCount && this.done[this.prefix] === 1) this.prefix++;
  }

  has(number: number): boolean {
    return this.done[number] === 1;
  }

  text(): string {
    let text = `${this.prefix}`;
    for (let i = this.prefix; i <= this.highestClosed; i++) {
      if (this.done[i] === 1) text += `,${i - this.prefix}`;
    }
    for (let i = this.closedCount; i < this.done.length; i++) {
      if (this.done[i] === 1) text += `;${i - this.closedCount}`;
    }
    return text;
  }
}

/** The search over the operations of one key, which begins without a value. */
class Search {
  private readonly head: Node;
  private readonly effects: Effects;
  private readonly memo = new Set<string>();
  private readonly stack: { readonly node: Node; readonly value: Value }[] = [];
  private value: Value = null;
  /** Returns that are left: when there is none, the rest is open and may never take effect. */
  private returnsLeft: number;
  private readonly openDeletes: readonly number[];
  /** Completed operations that saw a value and have not taken effect. */
  private readonly seers = new Map<Value, number>();
  private readonly key: string;

  constructor(key: string, records: readonly Record[]) {
    this.key = key;
    const closed = records.filter((record) => record.outcome !== undefined);
    const ordered = [...closed, ...records.filter((record) => record.outcome === undefined)];
    this.head = entriesOf(ordered);
    this.effects = new Effects(ordered.length, closed.length);
    this.returnsLeft = closed.length;
    for (const record of closed) this.countSeer(record, 1);
    this.openDeletes = ordered.flatMap((record, number) =>
      record.outcome === undefined && record.operation.kind === "delete" ? [number] : [],
    );
  }

  run(): boolean {
    let node = this.head.next;
    while (this.returnsLeft > 0) {
      if (node !== undefined && !node.isReturn) {
        node = this.tryEffect(node) ? this.head.next : node.next;
        continue;
      }
      const last = this.stack.pop();
      if (last === undefined) return false;
      this.undo(last.node, last.value);
      node = last.node.next;
    }
    return true;
  }

  private tryEffect(node: Node): boolean {
    const record = node.record as Record;
    if (!this.isNextOpenDelete(node)) return false;
    const after = step(this.value, record);
    if (after === undefined || this.hidesSeen(record, after.value)) return false;
    this.effects.set(node.number, 1);
    const pair = `${this.effects.text()}=${after.value}`;
    if (this.memo.has(pair)) {
      this.effects.set(node.number, 0);
      return false;
    }
    if (this.memo.size >= MEMO_MAX) {
      throw new CheckFailed(NAME, `key ${this.key}: the search was given up`);
    }
    this.memo.add(pair);
    this.stack.push({ node, value: this.value });
    this.value = after.value;
    unlink(node);
    if (node.match !== undefined) {
      unlink(node.match);
      this.returnsLeft--;
      this.countSeer(record, -1);
    }
    return true;
  }

  private countSeer(record: Record, change: number): void {
    const { kind } = record.operation;
    if (record.outcome === undefined || (kind !== "get" && kind !== "cas")) return;
    const { seen } = record.outcome;
    this.seers.set(seen, (this.seers.get(seen) ?? 0) + change);
  }

  /** Whether `record` overwrites a value that others are yet to see. */
  private hidesSeen(record: Record, after: Value): boolean {
    if (this.value === null || after === this.value) return false;
    const own = record.operation.kind === "cas" && record.outcome !== undefined ? 1 : 0;
    return (this.seers.get(this.value) ?? 0) > own;
  }

  private isNextOpenDelete(node: Node): boolean {
    const { outcome, operation } = node.record as Record;
    if (outcome !== undefined || operation.kind !== "delete") return true;
    return this.openDeletes.find((number) => !this.effects.has(number)) === node.number;
  }

  private undo(node: Node, value: Value): void {
    if (node.match !== undefined) {
      relink(node.match);
      this.returnsLeft++;
      this.countSeer(node.record as Record, 1);
    }
    relink(node);
    this.effects.set(node.number, 0);
    this.value = value;
  }
}

/** Returns whether the operations of one key have a legal order. */
export function isLinearizable(key: string, records: readonly Record[]): boolean {
  return new Search(key, relevant(records)).run();
}

/** Checks each key of a history. */
export function checkLinearizability(byKey: ReadonlyMap<string, readonly Record[]>): void {
  for (const [key, records] of byKey) {
    if (isLinearizable(key, records)) continue;
    throw new CheckFailed(NAME, `key ${key}:\n${shrink(key, records).map(describe).join("\n")}`);
  }
}

/** What was known when operation `count` was called: what returned later is open. */
function prefixOf(records: readonly Record[], count: number): Record[] {
  const endUs = (records[count - 1] as Record).calledUs;
  return records.slice(0, count).map((record) => {
    if (record.returnedUs <= endUs) return record;
    return { ...record, outcome: undefined, returnedUs: Number.POSITIVE_INFINITY };
  });
}

/** Returns the last operations of the shortest prefix, by time of call, without a legal order. */
function shrink(key: string, records: readonly Record[]): readonly Record[] {
  let low = 1;
  let high = records.length + 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (middle <= records.length && isLinearizable(key, prefixOf(records, middle)))
      low = middle + 1;
    else high = middle;
  }
  return records.slice(Math.max(0, high - 30), high);
}

function describe(record: Record): string {
  const { client, operation, outcome, calledUs, returnedUs } = record;
  const end = outcome === undefined ? "open" : `${returnedUs}`;
  return `  client ${client} [${calledUs}, ${end}] ${JSON.stringify(operation)} → ${JSON.stringify(outcome)}`;
}

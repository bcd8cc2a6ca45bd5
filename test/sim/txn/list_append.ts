/**
 * Elle's list-append check: from what transactions read, the order of versions of each key follows,
 * and from that who depends on whom. Reports reads that no isolation level allows (garbage,
 * duplicates, aborted and intermediate reads, lists that contradict each other, own writes not seen)
 * and cycles that snapshot isolation forbids (graph.ts).
 */
import { CheckFailed } from "../view.js";
import { type Cycle, DependencyGraph, forbiddenCycle } from "./graph.js";
import type { TxnOperation, TxnRecord } from "./history.js";

const NAME = "list-append";

interface Append {
  readonly record: TxnRecord;
  /** Whether it is the transaction's last append to the key: others are never seen at the end. */
  readonly isLast: boolean;
}

type Read = Extract<TxnOperation, { kind: "read" }>;

/** A read as it was of the snapshot: without the transaction's own appends before it. */
interface SnapshotRead {
  readonly record: TxnRecord;
  readonly key: string;
  readonly list: readonly number[];
}

function fail(message: string, ...records: readonly TxnRecord[]): never {
  const shown = records.map((record) => `\n  ${show(record)}`).join("");
  throw new CheckFailed(NAME, `${message}${shown}`);
}

/** A transaction on a line. */
export function show({ id, client, outcome, operations, calledUs, returnedUs }: TxnRecord): string {
  const steps = operations.map((operation) =>
    operation.kind === "append"
      ? `append ${operation.key} ${operation.value}`
      : `read ${operation.key} [${operation.list?.join(" ") ?? "?"}]`,
  );
  return `T${id} client ${client} ${outcome} ${calledUs}..${returnedUs}: ${steps.join(", ")}`;
}

/** Returns who appended each value of each key. */
function appendsOf(records: readonly TxnRecord[]): Map<string, Map<number, Append>> {
  const keys = new Map<string, Map<number, Append>>();
  for (const record of records) {
    const last = new Map<string, number>();
    for (const operation of record.operations) {
      if (operation.kind === "append") last.set(operation.key, operation.value);
    }
    for (const operation of record.operations) {
      if (operation.kind !== "append") continue;
      const { key, value } = operation;
      const appends = keys.get(key) ?? new Map<number, Append>();
      keys.set(key, appends);
      if (appends.has(value)) fail(`${value} is appended to ${key} twice`, record);
      appends.set(value, { record, isLast: last.get(key) === value });
    }
  }
  return keys;
}

/** Checks a transaction against itself and returns its reads as they were of the snapshot. */
function snapshotReads(record: TxnRecord): SnapshotRead[] {
  const own = new Map<string, number[]>();
  const first = new Map<string, readonly number[]>();
  const reads: SnapshotRead[] = [];
  for (const operation of record.operations) {
    const appended = own.get(operation.key) ?? [];
    own.set(operation.key, appended);
    if (operation.kind === "append") {
      appended.push(operation.value);
      continue;
    }
    const { key, list } = operation as Read;
    if (list === undefined) continue;
    const tail = list.slice(list.length - appended.length);
    if (appended.length > list.length || tail.some((value, i) => value !== appended[i])) {
      fail(`own appends [${appended.join(" ")}] are not at the end of ${key}`, record);
    }
    const before = list.slice(0, list.length - appended.length);
    const known = first.get(key);
    if (known === undefined) {
      first.set(key, before);
      reads.push({ record, key, list: before });
    } else if (known.length !== before.length || known.some((value, i) => value !== before[i])) {
      fail(`two reads of ${key} in one transaction differ`, record);
    }
  }
  return reads;
}

/** Returns the longest list that was read of each key, after checking that all others start it. */
function versionOrders(reads: readonly SnapshotRead[]): Map<string, SnapshotRead> {
  const longest = new Map<string, SnapshotRead>();
  for (const read of reads) {
    const known = longest.get(read.key);
    if (known === undefined || known.list.length < read.list.length) longest.set(read.key, read);
  }
  for (const read of reads) {
    const order = longest.get(read.key) as SnapshotRead;
    if (read.list.some((value, i) => value !== order.list[i])) {
      fail(`reads of ${read.key} contradict each other`, read.record, order.record);
    }
  }
  return longest;
}

function checkElements(
  { record, key, list }: SnapshotRead,
  appends: ReadonlyMap<number, Append> | undefined,
): void {
  if (new Set(list).size !== list.length) fail(`${key} holds a value twice`, record);
  for (const [i, value] of list.entries()) {
    const append = appends?.get(value);
    if (append === undefined) fail(`${key} holds ${value}, which nobody appended`, record);
    if (append.record.outcome === "aborted") {
      fail(`G1a: ${key} holds ${value} of an aborted transaction`, record, append.record);
    }
    const next = appends?.get(list[i + 1] as number);
    if (!append.isLast && next?.record !== append.record) {
      fail(`G1b: ${key} holds ${value} without what followed it`, record, append.record);
    }
  }
}

/** Adds the edges that the version order of one key makes. */
function addVersionEdges(
  graph: DependencyGraph,
  order: readonly number[],
  appends: ReadonlyMap<number, Append>,
): void {
  for (let i = 0; i + 1 < order.length; i++) {
    const [older, newer] = [order[i] as number, order[i + 1] as number];
    const from = (appends.get(older) as Append).record.id;
    graph.add(from, (appends.get(newer) as Append).record.id, "ww");
  }
}

function addReadEdges(
  graph: DependencyGraph,
  { record, list }: SnapshotRead,
  order: readonly number[],
  appends: ReadonlyMap<number, Append> | undefined,
): void {
  const last = list.at(-1);
  if (last !== undefined) graph.add((appends?.get(last) as Append).record.id, record.id, "wr");
  const next = order[list.length];
  if (next !== undefined) graph.add(record.id, (appends?.get(next) as Append).record.id, "rw");
}

/**
 * Adds real-time edges: from each acknowledged commit to what began after it. Only the latest
 * commits before a call are linked; those before them follow through the ones in between.
 */
function addRealTimeEdges(graph: DependencyGraph, records: readonly TxnRecord[]): void {
  const returned = records
    .filter(({ outcome }) => outcome === "committed")
    .sort((left, right) => left.returnedUs - right.returnedUs);
  const called = [...records].sort((left, right) => left.calledUs - right.calledUs);
  let frontier: TxnRecord[] = [];
  let at = 0;
  for (const record of called) {
    for (let next = returned[at]; next !== undefined; next = returned[++at]) {
      if (next.returnedUs >= record.calledUs) break;
      const { calledUs } = next;
      frontier = frontier.filter((known) => known.returnedUs >= calledUs);
      frontier.push(next);
    }
    for (const known of frontier) graph.add(known.id, record.id, "rt");
  }
}

/** Returns the dependency graph of a history. Throws CheckFailed for reads that nothing allows. */
export function dependencies(records: readonly TxnRecord[]): DependencyGraph {
  const appends = appendsOf(records);
  const seen = records.filter(({ outcome }) => outcome !== "aborted");
  const reads = seen.flatMap(snapshotReads);
  const orders = versionOrders(reads);
  const graph = new DependencyGraph();
  for (const [key, { list }] of orders) {
    checkElements(orders.get(key) as SnapshotRead, appends.get(key));
    addVersionEdges(graph, list, appends.get(key) ?? new Map());
  }
  for (const read of reads) {
    checkElements(read, appends.get(read.key));
    const order = (orders.get(read.key) as SnapshotRead).list;
    addReadEdges(graph, read, order, appends.get(read.key));
  }
  // An acknowledged append that a later transaction's read of the whole key lacks is caught by
  // real-time edges only if somebody saw it; the final reads of a run see to that.
  addRealTimeEdges(graph, seen);
  return graph;
}

function describe({ anomaly, edges }: Cycle, records: readonly TxnRecord[]): string {
  const steps = edges.map(({ from, to, kind }) => `T${from} -${kind}-> T${to}`).join(", ");
  const shown = edges.map(({ from }) => `\n  ${show(records[from] as TxnRecord)}`).join("");
  return `${anomaly}: ${steps}${shown}`;
}

/** Throws CheckFailed when snapshot isolation cannot explain `records`; ids are their indexes. */
export function checkListAppend(records: readonly TxnRecord[]): void {
  const cycle = forbiddenCycle(dependencies(records));
  if (cycle !== undefined) throw new CheckFailed(NAME, describe(cycle, records));
}

/** Throws CheckFailed unless every acknowledged append is in the final lists, exactly once. */
export function checkNothingLost(
  records: readonly TxnRecord[],
  finals: ReadonlyMap<string, readonly number[]>,
): void {
  for (const record of records) {
    for (const operation of record.operations) {
      if (operation.kind !== "append" || record.outcome !== "committed") continue;
      const list = finals.get(operation.key) ?? [];
      if (!list.includes(operation.value)) {
        fail(`${operation.value} of ${operation.key} was acknowledged and is lost`, record);
      }
    }
  }
}

/**
 * Checks of workloads whose reads are whole snapshots: bank (the sum never changes), long fork (no two
 * snapshots see two independent writes in opposite orders), monotonic (later snapshots see no
 * older counters).
 */
import { CheckFailed } from "../view.js";

/** One read of all keys by one transaction. */
export interface SnapshotRow {
  readonly client: number;
  readonly startTs: bigint;
  readonly calledUs: number;
  readonly returnedUs: number;
  /** By key, in the same order in all rows; 0 = absent. */
  readonly values: readonly number[];
}

function text({ client, startTs, values }: SnapshotRow): string {
  return `client ${client} at ${startTs}: [${values.join(" ")}]`;
}

/** Throws CheckFailed unless each snapshot sums up to `total` and holds no negative balance. */
export function checkBank(rows: readonly SnapshotRow[], total: number): void {
  for (const row of rows) {
    const sum = row.values.reduce((left, right) => left + right, 0);
    if (sum !== total) throw new CheckFailed("bank", `${sum} in place of ${total}: ${text(row)}`);
    if (row.values.some((value) => value < 0)) {
      throw new CheckFailed("bank", `a negative balance: ${text(row)}`);
    }
  }
}

/**
 * For keys that only grow: throws CheckFailed unless any two snapshots are comparable, so that each
 * value of one is at most the other's, or the reverse.
 */
export function checkLongFork(rows: readonly SnapshotRow[]): void {
  // Along snapshots sorted by their sums, comparable neighbours make all pairs comparable.
  const sorted = [...rows].sort((left, right) => sumOf(left) - sumOf(right));
  for (let i = 1; i < sorted.length; i++) {
    const [smaller, larger] = [sorted[i - 1] as SnapshotRow, sorted[i] as SnapshotRow];
    if (smaller.values.every((value, key) => value <= (larger.values[key] as number))) continue;
    throw new CheckFailed("long-fork", `${text(smaller)}\n  ${text(larger)}`);
  }
}

function sumOf({ values }: SnapshotRow): number {
  return values.reduce((left, right) => left + right, 0);
}

/**
 * For keys that only grow: throws CheckFailed when a snapshot with a later timestamp, or one that
 * began after another was answered, holds an older value.
 */
export function checkMonotonic(rows: readonly SnapshotRow[]): void {
  const byTs = [...rows].sort((left, right) => (left.startTs < right.startTs ? -1 : 1));
  for (let i = 1; i < byTs.length; i++) {
    checkNotOlder(byTs[i - 1] as SnapshotRow, byTs[i] as SnapshotRow, "a later timestamp");
  }
  const returned = [...rows].sort((left, right) => left.returnedUs - right.returnedUs);
  const called = [...rows].sort((left, right) => left.calledUs - right.calledUs);
  let at = 0;
  let newest: SnapshotRow | undefined;
  for (const row of called) {
    for (let next = returned[at]; next !== undefined; next = returned[++at]) {
      if (next.returnedUs >= row.calledUs) break;
      if (newest === undefined || sumOf(next) > sumOf(newest)) newest = next;
    }
    if (newest !== undefined) checkNotOlder(newest, row, "a later call");
  }
}

function checkNotOlder(older: SnapshotRow, newer: SnapshotRow, why: string): void {
  if (older.values.every((value, key) => value <= (newer.values[key] as number))) return;
  throw new CheckFailed("monotonic", `${why} saw less: ${text(older)}\n  ${text(newer)}`);
}

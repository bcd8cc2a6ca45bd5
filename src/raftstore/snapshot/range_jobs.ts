/**
 * The order of work on ranges of data: a few jobs at a time, first come first served, but a job
 * never overtakes or runs beside an earlier one that touches the same keys. So a deletion that was
 * ordered before a snapshot came cannot delete what the snapshot brought.
 */
import { assert, compareBytes } from "../../base/index.js";

/** Region keys `[startKey, endKey)`; an empty end means +inf. */
export interface KeySpan {
  readonly startKey: Uint8Array;
  readonly endKey: Uint8Array;
}

interface Job {
  readonly spans: readonly KeySpan[];
  readonly run: (done: () => void) => void;
  running: boolean;
}

/** Returns whether two spans share a key. */
export function spansOverlap(a: KeySpan, b: KeySpan): boolean {
  const aBeforeBEnd = b.endKey.length === 0 || compareBytes(a.startKey, b.endKey) < 0;
  const bBeforeAEnd = a.endKey.length === 0 || compareBytes(b.startKey, a.endKey) < 0;
  return aBeforeBEnd && bBeforeAEnd;
}

/** Returns the same keys as spans that are ascending and neither overlap nor touch. */
export function mergeSpans(spans: readonly KeySpan[]): KeySpan[] {
  const merged: KeySpan[] = [];
  for (const span of [...spans].sort((a, b) => compareBytes(a.startKey, b.startKey))) {
    const last = merged.at(-1);
    const apart =
      last === undefined ||
      (last.endKey.length > 0 && compareBytes(span.startKey, last.endKey) > 0);
    if (apart) merged.push(span);
    else merged[merged.length - 1] = { startKey: last.startKey, endKey: later(last, span) };
  }
  return merged;
}

/** Returns the spans between the given ones: what belongs to none of them. */
export function gapsBetween(spans: readonly KeySpan[]): KeySpan[] {
  const gaps: KeySpan[] = [];
  let startKey: Uint8Array | undefined = new Uint8Array(0);
  for (const span of mergeSpans(spans)) {
    if (startKey === undefined) break;
    if (compareBytes(startKey, span.startKey) < 0) gaps.push({ startKey, endKey: span.startKey });
    startKey = span.endKey.length === 0 ? undefined : span.endKey;
  }
  if (startKey !== undefined) gaps.push({ startKey, endKey: new Uint8Array(0) });
  return gaps;
}

function later(a: KeySpan, b: KeySpan): Uint8Array {
  if (a.endKey.length === 0 || b.endKey.length === 0) return new Uint8Array(0);
  return compareBytes(a.endKey, b.endKey) < 0 ? b.endKey : a.endKey;
}

/** Bound of the queue: a region has one application and one deletion at a time. */
export class RangeJobs {
  private readonly jobs: Job[] = [];
  private running = 0;

  constructor(private readonly concurrencyMax: number) {
    assert(concurrencyMax > 0, "jobs can run");
  }

  /** Jobs that run or wait. */
  get size(): number {
    return this.jobs.length;
  }

  /** Runs `run` when its turn has come, perhaps at once; `run` calls `done` once. */
  add(spans: readonly KeySpan[], run: (done: () => void) => void): void {
    this.jobs.push({ spans, run, running: false });
    this.start();
  }

  private start(): void {
    for (let i = 0; i < this.jobs.length && this.running < this.concurrencyMax; i++) {
      const job = this.jobs[i] as Job;
      if (job.running || this.isBlocked(job, i)) continue;
      job.running = true;
      this.running++;
      job.run(() => this.finish(job));
    }
  }

  private finish(job: Job): void {
    const at = this.jobs.indexOf(job);
    assert(at >= 0, "a job ends once");
    this.jobs.splice(at, 1);
    this.running--;
    this.start();
  }

  private isBlocked(job: Job, place: number): boolean {
    for (let i = 0; i < place; i++) {
      const before = this.jobs[i] as Job;
      if (before.spans.some((a) => job.spans.some((b) => spansOverlap(a, b)))) return true;
    }
    return false;
  }
}

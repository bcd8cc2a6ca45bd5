/** What became of operators: a bounded history, the newest of each region by id. PURE. */
import type { Operator } from "./operator.js";

/** Finished operators kept; the oldest goes first. */
const RECORDS_MAX = 4096;
/** Milliseconds that a finished operator is kept. Source: pd operatorStatusRemainTime. */
const RECORD_TTL_MS = 600_000;

export class OperatorRecords {
  /** By region id, in the order in which they finished; a newer one of a region moves to the end. */
  private readonly byRegion = new Map<bigint, Operator>();
  /** All, in the order in which they finished. */
  private history: Operator[] = [];

  put(operator: Operator): void {
    this.byRegion.delete(operator.regionId);
    this.byRegion.set(operator.regionId, operator);
    this.history.push(operator);
    if (this.history.length > RECORDS_MAX * 2) this.history = this.history.slice(-RECORDS_MAX);
    if (this.byRegion.size > RECORDS_MAX) {
      for (const [oldest] of this.byRegion) {
        this.byRegion.delete(oldest);
        break;
      }
    }
  }

  /** Returns the operator of a region that finished last, if not long ago. */
  get(regionId: bigint, nowMs: number): Operator | undefined {
    const found = this.byRegion.get(regionId);
    return found !== undefined && nowMs - found.finishedMs <= RECORD_TTL_MS ? found : undefined;
  }

  /** Returns those that finished at or after `fromMs`, oldest first. */
  since(fromMs: number): Operator[] {
    return this.history.slice(-RECORDS_MAX).filter(({ finishedMs }) => finishedMs >= fromMs);
  }

  /** Forgets what is too old. */
  expire(nowMs: number): void {
    const isOld = ({ finishedMs }: Operator): boolean => nowMs - finishedMs > RECORD_TTL_MS;
    for (const [regionId, operator] of this.byRegion) {
      if (!isOld(operator)) break;
      this.byRegion.delete(regionId);
    }
    const first = this.history.findIndex((operator) => !isOld(operator));
    if (first !== 0) this.history = first < 0 ? [] : this.history.slice(first);
  }
}

/**
 * Counters of scheduling as plain numbers; server/metrics.ts gives them PD's names. PURE. Keys are
 * label values joined by "/".
 */
export class ScheduleMetrics {
  /** desc/event */
  readonly operators = new Map<string, number>();
  /** desc/status of finished operators */
  readonly finishedOperators = new Map<string, number>();
  /** kind of step → orders sent */
  readonly steps = new Map<string, number>();
  /** checker/event */
  readonly checkers = new Map<string, number>();
  /** scheduler/event */
  readonly schedulers = new Map<string, number>();
  /** desc → milliseconds that finished operators took, and how many. */
  readonly durations = new Map<string, { totalMs: number; count: number }>();
  /** Milliseconds that the last patrol of all regions took. */
  patrolMs = 0;

  operator(desc: string, event: string): void {
    grow(this.operators, `${desc}/${event}`);
  }

  finished(desc: string, status: string, tookMs: number): void {
    grow(this.finishedOperators, `${desc}/${status}`);
    const known = this.durations.get(desc) ?? { totalMs: 0, count: 0 };
    this.durations.set(desc, { totalMs: known.totalMs + tookMs, count: known.count + 1 });
  }

  step(kind: string): void {
    grow(this.steps, kind);
  }

  checker(name: string, event: string): void {
    grow(this.checkers, `${name}/${event}`);
  }

  scheduler(name: string, event: string): void {
    grow(this.schedulers, `${name}/${event}`);
  }
}

function grow(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

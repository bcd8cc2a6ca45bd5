/**
 * Counters of scheduling as plain numbers; server/metrics.ts gives them PD's names. PURE. Keys are
 * label values joined by "/".
 */
/** Durations kept between two scrapes; further ones are not observed. */
const DURATIONS_MAX = 4096;

/** How long an operator took. */
export interface OperatorDuration {
  readonly desc: string;
  readonly ms: number;
}

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
  /** What finished operators took, since it was taken last. */
  private durations: OperatorDuration[] = [];
  /** Milliseconds that the last patrol of all regions took. */
  patrolMs = 0;

  operator(desc: string, event: string): void {
    grow(this.operators, `${desc}/${event}`);
  }

  finished(desc: string, status: string, tookMs: number): void {
    grow(this.finishedOperators, `${desc}/${status}`);
    if (this.durations.length < DURATIONS_MAX) this.durations.push({ desc, ms: tookMs });
  }

  /** Returns what operators took that finished since the last call. */
  takeDurations(): OperatorDuration[] {
    const taken = this.durations;
    this.durations = [];
    return taken;
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

/** What clients do in a run, and what is checked of it afterwards. */

/** Lets virtual time pass until `isDone`, looked at every tenth of a second; false: it did not come. */
export type RunUntil = (maxUs: number, isDone: () => boolean) => Promise<boolean>;

export interface WorkloadCounts {
  readonly acknowledged: number;
  readonly acknowledgedHottest: number;
  /** Operations whose outcome nobody knows. */
  readonly open: number;
  /** Reads of the past that replicas answered. */
  readonly staleReads: number;
}

export interface Workload {
  readonly clients: number;
  start(): void;
  /** Finishes what is under way and begins nothing else. */
  stop(): void;
  readonly isIdle: boolean;
  /** Reads every key once more, in a healed cluster: a write that was lost shows. */
  readEverything(runUntil: RunUntil): Promise<void>;
  /** Throws CheckFailed when no order of events explains the history. */
  check(): void;
  counts(): WorkloadCounts;
}

/** What a run did, as numbers; when a run is too poor to prove anything; how a failure is told. */
import type { FaultCounts } from "./nemesis/nemesis.js";
import { FAULT_KINDS } from "./options.js";

export interface SimReport {
  readonly seed: bigint;
  readonly traceHash: string;
  readonly simulatedSeconds: number;
  readonly realSeconds: number;
  readonly events: number;
  readonly clients: number;
  readonly acknowledged: number;
  readonly acknowledgedHottest: number;
  readonly open: number;
  readonly staleReads: number;
  readonly splits: number;
  readonly leaderChanges: number;
  readonly snapshots: number;
  readonly regions: number;
  readonly faults: FaultCounts;
}

const SECONDS_MIN = 60;
const CLIENTS_MIN = 4;
const ACKNOWLEDGED_MIN = 500;
const HOTTEST_MIN = 200;

/** Returns why a run proves too little; empty if it does not. */
export function poorness(report: SimReport): string[] {
  const { faults } = report;
  const partitions =
    faults.partitionOneWay + faults.partitionHalf + faults.partitionRing + faults.isolateLeader;
  const wanted: [string, number, number][] = [
    ["simulated seconds", report.simulatedSeconds, SECONDS_MIN],
    ["clients", report.clients, CLIENTS_MIN],
    ["acknowledged operations", report.acknowledged, ACKNOWLEDGED_MIN],
    ["acknowledged operations on the hottest key", report.acknowledgedHottest, HOTTEST_MIN],
    ["crashes", faults.crash, 1],
    ["partitions", partitions, 1],
    ["splits", report.splits, 1],
    ["leader changes", report.leaderChanges, 1],
  ];
  return wanted.flatMap(([what, is, min]) => (is < min ? [`${is} ${what}, at least ${min}`] : []));
}

/** Returns the kinds of fault that did not occur in any of the runs. */
export function missingFaults(reports: readonly SimReport[]): string[] {
  return FAULT_KINDS.filter((kind) => reports.every((report) => report.faults[kind] === 0));
}

/** Returns one line for a person. */
export function describeReport(report: SimReport): string {
  const faults = FAULT_KINDS.filter((kind) => report.faults[kind] > 0).map(
    (kind) => `${kind}=${report.faults[kind]}`,
  );
  const { simulatedSeconds, realSeconds } = report;
  return [
    `seed ${report.seed} hash ${report.traceHash}`,
    `${simulatedSeconds.toFixed(1)} s simulated in ${realSeconds.toFixed(2)} s`,
    `(${(simulatedSeconds / realSeconds).toFixed(0)} s/s, ${report.events} events)`,
    `acknowledged ${report.acknowledged} (${report.acknowledgedHottest} on one key)`,
    `open ${report.open} stale reads ${report.staleReads} regions ${report.regions} splits ${report.splits}`,
    `leader changes ${report.leaderChanges} snapshots ${report.snapshots}`,
    faults.join(" "),
  ].join(" · ");
}

/** A run that broke a property, or did not come to rest. */
export class SimFailure extends Error {
  override readonly name = "SimFailure";
  readonly seed: bigint;
  readonly lines: readonly string[];
  /** Name of the checker that fired; empty if production code threw. */
  readonly checker: string;

  constructor(
    seed: bigint,
    details: { readonly checker: string; readonly lines: readonly string[] },
    cause: unknown,
  ) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.seed = seed;
    this.lines = details.lines;
    this.checker = details.checker;
  }
}

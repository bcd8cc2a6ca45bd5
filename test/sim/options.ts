/**
 * What one seed means: sizes of the cluster, weights of faults, limits of the network and the disk.
 * Swarm testing: a seed turns whole kinds of fault off and others up, so that seeds differ in kind,
 * not only in order. Sub-streams keep the parts of a run independent of each other.
 */
import { Prng } from "../../src/base/index.js";

export const FAULT_KINDS = [
  "crash",
  "pause",
  "pauseInTurn",
  "partitionOneWay",
  "partitionHalf",
  "partitionRing",
  "isolateLeader",
  "clog",
  "clockSkew",
  "clockRate",
  "slowDisk",
  "failSync",
  "diskFull",
  "cutSnapshots",
  "split",
  "replicaCount",
  "moveReplica",
  "transferLeader",
  "pdLoss",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface NetworkWeights {
  readonly delayMinUs: number;
  /** Mean of what is added to the minimum; exponential. */
  readonly delayMeanUs: number;
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  /** Share of messages that do not keep the order of their link. */
  readonly reorderPerMille: number;
}

export interface DiskWeights {
  readonly writeMeanUs: number;
  readonly syncMeanUs: number;
}

export interface SimOptions {
  readonly seed: bigint;
  readonly stores: number;
  readonly replicas: number;
  readonly clients: number;
  readonly keys: number;
  /** Percent of operations on the hottest key. */
  readonly hotPercent: number;
  /** Mean time that a client waits between operations. */
  readonly thinkMeanUs: number;
  readonly requestTimeoutUs: number;
  readonly safetyUs: number;
  readonly livenessMaxUs: number;
  readonly network: NetworkWeights;
  readonly disk: DiskWeights;
  /** Mean time between faults. */
  readonly faultMeanUs: number;
  /** Relative weights; 0 = never in this seed. */
  readonly faults: Readonly<Record<FaultKind, number>>;
  /** Makes limits inside production code small. */
  readonly tiny: boolean;
  /** Clients run transactions in place of raw operations. */
  readonly isTxn: boolean;
  /** With transactions: GC runs, a few seconds behind. */
  readonly hasGc: boolean;
  /** With transactions: some clients die or falter half way. */
  readonly hasFrail: boolean;
}

/** Kinds that the gate asks of every seed. */
const ALWAYS: ReadonlySet<FaultKind> = new Set([
  "crash",
  "partitionHalf",
  "split",
  "transferLeader",
]);

/** The random streams of a run. */
export interface SimStreams {
  readonly net: Prng;
  readonly disk: Prng;
  readonly workload: Prng;
  readonly nemesis: Prng;
  /** Seeds of what production code takes. */
  readonly stores: Prng;
}

/** One seed in so many has frail clients: they cost the others time. */
const FRAIL_EVERY = 8n;
const STREAM_STEP = 0x9e37_79b9_7f4a_7c15n;

/** Returns stream number `index` of a seed. */
function stream(seed: bigint, index: bigint): Prng {
  return new Prng(BigInt.asUintN(64, seed + index * STREAM_STEP));
}

export function streamsOf(seed: bigint): SimStreams {
  return {
    net: stream(seed, 1n),
    disk: stream(seed, 2n),
    workload: stream(seed, 3n),
    nemesis: stream(seed, 4n),
    stores: stream(seed, 5n),
  };
}

/** Returns an integer with mean `mean`, 0 to about 12 times as much. */
export function exponential(prng: Prng, mean: number): number {
  return Math.floor(-Math.log((prng.nextU32() + 1) / 0x1_0000_0001) * mean);
}

function faultsOf(prng: Prng): Record<FaultKind, number> {
  const weights: Partial<Record<FaultKind, number>> = {};
  for (const kind of FAULT_KINDS) {
    const weight = prng.pick([1, 2, 4, 8]);
    weights[kind] = ALWAYS.has(kind) || prng.ratio(2, 3) ? weight : 0;
  }
  return weights as Record<FaultKind, number>;
}

/** Returns the options of a seed. The same seed gives the same options. */
export function optionsOf(seed: bigint): SimOptions {
  const prng = stream(seed, 0n);
  const calm = prng.ratio(1, 4);
  const stores = prng.pick([3, 3, 4, 5]);
  return {
    seed,
    stores,
    replicas: 3,
    clients: prng.range(5, 9),
    keys: prng.pick([4, 6, 8, 12]),
    hotPercent: prng.pick([50, 60, 70]),
    thinkMeanUs: prng.pick([100_000, 150_000, 200_000]),
    requestTimeoutUs: prng.pick([300_000, 600_000, 1_000_000]),
    safetyUs: 60_000_000,
    livenessMaxUs: 60_000_000,
    network: {
      delayMinUs: prng.range(100, 3_000),
      delayMeanUs: prng.range(200, 10_000),
      lossPerMille: calm ? 0 : prng.pick([0, 0, 10, 50]),
      duplicatePerMille: calm ? 0 : prng.pick([0, 0, 20, 100]),
      reorderPerMille: calm ? 0 : prng.pick([0, 0, 100, 500]),
    },
    disk: { writeMeanUs: prng.range(20, 500), syncMeanUs: prng.range(200, 6_000) },
    faultMeanUs: prng.pick([600_000, 1_000_000, 2_000_000]),
    faults: faultsOf(prng),
    tiny: prng.ratio(1, 4),
    isTxn: false,
    hasGc: false,
    hasFrail: seed % FRAIL_EVERY === FRAIL_EVERY - 1n,
  };
}

/**
 * One run from one seed: boot, a safety phase with faults and clients, a heal, and a liveness phase
 * in which everything has to come to rest. Checkers run after every event. The name is that of
 * TigerBeetle's simulator.
 */
import { assert } from "../../src/base/index.js";
import { MessageCodec } from "../../src/raftstore/message_codec.js";
import { newCheckers, OneLeader, stuckReasons, zombieReasons } from "./checkers/index.js";
import { SimCluster, type StoreKind } from "./cluster.js";
import { sharedKernels } from "./kernels.js";
import { SimLoop } from "./loop.js";
import { Nemesis } from "./nemesis/nemesis.js";
import { optionsOf, type SimOptions, type SimStreams, streamsOf } from "./options.js";
import { poorness, SimFailure, type SimReport } from "./report.js";
import { SimStoreProcess } from "./store.js";
import { SimTrace } from "./trace.js";
import { setTraps } from "./traps.js";
import { TxnWorkload } from "./txn/workload.js";
import { type Checker, CheckFailed, type ClusterView } from "./view.js";
import { RawWorkload } from "./workload/raw.js";
import type { RunUntil, Workload } from "./workload/workload.js";

const BOOT_MAX_US = 60_000_000;
const STEP_US = 100_000;
/** How often, in its last half, the faults are asked for that every run should have. */
const INSIST_TIMES = 18;
/** What a safety phase is prolonged by at most. */
const RICH_MAX_US = 180_000_000;
/** Glances look at some things everywhere, sweeps at everything; one in this time. */
const GLANCE_US = 20_000;
const SWEEP_US = 500_000;

const PRODUCTION: StoreKind = {
  start: (env) => new SimStoreProcess(env),
  codec: new MessageCodec(sharedKernels()),
};

/** Returns the clients of a run. */
export type NewWorkload = (
  cluster: SimCluster,
  options: SimOptions,
  streams: SimStreams,
) => Workload;

const WORKLOAD: NewWorkload = (cluster, options, streams) =>
  options.isTxn
    ? new TxnWorkload(cluster, options, streams)
    : new RawWorkload(cluster, options, streams);

/** What a test may change of a run. */
export interface SimHooks {
  /** Default: as the options say. */
  readonly workload?: NewWorkload;
  readonly kind?: StoreKind;
  readonly options?: (options: SimOptions) => SimOptions;
}

export class Vopr {
  private readonly loop = new SimLoop();
  private readonly trace = new SimTrace();
  private readonly leaders = new OneLeader();
  private readonly checkers: readonly Checker[] = [this.leaders, ...newCheckers()];
  private readonly options: SimOptions;
  private readonly cluster: SimCluster;
  private readonly nemesis: Nemesis;
  private readonly workload: Workload;
  private glancedUs = 0;
  private sweptUs = 0;

  constructor(seed: bigint, hooks: SimHooks = {}) {
    const options = hooks.options?.(optionsOf(seed)) ?? optionsOf(seed);
    this.options = options;
    const streams = streamsOf(seed);
    const { loop, trace } = this;
    const kind = hooks.kind ?? PRODUCTION;
    this.cluster = new SimCluster({ loop, trace, options, streams, kind });
    this.nemesis = new Nemesis(this.cluster, loop, streams.nemesis, options, trace);
    this.workload = (hooks.workload ?? WORKLOAD)(this.cluster, options, streams);
  }

  /** Rejects with SimFailure. */
  async run(): Promise<SimReport> {
    const started = process.hrtime.bigint();
    const removeTraps = setTraps();
    try {
      await this.boot();
      await this.safety();
      await this.liveness();
      this.workload.check();
    } catch (error) {
      const checker = error instanceof CheckFailed ? error.checker : "";
      const lines = [...this.trace.lines(), ...this.cluster.describe()];
      throw new SimFailure(this.options.seed, { checker, lines }, error);
    } finally {
      removeTraps();
    }
    this.trace.line(this.loop.nowUs, "sim", `acknowledged ${this.workload.counts().acknowledged}`);
    return this.report(Number(process.hrtime.bigint() - started) / 1e9);
  }

  /** Runs until `isDone`, looked at every tenth of a second; returns whether it came. */
  private readonly runUntil: RunUntil = async (maxUs, isDone) => {
    const endUs = this.loop.nowUs + maxUs;
    while (!isDone()) {
      if (this.loop.nowUs >= endUs) return false;
      await this.loop.run(this.loop.nowUs + STEP_US, () => this.afterEvent());
    }
    return true;
  };

  private async boot(): Promise<void> {
    this.cluster.boot();
    const isUp = await this.runUntil(BOOT_MAX_US, () => this.restReasons().length === 0);
    assert(isUp, `the cluster does not come up: ${this.restReasons().join("; ")}`);
  }

  private async safety(): Promise<void> {
    this.workload.start();
    this.nemesis.start();
    await this.runUntil(this.options.safetyUs, () => false);
    // Hard times may leave little to judge: they go on until there is enough.
    const isRich = (): boolean => poorness(this.report(0)).length === 0;
    let enough = await this.runUntil(RICH_MAX_US / 2, isRich);
    for (let tries = 0; !enough && tries < INSIST_TIMES; tries++) {
      this.nemesis.insist();
      enough = await this.runUntil(RICH_MAX_US / 2 / INSIST_TIMES, isRich);
    }
  }

  private async liveness(): Promise<void> {
    this.trace.line(this.loop.nowUs, "sim", "heal");
    this.nemesis.heal();
    this.workload.stop();
    const { livenessMaxUs } = this.options;
    const isIdle = await this.runUntil(livenessMaxUs, () => this.workload.isIdle);
    if (!isIdle) throw new CheckFailed("liveness", "operations do not finish");
    await this.workload.readEverything(this.runUntil);
    await this.rest();
    for (const checker of this.checkers) checker.atRest?.(this.cluster.view());
  }

  private async rest(): Promise<void> {
    const isAtRest = await this.runUntil(
      this.options.livenessMaxUs,
      () => this.restReasons().length === 0,
    );
    if (!isAtRest) throw new CheckFailed("stuck region", this.restReasons().join("; "));
  }

  private restReasons(): string[] {
    const view = this.cluster.view();
    return [...this.cluster.restReasons(), ...stuckReasons(view), ...zombieReasons(view)];
  }

  private afterEvent(): void {
    const store = this.cluster.touchedStore();
    if (store !== undefined) for (const checker of this.checkers) checker.afterEvent?.(store);
    const { nowUs } = this.loop;
    if (nowUs - this.glancedUs < GLANCE_US) return;
    this.glancedUs = nowUs;
    const view: ClusterView = this.cluster.view();
    for (const checker of this.checkers) checker.glance?.(view);
    if (nowUs - this.sweptUs < SWEEP_US) return;
    this.sweptUs = nowUs;
    for (const checker of this.checkers) checker.sweep?.(view);
  }

  private report(realSeconds: number): SimReport {
    const { options, loop, cluster, workload } = this;
    return {
      seed: options.seed,
      traceHash: this.trace.digest(),
      simulatedSeconds: loop.nowUs / 1e6,
      realSeconds,
      events: loop.fired,
      clients: workload.clients,
      ...workload.counts(),
      ...cluster.counts(),
      leaderChanges: this.leaders.changes,
      regions: cluster.pd.regions.length,
      faults: this.nemesis.counts,
    };
  }
}

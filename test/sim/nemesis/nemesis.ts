/** Plans faults by the weights of the seed, counts them, and heals everything at the end. */
import type { Prng } from "../../../src/base/index.js";
import type { SimEvent, SimLoop } from "../loop.js";
import { exponential, FAULT_KINDS, type FaultKind, type SimOptions } from "../options.js";
import type { SimTrace } from "../trace.js";
import { FAULTS } from "./faults.js";
import type { FaultTarget } from "./target.js";

/** Times that a kind began. */
export type FaultCounts = Record<FaultKind, number>;

const LENGTHS_US = [20_000, 200_000, 1_000_000, 2_500_000] as const;
/** Every seed has some of these, so that its run shows something. */
const SCHEDULED: readonly FaultKind[] = ["split", "crash", "transferLeader", "partitionHalf"];

interface Active {
  readonly end: () => void;
  readonly event: SimEvent;
}

export class Nemesis {
  readonly counts: FaultCounts;
  private readonly active = new Set<Active>();
  private next: SimEvent | undefined;
  private readonly kinds: readonly FaultKind[];

  constructor(
    private readonly target: FaultTarget,
    private readonly loop: SimLoop,
    private readonly prng: Prng,
    private readonly options: SimOptions,
    private readonly trace: SimTrace,
  ) {
    this.counts = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as FaultCounts;
    this.kinds = FAULT_KINDS.flatMap((kind) => Array<FaultKind>(options.faults[kind]).fill(kind));
  }

  /** Begins to make faults. */
  start(): void {
    const quarterUs = this.options.safetyUs / 5;
    SCHEDULED.forEach((kind, i) => {
      this.loop.after(quarterUs * (i + 0.5), () => this.tryUntilBegun(kind));
    });
    this.plan();
  }

  /** Asks once more for what every run should have: weights may make it rare, and faults undo it. */
  insist(): void {
    for (const kind of SCHEDULED) this.begin(kind);
  }

  /** Ends all faults. */
  heal(): void {
    this.next?.cancel();
    for (const active of this.active) {
      active.event.cancel();
      active.end();
    }
    this.active.clear();
    const { target } = this;
    target.network.heal();
    for (const { host, disk } of target.stores) {
      host.setRatePpm(0);
      disk.failNextSync = false;
      disk.isFull = false;
      disk.slowness = 1;
    }
    for (const store of target.stores) store.restart();
    target.snapshotCutsPerMille = 0;
    target.pd.start();
    target.pd.want(this.options.replicas);
  }

  private plan(): void {
    this.next = this.loop.after(1 + exponential(this.prng, this.options.faultMeanUs), () => {
      this.begin(this.prng.pick(this.kinds));
      this.plan();
    });
  }

  private tryUntilBegun(kind: FaultKind): void {
    if (this.next?.isLive !== true) return;
    if (!this.begin(kind)) this.loop.after(500_000, () => this.tryUntilBegun(kind));
  }

  private begin(kind: FaultKind): boolean {
    const { prng, loop } = this;
    const lengthUs = 1 + exponential(prng, prng.pick(LENGTHS_US));
    const begun = FAULTS[kind](this.target, prng, lengthUs);
    if (begun === undefined) return false;
    this.counts[kind]++;
    this.trace.line(loop.nowUs, "nem", begun.text);
    const event = loop.after(lengthUs, () => {
      this.active.delete(active);
      active.end();
    });
    const active: Active = { end: begun.end, event };
    this.active.add(active);
    return true;
  }
}

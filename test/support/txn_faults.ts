/** Faults of a cluster under transactions: each breaks something, waits for progress, heals it. */
import type { Prng } from "../../src/base/index.js";
import type { Cluster } from "../../src/testing/index.js";
import { TXN_KEYS } from "../sim/txn/keys.js";
import type { TxnShared } from "../sim/txn/worker.js";
import type { WallClock } from "./wall_clock.js";
import { within } from "./within.js";

const LIMIT_MS = 60_000;
/** Transactions that have to commit after each step. */
const PROGRESS = 25;

export type FaultKind = "kill" | "pause" | "cut" | "transfer" | "split" | "PD kill" | "jump";

export interface TxnFaultsDeps {
  readonly cluster: Cluster;
  readonly shared: TxnShared;
  readonly prng: Prng;
  /** None: the wall clock does not jump. */
  readonly wall: WallClock | undefined;
}

export class TxnFaults {
  /** How often each kind has happened. */
  readonly counts = new Map<FaultKind, number>();
  /** Jumps as PD and the stores saw them, for people. */
  readonly jumps: string[] = [];
  /** How long each step took, for people. */
  readonly steps: string[] = [];
  private stepMs = performance.now();
  private furthest = 0;

  constructor(private readonly deps: TxnFaultsDeps) {}

  /**
   * Each kind of fault once, at leaders of random keys. The wall clock jumps before the first, and
   * while PD is down, which has to go on above all timestamps that it gave.
   */
  async round(jumps: readonly [before: number, whilePdIsDown: number]): Promise<void> {
    this.stepMs = performance.now();
    await this.progress();
    await this.jump(jumps[0]);
    await this.killLeader();
    await this.transfer();
    await this.pauseLeader();
    await this.split();
    await this.restartPd(jumps[1]);
    await this.cutLeader();
    await this.progress();
  }

  /**
   * Ends jumps with the clock that was furthest ahead. While it is behind the timestamps that PD gave,
   * their physical part stands still, as in PD: locks of clients that gave up would not expire.
   */
  async settle(): Promise<void> {
    if (this.furthest > 0) await this.jump(this.furthest);
  }

  private note(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    const nowMs = performance.now();
    this.steps.push(`${kind} ${((nowMs - this.stepMs) / 1000).toFixed(1)}`);
    this.stepMs = nowMs;
  }

  /** Waits until some more transactions were committed. */
  private async progress(): Promise<void> {
    const { shared } = this.deps;
    const target = shared.acknowledged + PROGRESS;
    await within(LIMIT_MS, `${target} transactions`, () => shared.acknowledged >= target);
  }

  private leader(): Promise<number> {
    const { cluster, prng } = this.deps;
    return cluster.leaderOf(prng.pick(TXN_KEYS));
  }

  private async jump(seconds: number): Promise<void> {
    const { cluster, wall } = this.deps;
    if (wall === undefined) return;
    wall.jump(seconds);
    await this.observe(seconds, wall, cluster);
  }

  private async observe(seconds: number, wall: WallClock, cluster: Cluster): Promise<void> {
    this.furthest = Math.max(this.furthest, seconds);
    const seen = await wall.observed(cluster);
    this.jumps.push(`${seconds} s (seen ${seen.join(" ")})`);
    this.note("jump");
    await this.progress();
  }

  private async killLeader(): Promise<void> {
    const { cluster } = this.deps;
    const leader = await this.leader();
    await cluster.kill(leader);
    await this.progress();
    await cluster.restart(leader);
    await cluster.ready();
    this.note("kill");
  }

  private async pauseLeader(): Promise<void> {
    const { cluster } = this.deps;
    const leader = await this.leader();
    cluster.pause(leader);
    await this.progress();
    cluster.resume(leader);
    await cluster.ready();
    this.note("pause");
  }

  private async cutLeader(): Promise<void> {
    const { cluster } = this.deps;
    const leader = await this.leader();
    for (const { index } of cluster.stores) {
      if (index !== leader) cluster.cut({ from: leader, to: index });
    }
    await this.progress();
    cluster.heal();
    await cluster.ready();
    this.note("cut");
  }

  private async transfer(): Promise<void> {
    const { cluster, prng } = this.deps;
    const region = prng.pick(await cluster.regions());
    const leader = cluster.stores.find(({ id }) => id === region.leader?.storeId)?.index ?? 0;
    await cluster.transferLeader(region.id, (leader + 1) % cluster.stores.length);
    await this.progress();
    this.note("transfer");
  }

  /** Splits at a key where no region begins yet, if there is one. */
  private async split(): Promise<void> {
    const { cluster, prng } = this.deps;
    const starts = (await cluster.regions()).map(({ startKey }) => startKey);
    const isNew = (key: Uint8Array): boolean =>
      starts.every((start) => Buffer.compare(start, key) !== 0);
    const keys = TXN_KEYS.filter(isNew);
    if (keys.length === 0) return;
    await cluster.splitAt(prng.pick(keys));
    await this.progress();
    this.note("split");
  }

  private async restartPd(seconds: number): Promise<void> {
    const { cluster, wall } = this.deps;
    await cluster.killPd();
    wall?.jump(seconds);
    await cluster.startPd();
    if (wall === undefined) await this.progress();
    else await this.observe(seconds, wall, cluster);
    this.note("PD kill");
  }
}

/**
 * Looks at regions for where to split them: one at a time, in slices between which the event loop
 * turns. A region whose size, by the engine and by its leader's count, is below the thresholds is
 * not walked. Results go back as messages. Source: tikv raftstore/store/worker/split_check.rs.
 *
 * Bounded: a region has one look under way (split/controller.ts); above WISHES_MAX waiting wishes a
 * new one is answered ServerIsBusy.
 */
import { idToNumber, type MetricsRegistry, type Timers, totalOf } from "../../base/index.js";
import type { Engine } from "../../engine/index.js";
import type { SplitWish } from "../commands.js";
import type { PeerMsg } from "../messages.js";
import type { RegionInfo } from "../region.js";
import { type Approximate, approximate } from "../split/approximate.js";
import { type ScanResult, type SplitOptions, SplitScan } from "../split/check.js";

export interface SplitCheckDeps {
  readonly engine: Engine;
  readonly timers: Timers;
  /** Sends to a peer beyond its mailbox's bound; lost if the peer is gone. */
  readonly notify: (regionId: number, message: PeerMsg) => void;
}

interface Task {
  readonly region: RegionInfo;
  /** What the leader has counted. */
  readonly counted: Approximate;
  /** Halve the region for this wish; else it is checked for size. */
  readonly wish: SplitWish | undefined;
}

const WISHES_MAX = 1024;
/** A slice; a guess: a few milliseconds, with small values or large ones. */
const SLICE_ENTRIES = 2048;
const SLICE_BYTES = 4 << 20;

export class SplitCheckWorker {
  /** Looks ended without a walk, with one, and walks that found split keys. */
  readonly counts = { ignored: 0, all: 0, success: 0 };
  readonly #options: SplitOptions;
  readonly #deps: SplitCheckDeps;
  #queue: Task[] = [];
  #wishes = 0;
  #running: { readonly task: Task; readonly scan: SplitScan; cancel: () => void } | undefined;

  constructor(options: SplitOptions, deps: SplitCheckDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Looks whether the region is to be split; answers with "splitCheckDone". */
  check(region: RegionInfo, counted: Approximate): void {
    this.#enqueue({ region, counted, wish: undefined });
  }

  /** Sends the wish again with a key in the middle, or answers it when there is none. */
  halve(region: RegionInfo, wish: SplitWish): void {
    if (this.#wishes >= WISHES_MAX) {
      const reason = "too many regions wait to be halved";
      const error = { kind: "serverIsBusy", message: reason, reason, backoffMs: 0 } as const;
      wish.done({ ok: false, error });
      return;
    }
    this.#wishes++;
    this.#enqueue({ region, counted: { sizeBytes: 0, keys: 0 }, wish });
  }

  /** Ends all looks; wishes are answered. */
  stop(): void {
    const tasks = this.#queue;
    this.#queue = [];
    if (this.#running !== undefined) {
      const { cancel, scan, task } = this.#running;
      cancel();
      scan.close();
      this.#running = undefined;
      tasks.unshift(task);
    }
    for (const { wish } of tasks) {
      wish?.done({ ok: false, error: { kind: "other", message: "TiKV is Closing" } });
    }
    this.#wishes = 0;
  }

  #enqueue(task: Task): void {
    this.#queue.push(task);
    if (this.#running === undefined && this.#queue.length === 1) this.#later(() => this.#start());
  }

  #later(run: () => void): () => void {
    return this.#deps.timers.after(0, run);
  }

  #start(): void {
    if (this.#running !== undefined) return;
    const task = this.#queue.shift();
    if (task === undefined) return;
    const skipped = task.wish === undefined ? this.#skipped(task) : undefined;
    if (skipped !== undefined) {
      this.counts.ignored++;
      this.#finish(task, { ...skipped, splitKeys: [] });
      return;
    }
    this.counts.all++;
    const policy = task.wish === undefined ? "size" : "half";
    const scan = new SplitScan(this.#deps.engine.snapshot(), task.region, policy, this.#options);
    this.#running = { task, scan, cancel: () => {} };
    this.#slice();
  }

  /** The region's sizes if they are too small for a walk. */
  #skipped({ region, counted }: Task): Approximate | undefined {
    const estimate = approximate(this.#deps.engine, region);
    const sizeBytes = Math.max(estimate.sizeBytes, counted.sizeBytes);
    const keys = Math.max(estimate.keys, counted.keys);
    const { regionMaxSizeBytes, regionMaxKeys } = this.#options;
    return sizeBytes < regionMaxSizeBytes && keys < regionMaxKeys ? { sizeBytes, keys } : undefined;
  }

  #slice(): void {
    const running = this.#running;
    if (running === undefined) return;
    if (!running.scan.step(SLICE_ENTRIES, SLICE_BYTES)) {
      running.cancel = this.#later(() => this.#slice());
      return;
    }
    const result = running.scan.result();
    running.scan.close();
    this.#running = undefined;
    if (result.splitKeys.length > 0) this.counts.success++;
    this.#finish(running.task, result);
  }

  #finish({ region, wish }: Task, { sizeBytes, keys, splitKeys }: ScanResult): void {
    if (this.#queue.length > 0) this.#later(() => this.#start());
    const regionId = idToNumber(region.id);
    if (wish === undefined) {
      const result = { version: region.version, sizeBytes, keys, splitKeys };
      this.#deps.notify(regionId, { kind: "splitCheckDone", result });
      return;
    }
    this.#wishes--;
    if (splitKeys.length === 0) {
      const message = `region ${region.id} is too small to be halved`;
      wish.done({ ok: false, error: { kind: "other", message } });
      return;
    }
    this.#deps.notify(regionId, { kind: "splitWish", wish: { ...wish, splitKeys } });
  }
}

/** Registers the metrics. */
export function bindSplitCheckMetrics(registry: MetricsRegistry, worker: SplitCheckWorker): void {
  const total = totalOf(
    registry.counter({
      name: "tikv_raftstore_check_split_total",
      help: "Looks for split keys: ignored for size, walked (all), and found (success).",
      labelNames: ["type"],
    }),
  );
  registry.onCollect(() => {
    for (const type of ["ignored", "all", "success"] as const) total(worker.counts[type], { type });
  });
}

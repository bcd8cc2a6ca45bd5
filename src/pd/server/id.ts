/** Drives the id allocator: saves a window before ids of it are given. The rules are in ../id. */
import { IdAllocator } from "../id/index.js";
import { type Kv, loadAllocId, saveAllocId } from "../storage/index.js";

/** Below so many ids at hand the next window is saved in advance. */
const RESERVE_MIN = 100n;

export class IdService {
  private extending = false;
  private readonly allocator: IdAllocator;
  private readonly kv: Kv;
  private readonly clusterId: bigint;
  /** Requests run one after the other: two must not save windows at once. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(kv: Kv, clusterId: bigint) {
    this.kv = kv;
    this.clusterId = clusterId;
    this.allocator = new IdAllocator(loadAllocId(kv, clusterId));
  }

  /** Takes `count` (>= 1) consecutive ids; resolves with the largest, undefined if none is left. */
  alloc(count: bigint): Promise<bigint | undefined> {
    const next = this.last.then(() => this.allocNow(count));
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Saves the next window, so that ids are at hand for `take`. */
  reserve(): Promise<void> {
    const next = this.last.then(async () => {
      const end = this.allocator.nextEnd;
      await saveAllocId(this.kv, this.clusterId, end);
      this.allocator.saved(end);
    });
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Takes one id at once; undefined while the next window is being saved. */
  take(): bigint | undefined {
    if (this.allocator.left < RESERVE_MIN) this.extend();
    const step = this.allocator.alloc(1n);
    return step.kind === "ok" ? step.last : undefined;
  }

  private extend(): void {
    if (this.extending) return;
    this.extending = true;
    const done = (): void => {
      this.extending = false;
    };
    // A failed write ends PD: the engine reports it.
    this.reserve().then(done, done);
  }

  private async allocNow(count: bigint): Promise<bigint | undefined> {
    for (;;) {
      const step = this.allocator.alloc(count);
      if (step.kind === "ok") return step.last;
      if (step.kind === "exhausted") return undefined;
      await saveAllocId(this.kv, this.clusterId, step.end);
      this.allocator.saved(step.end);
    }
  }
}

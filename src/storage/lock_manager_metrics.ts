/**
 * Metrics of lock waits and deadlock detection under TiKV's names.
 * Source: tikv src/server/lock_manager/metrics.rs, src/storage/metrics.rs.
 */
import {
  COMMAND_SECONDS,
  exponentialBuckets,
  type Histogram,
  type MetricsRegistry,
  totalOf,
} from "../base/index.js";
import type { Detector, LockManager } from "../txn/index.js";

export class LockManagerMetrics {
  /** Requests that began to wait, that were woken, and questions who waits. */
  waits = 0;
  wakeUps = 0;
  dumps = 0;
  private readonly lifetime: Histogram;
  private readonly queueLength: Histogram;
  private readonly detectDuration: Histogram;

  constructor(private readonly registry: MetricsRegistry) {
    this.lifetime = registry.histogram({
      name: "tikv_lock_manager_waiter_lifetime_duration",
      help: "Seconds that requests waited for a lock.",
      buckets: COMMAND_SECONDS,
    });
    this.queueLength = registry.histogram({
      name: "tikv_lock_wait_queue_length",
      help: "Requests in a key's queue, when one is added.",
      buckets: exponentialBuckets(1, 2, 16),
    });
    this.detectDuration = registry.histogram({
      name: "tikv_lock_manager_detect_duration",
      help: "Seconds to look for a deadlock, where detection is led.",
      buckets: exponentialBuckets(0.0001, 2, 20),
    });
  }

  onWait(queueLength: number): void {
    this.waits++;
    this.queueLength.observe(queueLength);
  }

  onWaitEnd(waitedMs: number, isWoken: boolean): void {
    this.lifetime.observe(waitedMs / 1000);
    if (isWoken) this.wakeUps++;
  }

  onDetect(tookMs: number): void {
    this.detectDuration.observe(tookMs / 1000);
  }

  /** Copies what the machines count, at scrape time. */
  bind(
    manager: Pick<LockManager, "keys" | "size">,
    deadlocks: { readonly current: Pick<Detector, "metrics" | "role"> },
  ): void {
    const registry = this.registry;
    const entries = registry.gauge({
      name: "tikv_lock_wait_queue_entries_gauge_vec",
      help: "Requests that wait for a lock, and keys that are waited for.",
      labelNames: ["type"],
    });
    const leader = registry.gauge({
      name: "tikv_lock_manager_detector_leader_heartbeat",
      help: "1 where deadlock detection is led.",
    });
    const tasks = totalOf(
      registry.counter({
        name: "tikv_lock_manager_task_counter",
        help: "Tasks of the lock manager and the deadlock detector.",
        labelNames: ["type"],
      }),
    );
    const errors = totalOf(
      registry.counter({
        name: "tikv_lock_manager_error_counter",
        help: "Deadlocks found, connections to the detector's leader made, and what was lost.",
        labelNames: ["type"],
      }),
    );
    registry.onCollect(() => {
      entries.set(manager.size, { type: "waiters" });
      entries.set(manager.keys, { type: "keys" });
      const { metrics, role } = deadlocks.current;
      leader.set(role === "leader" ? 1 : 0);
      tasks(this.waits, { type: "wait_for" });
      tasks(this.wakeUps, { type: "wake_up" });
      tasks(this.dumps, { type: "dump" });
      tasks(metrics.detects, { type: "detect" });
      tasks(metrics.cleanUpWaitFors, { type: "clean_up_wait_for" });
      tasks(metrics.cleanUps, { type: "clean_up" });
      errors(metrics.deadlocks, { type: "deadlock" });
      errors(metrics.dropped, { type: "dropped" });
      errors(metrics.notLeader, { type: "not_leader" });
      errors(metrics.reconnects, { type: "reconnect_leader" });
    });
  }
}

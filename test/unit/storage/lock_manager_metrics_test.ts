/** Metrics of lock waits: TiKV's names and labels, values as the machines count them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Labels, MetricsRegistry } from "../../../src/base/index.js";
import { LockManagerMetrics } from "../../../src/storage/lock_manager_metrics.js";
import { Detector } from "../../../src/txn/index.js";
import { waitFor } from "../../support/lock_waits.js";

/** Keeps values by name and labels. */
class Values {
  readonly byName = new Map<string, number>();
  private collect = (): void => undefined;
  readonly registry: MetricsRegistry = {
    counter: ({ name }) => ({ inc: (amount = 1, labels) => this.add(name, labels, amount) }),
    gauge: ({ name }) => ({ set: (value, labels) => this.set(name, labels, value) }),
    histogram: ({ name }) => ({ observe: (value, labels) => this.add(name, labels, value) }),
    onCollect: (collect) => {
      this.collect = collect;
    },
  };

  scrape(): Record<string, number> {
    this.collect();
    return Object.fromEntries(this.byName);
  }

  private add(name: string, labels: Labels | undefined, amount: number): void {
    this.set(name, labels, (this.byName.get(idOf(name, labels)) ?? 0) + amount);
  }

  private set(name: string, labels: Labels | undefined, value: number): void {
    this.byName.set(idOf(name, labels), value);
  }
}

const idOf = (name: string, labels?: Labels): string =>
  labels === undefined ? name : `${name} ${Object.values(labels).join()}`;

test("waits, tasks and errors under TiKV's names", () => {
  const values = new Values();
  const metrics = new LockManagerMetrics(values.registry);
  const none = (): void => undefined;
  const detector = new Detector({ connect: none, send: none, close: none });
  metrics.bind({ size: 5, keys: 2 }, detector);
  detector.changeRole("leader");
  const edge = { txn: 1n, waitForTxn: 2n, keyHash: 3n, key: waitFor("k", 1, 2).lock.key };
  const tagged = { ...edge, resourceGroupTag: new Uint8Array(0) };
  detector.detect(0, tagged);
  detector.detect(0, { ...tagged, txn: 2n, waitForTxn: 1n });
  metrics.onWait(1);
  metrics.onWait(2);
  metrics.onWaitEnd(250, true);
  metrics.onWaitEnd(500, false);
  metrics.onDetect(2);
  metrics.dumps++;
  assert.equal(values.scrape(), {
    tikv_lock_wait_queue_length: 3,
    tikv_lock_manager_waiter_lifetime_duration: 0.75,
    tikv_lock_manager_detect_duration: 0.002,
    "tikv_lock_wait_queue_entries_gauge_vec waiters": 5,
    "tikv_lock_wait_queue_entries_gauge_vec keys": 2,
    tikv_lock_manager_detector_leader_heartbeat: 1,
    "tikv_lock_manager_task_counter wait_for": 2,
    "tikv_lock_manager_task_counter wake_up": 1,
    "tikv_lock_manager_task_counter dump": 1,
    "tikv_lock_manager_task_counter detect": 2,
    "tikv_lock_manager_error_counter deadlock": 1,
  });
});

test.run();

/** Metrics of lock waits: TiKV's names and labels, values as the machines count them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LockManagerMetrics } from "../../../src/storage/lock_manager_metrics.js";
import { Detector } from "../../../src/txn/index.js";
import { waitFor } from "../../support/lock_waits.js";
import { MetricValues } from "../../support/metric_values.js";

test("waits, tasks and errors under TiKV's names", () => {
  const values = new MetricValues();
  const metrics = new LockManagerMetrics(values.registry);
  const none = (): void => undefined;
  const detector = new Detector({ connect: none, send: none, close: none });
  metrics.bind({ size: 5, keys: 2 }, { current: detector });
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

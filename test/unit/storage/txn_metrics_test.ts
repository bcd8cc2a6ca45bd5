/** Names, labels and amounts of what one store alone does not show; the rest is read over HTTP. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { err, ok, utf8 } from "../../../src/base/index.js";
import { PromMetrics } from "../../../src/node/metrics.js";
import { bindTxnMetrics, type TxnGauges, TxnMetrics } from "../../../src/storage/txn_metrics.js";
import { MetricsPage } from "../../support/metrics_page.js";

const GAUGES: TxnGauges = {
  runningCommands: 0,
  memory: { usedBytes: 0, maxBytes: 0 },
  statusCache: { used: 0, max: 0 },
  maxTs: 0n,
  maxTsLimit: undefined,
  memoryLocks: { count: 2, minTs: 7n },
  pessimisticLockBytes: 0,
  pessimisticLocks: { kept: 0, written: 3 },
};

async function pageAfter(use: (metrics: TxnMetrics) => void): Promise<MetricsPage> {
  const registry = new PromMetrics();
  const metrics = new TxnMetrics(registry);
  bindTxnMetrics(registry, metrics, () => GAUGES);
  use(metrics);
  return new MetricsPage(await registry.scrape());
}

test("a leader's checks for reads of followers are timed by their verdict", async () => {
  const page = await pageAfter((metrics) => {
    metrics.onReplicaCheck(0.002, false);
    metrics.onReplicaCheck(0.002, false);
    metrics.onReplicaCheck(0.5, true);
  });
  const name = "tikv_replica_read_lock_check_duration_seconds";
  assert.is(page.get(`${name}_count{result="unlocked"}`), 2);
  assert.is(page.get(`${name}_bucket{le="0.000004",result="unlocked"}`), 2);
  assert.is(page.get(`${name}_sum{result="locked"}`), 0.0005);
});

test("snapshots and writes are counted by how they ended, the failed ones without a time", async () => {
  const page = await pageAfter((metrics) => {
    metrics.onEngine("write", 3, ok(undefined));
    const error = { kind: "staleCommand", message: "" } as const;
    metrics.onEngine("write", 3, err({ type: "region", error }));
    metrics.onEngine("snapshot", 1, err({ type: "key", message: "" }));
  });
  const total = (type: string, status: string): number =>
    page.get(`tikv_storage_engine_async_request_total{type="${type}",status="${status}"}`);
  assert.equal([total("write", "all"), total("write", "success")], [2, 1]);
  assert.is(total("write", "err_stale_command"), 1);
  assert.equal([total("snapshot", "all"), total("snapshot", "err_other")], [1, 1]);
  const seconds = "tikv_storage_engine_async_request_duration_seconds";
  assert.is(page.get(`${seconds}_count{type="write"}`), 1);
});

test("conflicts have TiKV's names, whatever command met them", async () => {
  const key = utf8("k");
  const base = { startTs: 1n, conflictStartTs: 2n, conflictCommitTs: 3n, key, primary: key };
  const page = await pageAfter((metrics) => {
    const conflict = { kind: "writeConflict", ...base } as const;
    metrics.onRefused("prewrite", { ...conflict, reason: "optimistic" });
    metrics.onRefused("prewrite", { ...conflict, reason: "selfRolledBack" });
    metrics.onRefused("acquire_pessimistic_lock", { ...conflict, reason: "pessimisticRetry" });
    metrics.onRefused("commit", { kind: "txnLockNotFound", startTs: 1n, commitTs: 2n, key });
    metrics.onRefused("rollback", { kind: "committed", startTs: 1n, commitTs: 2n, key });
    const lost = { kind: "pessimisticLockNotFound", startTs: 1n, key } as const;
    metrics.onRefused("prewrite", { ...lost, reason: "lockMissingAmendFail" });
    metrics.onRefused("prewrite", { kind: "maxTimestampNotSynced", startTs: 1n });
  });
  for (const type of [
    "prewrite_write_conflict",
    "rolled_back",
    "acquire_pessimistic_lock_conflict",
    "commit_lock_not_found",
    "rollback_committed",
    "pipelined_acquire_pessimistic_lock_amend_fail",
  ]) {
    assert.is(page.get(`tikv_storage_mvcc_conflict_counter{type="${type}"}`), 1, type);
  }
  assert.is(page.get("rutile_max_ts_not_synced_total"), 1);
  const stage = 'tikv_scheduler_stage_total{type="prewrite",stage="prepare_write_err"}';
  assert.is(page.get(stage), 4);
});

test("locks in memory: how many, the oldest, and those that had to be written", async () => {
  const page = await pageAfter(() => undefined);
  assert.is(page.get("rutile_memory_locks"), 2);
  assert.is(page.get("tikv_concurrency_manager_min_lock_ts"), 7);
  assert.is(page.get('tikv_in_memory_pessimistic_locking{result="full"}'), 3);
  assert.is(page.get("tikv_concurrency_manager_max_ts_limit"), 0);
});

test.run();

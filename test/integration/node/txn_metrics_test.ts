/**
 * The metrics of transactions over HTTP: a command moves those that TiKV's dashboards chart, and by
 * the right amount. The slow log of the same process.
 * @timeout 120
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import type { MetricsPage } from "../../support/metrics_page.js";
import { BatchClient, unary } from "../../support/tikv_server.js";
import { mustOk, TxnStage } from "../../support/txn_stage.js";
import { within } from "../../support/within.js";

const CONFIG = `
slow-log-threshold = "0s"
log.level = "warn"
gc.enable = false
gc.poll-interval = "50ms"
resolved-ts.advance-ts-interval = "50ms"
`;
const LIMIT_MS = 20_000;

/** What samples have moved by, those that are named. */
function moved(before: MetricsPage, after: MetricsPage, names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, after.get(name) - before.get(name)]));
}

/** Runs `work` and checks what it moved. */
async function expectMoved(
  stage: TxnStage,
  work: () => Promise<unknown>,
  expected: Readonly<Record<string, number>>,
): Promise<void> {
  const before = await stage.page();
  await work();
  const after = await stage.page();
  assert.equal(moved(before, after, Object.keys(expected)), expected);
}

let stage: TxnStage;
test.before(async () => {
  stage = await TxnStage.start(CONFIG);
});
test.after(() => stage.stop());

test("who leads deadlock detection is known before anybody waits", async () => {
  assert.is((await stage.page()).get("tikv_lock_manager_detector_leader_heartbeat"), 1);
});

test("a transaction of two phases moves the scheduler's metrics, by command", () =>
  expectMoved(stage, () => stage.write("a", "b"), {
    'tikv_storage_command_total{type="prewrite"}': 1,
    'tikv_storage_command_total{type="commit"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="new"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="snapshot"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="snapshot_ok"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="process"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="write"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="write_finish"}': 1,
    'tikv_scheduler_stage_total{type="prewrite",stage="error"}': 0,
    'tikv_scheduler_stage_total{type="commit",stage="write_finish"}': 1,
    'tikv_scheduler_command_duration_seconds_count{type="prewrite"}': 1,
    'tikv_scheduler_latch_wait_duration_seconds_count{type="prewrite"}': 1,
    'tikv_scheduler_processing_read_duration_seconds_count{type="prewrite"}': 1,
    // Two locks; then two versions and two locks that go.
    'tikv_scheduler_kv_command_key_write_sum{type="prewrite"}': 2,
    'tikv_scheduler_kv_command_key_write_bucket{le="2",type="prewrite"}': 1,
    'tikv_scheduler_kv_command_key_write_sum{type="commit"}': 4,
    'tikv_storage_engine_async_request_total{type="write",status="success"}': 2,
    'tikv_storage_engine_async_request_total{type="write",status="all"}': 2,
    'tikv_storage_engine_async_request_duration_seconds_count{type="write"}': 2,
    'tikv_storage_engine_async_request_total{type="snapshot",status="success"}': 2,
    'tikv_storage_engine_async_request_duration_seconds_count{type="snapshot"}': 2,
    'tikv_grpc_msg_duration_seconds_count{type="kv_prewrite"}': 1,
    'tikv_grpc_msg_duration_seconds_count{type="kv_commit"}': 1,
  }));

test("reads move keys read, scan details and the check of memory locks", async () => {
  await stage.write("r1", "r2", "r3");
  const version = fromBigInt(await stage.ts());
  const { context, rpc } = stage;
  await expectMoved(
    stage,
    async () => {
      const one = await unary(rpc, "KvGet", { context, key: utf8("r1"), version });
      assert.is(utf8Decode(one.value), "v");
      const range = { startKey: utf8("r1"), endKey: utf8("r4"), version, limit: 10 };
      assert.is((await unary(rpc, "KvScan", { context, ...range })).pairs.length, 3);
    },
    {
      'tikv_storage_command_total{type="get"}': 1,
      'tikv_storage_command_total{type="scan"}': 1,
      'tikv_scheduler_kv_command_key_read_sum{type="get"}': 1,
      'tikv_scheduler_kv_command_key_read_sum{type="scan"}': 3,
      'tikv_scheduler_kv_command_key_read_count{type="scan"}': 1,
      'tikv_scheduler_kv_scan_details{req="get",cf="write",tag="processed_keys"}': 1,
      'tikv_scheduler_kv_scan_details{req="scan",cf="write",tag="processed_keys"}': 3,
      'tikv_scheduler_command_duration_seconds_count{type="get"}': 1,
      'tikv_scheduler_processing_read_duration_seconds_count{type="scan"}': 1,
      'tikv_storage_check_mem_lock_duration_seconds_count{type="get",result="unlocked"}': 1,
      'tikv_storage_check_mem_lock_duration_seconds_count{type="scan",result="unlocked"}': 1,
      'tikv_storage_engine_async_request_total{type="snapshot",status="success"}': 2,
    },
  );
  const limit = (await stage.page()).get("tikv_concurrency_manager_max_ts_limit");
  const maxTs = (await stage.page()).get("tikv_concurrency_manager_max_ts");
  assert.ok(maxTs >= Number(toBigInt(version)) && limit > maxTs, `${maxTs} of ${limit}`);
});

test("requests of BatchCommands count as unary ones do, those that are served together as well", async () => {
  await stage.write("b1", "b2");
  const { context, rpc } = stage;
  const version = fromBigInt(await stage.ts());
  const startTs = await stage.ts();
  const batch = new BatchClient(rpc);
  const keys = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? "b1" : "b2"));
  await expectMoved(
    stage,
    async () => {
      const gets = keys.map((key) => ({ Get: { context, key: utf8(key), version } }));
      const answers = await batch.call(...gets);
      for (const { Get } of answers) assert.is(utf8Decode(Get?.value ?? utf8("none")), "v");
      const mutations = [{ op: kvrpcpb.Op.Put, key: utf8("b3"), value: utf8("v") }];
      const prewrite = {
        context,
        mutations,
        primaryLock: utf8("b3"),
        startVersion: fromBigInt(startTs),
        lockTtl: 3000,
        tryOnePc: true,
      };
      const [written] = await batch.call({ Prewrite: prewrite });
      assert.ok(toBigInt(written?.Prewrite?.onePcCommitTs ?? 0) > 0n);
    },
    {
      'tikv_storage_command_total{type="get"}': 64,
      'tikv_scheduler_kv_command_key_read_sum{type="get"}': 64,
      'tikv_scheduler_kv_scan_details{req="get",cf="write",tag="processed_keys"}': 64,
      'tikv_grpc_msg_duration_seconds_count{type="kv_get"}': 64,
      'tikv_grpc_msg_duration_seconds_count{type="kv_prewrite"}': 1,
      'tikv_scheduler_stage_total{type="prewrite",stage="write_finish"}': 1,
      'tikv_scheduler_kv_command_key_write_sum{type="prewrite"}': 1,
      rutile_batch_commands_requests_total: 65,
    },
  );
  batch.stream.cancel();
});

test("commands that run together count one by one", async () => {
  const { context, rpc } = stage;
  const startTs = fromBigInt(await stage.ts());
  const batch = new BatchClient(rpc);
  await expectMoved(
    stage,
    async () => {
      const requests = Array.from({ length: 32 }, (_, i) => {
        const key = utf8(`t${i}`);
        const mutations = [{ op: kvrpcpb.Op.Put, key, value: utf8("v") }];
        const fields = { startVersion: startTs, lockTtl: 3000, tryOnePc: true };
        return { Prewrite: { context, mutations, primaryLock: key, ...fields } };
      });
      for (const { Prewrite } of await batch.call(...requests)) {
        assert.equal([Prewrite?.regionError, Prewrite?.errors], [null, []]);
      }
    },
    {
      'tikv_storage_command_total{type="prewrite"}': 32,
      'tikv_scheduler_stage_total{type="prewrite",stage="new"}': 32,
      'tikv_scheduler_stage_total{type="prewrite",stage="snapshot_ok"}': 32,
      'tikv_scheduler_stage_total{type="prewrite",stage="process"}': 32,
      'tikv_scheduler_stage_total{type="prewrite",stage="write_finish"}': 32,
      'tikv_scheduler_command_duration_seconds_count{type="prewrite"}': 32,
      'tikv_scheduler_latch_wait_duration_seconds_count{type="prewrite"}': 32,
      'tikv_scheduler_kv_command_key_write_sum{type="prewrite"}': 32,
      'tikv_storage_engine_async_request_total{type="write",status="success"}': 32,
      'tikv_grpc_msg_duration_seconds_count{type="kv_prewrite"}': 32,
    },
  );
  batch.stream.cancel();
});

test("conflicts and refused snapshots are counted by kind", async () => {
  const early = await stage.ts();
  await stage.write("c");
  await expectMoved(
    stage,
    async () => {
      assert.ok((await stage.prewrite(early, ["c"])).errors[0]?.conflict);
      assert.ok((await stage.commit(early, await stage.ts(), ["c"])).error?.txnLockNotFound);
      const { context, rpc } = stage;
      const stale = { ...context, regionEpoch: { confVer: 1, version: 99 } };
      const answer = await unary(rpc, "KvCommit", {
        context: stale,
        startVersion: fromBigInt(early),
        commitVersion: fromBigInt(early + 1n),
        keys: [utf8("c")],
      });
      assert.ok(answer.regionError?.epochNotMatch);
    },
    {
      'tikv_storage_mvcc_conflict_counter{type="prewrite_write_conflict"}': 1,
      'tikv_storage_mvcc_conflict_counter{type="commit_lock_not_found"}': 1,
      'tikv_scheduler_stage_total{type="prewrite",stage="prepare_write_err"}': 1,
      'tikv_scheduler_stage_total{type="commit",stage="prepare_write_err"}': 1,
      'tikv_scheduler_stage_total{type="commit",stage="snapshot_err"}': 1,
      'tikv_scheduler_stage_total{type="commit",stage="error"}': 2,
      'tikv_storage_engine_async_request_total{type="snapshot",status="err_epoch_not_match"}': 1,
    },
  );
});

test("lock waits, wake-ups, deadlocks and locks in memory", async () => {
  const [first, second] = [await stage.ts(), await stage.ts()];
  const before = await stage.page();
  assert.equal((await stage.lock(first, "w1", -1)).errors, []);
  assert.equal((await stage.lock(second, "w2", -1)).errors, []);
  const waiting = stage.lock(first, "w2", 10_000);
  const held = await within(LIMIT_MS, "a waiter", async () => {
    const page = await stage.page();
    return page.get('tikv_lock_wait_queue_entries_gauge_vec{type="waiters"}') === 1 && page;
  });
  assert.is(held.get('tikv_lock_wait_queue_entries_gauge_vec{type="keys"}'), 1);
  assert.ok(held.get("tikv_pessimistic_lock_memory_size") > 0);
  assert.is(held.get("tikv_lock_manager_detector_leader_heartbeat"), 1);
  assert.ok((await stage.lock(second, "w1", 10_000)).errors[0]?.deadlock);
  await stage.unlock(second, "w2");
  await waiting;
  await stage.unlock(first, "w1");
  await stage.unlock(first, "w2");
  const after = await stage.page();
  const expected = {
    'tikv_scheduler_stage_total{type="acquire_pessimistic_lock",stage="lock_wait"}': 2,
    tikv_lock_wait_queue_length_count: 2,
    tikv_lock_manager_waiter_lifetime_duration_count: 2,
    'tikv_lock_manager_task_counter{type="wait_for"}': 2,
    'tikv_lock_manager_task_counter{type="wake_up"}': 1,
    'tikv_lock_manager_task_counter{type="detect"}': 2,
    'tikv_lock_manager_error_counter{type="deadlock"}': 1,
    tikv_lock_manager_detect_duration_count: 2,
  };
  assert.equal(moved(before, after, Object.keys(expected)), expected);
  const kept = 'tikv_in_memory_pessimistic_locking{result="success"}';
  assert.ok(after.get(kept) - before.get(kept) >= 2, String(after.get(kept)));
  assert.is(after.get('tikv_lock_wait_queue_entries_gauge_vec{type="waiters"}'), 0);
  assert.is(after.get("tikv_pessimistic_lock_memory_size"), 0);
});

test("quotas and what is remembered, with their capacities", async () => {
  const startTs = await stage.ts();
  const done = await stage.prewrite(startTs, ["q"], { tryOnePc: true, useAsyncCommit: false });
  assert.ok(toBigInt(done.onePcCommitTs) > startTs);
  const page = await stage.page();
  assert.is(page.get('tikv_scheduler_memory_quota_size{type="capacity"}'), 256 * 1024 * 1024);
  assert.is(page.get('tikv_scheduler_memory_quota_size{type="in_use"}'), 0);
  assert.is(page.get('tikv_scheduler_txn_status_cache_size{type="allocated"}'), 100_000);
  assert.ok(page.get('tikv_scheduler_txn_status_cache_size{type="used"}') > 0);
  assert.is(page.get("tikv_scheduler_running_commands"), 0);
  assert.is(page.get("tikv_scheduler_contex_total"), 0);
  assert.is(page.get("tikv_concurrency_manager_min_lock_ts"), 0);
});

test("GC shows its safe point, versions of keys and deletes", async () => {
  await stage.write("g");
  await stage.write("g");
  const safePoint = await stage.write("g");
  const before = await stage.page();
  mustOk(await stage.pd.advanceTxnSafePoint(safePoint));
  mustOk(await stage.pd.advanceGcSafePoint(safePoint));
  const tasks = 'tikv_gcworker_gc_tasks_vec{task="gc"}';
  const after = await within(LIMIT_MS, "a pass of GC", async () => {
    const page = await stage.page();
    return page.get(tasks) > before.get(tasks) && page;
  });
  assert.is(after.get("tikv_gcworker_autogc_safe_point"), Number(safePoint));
  assert.is(after.get('tikv_gcworker_autogc_status{state="idle"}'), 1);
  assert.is(after.get('tikv_gcworker_autogc_processed_regions{type="scan"}'), 1);
  assert.is(after.get('tikv_gcworker_gc_task_duration_vec_count{task="gc"}'), 1);
  // Only g has more than one version: two of its three go.
  assert.is(after.get('tikv_storage_mvcc_gc_delete_versions_count{key_mode="txn"}'), 1);
  assert.is(after.get('tikv_storage_mvcc_gc_delete_versions_sum{key_mode="txn"}'), 2);
  const versions = 'tikv_storage_mvcc_versions_bucket{le="2",key_mode="txn"}';
  const keys = after.get('tikv_storage_mvcc_versions_count{key_mode="txn"}');
  assert.is(keys - after.get(versions), 1);
  assert.is(after.get('tikv_gcworker_gc_keys{key_mode="txn",cf="write",tag="deleted"}'), 2);
  assert.ok(after.get('tikv_gcworker_gc_keys{key_mode="txn",cf="write",tag="next"}') > 0);
});

test("resolved timestamps follow PD's clock", async () => {
  const now = await stage.ts();
  const page = await within(LIMIT_MS, "the resolved timestamp passes a moment", async () => {
    const one = await stage.page();
    return one.get("tikv_resolved_ts_min_resolved_ts") > Number(now) && one;
  });
  assert.is(page.get('tikv_resolved_ts_region_resolve_status{type="resolved"}'), 1);
  assert.is(page.get("tikv_resolved_ts_zero_resolved_ts"), 0);
  const region = Number(stage.context.regionId);
  assert.is(page.get("tikv_resolved_ts_min_resolved_ts_region"), region);
  assert.is(page.get("tikv_resolved_ts_min_leader_resolved_ts_region"), region);
  assert.is(page.get("tikv_resolved_ts_min_follower_safe_ts"), 0);
  assert.ok(page.get("tikv_resolved_ts_min_resolved_ts_gap_millis") < 60_000);
  assert.ok(page.get("tikv_resolved_ts_scan_duration_seconds_count") > 0);
});

test("durations have TiKV's buckets: microseconds can be told apart", async () => {
  const page = await stage.page();
  const bucket = 'tikv_scheduler_command_duration_seconds_bucket{le="0.00001",type="commit"}';
  assert.is(page.get(bucket), 0);
  const last = 'tikv_scheduler_command_duration_seconds_bucket{le="+Inf",type="commit"}';
  const count = 'tikv_scheduler_command_duration_seconds_count{type="commit"}';
  assert.is(page.get(last), page.get(count));
});

/**
 * What TiKV's dashboard charts of storage, scheduler, flow control, MVCC, lock manager, GC and
 * resolved timestamps, on a store without followers. Not there: sizes and times of RocksDB's insides
 * (perf context, flush and level-0 flows), of the observer of applies that resolved timestamps do
 * without, priorities, GC by compaction filter, and counters of what has not happened yet.
 */
const CHARTED = `
tikv_check_leader_request_item_count_bucket
tikv_concurrency_manager_max_ts tikv_concurrency_manager_max_ts_limit
tikv_gcworker_autogc_processed_regions tikv_gcworker_autogc_safe_point tikv_gcworker_gc_keys
tikv_gcworker_gc_task_duration_vec_bucket tikv_gcworker_gc_tasks_vec
tikv_in_memory_pessimistic_locking
tikv_lock_manager_detect_duration_bucket tikv_lock_manager_detector_leader_heartbeat
tikv_lock_manager_error_counter tikv_lock_manager_task_counter
tikv_lock_manager_waiter_lifetime_duration_bucket
tikv_lock_wait_queue_entries_gauge_vec tikv_lock_wait_queue_length_bucket
tikv_pessimistic_lock_memory_size
tikv_resolved_ts_min_follower_safe_ts_gap_millis tikv_resolved_ts_min_follower_safe_ts_region
tikv_resolved_ts_min_leader_resolved_ts_gap_millis tikv_resolved_ts_min_leader_resolved_ts_region
tikv_resolved_ts_min_resolved_ts_gap_millis tikv_resolved_ts_min_resolved_ts_region
tikv_resolved_ts_region_resolve_status
tikv_scheduler_command_duration_seconds_bucket tikv_scheduler_contex_total
tikv_scheduler_discard_ratio tikv_scheduler_kv_command_key_read_bucket
tikv_scheduler_kv_command_key_write_bucket tikv_scheduler_kv_scan_details tikv_scheduler_l0
tikv_scheduler_latch_wait_duration_seconds_bucket tikv_scheduler_memory_quota_size
tikv_scheduler_memtable tikv_scheduler_pending_compaction_bytes
tikv_scheduler_processing_read_duration_seconds_bucket tikv_scheduler_running_commands
tikv_scheduler_stage_total tikv_scheduler_throttle_cf
tikv_scheduler_throttle_duration_seconds_bucket tikv_scheduler_throttle_flow
tikv_scheduler_write_flow tikv_scheduler_writing_bytes
tikv_storage_check_mem_lock_duration_seconds_bucket tikv_storage_command_total
tikv_storage_engine_async_request_duration_seconds_bucket tikv_storage_engine_async_request_total
tikv_storage_mvcc_conflict_counter tikv_storage_mvcc_gc_delete_versions_bucket
tikv_storage_mvcc_versions_bucket
`;

test("what TiKV's dashboard charts is there", async () => {
  const { names } = await stage.page();
  const missing = CHARTED.trim()
    .split(/\s+/)
    .filter((name) => !names.has(name));
  assert.equal(missing, []);
});

test("the slow log tells scan and time of commands and reads", async () => {
  const lines = stage.node.output().split("\n");
  for (const command of ["prewrite", "commit", "get", "scan", "acquire_pessimistic_lock"]) {
    const line = lines.find(
      (one) => one.includes("slow command") && one.includes(`[command=${command}]`),
    );
    assert.ok(line !== undefined, `${command}: ${lines.slice(-3).join("\n")}`);
    for (const field of ["total_ms", "process_ms", "write_scan", "processed_versions"]) {
      assert.ok(line.includes(field), `${field} in ${line}`);
    }
  }
});

test.run();

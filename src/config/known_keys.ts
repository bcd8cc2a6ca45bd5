/**
 * Configuration keys that TiKV and PD v8.5 know. Those that are not fields of tikv.ts or pd.ts are
 * accepted with a warning, so that an existing file starts. Data; a section per line group.
 */

const CF_SECTIONS = [
  "rocksdb.defaultcf",
  "rocksdb.writecf",
  "rocksdb.lockcf",
  "rocksdb.raftcf",
  "raftdb.defaultcf",
];
const TITAN_SECTIONS = ["rocksdb.defaultcf.titan", "rocksdb.writecf.titan"];

const CF_KEYS = `
    compression-per-level bottommost-level-compression block-size bloom-filter-bits-per-key
    block-based-bloom-filter level0-file-num-compaction-trigger level0-slowdown-writes-trigger
    level0-stop-writes-trigger write-buffer-size max-write-buffer-number
    min-write-buffer-number-to-merge max-bytes-for-level-base target-file-size-base
    max-compaction-bytes compaction-pri soft-pending-compaction-bytes-limit
    hard-pending-compaction-bytes-limit cache-index-and-filter-blocks
    pin-l0-filter-and-index-blocks read-amp-bytes-per-bit dynamic-level-bytes
    optimize-filters-for-hits optimize-filters-for-memory enable-compaction-guard
    compaction-guard-min-output-file-size compaction-guard-max-output-file-size format-version
    prepopulate-block-cache checksum max-compactions ttl periodic-compaction-seconds
    block-cache-size disable-block-cache whole-key-filtering use-bloom-filter num-levels
    disable-auto-compactions disable-write-stall force-consistency-checks prop-size-index-distance
    prop-keys-index-distance enable-doubly-skiplist bottommost-zstd-compression-dict-size
    bottommost-zstd-compression-sample-size max-bytes-for-level-multiplier compaction-style
    ribbon-filter-above-level write-buffer-limit`;

const TITAN_KEYS = `
    min-blob-size blob-file-compression zstd-dict-size shared-blob-cache blob-cache-size
    discardable-ratio blob-run-mode level-merge`;

const KEYS: Readonly<Record<string, string>> = {
  "": `
    slow-log-file slow-log-threshold enable-io-snoop abort-on-panic memory-usage-limit name
    data-dir client-urls advertise-client-urls peer-urls advertise-peer-urls initial-cluster
    initial-cluster-state initial-cluster-token force-new-cluster join
    panic-when-unexpected-key-or-data memory-usage-high-water log-level log-file log-format
    log-rotation-size log-rotation-timespan tick-interval election-interval enable-prevote
    quota-backend-bytes auto-compaction-mode auto-compaction-retention lease tso-save-interval
    tso-update-physical-interval enable-local-tso max-request-bytes enable-grpc-gateway metric`,
  quota: `
    foreground-cpu-time foreground-write-bandwidth foreground-read-bandwidth background-cpu-time
    background-write-bandwidth background-read-bandwidth max-delay-duration enable-auto-tune`,
  log: `
    level format enable-timestamp`,
  "log.file": `
    filename max-size max-days max-backups`,
  memory: `
    enable-heap-profiling profiling-sample-per-bytes enable-thread-exclusive-arena`,
  "readpool.unified": `
    min-thread-count max-thread-count stack-size max-tasks-per-worker auto-adjust-pool-size
    cpu-threshold`,
  "readpool.storage": `
    use-unified-pool high-concurrency normal-concurrency low-concurrency max-tasks-per-worker-high
    max-tasks-per-worker-normal max-tasks-per-worker-low stack-size`,
  "readpool.coprocessor": `
    use-unified-pool high-concurrency normal-concurrency low-concurrency max-tasks-per-worker-high
    max-tasks-per-worker-normal max-tasks-per-worker-low`,
  "resource-control": `
    enabled priority-ctl-strategy`,
  server: `
    addr advertise-addr status-addr status-thread-pool-size grpc-compression-type grpc-concurrency
    grpc-concurrent-stream grpc-memory-pool-quota grpc-raft-conn-num
    grpc-stream-initial-window-size grpc-keepalive-time grpc-keepalive-timeout
    max-grpc-send-msg-len concurrent-send-snap-limit concurrent-recv-snap-limit
    end-point-recursion-limit end-point-request-max-handle-duration end-point-memory-quota
    end-point-max-bg-concurrency snap-io-max-bytes-per-sec enable-request-batch labels
    background-thread-count end-point-slow-log-threshold advertise-status-addr
    grpc-gzip-compression-level grpc-min-message-size-to-compress end-point-stream-channel-size
    end-point-batch-row-limit end-point-stream-batch-row-limit end-point-enable-batch-if-possible
    end-point-perf-level end-point-max-concurrency snap-max-total-size snap-min-ingest-size
    stats-concurrency heavy-load-threshold heavy-load-wait-duration raft-client-queue-size
    raft-client-max-backoff raft-client-initial-reconnect-backoff raft-msg-max-batch-size
    forward-max-connections-per-address reject-messages-on-memory-ratio simplify-metrics
    health-feedback-interval inspect-network-interval graceful-shutdown-timeout
    raft-msg-flush-interval`,
  storage: `
    data-dir engine scheduler-concurrency scheduler-worker-pool-size
    scheduler-pending-write-threshold enable-async-apply-prewrite reserve-space reserve-raft-space
    background-error-recovery-window max-key-size api-version enable-ttl ttl-check-poll-interval
    memory-quota txn-status-cache-capacity engine-rocks-read-ts`,
  "storage.block-cache": `
    capacity shared num-shard-bits strict-capacity-limit high-pri-pool-ratio memory-allocator
    low-pri-pool-ratio`,
  "storage.flow-control": `
    enable memtables-threshold l0-files-threshold soft-pending-compaction-bytes-limit
    hard-pending-compaction-bytes-limit`,
  "storage.io-rate-limit": `
    max-bytes-per-sec mode`,
  pd: `
    endpoints retry-interval retry-log-every retry-max-count update-interval`,
  raftstore: `
    prevote raftdb-path capacity notify-capacity messages-per-tick pd-heartbeat-tick-interval
    pd-store-heartbeat-tick-interval pd-report-min-resolved-ts-interval region-split-check-diff
    split-region-check-tick-interval raft-entry-max-size raft-log-compact-sync-interval
    raft-log-gc-tick-interval raft-log-gc-threshold raft-log-gc-count-limit raft-log-gc-size-limit
    raft_log_reserve_max_ticks raft-engine-purge-interval max-peer-down-duration
    region-compact-check-interval region-compact-check-step region-compact-min-tombstones
    region-compact-tombstones-percent region-compact-min-redundant-rows
    region-compact-redundant-rows-percent lock-cf-compact-interval lock-cf-compact-bytes-threshold
    consistency-check-interval cleanup-import-sst-interval apply-pool-size store-pool-size
    store-io-pool-size raft-write-size-limit snap-generator-pool-size raft-base-tick-interval
    raft-heartbeat-ticks raft-election-timeout-ticks raft-min-election-timeout-ticks
    raft-max-election-timeout-ticks raft-max-size-per-msg raft-max-inflight-msgs
    raft-log-reserve-max-ticks raft-entry-cache-life-time raft-reject-transfer-leader-duration
    pd-report-region-interval snap-mgr-gc-tick-interval snap-gc-timeout snap-wait-split-duration
    snap-apply-batch-size snap-apply-copy-symlink max-leader-missing-duration
    abnormal-leader-missing-duration peer-stale-state-check-interval leader-transfer-max-log-lag
    report-region-flow-interval raft-store-max-leader-lease right-derive-when-split
    allow-remove-leader merge-max-log-gap merge-check-tick-interval use-delete-range
    local-read-batch-size hibernate-regions hibernate-timeout store-max-batch-size
    apply-max-batch-size store-low-priority-pool-size apply-low-priority-pool-size
    store-reschedule-duration apply-reschedule-duration store-batch-system apply-batch-system
    future-poll-size dev-assert apply-yield-duration apply-yield-write-size perf-level
    evict-cache-on-memory-ratio cmd-batch cmd-batch-concurrent-ready-max-count
    raft-write-wait-duration waterfall-metrics io-reschedule-concurrent-max-count
    io-reschedule-hotpot-duration inspect-interval report-min-resolved-ts-interval
    check-leader-lease-interval renew-leader-lease-advance-duration
    reactive-memory-lock-tick-interval reactive-memory-lock-timeout-tick
    check-long-uncommitted-interval long-uncommitted-base-threshold max-snapshot-file-raw-size
    unreachable-backoff report-region-buckets-tick-interval region-split-check-period
    periodic-full-compact-start-times check-peers-availability-interval
    slow-trend-unsensitive-cause slow-trend-unsensitive-result slow-trend-network-io-factor
    max-entry-cache-warmup-duration min-pending-apply-region-count check-request-snapshot-interval
    gc-peer-check-interval unsafe-recovery-timeout request-voter-replicated-index-interval
    region-sampling-heap-size`,
  coprocessor: `
    split-region-on-table batch-split-limit region-max-size region-split-size region-max-keys
    region-split-keys consistency-check-method enable-region-bucket region-bucket-size
    region-size-threshold-for-approximate prefer-approximate-bucket region-bucket-merge-size-ratio`,
  "coprocessor-v2": `
    coprocessor-plugin-directory`,
  rocksdb: `
    max-background-jobs max-background-flushes max-sub-compactions max-open-files
    max-manifest-file-size create-if-missing enable-snapshot-sequence-number-check
    wal-recovery-mode wal-dir wal-ttl-seconds wal-size-limit max-total-wal-size stats-dump-period
    compaction-readahead-size writable-file-max-buffer-size use-direct-io-for-flush-and-compaction
    rate-bytes-per-sec rate-limiter-refill-period rate-limiter-mode rate-limiter-auto-tuned
    enable-pipelined-write bytes-per-sync wal-bytes-per-sync info-log-max-size info-log-roll-time
    info-log-keep-log-file-num info-log-dir info-log-level write-buffer-limit wal-compression
    enable-multi-batch-write enable-unordered-write allow-concurrent-memtable-write
    enable-statistics ttl track-and-verify-wals-in-manifest write-buffer-stall-ratio
    write-buffer-flush-oldest-first paranoid-checks titan`,
  "rocksdb.titan": `
    enabled max-background-gc`,
  raftdb: `
    max-background-jobs max-sub-compactions max-open-files max-manifest-file-size
    create-if-missing enable-snapshot-sequence-number-check stats-dump-period wal-dir
    compaction-readahead-size writable-file-max-buffer-size use-direct-io-for-flush-and-compaction
    enable-pipelined-write allow-concurrent-memtable-write bytes-per-sync wal-bytes-per-sync
    info-log-max-size info-log-roll-time info-log-keep-log-file-num info-log-dir info-log-level`,
  "raft-engine": `
    enable dir batch-compression-threshold target-file-size purge-threshold recovery-mode
    recovery-read-block-size recovery-threads memory-limit format-version enable-log-recycle
    prefill-for-recycle bytes-per-sync spill-dir compression-level`,
  security: `
    ca-path cert-path key-path cert-allowed-cn cert-allowed-san redact-info-log cacert-path`,
  "security.encryption": `
    data-encryption-method data-key-rotation-period enable-file-dictionary-log`,
  "security.encryption.master-key": `
    type`,
  "security.encryption.previous-master-key": `
    type`,
  import: `
    num-threads stream-channel-window stream-idle-timeout import-mode-timeout memory-use-ratio`,
  backup: `
    num-threads batch-size sst-max-size enable-auto-tune gcp-v2-enable s3-multi-part-size
    auto-tune-remain-threads auto-tune-refresh-interval io-thread-size`,
  "log-backup": `
    num-threads enable gcp-v2-enable file-size-limit initial-scan-pending-memory-quota
    initial-scan-rate-limit max-flush-interval min-ts-interval stream-path temp-path
    temp-file-memory-quota initial-scan-concurrency`,
  "backup.hadoop": `
    home linux-user`,
  "pessimistic-txn": `
    wait-for-lock-timeout wake-up-delay-duration pipelined in-memory in-memory-peer-size-limit
    in-memory-instance-size-limit`,
  gc: `
    batch-keys max-write-bytes-per-sec enable-compaction-filter ratio-threshold
    compaction-filter-skip-version-check auto-compaction num-threads`,
  "pd-server": `
    metric-storage dashboard-address use-region-storage max-gap-reset-ts key-type runtime-services
    trace-region-flow flow-round-by-digit min-resolved-ts-persistence-interval server-memory-limit
    gc-tuner-threshold enable-gogc-tuner server-memory-limit-gc-trigger block-safe-point-v1`,
  schedule: `
    max-merge-region-size max-merge-region-keys split-merge-interval max-store-down-time
    leader-schedule-limit region-schedule-limit replica-schedule-limit merge-schedule-limit
    hot-region-schedule-limit leader-schedule-policy tolerant-size-ratio low-space-ratio
    region-score-formula-version enable-one-way-merge enable-cross-table-merge
    enable-joint-consensus max-snapshot-count max-pending-peer-count patrol-region-interval
    patrol-region-worker-count hot-region-cache-hits-threshold store-limit-mode high-space-ratio
    enable-remove-down-replica enable-replace-offline-replica enable-make-up-replica
    enable-remove-extra-replica enable-location-replacement enable-debug-metrics
    enable-hot-region-storage hot-regions-write-interval hot-regions-reserved-days
    max-movable-hot-peer-size enable-diagnostic enable-witness
    slow-store-evicting-affected-store-ratio-threshold store-limit-version halt-scheduling
    switch-witness-interval max-store-preparing-time disable-remove-down-replica
    scheduler-max-waiting-operator enable-heartbeat-breakdown-metrics
    enable-heartbeat-concurrent-runner schedulers schedulers-payload`,
  replication: `
    max-replicas location-labels strictly-match-label isolation-level enable-placement-rules
    enable-placement-rules-cache`,
  dashboard: `
    tidb-cacert-path tidb-cert-path tidb-key-path public-path-prefix internal-proxy
    enable-telemetry disable-custom-prom-addr tidb-allowed-cn enable-experimental`,
  keyspace: `
    pre-alloc wait-region-split wait-region-split-timeout check-region-split-interval`,
  cdc: `
    min-ts-interval hibernate-regions-compatible incremental-scan-threads
    incremental-scan-concurrency incremental-scan-concurrency-limit incremental-scan-speed-limit
    incremental-fetch-speed-limit incremental-scan-ts-filter-ratio tso-worker-threads
    sink-memory-quota old-value-cache-memory-quota raw-min-ts-outlier-threshold`,
  "resolved-ts": `
    enable advance-ts-interval scan-lock-pool-size memory-quota incremental-scan-concurrency`,
  split: `
    qps-threshold byte-threshold grpc-thread-cpu-overload-threshold-ratio
    unified-read-pool-thread-cpu-overload-threshold-ratio region-cpu-overload-threshold-ratio
    split-balance-score split-contained-score detect-times sample-num sample-threshold`,
  "causal-ts": `
    renew-interval renew-batch-min-size renew-batch-max-size alloc-ahead-buffer`,
  "resource-metering": `
    receiver-address report-receiver-interval max-resource-groups precision`,
  "in-memory-engine": `
    enable capacity evict-threshold gc-run-interval load-evict-interval`,
  "replication-mode": `
    replication-mode`,
  "replication-mode.dr-auto-sync": `
    label-key primary dr primary-replicas dr-replicas wait-store-timeout pause-region-split`,
  "label-property": `
    reject-leader`,
  controller: `
    degraded-mode-wait-duration ltb-max-wait-duration enable-controller-trace-log`,
  "controller.request-unit": `
    read-base-cost read-per-batch-base-cost read-cost-per-byte write-base-cost
    write-per-batch-base-cost write-cost-per-byte read-cpu-ms-cost`,
  "micro-service": `
    enable-scheduling-fallback`,
};

function expand(section: string, keys: string): string[] {
  const prefix = section === "" ? "" : `${section}.`;
  return keys
    .trim()
    .split(/\s+/)
    .map((key) => prefix + key);
}

/** Full dotted names of every key that TiKV or PD know; fields of this program among them. */
export const KNOWN_KEYS: readonly string[] = [
  ...Object.entries(KEYS).flatMap(([section, keys]) => expand(section, keys)),
  ...CF_SECTIONS.flatMap((section) => expand(section, CF_KEYS)),
  ...TITAN_SECTIONS.flatMap((section) => expand(section, TITAN_KEYS)),
];

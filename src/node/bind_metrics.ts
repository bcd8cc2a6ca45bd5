/** Copies the plain counters of engines into metrics at scrape time. */
import { type MetricsRegistry, totalOf } from "../base/index.js";
import type { Engine } from "../engine/index.js";

/** Binds an engine's counters; `db` tells PD's engine ("pd") from the store's ("kv"). */
export function bindEngineMetrics(metrics: MetricsRegistry, engine: Engine, db: "kv" | "pd"): void {
  const labelNames = ["db"];
  const total = (name: string, help: string): ReturnType<typeof totalOf> =>
    totalOf(metrics.counter({ name, help, labelNames }));
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labelNames });
  const writes = total("tikv_engine_write_served", "Native writes.");
  const batches = total(
    "rutile_engine_write_batches_total",
    "Batches submitted; merged in writes.",
  );
  const syncs = total("tikv_engine_wal_file_synced", "Native writes that waited for fdatasync.");
  const bytes = total("tikv_engine_flow_bytes", "Bytes written.");
  const size = gauge("tikv_engine_size_bytes", "Approximate bytes on disk.");
  const snapshots = gauge("tikv_engine_num_snapshots", "Open snapshots.");
  const iterators = gauge("rutile_engine_iterators", "Open iterators.");
  metrics.onCollect(() => {
    const stats = engine.stats();
    writes(stats.writes, { db });
    batches(stats.batches, { db });
    syncs(stats.syncs, { db });
    bytes(stats.bytesWritten, { db });
    size.set(stats.sizeBytes, { db });
    snapshots.set(stats.snapshotsOpen, { db });
    iterators.set(stats.iteratorsOpen, { db });
  });
}

/**
 * GC of a store: keys a second, and the longest slice, for which the event loop does nothing else.
 * Each key has 8 versions of 100 B, of which 7 go; a slice is 256 keys or 256 KiB.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NULL_LOGGER, NULL_METRICS, ok, type Timers, utf8 } from "../../src/base/index.js";
import {
  dataKey,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  newWrite,
  WRITE_TYPE,
} from "../../src/codec/index.js";
import {
  type Engine,
  type EngineBinding,
  librocksdbPresent,
  openEngine,
} from "../../src/engine/index.js";
import { GcMetrics } from "../../src/storage/gc_metrics.js";
import { GcWorker } from "../../src/storage/gc_worker.js";
import { BoundedSnapshot } from "../../src/storage/kv_engine.js";
import { TxnSnapshot } from "../../src/storage/txn_snapshot.js";
import { FakeRegions } from "../../test/support/fake_regions.js";
import type { BenchContext, Report } from "../harness.js";

const VERSIONS = 8;
const SAFE_POINT = 1_000_000n;
const BATCH_KEYS = 1000;

const TIMERS: Timers = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

async function fill(engine: Engine, keys: number): Promise<void> {
  const shortValue = new Uint8Array(100).fill(7);
  for (let from = 0; from < keys; from += BATCH_KEYS) {
    const batch = engine.newWriteBatch();
    for (let i = from; i < Math.min(keys, from + BATCH_KEYS); i++) {
      const key = keyFromRaw(utf8(`key${String(i).padStart(12, "0")}`));
      for (let version = 1; version <= VERSIONS; version++) {
        const startTs = BigInt(version * 10);
        const write = newWrite({ type: WRITE_TYPE.put, startTs, shortValue });
        batch.put("write", dataKey(keyAppendTs(key, startTs + 1n)), encodeWrite(write));
      }
    }
    await engine.write(batch, { sync: false });
  }
}

async function measured(binding: EngineBinding, keys: number): Promise<Report[]> {
  const dir = binding === "memory" ? "" : mkdtempSync(join(tmpdir(), "rutile-gc-"));
  const engine = await openEngine({
    path: dir === "" ? "" : join(dir, "db"),
    binding,
    blockCacheBytes: 64 << 20,
    writeBufferBytes: 32 << 20,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    await fill(engine, keys);
    const regions = new FakeRegions(engine);
    regions.add(1n, new Uint8Array(0), new Uint8Array(0));
    const metrics = new GcMetrics(NULL_METRICS);
    const worker = new GcWorker(600_000, {
      engine,
      router: regions,
      getGcSafePoint: async () => ok(SAFE_POINT),
      view: (peer) => {
        const region = new BoundedSnapshot(peer, engine.snapshot());
        return { snapshot: new TxnSnapshot(region, false), close: () => region.close() };
      },
      clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
      timers: TIMERS,
      logger: NULL_LOGGER,
      metrics,
    });
    const started = performance.now();
    await worker.poll();
    const seconds = (performance.now() - started) / 1000;
    const found = `${metrics.versions} ${metrics.deleted.write} ${metrics.deleted.default}`;
    const hash = createHash("sha256").update(found).digest("hex").slice(0, 12);
    const shared = { params: { keys, versions: VERSIONS }, series: binding, hash };
    const { longestSliceMs, slices } = metrics;
    return [
      {
        ...{ name: "gc keys/s", unit: "keys/s", better: "higher", samples: 1, ...shared },
        ...{ median: keys / seconds, p99: keys / seconds },
      },
      {
        ...{ name: "gc longest slice", unit: "ms", better: "lower", samples: slices, ...shared },
        ...{ median: longestSliceMs, p99: longestSliceMs },
      },
    ];
  } finally {
    await engine.close();
    if (dir !== "") rmSync(dir, { recursive: true, force: true });
  }
}

/** Measures each binding that is present; they delete the same. */
export async function run({ mode }: BenchContext): Promise<readonly Report[]> {
  const keys = mode === "smoke" ? 2000 : 100_000;
  const bindings: EngineBinding[] = librocksdbPresent() ? ["librocksdb", "memory"] : ["memory"];
  const reports: Report[] = [];
  for (const binding of bindings) reports.push(...(await measured(binding, keys)));
  return reports;
}

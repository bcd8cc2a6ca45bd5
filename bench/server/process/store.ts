/**
 * A store process for benches: an engine, one region over all keys, the gRPC server; PD is a fake
 * in the same process. Prints one JSON line with the port, answers "stats" on stdin with one JSON
 * line, ends with stdin. Arguments: binding, directory, number of keys.
 */
import { createInterface } from "node:readline";
import { NULL_LOGGER, NULL_METRICS } from "../../../src/base/index.js";
import { type EngineBinding, openEngine } from "../../../src/engine/index.js";
import { loadKernels } from "../../../src/kernel/index.js";
import { RAFTSTORE_DEFAULTS } from "../../../src/raftstore/index.js";
import { SERVER_DEFAULTS, startTikvServer } from "../../../src/server/index.js";
import { STORAGE_DEFAULTS, startStore } from "../../../src/storage/index.js";
import { REAL_CLOCK } from "../../../test/support/clocks.js";
import { FakePd } from "../../../test/support/fake_pd.js";
import { KEYS_PER_BATCH, keyAt, valueAt } from "../data.js";

function fatal(error: Error): void {
  console.error(error);
  process.exit(1);
}

async function main(binding: EngineBinding, path: string, keys: number): Promise<void> {
  const engine = await openEngine({
    path,
    binding,
    blockCacheBytes: 256 << 20,
    writeBufferBytes: 128 << 20,
    onFatal: fatal,
  });
  const kernels = loadKernels();
  const common = { clock: REAL_CLOCK, logger: NULL_LOGGER, metrics: NULL_METRICS, kernels };
  const raftstore = { ...RAFTSTORE_DEFAULTS, address: "127.0.0.1:20160", version: "8.5.0" };
  const store = await startStore(
    { raftstore, storage: { ...STORAGE_DEFAULTS, reserveSpaceBytes: 0 } },
    { ...common, engine, pd: new FakePd(), signal: new AbortController().signal, onFatal: fatal },
  );
  const batch = engine.newWriteBatch();
  const prefix = store.storage.batch.rawKeyPrefix.subarray(1);
  for (let i = 0; i < keys; i++) {
    batch.put("default", Buffer.concat([prefix, keyAt(i)]), valueAt(i));
    if (batch.count === KEYS_PER_BATCH || i === keys - 1) {
      await engine.write(batch, { sync: false });
      batch.clear();
    }
  }
  const server = await startTikvServer(
    { ...SERVER_DEFAULTS, port: 0 },
    { ...common, storage: store.storage },
  );
  const [region] = store.regions();
  const [peer] = region?.peers ?? [];
  const ids = {
    clusterId: store.clusterId,
    regionId: region?.id,
    confVer: region?.confVer,
    version: region?.version,
    peerId: peer?.id,
    storeId: peer?.storeId,
  };
  const line = (value: object): string =>
    JSON.stringify(value, (_, field) => (typeof field === "bigint" ? String(field) : field));
  console.log(line({ port: server.port, ...ids }));
  createInterface({ input: process.stdin })
    .on("line", () => {
      const { user, system } = process.cpuUsage();
      const engineStats = engine.stats();
      const { calls, build } = kernels;
      const { rss } = process.memoryUsage();
      console.log(
        line({
          cpuUs: user + system,
          engine: engineStats,
          batch: server.counters,
          calls,
          build,
          rss,
        }),
      );
    })
    .on("close", () => process.exit(0));
}

const [binding, path, keys] = process.argv.slice(2) as [EngineBinding, string, string];
await main(binding, path, Number(keys));

/**
 * A store process for benches: an engine, one region over all keys, the gRPC server; PD is a fake
 * in the same process. Prints one JSON line with the port, answers "stats" and "multiget" on stdin with
 * one JSON line, ends with stdin. Arguments: binding, directory, number of keys.
 */
import { createInterface } from "node:readline";
import { NULL_LOGGER, NULL_METRICS } from "../../../src/base/index.js";
import { type Engine, type EngineBinding, openEngine } from "../../../src/engine/index.js";
import { type Kernels, loadKernels, type Region, SLICE_BYTES } from "../../../src/kernel/index.js";
import { RAFTSTORE_DEFAULTS } from "../../../src/raftstore/index.js";
import { SERVER_DEFAULTS, startTikvServer } from "../../../src/server/index.js";
import { STORAGE_DEFAULTS, startStore } from "../../../src/storage/index.js";
import { REAL_CLOCK } from "../../../test/support/clocks.js";
import { FakePd } from "../../../test/support/fake_pd.js";
import { KEYS_PER_BATCH, keyAt, randomIndices, valueAt } from "../data.js";

/** CF byte and data prefix of raw keys. */
const PREFIX = Buffer.from("dz");

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
    .on("line", (command) => {
      if (command === "multiget") {
        console.log(line(measureMultiGet(engine, kernels, keys)));
        return;
      }
      const { user, system } = process.cpuUsage();
      const { rss } = process.memoryUsage();
      const { counters } = server;
      console.log(
        line({
          cpuUs: user + system,
          rss,
          syncs: engine.stats().syncs,
          requests: counters.requests,
          turns: counters.turns,
          cold: counters.cold,
          calls: kernels.calls.batchCommandsDecode,
        }),
      );
    })
    .on("close", () => process.exit(0));
}

const MULTI_GET_KEYS = 128;
const MULTI_GET_TABLES = 512;
const MULTI_GET_MS = 2000;

/** Random multi-gets in this process, without a server: what the binding itself can do. */
function measureMultiGet(engine: Engine, { arena }: Kernels, keys: number): object {
  arena.enter();
  const reserve = (region: Region, bytes: number): number => region.reserve(bytes);
  const tables = reserve(arena.scratch, MULTI_GET_TABLES * MULTI_GET_KEYS * SLICE_BYTES);
  const values = reserve(arena.scratch, MULTI_GET_KEYS * SLICE_BYTES);
  const scratch = reserve(arena.scratch, MULTI_GET_KEYS * 48);
  const random = randomIndices(keys);
  for (let i = 0; i < MULTI_GET_TABLES * MULTI_GET_KEYS; i++) {
    const key = Buffer.concat([PREFIX, keyAt(random())]);
    const at = reserve(arena.input, key.length);
    arena.u8.set(key, at);
    arena.u32.set([at, key.length], (tables + i * SLICE_BYTES) >>> 2);
  }
  let gets = 0;
  let table = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  while (performance.now() - start < MULTI_GET_MS) {
    const { done } = engine.multiGetArena({
      memory: arena.u8,
      count: MULTI_GET_KEYS,
      keyTable: tables + table * MULTI_GET_KEYS * SLICE_BYTES,
      valueTable: values,
      out: arena.output.start,
      outEnd: arena.output.end,
      scratch,
      scratchEnd: scratch + MULTI_GET_KEYS * 48,
    });
    gets += done;
    table = (table + 1) % MULTI_GET_TABLES;
  }
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  arena.leave();
  return { perSecond: gets / seconds, cpuUs: (user + system) / gets };
}

const [binding, path, keys] = process.argv.slice(2) as [EngineBinding, string, string];
await main(binding, path, Number(keys));

/**
 * A store process for benches: an engine, one region over all keys, the gRPC server; PD is a fake
 * in the same process. Prints one JSON line with the port, answers "stats" and "multiget MS" on stdin with
 * one JSON line, ends with stdin. Argument: a StoreJob in JSON.
 */
import { createHash } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { NULL_LOGGER, NULL_METRICS } from "../../../src/base/index.js";
import {
  dataKey,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  newWrite,
  WRITE_TYPE,
} from "../../../src/codec/index.js";
import { type Engine, openEngine, type WriteBatch } from "../../../src/engine/index.js";
import { type Kernels, loadKernels, type Region, SLICE_BYTES } from "../../../src/kernel/index.js";
import { RAFTSTORE_DEFAULTS } from "../../../src/raftstore/index.js";
import { SERVER_DEFAULTS, startTikvServer } from "../../../src/server/index.js";
import { STORAGE_DEFAULTS, startStore } from "../../../src/storage/index.js";
import { REAL_CLOCK } from "../../../test/support/clocks.js";
import { FakePd } from "../../../test/support/fake_pd.js";
import { loneParts } from "../../../test/support/store_parts.js";
import { HASH_KEYS, KEYS_PER_BATCH, keyAt, randomIndices, VERSION_TS, valueAt } from "../data.js";
import type { MultiGet, StoreJob } from "../job.js";

/** Period of the samples; a delay below it is not seen. */
const LOOP_DELAY_RESOLUTION_MS = 2;

/** CF byte and data prefix of raw keys. */
const PREFIX = Buffer.from("dz");

function fatal(error: Error): void {
  console.error(error);
  process.exit(1);
}

/** As a transaction that was committed long ago. */
function putVersion(batch: WriteBatch, key: Uint8Array, shortValue: Uint8Array): void {
  const versioned = dataKey(keyAppendTs(keyFromRaw(key), VERSION_TS.commit));
  const write = newWrite({ type: WRITE_TYPE.put, startTs: VERSION_TS.start, shortValue });
  batch.put("write", versioned, encodeWrite(write));
}

/** Writes the data past the server: no sync, large batches. */
async function fill(engine: Engine, prefix: Uint8Array, job: StoreJob): Promise<void> {
  const batch = engine.newWriteBatch();
  for (let i = 0; i < job.keys; i++) {
    const key = keyAt(i);
    const value = valueAt(i, job.valueBytes);
    batch.put("default", Buffer.concat([prefix, key]), value);
    if (job.versions) putVersion(batch, key, value);
    if (batch.count === KEYS_PER_BATCH || i === job.keys - 1) {
      await engine.write(batch, { sync: false });
      batch.clear();
    }
  }
  if (job.compact) await engine.compact();
}

async function main(job: StoreJob): Promise<void> {
  const { path, binding, blockCacheBytes, writeBufferBytes } = job;
  const engine = await openEngine({
    path,
    binding,
    blockCacheBytes,
    writeBufferBytes,
    onFatal: fatal,
  });
  const kernels = loadKernels();
  const common = { clock: REAL_CLOCK, logger: NULL_LOGGER, metrics: NULL_METRICS, kernels };
  const raftstore = { ...RAFTSTORE_DEFAULTS, address: "127.0.0.1:20160", version: "8.5.0" };
  const store = await startStore(
    { raftstore, storage: { ...STORAGE_DEFAULTS, reserveSpaceBytes: 0 } },
    {
      ...common,
      ...loneParts(),
      engine,
      pd: new FakePd(),
      signal: new AbortController().signal,
      onFatal: fatal,
    },
  );
  const prefix = store.storage.batch.rawKeyPrefix.subarray(1);
  await fill(engine, prefix, job);
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
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
  loopDelay.enable();
  console.log(line({ port: server.port, ...ids }));
  createInterface({ input: process.stdin })
    .on("line", (command) => {
      const [name, ms] = command.split(" ");
      if (name === "multiget") {
        console.log(line(measureMultiGet(engine, kernels, job.keys, Number(ms))));
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
          loopP999Ms: loopDelay.percentile(99.9) / 1e6,
        }),
      );
      loopDelay.reset();
    })
    .on("close", () => process.exit(0));
}

const MULTI_GET_KEYS = 128;
const MULTI_GET_TABLES = 512;

/** Hashes what the loader's hash pass hashes. */
function hashValues(engine: Engine, keys: number): string {
  const hash = createHash("sha256");
  for (let i = 0; i < Math.min(HASH_KEYS, keys); i++) {
    const value = engine.get("default", Buffer.concat([PREFIX.subarray(1), keyAt(i)]));
    hash.update(value as Uint8Array);
  }
  return hash.digest("hex").slice(0, 12);
}

/** Random multi-gets in this process, without a server: what the binding itself can do. */
function measureMultiGet(engine: Engine, { arena }: Kernels, keys: number, ms: number): MultiGet {
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
  while (performance.now() - start < ms) {
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
  const cpuUs = (user + system) / gets;
  return { perSecond: gets / seconds, cpuUs, hash: hashValues(engine, keys) };
}

await main(JSON.parse(process.argv[2] as string) as StoreJob);

/**
 * A transactional scan through the engine's calls, by walks over entries as JavaScript arrays and by
 * the kernel over blocks in linear memory (twin and wasm): rows of 16-byte keys and 100-byte values
 * with 1, 2, 8 and 64 versions a key, short and long scans; processor time a row. Ratios and the share
 * of the engine's calls in the kernel's time are printed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { concatBytes, EMPTY_BYTES, utf8 } from "../../src/base/index.js";
import {
  dataKey,
  encodeU64,
  encodeWrite,
  keyAppendTs,
  keyFromRaw,
  newWrite,
} from "../../src/codec/index.js";
import {
  type Engine,
  librocksdbPresent,
  openEngine,
  type Snapshot,
} from "../../src/engine/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import {
  type OpenVersionScan,
  openKernelScan,
  openVersionScan,
  type ReadPoint,
  Scanner,
  Statistics,
} from "../../src/mvcc/index.js";
import type { ReadDelegate } from "../../src/raftstore/index.js";
import { BoundedSnapshot } from "../../src/storage/kv_engine.js";
import { TxnSnapshot } from "../../src/storage/txn_snapshot.js";
import { type BenchContext, type Report, randomBytes, seededU32 } from "../harness.js";
import { measureRounds, type RoundCase } from "./rounds.js";
import { CallClock, timedSnapshot } from "./timed_snapshot.js";

const MIB = 1 << 20;
const ENTRIES = 64_000;
const SMOKE_ENTRIES = 640;
const BATCH_RECORDS = 1000;
const VALUE_BYTES = 100;
const TS = 440_000_000_000_000_000n;
/** Entries a slice, as the read pool steps. */
const STEP_ITEMS = 256;
const WHOLE_REGION = { region: { startKey: EMPTY_BYTES, endKey: EMPTY_BYTES } } as ReadDelegate;

const POINT: ReadPoint = {
  ts: TS + (1n << 40n),
  isolation: "si",
  bypassLocks: [],
  accessLocks: [],
  isReplicaRead: false,
};

const openers = {
  walk: openVersionScan,
  "kernel js": openKernelScan(loadKernels({ build: "js" }), openVersionScan),
  kernel: openKernelScan(loadKernels(), openVersionScan),
} as const;

const encodedKey = (i: number): Uint8Array =>
  keyFromRaw(utf8(`user${String(i).padStart(12, "0")}`));

async function load(engine: Engine, keys: number, versions: number): Promise<void> {
  const next = seededU32();
  let batch = engine.newWriteBatch();
  for (let i = 0; i < keys; i++) {
    for (let v = 1; v <= versions; v++) {
      const startTs = TS + BigInt(10 * v);
      const record = encodeWrite(
        newWrite({ type: 0x50, startTs, shortValue: randomBytes(next, VALUE_BYTES) }),
      );
      batch.put("write", dataKey(keyAppendTs(encodedKey(i), startTs + 5n)), record);
    }
    if (batch.count < BATCH_RECORDS) continue;
    await engine.write(batch, { sync: false });
    batch = engine.newWriteBatch();
  }
  await engine.write(batch, { sync: false });
  await engine.compact();
}

/** A scan of `rows` rows from key `first` on. */
function scanOnce(
  take: () => Snapshot,
  open: OpenVersionScan,
  first: number,
  rows: number,
): Uint8Array[] {
  const snapshot = new BoundedSnapshot(WHOLE_REGION, take());
  const range = { lower: encodedKey(first), upper: EMPTY_BYTES, reverse: false };
  const options = { ...range, limit: rows, keyOnly: false, sampleStep: 0 };
  const view = new TxnSnapshot(snapshot);
  const scanner = new Scanner(view, new Statistics(), POINT, options, open);
  while (!scanner.done) scanner.step(STEP_ITEMS);
  scanner.close();
  snapshot.close();
  return scanner.pairs.flatMap((pair) => {
    if ("error" in pair) throw new Error("a scan met a lock");
    return [pair.key, pair.value, encodeU64(pair.commitTs)];
  });
}

/** Percent of the time of such scans that the engine's calls take. */
function engineShare(engine: Engine, open: OpenVersionScan, rows: number, scans: number): number {
  const clock = new CallClock();
  const start = process.hrtime.bigint();
  for (let i = 0; i < scans; i++) {
    scanOnce(() => timedSnapshot(engine.snapshot(), clock), open, i, rows);
  }
  return (100 * clock.spentNs) / Number(process.hrtime.bigint() - start);
}

function casesOf(engine: Engine, keys: number, rows: number): RoundCase[] {
  const next = seededU32();
  const firsts = Array.from({ length: 64 }, () => next() % Math.max(1, keys - rows));
  let at = 0;
  const first = (): number => firsts[at++ % firsts.length] as number;
  const take = (): Snapshot => engine.snapshot();
  return Object.entries(openers).map(([series, open]) => ({
    series,
    items: rows,
    call: () => void scanOnce(take, open, first(), rows),
    result: () => concatBytes(...scanOnce(take, open, 0, rows)),
  }));
}

async function measured(
  context: BenchContext,
  engine: Engine,
  versions: number,
): Promise<Report[]> {
  const keys = Math.floor((context.mode === "smoke" ? SMOKE_ENTRIES : ENTRIES) / versions);
  await load(engine, keys, versions);
  const reports: Report[] = [];
  for (const rows of [10, 100, 1000].filter((count) => count <= keys)) {
    const params = { engine: engine.binding, versions, rows };
    const row = await measureRounds(context, "scan", params, casesOf(engine, keys, rows));
    const [walk, js, kernel] = row.map(({ median }) => median) as [number, number, number];
    const scans = context.mode === "smoke" ? 2 : 20 + Math.ceil(20_000 / rows);
    const share = engineShare(engine, openers.kernel, rows, Math.min(scans, keys - rows + 1));
    console.log(
      `scan ${versions} versions, ${rows} rows: kernel ${(walk / kernel).toFixed(2)} of walks, ` +
        `${(js / kernel).toFixed(2)} of its twin; engine calls ${share.toFixed(0)} %`,
    );
    reports.push(...row);
  }
  return reports;
}

/** Bench entry. */
export async function run(context: BenchContext): Promise<Report[]> {
  const reports: Report[] = [];
  for (const versions of [1, 2, 8, 64]) {
    const path = mkdtempSync(join(tmpdir(), "rutile-bench-"));
    const engine = await openEngine({
      path: join(path, "db"),
      binding: librocksdbPresent() ? "librocksdb" : "memory",
      blockCacheBytes: 256 * MIB,
      writeBufferBytes: 64 * MIB,
      onFatal: (error) => {
        throw error;
      },
    });
    reports.push(...(await measured(context, engine, versions)));
    await engine.close();
    rmSync(path, { recursive: true });
  }
  return reports;
}

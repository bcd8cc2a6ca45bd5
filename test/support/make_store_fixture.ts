/**
 * Writes test/fixtures/store: `node build/js/test/support/make_store_fixture.js DIRECTORY`.
 * Run once per format, never to make a failing test pass: the fixture stands for directories that
 * already exist. OPTIONS and LOG are left out: they name the machine, and RocksDB opens without.
 */
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../src/base/index.js";
import { type Engine, openEngine } from "../../src/engine/index.js";
import { FakePd } from "./fake_pd.js";
import { startFixture } from "./store_fixture.js";
import { tmpDir } from "./tmp.js";

/** Cluster of the fixture; above 2^53, as PD's are. */
export const FIXTURE_CLUSTER = 7_000_000_000_000_000_001n;

/** What it holds: CF, key, value. The first three lie in a table, the others in the log. */
export const FIXTURE_DATA = [
  ["default", "fruit/apple", "red"],
  ["default", "fruit/lemon", ""],
  ["lock", "other", "cf lock"],
  ["default", "fruit/plum", "blue"],
  ["write", "other", "cf write"],
] as const;

const TABLE_COUNT = 3;

/** Opens an engine on `path` with small buffers. */
export function fixtureEngine(path: string, binding: Engine["binding"]): Promise<Engine> {
  return openEngine({
    path,
    binding,
    blockCacheBytes: 1024 * 1024,
    writeBufferBytes: 1024 * 1024,
    onFatal: (error) => {
      throw error;
    },
  });
}

async function fill(path: string, pd: FakePd, from: number, end: number): Promise<void> {
  const engine = await fixtureEngine(path, "rocksdb");
  const { store, ctx } = await startFixture({ engine, pd });
  for (const [cf, key, value] of FIXTURE_DATA.slice(from, end)) {
    await store.storage.raw.put(ctx, cf, { key: utf8(key), value: utf8(value), ttl: 0n }, false);
  }
  await store.stop();
  if (end === TABLE_COUNT) await engine.compact();
  await engine.close();
}

async function main(target: string): Promise<void> {
  const path = tmpDir("fixture");
  const pd = new FakePd(FIXTURE_CLUSTER);
  await fill(path, pd, 0, TABLE_COUNT);
  await fill(path, pd, TABLE_COUNT, FIXTURE_DATA.length);
  for (const name of readdirSync(path)) {
    if (!/^(LOCK|LOG|OPTIONS)/.test(name)) cpSync(join(path, name), join(target, name));
  }
}

const [, script, target] = process.argv;
if (script?.endsWith("make_store_fixture.js") && target !== undefined) await main(target);

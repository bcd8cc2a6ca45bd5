import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { type Engine, MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";

function fatal(error: Error): void {
  throw error;
}

async function put(engine: Engine, key: string, value: string, sync: boolean): Promise<void> {
  const batch = engine.newWriteBatch();
  batch.put("default", utf8(key), utf8(value));
  await engine.write(batch, { sync });
}

function get(engine: Engine, key: string): string | undefined {
  const value = engine.get("default", utf8(key));
  return value === undefined ? undefined : utf8Decode(value);
}

test("a crash keeps what was synced and a prefix of the rest", async () => {
  for (const kept of [0, 1, 2]) {
    const disk = new MemoryDisk({ journal: true });
    const engine = openMemoryEngine(fatal, disk);
    await put(engine, "a", "synced", true);
    await put(engine, "b", "1", false);
    await put(engine, "c", "2", false);
    assert.is(disk.unsyncedCount, 2);
    disk.crash(kept);
    await put(engine, "z", "after the crash", true);
    const again = openMemoryEngine(fatal, disk);
    assert.is(get(again, "a"), "synced", `kept ${kept}`);
    assert.is(get(again, "b"), kept >= 1 ? "1" : undefined, `kept ${kept}`);
    assert.is(get(again, "c"), kept >= 2 ? "2" : undefined, `kept ${kept}`);
    assert.is(get(again, "z"), undefined, "the crashed engine has lost the disk");
  }
});

test("sync() makes earlier writes survive", async () => {
  const disk = new MemoryDisk({ journal: true });
  const engine = openMemoryEngine(fatal, disk);
  await put(engine, "a", "1", false);
  await engine.sync();
  assert.is(disk.unsyncedCount, 0);
  assert.is(engine.stats().syncs, 1);
  await engine.sync();
  assert.is(engine.stats().syncs, 1, "nothing to sync");
  disk.crash(0);
  assert.is(get(openMemoryEngine(fatal, disk), "a"), "1");
});

test("one engine at a time has the disk", async () => {
  const disk = new MemoryDisk();
  const engine = openMemoryEngine(fatal, disk);
  assert.throws(() => openMemoryEngine(fatal, disk), /open/);
  await engine.close();
  openMemoryEngine(fatal, disk);
});

test.run();

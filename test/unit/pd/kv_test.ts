/** PD's records survive a power loss as soon as a save resolved. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { MemoryDisk, openMemoryEngine } from "../../../src/engine/index.js";
import { engineKv, type Kv } from "../../../src/pd/storage/index.js";

function open(disk: MemoryDisk): Kv {
  return engineKv(openMemoryEngine((error) => assert.unreachable(error.message), disk));
}

function all(kv: Kv, prefix: string): string[] {
  const found: string[] = [];
  kv.loadPrefix(prefix, (key, value) => found.push(`${key}=${utf8Decode(value)}`));
  return found;
}

test("what a save acknowledged is there after a power loss, changes and removals alike", async () => {
  const disk = new MemoryDisk({ journal: true });
  const kv = open(disk);
  await kv.save([
    { key: "/pd/1/a", value: utf8("1") },
    { key: "/pd/1/b", value: utf8("2") },
  ]);
  await kv.save([
    { key: "/pd/1/a", value: undefined },
    { key: "/pd/2/c", value: utf8("3") },
  ]);
  assert.is(disk.unsyncedCount, 0);
  disk.crash(0);
  const again = open(disk);
  assert.equal(all(again, "/pd/"), ["/pd/1/b=2", "/pd/2/c=3"]);
  assert.equal(all(again, "/pd/1/"), ["/pd/1/b=2"]);
  assert.is(again.load("/pd/1/a"), undefined);
});

test.run();

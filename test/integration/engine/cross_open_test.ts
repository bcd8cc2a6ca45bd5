/**
 * Each RocksDB binding opens what the other wrote: written, flushed, merged, reopened, in both
 * directions, with equal hashes of all entries.
 * @timeout 90
 */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bindingPresent } from "../../support/engine_harness.js";
import { engineOutcome } from "../../support/engine_process.js";
import { tmpDir } from "../../support/tmp.js";

const EXTRA_KEYS = "4000";
const PAIRS = [
  ["rocksdb", "librocksdb"],
  ["librocksdb", "rocksdb"],
] as const;

async function hashBy(binding: "rocksdb" | "librocksdb", path: string): Promise<string> {
  return (await engineOutcome(binding, ["dump", path])).hash ?? "none";
}

if (bindingPresent("librocksdb")) {
  const hashes: string[] = [];
  for (const [writer, reader] of PAIRS) {
    test(`${reader} reads and goes on with what ${writer} wrote`, async () => {
      const path = join(tmpDir("cross"), "db");
      await engineOutcome(writer, ["fill", path, EXTRA_KEYS]);
      const own = await hashBy(writer, path);
      assert.is(await hashBy(reader, path), own);
      await engineOutcome(reader, ["fill", path, "0"]);
      const both = await hashBy(reader, path);
      assert.is(await hashBy(writer, path), both, "and back");
      hashes.push(own);
    });
  }
  test("both bindings made the same entries", () => {
    assert.is(hashes.length, 2);
    assert.is(hashes[0], hashes[1]);
  });
} else {
  test.skip("the library is missing", () => {});
}

test.run();

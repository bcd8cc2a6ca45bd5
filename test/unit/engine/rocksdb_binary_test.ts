/** The prebuilt RocksDB binary is changed in one byte a conflicting symbol, and nowhere else. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TikvError } from "../../../src/base/index.js";
import { hideSymbols } from "../../../src/engine/elf.js";
import { bindingFile, loadBinding } from "../../../src/engine/rocksdb_binary.js";

const require = createRequire(import.meta.url);
const REGEX = /regex|St8__detail/;

if (process.platform === "linux") {
  test("hiding symbols changes their visibility only, and is the same when done again", () => {
    const directory = dirname(require.resolve("rocksdb/package.json"));
    const nodeGypBuild = createRequire(join(directory, "binding.js"))("node-gyp-build") as {
      path(directory: string): string;
    };
    const before = readFileSync(nodeGypBuild.path(directory));
    const after = Buffer.from(before);
    const hidden = hideSymbols(after, (name) => REGEX.test(name));
    assert.ok(hidden > 100, `${hidden} symbols`);
    let changed = 0;
    for (let at = 0; at < before.length; at++) {
      if (before[at] === after[at]) continue;
      assert.equal([before[at], after[at]], [0, 2], `byte ${at}`);
      changed++;
    }
    assert.is(changed, hidden);
    const again = Buffer.from(after);
    assert.is(
      hideSymbols(again, (name) => REGEX.test(name)),
      hidden,
    );
    assert.is(Buffer.compare(after, again), 0);
  });
}

test("the binding loads on this Node", () => {
  const exports = loadBinding(bindingFile()) as Record<string, unknown>;
  assert.type(exports.db_open, "function");
});

test("a file that is no library is refused with the code that says so", () => {
  assert.throws(() => hideSymbols(Buffer.alloc(100), () => true), "no 64-bit little-endian ELF");
  try {
    loadBinding(import.meta.url.slice("file://".length));
    assert.unreachable();
  } catch (error) {
    assert.is((error as TikvError).code, "RUTILE:Engine:Unavailable");
  }
});

test.run();

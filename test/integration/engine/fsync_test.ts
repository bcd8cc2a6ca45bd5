/**
 * An acknowledged synced write has reached fdatasync: a trace of the process shows a finished one
 * between any two acknowledgements. The same check must find fault with unsynced writes.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 120
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bindingOfEnvironment, bindingPresent } from "../../support/engine_harness.js";
import { startEngine } from "../../support/engine_process.js";
import { hasProgram, requires } from "../../support/requires.js";
import { tmpDir } from "../../support/tmp.js";

const COUNT = 60;

const binding = bindingOfEnvironment();

interface Trace {
  readonly acks: number;
  /** Acknowledgements with no finished sync since the one before. */
  readonly uncovered: number;
  readonly syncs: number;
}

function read(file: string): Trace {
  let acks = 0;
  let uncovered = 0;
  let syncs = 0;
  let syncedSince = false;
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (/(fdatasync|fsync)(\(\d+\)| resumed>\))\s*= 0/.test(line)) {
      syncs++;
      syncedSince = true;
    } else if (/write\(1, "ack /.test(line)) {
      acks++;
      if (!syncedSince) uncovered++;
      syncedSince = false;
    }
  }
  return { acks, uncovered, syncs };
}

async function trace(sync: "sync" | "nosync"): Promise<Trace> {
  const directory = tmpDir("fsync");
  const file = join(directory, "trace");
  const before = ["strace", "-f", "-o", file, "-e", "trace=fdatasync,fsync,write", "-s", "16"];
  const args = ["acks", join(directory, "db"), String(COUNT), sync];
  const run = startEngine(binding, args, { before });
  const { code } = await run.ended;
  assert.is(code, 0, run.errors());
  return read(file);
}

if (bindingPresent(binding) && requires("strace", () => hasProgram("strace"))) {
  test("each acknowledged synced write is covered by its own fdatasync", async () => {
    const { acks, uncovered, syncs } = await trace("sync");
    assert.is(acks, COUNT);
    assert.is(uncovered, 0);
    assert.ok(syncs >= COUNT, `${syncs} syncs`);
  });

  test("the same check fails with sync off", async () => {
    const { acks, uncovered, syncs } = await trace("nosync");
    assert.is(acks, COUNT);
    assert.ok(uncovered > COUNT / 2, `${uncovered} acknowledgements without a sync`);
    assert.ok(syncs < COUNT / 2, `${syncs} syncs`);
  });
} else {
  test.skip("needs the library and strace", () => {});
}

test.run();

/**
 * A writer is killed with -9 at random, again and again on one directory: nothing that was
 * acknowledged as synced is lost, no batch is half there, and what is there is a prefix.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 240
 * @seconds 21
 */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  bindingOfEnvironment,
  bindingPresent,
  openDiskEngine,
} from "../../support/engine_harness.js";
import { startEngine } from "../../support/engine_process.js";
import { checkSequence, lastSequence } from "../../support/kill_sequence.js";
import { tmpDir } from "../../support/tmp.js";

const KILLS = 25;
const ACKS_BEFORE_KILL_MAX = 60;

const binding = bindingOfEnvironment();
const path = join(tmpDir("kill"), "db");

/** Kills a writer after a random number of acknowledgements; returns the last one it gave. */
async function killOnce(): Promise<number> {
  const acksBeforeKill = 1 + Math.floor(Math.random() * ACKS_BEFORE_KILL_MAX);
  let acks = 0;
  let lastAck = 0;
  const writer = startEngine(binding, ["writer", path], {
    onLine: (line, child) => {
      lastAck = Number(/^ack (\d+)$/.exec(line)?.[1]);
      acks++;
      if (acks === acksBeforeKill) child.kill("SIGKILL");
    },
  });
  const { signal } = await writer.ended;
  assert.is(signal, "SIGKILL", writer.errors());
  return lastAck;
}

async function check(lastAck: number): Promise<number> {
  const engine = await openDiskEngine(binding, path);
  const snapshot = engine.snapshot();
  checkSequence(snapshot);
  const last = lastSequence(snapshot);
  snapshot.close();
  await engine.close();
  assert.ok(last >= lastAck, `batch ${lastAck} was acknowledged, the last one there is ${last}`);
  return last;
}

if (bindingPresent(binding)) {
  test(`${KILLS} kills lose nothing that was acknowledged`, async () => {
    let last = 0;
    for (let round = 0; round < KILLS; round++) {
      const now = await check(await killOnce());
      assert.ok(now > last, `round ${round} wrote`);
      last = now;
    }
  });
} else {
  test.skip("the library is missing", () => {});
}

test.run();

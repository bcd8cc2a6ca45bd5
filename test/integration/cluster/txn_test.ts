/**
 * Bank, lists, counters and a register on three stores, while leaders are killed, paused and cut off,
 * regions split and change leaders, PD is killed and the wall clock of all processes jumps: a short
 * run of test/integration/cluster/txn_soak.ts.
 * @variants RUTILE_ENGINE=rocksdb,librocksdb
 * @timeout 400
 * @seconds 80
 * @waits
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { librocksdbLoads } from "../../support/librocksdb.js";
import { requires } from "../../support/requires.js";
import { underTransactions } from "../../support/txn_load.js";
import { FAKETIME, WallClock } from "../../support/wall_clock.js";

const ENGINE = process.env.RUTILE_ENGINE ?? "rocksdb";
const COMMITTED_MIN = 100;
const JUMPS = [60, -300] as const;

const present = ENGINE !== "librocksdb" || requires("librocksdb", librocksdbLoads);
const canJump = requires("libfaketime", () => FAKETIME !== undefined);
(present ? test : test.skip)("transactions survive a round of faults", async () => {
  const wall = canJump ? new WallClock(FAKETIME as string) : undefined;
  const seed = BigInt(Date.now());
  const report = await underTransactions({ engine: ENGINE, seed, wall }, (faults) =>
    faults.round(JUMPS),
  );
  const { committed, faults, open, seconds } = report;
  console.log(`${committed} transactions in ${seconds.toFixed(0)} s, ${open} undetermined`);
  assert.ok(committed >= COMMITTED_MIN, `${committed} transactions`);
  const expected = { kill: 1, transfer: 1, pause: 1, split: 1, "PD kill": 1, cut: 1 };
  // The clock is set once more at the end.
  const jumps = canJump ? { jump: JUMPS.length + 1 } : {};
  assert.equal(Object.fromEntries(faults.counts), { ...jumps, ...expected });
});

test.run();
